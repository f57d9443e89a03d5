"""One accelerator in the cluster, and more wanted of it.

The node says that it has a GPU; the scheduler counts it for real, and the engine runs on the CPU, since its
image is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from e2e.cluster import Cluster
from e2e.manifests import service
from e2e.namespace import Manifest, Namespace
from e2e.release import Release
from e2e.waiting import wait_for

READY_WITHIN_S = 600.0
GPU = "nvidia.com/gpu"


@pytest.fixture
def one_gpu(cluster: Cluster) -> Iterator[None]:
    cluster.advertise(1, GPU)
    yield
    cluster.advertise(0, GPU)


def on_gpu(release: Release, name: str, count: int, **over: Any) -> Manifest:
    """A service that asks for accelerators, with the engine that runs without."""
    engine = {"image": release.image("demo-engine")}
    wanted = {"accelerator": {"resource": GPU, "count": count}}
    return service(name, engine=engine, hardware=wanted, drainSeconds=5, **over)


@pytest.mark.usefixtures("one_gpu")
def test_accelerators(release: Release, namespace: Namespace) -> None:
    """Who asks for one runs; who asks for two waits, in the scheduler's words; changes swap or wait."""
    namespace.apply(on_gpu(release, "one", 1))
    ready = namespace.wait_until_ready("llmservice/one", READY_WITHIN_S)
    (pod,) = namespace.items("pods", "pointsman.dev/service=one")
    assert pod["spec"]["containers"][0]["resources"]["limits"][GPU] == "1"

    namespace.apply(on_gpu(release, "two", 2, parallelism={"tensor": 2}))
    short = namespace.wait_for_reason("llmservice/two", "CapacityAvailable", "InsufficientGPU", 120.0)
    assert "Insufficient nvidia.com/gpu" in short.message
    assert namespace.condition("llmservice/two", "Ready").reason == "InsufficientGPU"
    namespace.delete("llmservice/two")

    namespace.patch("llmservice/one", {"spec": {"engine": {"args": {"max-num-seqs": "8"}}}})
    waiting = namespace.wait_for_reason("llmservice/one", "RolloutHealthy", "WaitingForCapacity", 120.0)
    assert "Recreate" in waiting.message
    assert namespace.condition("llmservice/one", "Available").status == "True", "the old one goes on"

    namespace.patch("llmservice/one", {"spec": {"rollout": {"strategy": "Recreate"}}})
    gap = namespace.wait_for_reason("llmservice/one", "Available", "RecreateGap", 120.0)
    assert gap.status == "False"
    swapped = namespace.wait_until_ready("llmservice/one", READY_WITHIN_S)
    assert swapped["status"]["rollout"]["stable"] != ready["status"]["rollout"]["stable"]
    wait_for(
        "the old pod to be gone",
        lambda: len(namespace.items("pods", "pointsman.dev/service=one")) == 1,
        120.0,
    )
