"""Manifests of what scenarios declare: small engines, a few of which fit on two cores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from e2e.namespace import Manifest

TINY = "file:///models/tiny"
"""A random model: ready soon, answers nonsense fast."""
SMOLLM2 = "file:///models/smollm2-135m-instruct"
"""A real model of 135 million parameters."""
DRAIN_SECONDS = 60

SPEC: Mapping[str, Any] = {
    "model": {"source": {"uri": TINY}},
    "hardware": {"resources": {"requests": {"cpu": "100m", "memory": "1Gi"}}},
    "engine": {
        "maxModelLen": 2048,
        "dtype": "float16",
        "args": {"kv-cache-memory-bytes": "134217728", "max-num-seqs": "16"},
        # Several engines share the machine: one thread each, bound to no core.
        "env": {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"},
    },
    "drainSeconds": DRAIN_SECONDS,
}


def service(name: str, **over: Any) -> Manifest:
    """An LLMService with the small spec above, `over` laid upon it."""
    return {
        "apiVersion": "serving.pointsman.dev/v1alpha1",
        "kind": "LLMService",
        "metadata": {"name": name},
        "spec": merged(SPEC, over),
    }


def scripted(name: str, image: str, **over: Any) -> Manifest:
    """An LLMService whose engines are scripted ones behind our real entrypoint: `image`, and no vLLM."""
    spec = {
        "model": {"source": {"uri": "file:///models/scripted"}},
        "hardware": {"resources": {"requests": {"cpu": "10m", "memory": "64Mi"}}},
        "engine": {"image": image, "args": {"load-format": "dummy"}},
        "drainSeconds": DRAIN_SECONDS,
    }
    return {**service(name), "spec": merged(spec, over)}


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `over` laid upon it, map by map, as a merge patch would."""
    result = dict(base)
    for key, value in over.items():
        inner = result.get(key)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            result[key] = merged(inner, value)
        else:
            result[key] = value
    return {key: value for key, value in result.items() if value is not None}
