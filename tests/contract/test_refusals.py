"""What the API server refuses, and what it says: the field, and what would be right.

The same table goes through the operator's own models, so that neither accepts what the other refuses.
"""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pointsman.api.kinds import KINDS
from pointsman.api.names import LLMMODEL, LLMROUTER
from tests.contract.cases import Case
from tests.contract.experiment_cases import EXPERIMENTS
from tests.contract.fit_cases import FIT
from tests.contract.prompt_cases import PROMPTS, SUITES
from tests.contract.proof_cases import PROOFS
from tests.contract.rollout_cases import ROLLOUTS
from tests.contract.server import Server
from tests.contract.setting_cases import SETTINGS

MODELS = {row.resource: row.model for row in KINDS}
GPU = {"resource": "nvidia.com/gpu", "count": 2}


CASES: dict[str, Case] = {
    "a field that doesn't exist": Case("replica", 2, 'unknown field "spec.replica"', schema_alone=True),
    "a word where a number belongs": Case(
        "replicas",
        "two",
        'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer',
    ),
    "fewer than no replicas": Case(
        "replicas", -1, "spec.replicas in body should be greater than or equal to 0"
    ),
    "more replicas than anyone means": Case("replicas", 1001, "should be less than or equal to 1000"),
    "a name too long for its children": Case(
        "replicas", 1, "metadata.name must be at most 40 characters", name="a" * 41
    ),
    "a name no Service can have": Case(
        "replicas", 1, "metadata.name must begin with a letter", name="1st.chat"
    ),
    "no model": Case(
        "model", None, "spec: Invalid value: give exactly one of spec.model (inline) and spec.modelRef"
    ),
    "a model and a reference to one": Case(
        "modelRef",
        {"name": "qwen"},
        "spec: Invalid value: give exactly one of spec.model (inline) and spec.modelRef",
    ),
    "a source without a scheme": Case(
        "model/source/uri",
        "Qwen/Qwen3-8B",
        'spec.model.source.uri: Invalid value: "Qwen/Qwen3-8B": must be hf://organisation/name, '
        "pvc://claim/path or file:///path/in/the/engine/image",
    ),
    "a hub model without its organisation": Case(
        "model/source/uri", "hf://gpt2", "must be hf://organisation/name"
    ),
    "a source that is a website": Case(
        "model/source/uri", "https://example.com/model", "must be hf://organisation/name"
    ),
    "a path out of the image": Case(
        "model/source/uri",
        "file:///models/../etc",
        "spec.model.source.uri: Invalid value: uri must not step upwards: give the path without '..'",
    ),
    "a revision of a volume": Case(
        "model/source",
        {"uri": "pvc://models/x", "revision": "main"},
        "spec.model.source.revision: Invalid value: revision is for hf:// sources only",
    ),
    "a token for a volume": Case(
        "model/source",
        {"uri": "pvc://models/x", "secretRef": {"name": "hub"}},
        "spec.model.source.secretRef: Invalid value: secretRef is for hf:// sources only",
    ),
    "a size that isn't one": Case(
        "model/storage",
        {"size": "20 GB"},
        'spec.model.storage.size: Invalid value: "20 GB": must be a quantity such as 500m, 4, 2Gi or 1.5Gi',
    ),
    "a model name with a blank": Case(
        "modelNames", ["my chat"], 'spec.modelNames[0]: Invalid value: "my chat": must be a model name'
    ),
    "a model name twice": Case("modelNames", ["a", "a"], 'spec.modelNames[1]: Duplicate value: "a"'),
    "no model name at all": Case("modelNames", [], "spec.modelNames in body should have at least 1 items"),
    "an accelerator without its domain": Case(
        "hardware",
        {"accelerator": {"resource": "gpu", "count": 1}},
        'spec.hardware.accelerator.resource: Invalid value: "gpu": must be an extended resource with its '
        "domain, such as nvidia.com/gpu",
    ),
    "an accelerator without a count": Case(
        "hardware",
        {"accelerator": {"resource": "nvidia.com/gpu"}},
        "spec.hardware.accelerator.count: Required value",
    ),
    "a GPU among the host's resources": Case(
        "hardware",
        {"resources": {"limits": {"nvidia.com/gpu": 1}}},
        "spec.hardware.resources.limits: Invalid value: limits takes cpu, memory and ephemeral-storage; "
        "accelerators are asked for in hardware.accelerator",
    ),
    "a GPU among the host's requests": Case(
        "hardware", {"resources": {"requests": {"nvidia.com/gpu": 1}}}, "accelerators are asked for in"
    ),
    "a request above its limit": Case(
        "hardware",
        {"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "1024Mi"}}},
        "spec.hardware.resources.requests: Invalid value: requests must not exceed limits: raise the limit",
    ),
    "memory in words": Case(
        "hardware",
        {"resources": {"requests": {"memory": "lots"}}},
        'spec.hardware.resources.requests[memory]: Invalid value: "lots": must be a quantity such as',
    ),
    "a node selector that no node can have": Case(
        "hardware",
        {"nodeSelector": {"gpu type": "h100"}},
        "spec.hardware.nodeSelector: Invalid value: each key of nodeSelector must be a label key",
    ),
    "a toleration of everything and a value": Case(
        "hardware",
        {"tolerations": [{"operator": "Exists", "value": "x"}]},
        "spec.hardware.tolerations[0].value: Invalid value: value must be left out when operator is Exists",
    ),
    "a toleration of nothing": Case(
        "hardware",
        {"tolerations": [{"effect": "NoSchedule"}]},
        "spec.hardware.tolerations[0]: Invalid value: key must be given, unless operator is Exists",
    ),
    "toleration seconds without eviction": Case(
        "hardware",
        {"tolerations": [{"key": "spot", "effect": "NoSchedule", "tolerationSeconds": 5}]},
        "spec.hardware.tolerations[0].tolerationSeconds: Invalid value: tolerationSeconds needs effect",
    ),
    "parallelism that doesn't fill the accelerators": Case(
        "",
        {"hardware": {"accelerator": GPU}, "parallelism": {"tensor": 4}},
        "spec.parallelism: Invalid value: parallelism.tensor * pipeline * data must equal "
        "hardware.accelerator.count",
    ),
    "parallelism without an accelerator": Case(
        "parallelism", {"tensor": 2}, "(1 without an accelerator); leave parallelism out"
    ),
    "an engine nobody knows": Case(
        "engine",
        {"type": "sglang"},
        'spec.engine.type: Unsupported value: "sglang": supported values: "vLLM"',
    ),
    "a version and an image": Case(
        "engine",
        {"version": "0.32.0", "image": "x"},
        "spec.engine.version: Invalid value: give engine.version or engine.image, not both",
    ),
    "an image with a blank": Case(
        "engine",
        {"image": "my image"},
        'spec.engine.image: Invalid value: "my image": must be an image reference',
    ),
    "a dtype nobody knows": Case(
        "engine",
        {"dtype": "fp16"},
        'spec.engine.dtype: Unsupported value: "fp16": supported values: "auto", "half"',
    ),
    "memory utilisation as a fraction": Case(
        "engine",
        {"gpuMemoryUtilization": 0.9},
        "spec.engine.gpuMemoryUtilization in body must be of type integer",
    ),
    "an argument that has a field": Case(
        "engine",
        {"args": {"max-model-len": "8192"}},
        "spec.engine.args[max-model-len]: Invalid value: use engine.maxModelLen instead",
    ),
    "an argument that imports code": Case(
        "engine",
        {"args": {"middleware": "my.module"}},
        "spec.engine.args[middleware]: Invalid value: remove it: it imports code by name",
    ),
    "an abbreviated argument": Case(
        "engine",
        {"args": {"trust-remote": "true"}},
        "spec.engine.args: Invalid value: engine.args must not hold a name that the engine may take for",
    ),
    "one of a reserved family": Case(
        "engine",
        {"args": {"ssl-keyfile": "/tmp/key"}},
        "spec.engine.args: Invalid value: engine.args must not hold a name that the engine may take for",
    ),
    "an argument with underscores": Case(
        "engine",
        {"args": {"max_num_seqs": "8"}},
        "spec.engine.args: Invalid value: each name in engine.args must be an engine argument's long name",
    ),
    "an argument with its dashes": Case(
        "engine",
        {"args": {"--max-num-seqs": "8"}},
        "each name in engine.args must be an engine argument's long name",
    ),
    "a switch turned off by its name": Case(
        "engine", {"args": {"no-enable-prefix-caching": ""}}, 'write name: "false" instead of no-name'
    ),
    "a number as an argument's value": Case(
        "engine",
        {"args": {"max-num-seqs": 8}},
        "spec.engine.args.max-num-seqs in body must be of type string",
    ),
    "a variable that no shell could set": Case(
        "engine", {"env": {"1ST": "x"}}, "each name in engine.env must be letters, digits and '_'"
    ),
    "an environment variable that loads code": Case(
        "engine",
        {"env": {"LD_PRELOAD": "/x.so"}},
        "spec.engine.env: Invalid value: engine.env must not set what Pointsman sets itself",
    ),
    "a token in the environment": Case("engine", {"env": {"HF_TOKEN": "x"}}, "engine.env must not set"),
    "a restart at no time": Case(
        "restartedAt",
        "yesterday",
        'spec.restartedAt: Invalid value: "yesterday": must be a time such as 2026-11-22T17:30:00Z',
    ),
    "a drain longer than a day": Case("drainSeconds", 86_401, "should be less than or equal to 86400"),
    "a label of ours": Case(
        "pod",
        {"labels": {"pointsman.dev/role": "router"}},
        "spec.pod.labels: Invalid value: pod.labels must not use keys of pointsman.dev",
    ),
    "a label that isn't one": Case(
        "pod", {"labels": {"cost centre": "x"}}, "each key of pod.labels must be a label key"
    ),
    "an annotation that isn't one": Case(
        "pod", {"annotations": {"-x": "y"}}, "each key of pod.annotations must be a label key"
    ),
    "an annotation by which GitOps prunes": Case(
        "pod",
        {"annotations": {"argocd.argoproj.io/tracking-id": "x"}},
        "pod.annotations must not use keys of",
    ),
    "a reference without a name": Case("routerRef", {}, "spec.routerRef.name: Required value"),
    "a reference to an impossible name": Case(
        "routerRef",
        {"name": "My_Router"},
        'spec.routerRef.name: Invalid value: "My_Router": must be an object',
    ),
    "an LLMModel without a source": Case("source", None, "spec.source: Required value", LLMMODEL),
    "no router pods": Case("replicas", 0, "should be greater than or equal to 1", LLMROUTER),
    "a load balancer for everyone": Case(
        "service",
        {"type": "LoadBalancer"},
        "spec.allowedPeers: Invalid value: allowedPeers must say who may talk to a router whose "
        "service.type is NodePort or LoadBalancer",
        LLMROUTER,
    ),
    "a peer that is everyone": Case(
        "allowedPeers",
        [{}],
        "spec.allowedPeers[0]: Invalid value: give either cidr, or namespaceLabels and podLabels",
        LLMROUTER,
    ),
    "a peer that is two things": Case(
        "allowedPeers",
        [{"cidr": "10.0.0.0/8", "podLabels": {"a": "b"}}],
        "spec.allowedPeers[0]: Invalid value: give either cidr, or namespaceLabels and podLabels",
        LLMROUTER,
    ),
    "a range that is an address": Case(
        "allowedPeers",
        [{"cidr": "10.0.0.1"}],
        "spec.allowedPeers[0].cidr: Invalid value: cidr must be a range of addresses such as 10.0.0.0/8",
        LLMROUTER,
    ),
    "a namespace label that isn't one": Case(
        "allowedPeers", [{"namespaceLabels": {"a b": "c"}}], "each key of namespaceLabels must be", LLMROUTER
    ),
    "a pod label that isn't one": Case(
        "allowedPeers", [{"podLabels": {"a b": "c"}}], "each key of podLabels must be", LLMROUTER
    ),
    "a service annotation that isn't one": Case(
        "service", {"annotations": {"a b": "c"}}, "each key of service.annotations must be", LLMROUTER
    ),
    "a service annotation of ours": Case(
        "service",
        {"annotations": {"pointsman.dev/x": "y"}},
        "service.annotations must not use keys of pointsman.dev",
        LLMROUTER,
    ),
    **PROOFS,
    **ROLLOUTS,
    **EXPERIMENTS,
    **SETTINGS,
    **FIT,
    **PROMPTS,
    **SUITES,
}


@pytest.mark.apiserver
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_api_server_refuses(server: Server, case: Case) -> None:
    answer = server.create(case.resource, case.manifest(), dry=True)
    assert not answer.accepted
    assert case.says in answer.message


@pytest.mark.parametrize(
    "case", [it for it in CASES.values() if not it.schema_alone], ids=lambda it: it.says[:60]
)
def test_the_model_refuses_the_same(case: Case) -> None:
    with pytest.raises(ValidationError):
        MODELS[case.resource].model_validate(case.manifest())
