"""Pods that fail and heal: Ready holds while another pod serves, and goes in the next pass when none does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pointsman.api import names
from tests.simulation.stories import edited, serving
from tests.simulation.trouble import Trouble, TroubledCluster

KILLED = {
    "started": False,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
}
OUT_OF_MEMORY = ("False", "OutOfMemory")


async def told(cluster: TroubledCluster) -> list[tuple[str, str]]:
    events = await cluster.kube.list(names.EVENT, "team-a")
    return [(event["reason"], event["note"].split(":")[0]) for event in events]


async def test_a_pod_that_restarts_beside_one_that_serves_moves_neither_ready_nor_available() -> None:
    cluster = TroubledCluster()
    stable = await serving(cluster, edited(replicas=2))
    before = await told(cluster)
    for _ in range(3):
        cluster.troubles[stable] = Trouble(containers=(KILLED,), ready=1)
        assert await cluster.until("chat", "EngineHealthy", "OutOfMemory") <= 16
        assert cluster.condition("chat", "Ready")[0] == "True"
        assert cluster.condition("chat", "Available")[0] == "True"
        del cluster.troubles[stable]
        assert await cluster.until("chat", "EngineHealthy", "Healthy") <= 16
        assert cluster.condition("chat", "Ready")[0] == "True"
    assert await told(cluster) == before, "users lost nothing, so there is nothing to tell"


async def test_with_no_ready_pod_left_ready_and_available_are_false_in_the_next_pass() -> None:
    cluster = TroubledCluster()
    stable = await serving(cluster)
    cluster.troubles[stable] = Trouble(containers=(KILLED,))
    cluster.step()
    await cluster.round()
    assert cluster.condition("chat", "Ready")[:2] == OUT_OF_MEMORY
    assert cluster.condition("chat", "Available")[:2] == ("False", "NoReadyReplicas")
    assert "the kernel killed the engine" in cluster.condition("chat", "Available")[2]
    del cluster.troubles[stable]
    cluster.step()
    await cluster.round()
    assert cluster.condition("chat", "Ready")[:2] == ("True", "Answering")
    assert cluster.condition("chat", "Available")[:2] == ("True", "Serving")


async def test_a_pod_that_fails_is_looked_at_again_also_while_ready_is_true() -> None:
    cluster = TroubledCluster()
    stable = await serving(cluster, edited(replicas=2))
    cluster.troubles[stable] = Trouble(containers=(KILLED,), ready=1)
    await cluster.rounds(400)
    reports = await cluster.round()
    assert max(r.requeue_after or 0 for r in reports) == 15.0


async def test_paused_says_all_the_same_what_keeps_the_pods() -> None:
    cluster = TroubledCluster()
    stable = await serving(cluster)
    await cluster.apply("LLMService", "chat", edited(paused=True))
    cluster.troubles[stable] = Trouble(containers=(KILLED,))
    await cluster.rounds(2)
    assert cluster.condition("chat", "EngineHealthy")[:2] == OUT_OF_MEMORY
    assert any(report.requeue_after for report in await cluster.round())


async def test_the_first_of_routers_and_kubernetes_to_hear_that_the_last_engine_went_is_believed() -> None:
    """Kubernetes may call a pod ready for a while after the routers have lost it, or the other way round."""
    cluster = TroubledCluster()
    stable = await serving(cluster)
    cluster.troubles[stable] = Trouble(containers=(KILLED,))
    cluster.step()
    seen = cluster.ready_pods
    cluster.ready_pods = lambda revision: 1  # type: ignore[method-assign]
    await cluster.round()
    assert cluster.condition("chat", "Available")[0] == "False"
    cluster.ready_pods = seen  # type: ignore[method-assign]
    await cluster.round()
    assert cluster.condition("chat", "Available")[0] == "False"


UNHEARD = {"started": True, "ready": True, "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
CALLED_UNREADY = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T01:00:00Z"}


@pytest.mark.parametrize("reached", [True, False], ids=["reach the engine", "have lost the engine"])
async def test_an_engine_whose_node_does_not_report_serves_while_routers(reached: bool) -> None:
    """After an outage of the API server the node controller calls all pods unready, and they serve on."""
    cluster = TroubledCluster()
    stable = await serving(cluster)
    cluster.troubles[stable] = Trouble(containers=(UNHEARD,), conditions=(CALLED_UNREADY,))
    cluster.step()
    cluster.ready_pods = lambda revision: int(reached)  # type: ignore[method-assign]
    await cluster.round()
    assert cluster.condition("chat", "EngineHealthy")[1] == "EngineUnresponsive"
    expected = ("True", "Serving") if reached else ("False", "NoReadyReplicas")
    assert cluster.condition("chat", "Available")[:2] == expected
    assert cluster.condition("chat", "Ready")[0] == str(reached)


async def test_what_keeps_a_routers_pods_is_told_at_the_router_and_at_its_services() -> None:
    cluster = TroubledCluster()
    await cluster.apply("LLMRouter", "front", {})
    waits = {"state": {"waiting": {"reason": "ErrImagePull", "message": "router:1: not found"}}}
    cluster.troubles["front-router"] = Trouble(containers=(waits,))
    await cluster.apply("LLMService", "chat", edited(routerRef={"name": "front"}))
    await cluster.rounds(5)
    said = cluster.condition("front", "Ready", "LLMRouter")
    assert said[:2] == ("False", "RouterNotReady")
    assert "router:1: not found" in said[2]
    status, reason, message = cluster.condition("chat", "RouterProgrammed")
    assert (status, reason) == ("False", "RouterNotReady")
    assert "no pod of LLMRouter 'front' takes requests" in message
    assert "router:1: not found" in message
    cluster.troubles.clear()
    await cluster.rounds(10)
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_a_cleanup_that_timed_out_is_told() -> None:
    cluster = TroubledCluster()
    await cluster.apply("LLMRouter", "front", {})
    await serving(cluster, edited(routerRef={"name": "front"}))
    cluster.routers.deaf = True
    await cluster.delete("LLMService", "chat")
    await cluster.rounds(50)
    assert cluster.find("LLMService", "chat") is not None
    await cluster.rounds(20)
    assert cluster.find("LLMService", "chat") is None
    assert [e for e in await told(cluster) if e[0] == "CleanupTimedOut"] == [
        ("CleanupTimedOut", "routers did not confirm that they forgot the service")
    ]


async def test_a_deletion_seen_late_still_waits_for_the_routers() -> None:
    cluster = TroubledCluster()
    await cluster.apply("LLMRouter", "front", {})
    await serving(cluster, edited(routerRef={"name": "front"}))
    await cluster.delete("LLMService", "chat")
    cluster.now += timedelta(hours=1)
    cluster.routers.deaf = True
    await cluster.rounds(50)
    assert cluster.find("LLMService", "chat") is not None
    cluster.routers.deaf = False
    await cluster.rounds(3)
    assert cluster.find("LLMService", "chat") is None
    assert "CleanupTimedOut" not in {event[0] for event in await told(cluster)}
