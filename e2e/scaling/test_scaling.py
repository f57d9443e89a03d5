"""A service is scaled by hand, to nothing and back, and an autoscaler reads its /scale."""

from __future__ import annotations

import pytest

from e2e.cluster import Cluster
from e2e.conditions import condition
from e2e.manifests import service
from e2e.namespace import Manifest, Namespace
from e2e.traffic import Trickle
from e2e.waiting import wait_for

READY_WITHIN_S = 600.0
AUTOSCALER: Manifest = {
    "apiVersion": "autoscaling/v2",
    "kind": "HorizontalPodAutoscaler",
    "metadata": {"name": "chat"},
    "spec": {
        "scaleTargetRef": {
            "apiVersion": "serving.pointsman.dev/v1alpha1",
            "kind": "LLMService",
            "name": "chat",
        },
        "minReplicas": 1,
        "maxReplicas": 2,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
            }
        ],
    },
}


@pytest.mark.extended
def test_scaling(cluster: Cluster, namespace: Namespace) -> None:
    """`kubectl scale` adds an engine without a failed request, and takes all away; an HPA can read /scale."""
    namespace.apply(service("chat"))
    ready = namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)
    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        Trickle(address, "chat") as trickle,
    ):
        _scale(namespace, 2)
        _wait_for_replicas(namespace, 2)
        _scale(namespace, 1)
        _wait_for_replicas(namespace, 1)
    print(trickle)
    assert trickle.failures == []
    assert (
        namespace.the("llmservice/chat")["status"]["rollout"]["stable"]
        == ready["status"]["rollout"]["stable"]
    )

    namespace.apply(AUTOSCALER)
    able = wait_for("the autoscaler to read /scale", lambda: _able(namespace), 120.0)
    assert able == "SucceededGetScale"
    namespace.delete("horizontalpodautoscaler/chat")

    _scale(namespace, 0)
    namespace.wait_for_reason("llmservice/chat", "Ready", "Idle", 180.0)
    wait_for(
        "the engines to be gone", lambda: not namespace.items("pods", "pointsman.dev/role=engine"), 180.0
    )


def _scale(namespace: Namespace, replicas: int) -> None:
    namespace.kubectl.run(
        "scale", "llmservice/chat", f"--replicas={replicas}", f"--namespace={namespace.name}"
    )


def _wait_for_replicas(namespace: Namespace, count: int) -> None:
    namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)
    wait_for(
        f"{count} replicas",
        lambda: namespace.the("llmservice/chat")["status"].get("readyReplicas") == count,
        READY_WITHIN_S,
    )


def _able(namespace: Namespace) -> str:
    """Why the autoscaler thinks it can scale, once it does."""
    found = condition(namespace.the("horizontalpodautoscaler/chat"), "AbleToScale")
    return found.reason if found.status == "True" else ""
