"""API server and operator are away for two minutes under load, and come back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pytest

from e2e import helm
from e2e.cluster import Cluster
from e2e.load import Load
from e2e.manifests import scripted
from e2e.namespace import Namespace
from e2e.release import Release
from e2e.waiting import wait_for

READY_WITHIN_S = 120.0
AWAY_S = 120.0
AFTERWARDS_S = 60.0
"""How long the load goes on once they're back: what they do first is to find out what they missed."""
RATE = 50.0
OPERATOR = "deployment/pointsman"


@pytest.mark.bare
@pytest.mark.extended
def test_control_plane_away(release: Release, cluster: Cluster, namespace: Namespace) -> None:
    """Nobody who sends requests notices, and what is declared afterwards comes true."""
    image = release.image("scripted-engine")
    namespace.apply(scripted("chat", image, replicas=2))
    namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)
    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        Load(address, "chat", RATE) as load,
    ):
        wait_for("the first answers", lambda: len(load.outcomes) > RATE, 60.0, seen=lambda: str(load))
        with _away(release, cluster):
            began = time.monotonic()
            time.sleep(AWAY_S)
            print(f"after {AWAY_S:.0f} s without an API server: {load}")
        back = time.monotonic()
        _steady(namespace, AFTERWARDS_S)
        namespace.patch("llmservice/chat", {"spec": {"replicas": 3, "modelNames": ["chat", "choir"]}})
        namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)
        wait_for(
            "the third engine",
            lambda: namespace.the("llmservice/chat")["status"].get("readyReplicas") == 3,
            READY_WITHIN_S,
        )
        print(f"converged {time.monotonic() - back:.0f} s after they were back")
        load.stop()
    print(load)
    for failure in load.failures[:10]:
        print(f"{failure.began - began:+.1f} s: {failure}")

    assert load.failures == []
    assert load.sent_a_second > 0.95 * RATE, "the load was what it was meant to be"


@contextlib.contextmanager
def _away(release: Release, cluster: Cluster) -> Iterator[None]:
    """No operator and no API server while the block runs; both are back behind it."""
    _scale_operator(cluster, 0)
    try:
        wait_for("the operator to be gone", lambda: not _operator_pods(cluster), 60.0)
        cluster.stop_api_server()
        try:
            yield
        finally:
            cluster.start_api_server()
    finally:
        _scale_operator(cluster, 1)
        print(f"the operator was ready again after {release.wait_for_operator():.0f} s")


def _scale_operator(cluster: Cluster, replicas: int) -> None:
    cluster.kubectl.run("scale", OPERATOR, f"--replicas={replicas}", f"--namespace={helm.NAMESPACE}")


def _operator_pods(cluster: Cluster) -> bool:
    selector = "--selector=app.kubernetes.io/component=operator"
    return bool(cluster.kubectl.json("get", "pods", f"--namespace={helm.NAMESPACE}", selector)["items"])


def _steady(namespace: Namespace, seconds: float) -> None:
    """Lets some time pass, and the service be Ready at its end."""
    time.sleep(seconds)
    namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)
