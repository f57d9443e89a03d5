"""Engines that start: what status tells of it meanwhile and afterwards, and what it costs in writes."""

from __future__ import annotations

import itertools
import json
from datetime import datetime
from typing import Any

import pytest

from pointsman.api import names
from pointsman.core import routing
from tests.simulation.cluster import Cluster
from tests.simulation.stories import CHAT, edited, engines, revision_of, rollout, serving
from tests.simulation.trouble import Trouble, TroubledCluster, ago

TIMINGS = {"preflight": 4.2, "load": 40.0, "compile": 10.6, "firstToken": 0.4, "proof": 2.8, "total": 58.0}
CHANGE = edited(engine={"maxModelLen": 1024})
OTHER_MODEL = {"model": {"source": {"uri": "file:///models/large"}}}
NOW = "2026-01-01T00:10:00Z"
RUNNING = {"name": "engine", "ready": False, "state": {"running": {}}}


def telling(phase: str, *, ready: bool = False, loaded: int = 0, **fields: Any) -> dict[str, Any]:
    """What an entrypoint says of itself, as routers pass it on."""
    sizes = {"bytesLoaded": loaded, "bytesTotal": 1000}
    return {"pod": "a", "ready": ready, "phase": phase, **sizes, **fields}


def status(cluster: Cluster) -> dict[str, Any]:
    return dict(cluster.find("LLMService", "chat")["status"])


def writes(cluster: Cluster) -> int:
    return len([call for call in cluster.kube.calls if call.writes])


def variants(cluster: Cluster) -> list[Any]:
    """What the router is configured with."""
    running = routing.unpack(cluster.find("ConfigMap", names.router_name(names.DEFAULT_ROUTER)))
    assert running is not None
    return list(running.services[0].variants)


async def test_a_measured_start_is_written_once_and_unproves_nothing(cluster: Cluster) -> None:
    stable = await serving(cluster)
    proof = status(cluster)["proof"]
    assert "startup" not in status(cluster)
    cluster.routers.told[stable] = [telling("Ready", ready=True, loaded=1000, timings=TIMINGS)]
    for _ in range(5):
        await cluster.round()
        assert cluster.condition("chat", "Ready")[0] == "True"
        assert cluster.condition("chat", "RouterProgrammed")[0] == "True"
    (row,) = status(cluster)["startup"]
    assert (row["revision"], row["total"], row["compile"], row["weightBytes"]) == (stable, 58, 11, 1000)
    assert status(cluster)["proof"] == proof
    assert [variant.start_seconds for variant in variants(cluster)] == [58]
    before = writes(cluster)
    cluster.routers.told[stable] = [telling("Ready", ready=True, timings={**TIMINGS, "total": 99.0})]
    for _ in range(5):
        await cluster.round()
    assert writes(cluster) == before
    assert status(cluster)["startup"] == [row]


async def test_a_start_that_is_over_is_waited_for_until_routers_tell_of_it(cluster: Cluster) -> None:
    stable = await serving(cluster)
    cluster.routers.told[stable] = [telling("Loading", ready=True)]
    reports = await cluster.round()
    assert min(report.requeue_after or 60 for report in reports) == 2.0
    cluster.routers.told[stable] = [telling("Ready", ready=True, timings=TIMINGS)]
    await cluster.settle()
    assert status(cluster)["startup"][0]["total"] == 58


async def test_routers_of_an_older_release_are_told_nothing_that_they_would_refuse(cluster: Cluster) -> None:
    cluster.routers.understands = []
    stable = await serving(cluster)
    cluster.routers.told[stable] = [telling("Ready", ready=True, loaded=1000, timings=TIMINGS)]
    await cluster.settle()
    assert status(cluster)["startup"][0]["total"] == 58
    assert [variant.start_seconds for variant in variants(cluster)] == [0]
    cluster.routers.understands = ["startSeconds"]
    await cluster.round()
    assert [variant.start_seconds for variant in variants(cluster)] == [58]
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_the_next_revisions_budget_follows_from_the_last_start_and_is_frozen(cluster: Cluster) -> None:
    stable = await serving(cluster)
    slow = {**TIMINGS, "load": 382.0, "total": 400.0}
    cluster.routers.told[stable] = [telling("Ready", ready=True, timings=slow)]
    await cluster.settle()
    await cluster.apply("LLMService", "chat", CHANGE)
    await cluster.settle()
    newest = rollout(cluster)["stable"]
    assert (budget(cluster, stable), budget(cluster, newest)) == (None, 1200)
    cluster.routers.told[newest] = [telling("Ready", ready=True, timings=TIMINGS)]
    await cluster.settle()
    assert [row["revision"] for row in status(cluster)["startup"]] == [newest, stable]
    assert budget(cluster, newest) == 1200


async def test_what_took_a_minute_on_an_accelerator_may_take_an_hour_on_a_cpu(cluster: Cluster) -> None:
    gpu = {"accelerator": {"resource": "nvidia.com/gpu", "count": 1}}
    stable = await serving(cluster, edited(hardware=gpu))
    cluster.routers.told[stable] = [telling("Ready", ready=True, timings=TIMINGS)]
    await cluster.settle()
    await cluster.apply("LLMService", "chat", CHAT)
    await cluster.settle()
    assert budget(cluster, rollout(cluster)["stable"]) == 3600


@pytest.mark.parametrize(("spec", "reason"), [(OTHER_MODEL, "EngineStarting"), (CHANGE, "SlowStart")])
async def test_a_start_is_called_slow_only_beside_one_like_it(spec: dict[str, Any], reason: str) -> None:
    """A large model may need longer than the small one before it."""
    cluster = TroubledCluster()
    stable = await serving(cluster)
    cluster.routers.told[stable] = [telling("Ready", ready=True, timings={**TIMINGS, "total": 20.0})]
    await cluster.settle()
    running = {"state": {"running": {"startedAt": ago(cluster, 100)}}, "started": False}
    cluster.newborn = Trouble(containers=(running,))
    await cluster.apply("LLMService", "chat", spec)
    await cluster.rounds(3)
    assert cluster.condition("chat", "EngineHealthy")[:2] == ("Unknown", reason)


async def test_after_a_revision_that_never_came_up_the_next_may_take_all_the_time(cluster: Cluster) -> None:
    stable = await serving(cluster)
    cluster.routers.told[stable] = [telling("Ready", ready=True, timings=TIMINGS)]
    await cluster.settle()
    late, again = edited(engine={"maxModelLen": 1024}), edited(engine={"maxModelLen": 1024}, restartedAt=NOW)
    cluster.failing |= {revision_of(spec): RUNNING for spec in (late, again)}
    for spec, seconds in ((late, 600), (again, 3600)):
        await cluster.apply("LLMService", "chat", spec)
        for _ in range(3):
            await cluster.round()
        assert budget(cluster, revision_of(spec)) == seconds


def budget(cluster: Cluster, revision: str) -> int | None:
    """Seconds that an engine of a revision may take; None where it runs no longer."""
    found = cluster.find("Deployment", revision)
    if found is None:
        return None
    probe = found["spec"]["template"]["spec"]["containers"][0]["startupProbe"]
    return int(probe["periodSeconds"] * probe["failureThreshold"])


async def test_how_far_loading_is_is_told_every_ten_seconds_and_only_while_it_moves(cluster: Cluster) -> None:
    revision = await candidate(cluster)
    seen: list[dict[str, Any]] = []
    for second in range(60):
        cluster.routers.told[revision] = [telling("Loading", loaded=min(second, 40) * 20)]
        before = writes(cluster)
        await cluster.round()
        found = status(cluster).get("loading")
        if found and found not in seen:
            seen.append(found)
        elif second > 2:
            assert writes(cluster) == before, "a pass that tells nothing new writes nothing"
    times = [datetime.fromisoformat(one["observedAt"]) for one in seen]
    assert all((b - a).total_seconds() >= 10 for a, b in itertools.pairwise(times))
    assert [one["stage"] for one in seen] == ["Loading"] * 5
    assert [one["bytesLoaded"] for one in seen] == [0, 200, 400, 600, 800]
    assert [one.get("bytesPerSecond") for one in seen] == [None, 20, 20, 20, 20]


async def candidate(cluster: Cluster) -> str:
    """The revision of a change whose engines don't come up yet."""
    await serving(cluster)
    cluster.failing[revision_of(CHANGE)] = RUNNING
    await cluster.apply("LLMService", "chat", CHANGE)
    await cluster.round()
    return revision_of(CHANGE)


async def test_the_figures_go_when_the_engines_are_ready(cluster: Cluster) -> None:
    revision = await candidate(cluster)
    cluster.routers.told[revision] = [telling("Downloading", loaded=10)]
    await cluster.round()
    await cluster.round()
    assert status(cluster)["loading"]["stage"] == "Downloading"
    cluster.failing.clear()
    cluster.routers.told[revision] = [telling("Ready", ready=True, timings=TIMINGS)]
    await cluster.settle()
    assert "loading" not in status(cluster)
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_a_revision_that_answers_wrongly_gets_no_traffic_while_the_old_one_serves(
    cluster: Cluster,
) -> None:
    old = await serving(cluster)
    proof = [{"name": "capital", "message": "Capital of France?", "answer": {"contains": "Paris"}}]
    spec = {"model": {**CHAT["model"], "proof": proof}}
    revision = revision_of(spec)
    said = {"reason": "WrongAnswers", "message": "proof 'capital': expected something that contains “Paris”"}
    cluster.failing[revision] = {
        "name": "engine",
        "ready": False,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "message": json.dumps(said)}},
    }
    await cluster.apply("LLMService", "chat", spec)
    await cluster.settle()
    asked = cluster.find("Deployment", revision)["spec"]["template"]["spec"]["containers"][0]["env"]
    assert json.loads(next(e["value"] for e in asked if e["name"] == "POINTSMAN_PROOF")) == proof
    assert sorted(engines(cluster)) == sorted([old, revision])
    assert {v.name: v.weight for v in variants(cluster)} == {old: 100, revision: 0}
    assert cluster.condition("chat", "Available")[0] == "True"
    assert cluster.condition("chat", "EngineHealthy")[:2] == ("False", "WrongAnswers")
    for kind, holds in (("Ready", "False"), ("Stalled", "True")):
        found = cluster.condition("chat", kind)
        assert found[:2] == (holds, "WrongAnswers")
        assert "“Paris”" in found[2]
    await cluster.apply("LLMService", "chat", CHAT)
    await cluster.settle()
    assert engines(cluster) == [old]
    assert cluster.condition("chat", "Ready")[0] == "True"
    assert cluster.condition("chat", "Stalled")[0] == "-"
