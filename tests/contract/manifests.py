"""Manifests for tables: a valid object of each kind, and one change to it."""

from __future__ import annotations

import copy
from typing import Any, Final

from pointsman.api.names import (
    API_VERSION,
    LLMMODEL,
    LLMROUTER,
    LLMSERVICE,
    PROMPTSUITE,
    PROMPTVERSION,
    Resource,
)

Json = dict[str, Any]

MINIMAL: Final[dict[Resource, Json]] = {
    LLMSERVICE: {"model": {"source": {"uri": "hf://Qwen/Qwen2.5-7B-Instruct"}}},
    LLMMODEL: {"source": {"uri": "hf://Qwen/Qwen2.5-7B-Instruct"}},
    LLMROUTER: {},
    PROMPTVERSION: {"messages": [{"role": "system", "content": "You are the help desk."}]},
    PROMPTSUITE: {"cases": [{"name": "thanks", "assertions": [{"contains": "welcome"}]}]},
}

FULL: Final[dict[Resource, Json]] = {
    LLMSERVICE: {
        "model": {
            "source": {"uri": "hf://Qwen/Qwen3-8B", "revision": "main", "secretRef": {"name": "hub"}},
            "storage": {"size": "20Gi"},
            "defaults": {"toolCallParser": "hermes", "reasoningParser": "qwen3", "trustRemoteCode": False},
            "proof": [
                {
                    "name": "capital",
                    "message": "What is the capital of France?",
                    "answer": {"contains": "Paris"},
                    "maxTokens": 32,
                },
                {"name": "sum", "prompt": "2 + 2 =", "answer": {"regex": r"^ *4\b"}},
            ],
            "facts": {
                "parameters": 8_190_735_360,
                "dtype": "bfloat16",
                "layers": 36,
                "hiddenSize": 4096,
                "intermediateSize": 12288,
                "attentionHeads": 32,
                "kvHeads": 8,
                "headSize": 128,
                "vocabularySize": 151_936,
                "tiedEmbeddings": False,
                "contextLength": 40960,
            },
        },
        "promptRef": {"name": "support-v7"},
        "modelNames": ["chat", "team/support"],
        "replicas": 2,
        "hardware": {
            "accelerator": {"resource": "nvidia.com/gpu", "count": 4},
            "deviceMemory": "80Gi",
            "fit": "Advisory",
            "resources": {
                "requests": {"cpu": 4, "memory": "32Gi", "ephemeral-storage": "50Gi"},
                "limits": {"memory": "64Gi"},
            },
            "nodeSelector": {"topology.kubernetes.io/zone": "a"},
            "tolerations": [
                {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
                {
                    "key": "spot",
                    "operator": "Equal",
                    "value": "yes",
                    "effect": "NoExecute",
                    "tolerationSeconds": 60,
                },
            ],
            "runtimeClassName": "nvidia",
            "priorityClassName": "serving",
        },
        "parallelism": {"tensor": 2, "pipeline": 2, "data": 1, "expert": False},
        "engine": {
            "type": "vLLM",
            "image": "registry.example.com/engine:0.32.0@sha256:" + "0" * 64,
            "maxModelLen": 8192,
            "dtype": "bfloat16",
            "quantization": "fp8",
            "gpuMemoryUtilization": 90,
            "args": {"max-num-seqs": "64", "enable-prefix-caching": "true"},
            "env": {"NCCL_DEBUG": "WARN"},
        },
        "routerRef": {"name": "default"},
        "routing": {
            "timeouts": {
                "connectSeconds": 5,
                "firstByteSeconds": 120,
                "idleStreamSeconds": 60,
                "requestSeconds": 900,
                "commentSeconds": 10,
            },
            "retries": {"maxAttempts": 2, "budgetPercent": 10},
            "ejection": {"failures": 3, "seconds": 20, "maxSeconds": 200, "maxPercent": 30},
            "engines": {
                "maxRequests": 64,
                "maxQueued": 0,
                "queueSeconds": 5,
                "idleSeconds": 3,
                "slowStartSeconds": 0,
            },
            "picking": {"policy": "LeastLoaded", "loadPercent": 200, "blockBytes": 512, "maxBlocks": 64},
            "stickiness": {"header": "X-Session-Id", "conversation": True},
        },
        "rollout": {"strategy": "Recreate"},
        "experiment": {
            "promptRef": {"name": "support-v8"},
            "weight": 20,
            "metrics": [
                {"metric": "feedbackScore", "statistic": "Mean", "relevantPercent": 3},
                {"metric": "errorRate", "relevantPermille": 10},
            ],
            "minSamples": 200,
            "maxSeconds": 86_400,
            "falseRecommendationPermille": 20,
            "restartedAt": "2026-11-22T17:30:00Z",
        },
        "drainSeconds": 300,
        "restartedAt": "2026-11-22T17:30:00Z",
        "paused": False,
        "pod": {
            "labels": {"cost-centre": "research"},
            "annotations": {"example.com/owner": "team-a"},
            "imagePullSecrets": [{"name": "registry"}],
        },
    },
    LLMMODEL: {
        "source": {"uri": "pvc://models/qwen/3-8b"},
        "storage": {"size": 1},
        "defaults": {"trustRemoteCode": True},
        "proof": [{"name": "echo", "message": "Say yes.", "answer": {"exact": "yes"}}],
        "facts": {
            "slidingWindow": 4096,
            "slidingLayers": 18,
            "experts": 64,
            "expertSize": 1408,
            "expertsPerToken": 6,
            "kvLoraRank": 512,
            "ropeHeadSize": 64,
        },
    },
    LLMROUTER: {
        "replicas": 3,
        "resources": {"requests": {"cpu": "500m"}, "limits": {"cpu": 1}},
        "service": {"type": "LoadBalancer", "annotations": {"service.beta.kubernetes.io/internal": "true"}},
        "allowedPeers": [
            {"cidr": "10.0.0.0/8"},
            {"namespaceLabels": {"team": "a"}, "podLabels": {"app": "web"}},
        ],
        "limits": {
            "maxConnections": 500,
            "maxRequestsPerConnection": 1000,
            "maxPipelined": 8,
            "maxHeadBytes": 32768,
            "maxHeaders": 50,
            "maxTargetBytes": 4096,
            "maxBodyBytes": 1048576,
            "maxBufferedBytes": 68719476736,
            "maxJsonDepth": 32,
            "maxNumberDigits": 32,
            "headSeconds": 10,
            "bodyIdleSeconds": 20,
            "bodySeconds": 300,
            "keepAliveSeconds": 75,
            "tlsHandshakeSeconds": 5,
        },
        "cors": {
            "allowedOrigins": ["https://app.example.com", "http://localhost:3000", "http://[::1]:8080"],
            "allowedHeaders": ["X-Tenant"],
            "allowCredentials": True,
            "maxAgeSeconds": 0,
        },
        "tls": {"secretRef": {"name": "public-certificate"}},
        "trustedProxies": ["10.0.0.0/8", "fd00::/8"],
    },
    PROMPTVERSION: {
        "family": "support",
        "format": "Simple",
        "messages": [
            {"role": "system", "content": "You help {{customer}}, on plan {{plan}}, for {{years}} years."},
            {"role": "user", "content": "Is it urgent: {{urgent}}? Answer within {{factor}} hours."},
            {"role": "assistant", "content": "Understood."},
        ],
        "variables": [
            {"name": "customer", "type": "string", "maxLength": 80},
            {"name": "plan", "type": "string", "default": "free", "enum": ["free", "paid"]},
            {"name": "years", "type": "integer", "default": "1", "minimum": 0, "maximum": 100},
            {"name": "factor", "type": "number", "default": "0.5"},
            {"name": "urgent", "type": "boolean", "default": "false"},
        ],
        "parameters": {
            "temperature": "0.2",
            "topP": "0.95",
            "maxTokens": 400,
            "seed": 7,
            "stop": ["\n\n", "END"],
        },
    },
    PROMPTSUITE: {
        "family": "support",
        "cases": [
            {
                "name": "greets",
                "variables": [{"name": "customer", "value": "Ada"}, {"name": "years", "value": "3"}],
                "messages": [{"role": "user", "content": "Hello!"}],
                "assertions": [
                    {"exact": "Hello Ada."},
                    {"regex": "(?i)hello"},
                    {"contains": "Ada"},
                    {"notContains": "Grace"},
                    {"maxTokens": 50},
                    {"refusal": False},
                    {
                        "similarity": {
                            "to": "Hello, Ada.",
                            "minPermille": 900,
                            "embedding": {"serviceRef": {"name": "embed"}},
                        }
                    },
                    {
                        "similarity": {
                            "to": "Hi.",
                            "minPermille": 500,
                            "embedding": {"url": "http://embed.ml.svc/v1", "model": "small"},
                        }
                    },
                ],
                "times": 3,
                "mayFail": 1,
                "maxTokens": 64,
            },
            {"name": "json", "assertions": [{"jsonSchema": '{"type": "object"}'}]},
        ],
        "mayFail": 1,
        "seed": 42,
    },
}
"""Every field of each kind's spec once."""


def manifest(resource: Resource, spec: Json, name: str = "chat") -> Json:
    """An object of this kind."""
    return {
        "apiVersion": API_VERSION,
        "kind": resource.kind,
        "metadata": {"name": name},
        "spec": copy.deepcopy(spec),
    }


def changed(spec: Json, path: str, value: object) -> Json:
    """A copy of a spec with one field set, or removed where the value is None; path empty: several set."""
    whole = copy.deepcopy(spec)
    if not path and isinstance(value, dict):
        return {**whole, **value}
    *parents, last = path.split("/")
    place = whole
    for step in parents:
        place = place.setdefault(step, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return whole
