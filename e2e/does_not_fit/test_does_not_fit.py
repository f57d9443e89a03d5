"""A model that is too large for the accelerators that are asked for, and somebody who wants it all the same.

Memory is declared, not there: the node says that it has GPUs, and a scripted engine takes none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.cluster import Cluster
from e2e.manifests import scripted
from e2e.namespace import Manifest, Namespace
from e2e.release import Release
from e2e.waiting import wait_for

READY_WITHIN_S = 180.0
REFUSED_WITHIN_S = 60.0
GPU = "nvidia.com/gpu"
MEMORY = "24Gi"
FACTS_8B = {
    "parameters": 8_030_261_248,
    "dtype": "bfloat16",
    "layers": 32,
    "hiddenSize": 4096,
    "intermediateSize": 14336,
    "attentionHeads": 32,
    "kvHeads": 8,
    "headSize": 128,
    "vocabularySize": 128_256,
    "contextLength": 131_072,
}
FACTS_70B = {
    **FACTS_8B,
    "parameters": 70_553_706_496,
    "layers": 80,
    "hiddenSize": 8192,
    "intermediateSize": 28672,
    "attentionHeads": 64,
}
RECORD = "pointsman.dev/fit"


@pytest.fixture
def gpus(cluster: Cluster) -> Iterator[None]:
    cluster.advertise(4, GPU)
    yield
    cluster.advertise(0, GPU)


def sized(release: Release, name: str, facts: dict[str, Any], context: int, **hardware: str) -> Manifest:
    """A service on one GPU of 24 GiB, of a model with these facts."""
    return scripted(
        name,
        release.image("scripted-engine"),
        model={"facts": facts},
        hardware={"accelerator": {"resource": GPU, "count": 1}, "deviceMemory": MEMORY, **hardware},
        engine={"maxModelLen": context},
        drainSeconds=1,
    )


@pytest.mark.usefixtures("gpus")
def test_does_not_fit(release: Release, namespace: Namespace) -> None:
    """Refused with the arithmetic before an engine exists; started when that is wished, and recorded."""
    namespace.apply(sized(release, "huge", FACTS_70B, 8192))
    refused = namespace.wait_for_reason("llmservice/huge", "ModelFits", "ModelDoesNotFit", REFUSED_WITHIN_S)
    print(refused)
    assert refused.status == "False"
    assert "131.4" in refused.message, "GiB of weights: 70,553,706,496 parameters of two bytes"
    assert namespace.condition("llmservice/huge", "Stalled").reason == "ModelDoesNotFit"
    assert _engines(namespace, "huge") == []

    namespace.apply(sized(release, "chat", FACTS_8B, 8192))
    small = namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)["status"]["rollout"]["stable"]
    print(namespace.condition("llmservice/chat", "ModelFits"))
    assert namespace.condition("llmservice/chat", "ModelFits").reason == "Fits"

    namespace.apply(sized(release, "chat", FACTS_8B, 131_072))
    longer = namespace.wait_for_reason("llmservice/chat", "ModelFits", "ModelDoesNotFit", REFUSED_WITHIN_S)
    print(longer)
    assert "largest context" in longer.message
    assert namespace.condition("llmservice/chat", "Ready").reason == "ModelDoesNotFit"
    assert namespace.condition("llmservice/chat", "Available").status == "True", "the old one serves on"
    assert _engines(namespace, "chat") == [small]

    namespace.apply(sized(release, "chat", FACTS_8B, 131_072, fit="Advisory"))
    started = namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)["status"]["rollout"]["stable"]
    assert started != small
    assert namespace.condition("llmservice/chat", "ModelFits").reason == "FitOverridden"
    record = namespace.the(f"controllerrevision/{started}")["metadata"]["annotations"][RECORD]
    assert json.loads(record)["override"] == "Advisory"
    assert not json.loads(record)["fits"]
    wait_for("the event of the override", lambda: "FitOverridden" in _events(namespace), REFUSED_WITHIN_S)
    assert _engines(namespace, "huge") == [], "nothing was ever started of what is refused"


def _engines(namespace: Namespace, service: str) -> list[str]:
    """The revisions that have a Deployment."""
    found = namespace.items("deployments", f"pointsman.dev/service={service},pointsman.dev/role=engine")
    return [deployment["metadata"]["name"] for deployment in found]


def _events(namespace: Namespace) -> set[str]:
    return {str(event.get("reason")) for event in namespace.items("events")}
