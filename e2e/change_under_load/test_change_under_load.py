"""Engine arguments are edited while requests come in steadily: make before break, seen from outside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from e2e.cluster import Cluster
from e2e.conditions import condition, is_ready, told
from e2e.manifests import service
from e2e.namespace import Manifest, Namespace
from e2e.traffic import Trickle
from e2e.waiting import wait_for

READY_WITHIN_S = 600.0
ENGINES = "pointsman.dev/service=chat,pointsman.dev/role=engine"
REVISION = "pointsman.dev/revision"


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the service and its pods showed."""

    at: float
    available: str
    step: str
    ready: frozenset[str]
    """Revisions that have a ready pod."""
    leaving: frozenset[str]
    """Revisions that have a pod on its way out."""


def test_change_under_load(cluster: Cluster, namespace: Namespace) -> None:
    """The new revision's pods come, then the traffic moves, then the old ones drain; no request fails."""
    namespace.apply(service("chat"))
    before = namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)["status"]["rollout"]["stable"]
    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        Trickle(address, "chat") as trickle,
    ):
        wait_for("the first answers", lambda: len(trickle.outcomes) >= 5, 120.0, seen=lambda: str(trickle))
        began = time.monotonic()
        namespace.patch("llmservice/chat", {"spec": {"engine": {"args": {"max-num-seqs": "8"}}}})
        looks = list(_watch(namespace))
        ended = time.monotonic()
        trickle.stop()
    print(f"{trickle}; the change took {ended - began:.0f} s")

    assert trickle.failures == []
    assert len(trickle.between(began, ended)) > 10, "requests came all the time"
    assert {look.available for look in looks} == {"True"}
    after = namespace.the("llmservice/chat")["status"]["rollout"]["stable"]
    assert after != before
    moved = next(index for index, look in enumerate(looks) if before in look.leaving)
    assert after in looks[moved].ready, "the old pods leave when the new ones are ready, not before"
    assert any({before, after} <= look.ready for look in looks), "for a while there were both"
    assert [d["metadata"]["name"] for d in namespace.items("deployments", ENGINES)] == [after]
    arguments = namespace.the("llmservice/chat")["status"]["engine"]["arguments"]
    assert "--max-num-seqs=8" in arguments


def _watch(namespace: Namespace) -> Iterator[Look]:
    """Looks every second until the change is through and the old pods are gone."""
    last: Manifest = {}
    seen: list[Look] = []

    def look() -> bool:
        nonlocal last
        last = namespace.the("llmservice/chat")
        pods = namespace.items("pods", ENGINES)
        seen.append(_describe(last, pods))
        return is_ready(last) and len({p["metadata"]["labels"][REVISION] for p in pods}) == 1

    wait_for("the change to be through", look, READY_WITHIN_S, seen=lambda: told(last))
    yield from seen


def _describe(service: Manifest, pods: list[Manifest]) -> Look:
    leaving = [pod for pod in pods if pod["metadata"].get("deletionTimestamp")]
    ready = [pod for pod in pods if condition(pod, "Ready").status == "True"]
    return Look(
        at=time.monotonic(),
        available=condition(service, "Available").status,
        step=service["status"]["rollout"]["step"],
        ready=frozenset(pod["metadata"]["labels"][REVISION] for pod in ready),
        leaving=frozenset(pod["metadata"]["labels"][REVISION] for pod in leaving),
    )
