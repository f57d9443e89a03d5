"""Stories of experiments between two prompts: what users declare, what routers count, and what is advised."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulation.cluster import Cluster
from tests.simulation.judged import lasting, lose_status
from tests.simulation.measuring import Manner
from tests.simulation.stories import CHAT, engines, rollout, serving
from tests.simulation.test_prompts import FIRST, SECOND, copies, routed, short

Json = dict[str, Any]
FEEDBACK: Json = {"promptRef": {"name": "support-v2"}, "metrics": [{"metric": "feedbackScore"}]}
BOTH: Json = {**FEEDBACK, "metrics": [{"metric": "feedbackScore"}, {"metric": "errorRate"}]}
CONTROL: Json = {**CHAT, "promptRef": {"name": "support-v1"}}


def declared(experiment: Json = BOTH, **given: Any) -> Json:
    return {**CONTROL, "experiment": experiment, **given}


@pytest.fixture
async def cluster() -> Cluster:
    made = Cluster()
    await made.apply("PromptVersion", "support-v1", FIRST)
    await made.apply("PromptVersion", "support-v2", SECOND)
    made.routers.measuring.rate = 20.0
    return made


def pair(cluster: Cluster) -> tuple[str, str]:
    (engine,) = engines(cluster)
    return f"{engine}.support-v1.{short(FIRST)}", f"{engine}.support-v2.{short(SECOND)}"


def experiment(cluster: Cluster) -> Json:
    return dict(cluster.find("LLMService", "chat")["status"].get("experiment") or {})


def concluded(cluster: Cluster) -> tuple[str, str, str]:
    return cluster.condition("chat", "ExperimentConcluded")


def shares(cluster: Cluster) -> list[tuple[str, int]]:
    return [(variant.name, variant.weight) for variant in routed(cluster).variants]


async def begun(
    cluster: Cluster, experiment: Json = BOTH, control: Manner | None = None, rival: Manner | None = None
) -> tuple[str, str]:
    """A service that serves, an experiment that divides its requests, and how both answer."""
    await serving(cluster, CONTROL)
    known, other = pair(cluster)
    cluster.routers.measuring.manners |= {
        known: control or Manner(liked=0.5),
        other: rival or Manner(liked=0.5),
    }
    await cluster.apply("LLMService", "chat", declared(experiment))
    await lasting(cluster, 30)
    assert shares(cluster) == [(known, 50), (other, 50)]
    return known, other


async def test_a_challenger_that_is_liked_more_is_recommended_and_nothing_is_switched(
    cluster: Cluster,
) -> None:
    known, other = await begun(cluster, rival=Manner(liked=0.7))
    before = cluster.find("Deployment", engines(cluster)[0])["metadata"]["generation"]
    running = routed(cluster)
    assert (running.assignment.salt, running.analysis.window) == (other, experiment(cluster)["window"])
    await lasting(cluster, 3600)
    at = experiment(cluster)
    assert at["recommendation"] == "Challenger", at
    assert at["metrics"][0]["verdict"] == "Better"
    status, reason, message = concluded(cluster)
    assert (status, reason) == ("True", "ChallengerBetter")
    assert "set promptRef to support-v2" in message
    assert shares(cluster) == [(known, 100)]
    assert rollout(cluster)["traffic"] == [{"revision": known, "weight": 100}]
    assert rollout(cluster)["stable"] == known
    assert cluster.find("Deployment", engines(cluster)[0])["metadata"]["generation"] == before
    assert cluster.condition("chat", "Ready")[0] == "True"
    told = [event for event in cluster.all("Event") if event["reason"] == "ExperimentConcluded"]
    assert len(told) == 1


async def test_a_challenger_that_fails_more_ends_it_at_once_and_has_nothing_any_more(
    cluster: Cluster,
) -> None:
    known, _ = await begun(cluster, rival=Manner(liked=0.7, failing=0.1))
    await lasting(cluster, 150)
    assert experiment(cluster)["recommendation"] == "Control"
    assert concluded(cluster)[:2] == ("True", "ControlBetter")
    assert "errorRate" in concluded(cluster)[2]
    assert shares(cluster) == [(known, 100)]


async def test_two_that_do_not_differ_are_told_so(cluster: Cluster) -> None:
    cluster.routers.measuring.rate = 100.0
    await begun(cluster)
    await lasting(cluster, 3 * 3600)
    assert concluded(cluster)[:2] == ("True", "NoDifference"), experiment(cluster)


async def test_too_few_requests_end_undecided_when_the_time_is_over(cluster: Cluster) -> None:
    cluster.routers.measuring.rate = 0.1
    known, _ = await begun(cluster, {**BOTH, "maxSeconds": 600})
    await lasting(cluster, 570)
    assert concluded(cluster)[:2] == ("False", "ExperimentRunning")
    await lasting(cluster, 150)
    assert concluded(cluster)[:2] == ("True", "Undecided")
    assert shares(cluster) == [(known, 100)]


async def test_it_begins_only_once_the_service_has_answered_and_disturbs_nothing(cluster: Cluster) -> None:
    cluster.routers.broken.add("chat")
    await cluster.apply("LLMService", "chat", declared())
    await lasting(cluster, 60)
    assert concluded(cluster) == ("False", "ExperimentWaiting", "the service isn't Ready yet")
    cluster.routers.broken.clear()
    await lasting(cluster, 30)
    assert concluded(cluster)[:2] == ("False", "ExperimentRunning")
    for _ in range(200):
        await cluster.round()
        assert cluster.condition("chat", "Ready")[:2] == ("True", "Answering")
        assert cluster.condition("chat", "Reconciling")[0] == "-"


async def test_its_end_asks_for_no_other_proof(cluster: Cluster) -> None:
    await begun(cluster, rival=Manner(liked=0.5, failing=0.2))
    proof = cluster.find("LLMService", "chat")["status"]["proof"]
    for _ in range(240):
        await cluster.round()
        assert cluster.condition("chat", "Ready")[0] == "True"
    assert experiment(cluster)["recommendation"] == "Control"
    assert cluster.find("LLMService", "chat")["status"]["proof"] == proof


async def test_an_edit_in_the_middle_is_proven_by_the_control_and_goes_on(cluster: Cluster) -> None:
    known, other = await begun(cluster)
    await lasting(cluster, 100)
    window = experiment(cluster)["window"]
    await cluster.apply("LLMService", "chat", declared(replicas=2))
    await lasting(cluster, 60)
    assert cluster.condition("chat", "Ready")[0] == "True"
    assert cluster.find("LLMService", "chat")["status"]["proof"]["variant"] == known
    assert (shares(cluster), experiment(cluster)["window"]) == ([(known, 50), (other, 50)], window)


async def test_a_rollout_in_the_middle_has_the_traffic_and_other_engines_begin_anew(cluster: Cluster) -> None:
    await begun(cluster)
    await lasting(cluster, 300)
    before = experiment(cluster)
    assert before["controlSamples"] > 1000
    steps = {"strategy": "Canary", "steps": [{"weight": 20, "minSeconds": 60}], "gates": []}
    await cluster.apply("LLMService", "chat", declared(drainSeconds=7, rollout=steps))
    await lasting(cluster, 40)
    assert rollout(cluster)["step"] == "Canary"
    assert [weight for _, weight in shares(cluster)] == [80, 20]
    assert concluded(cluster)[:2] == ("False", "ExperimentWaiting")
    assert "rollout" in concluded(cluster)[2]
    await lasting(cluster, 200)
    known, other = pair(cluster)
    assert shares(cluster) == [(known, 50), (other, 50)]
    after = experiment(cluster)
    assert (after["control"], after["challenger"]) == (known, other) != (before["control"], "")
    assert after["startedAt"] > before["startedAt"]


async def test_a_rollout_that_comes_to_nothing_keeps_what_was_found(cluster: Cluster) -> None:
    known, other = await begun(cluster, control=Manner(liked=0.5), rival=Manner(liked=0.5))
    await lasting(cluster, 300)
    before = experiment(cluster)
    await cluster.apply("LLMService", "chat", declared(drainSeconds=7))
    await cluster.round()
    assert dict(shares(cluster)).get(other) is None
    await cluster.apply("LLMService", "chat", declared())
    await lasting(cluster, 100)
    after = experiment(cluster)
    assert shares(cluster) == [(known, 50), (other, 50)]
    assert after["startedAt"] == before["startedAt"]
    assert after["window"] != before["window"]
    assert after["controlSamples"] > before["controlSamples"]
    assert after["metrics"][0]["controlSamples"] > before["metrics"][0]["controlSamples"]


async def test_taken_away_it_leaves_no_trace(cluster: Cluster) -> None:
    known, _ = await begun(cluster)
    await cluster.apply("LLMService", "chat", CONTROL)
    await cluster.settle()
    assert shares(cluster) == [(known, 100)]
    assert (experiment(cluster), concluded(cluster)[0]) == ({}, "-")
    assert routed(cluster).analysis.window == ""


async def test_its_challenger_is_taken_by_a_rollout(cluster: Cluster) -> None:
    _, other = await begun(cluster, rival=Manner(liked=0.7))
    await lasting(cluster, 3600)
    await cluster.apply("LLMService", "chat", {**CHAT, "promptRef": {"name": "support-v2"}})
    await cluster.settle()
    assert rollout(cluster)["stable"] == other
    assert experiment(cluster) == {}


async def test_a_conclusion_outlives_operators_and_rollouts(cluster: Cluster) -> None:
    await begun(cluster, rival=Manner(liked=0.7, failing=0.1))
    await lasting(cluster, 150)
    found = experiment(cluster)
    cluster.restart()
    await lasting(cluster, 300)
    assert experiment(cluster) == found
    await cluster.apply("LLMService", "chat", declared(drainSeconds=7))
    await lasting(cluster, 300)
    assert experiment(cluster) == found
    assert [weight for _, weight in shares(cluster)] == [100]


async def test_an_operator_that_starts_anew_goes_on(cluster: Cluster) -> None:
    await begun(cluster)
    await lasting(cluster, 200)
    before = experiment(cluster)
    cluster.restart()
    await lasting(cluster, 100)
    after = experiment(cluster)
    assert (after["window"], after["startedAt"]) == (before["window"], before["startedAt"])
    assert after["looks"] > before["looks"]


@pytest.mark.parametrize("change", [{"weight": 40}, {"restartedAt": "2026-02-01T00:00:00Z"}], ids=str)
async def test_any_change_of_it_begins_another(cluster: Cluster, change: Json) -> None:
    await begun(cluster, rival=Manner(liked=0.7, failing=0.1))
    await lasting(cluster, 150)
    assert concluded(cluster)[0] == "True"
    await cluster.apply("LLMService", "chat", declared({**BOTH, **change}))
    await lasting(cluster, 30)
    assert concluded(cluster)[:2] == ("False", "ExperimentRunning")
    weight = change.get("weight", 50)
    assert [share for _, share in shares(cluster)] == [100 - weight, weight]


async def test_a_challenger_that_is_deleted_is_served_from_its_copy(cluster: Cluster) -> None:
    known, other = await begun(cluster)
    await cluster.delete("PromptVersion", "support-v2")
    await lasting(cluster, 200)
    assert shares(cluster) == [(known, 50), (other, 50)]
    assert f"chat-prompt-{short(SECOND)}" in copies(cluster)


async def test_a_challenger_that_is_not_there_is_waited_for(cluster: Cluster) -> None:
    await cluster.delete("PromptVersion", "support-v2")
    known = await serving(cluster, declared())
    assert concluded(cluster)[:2] == ("False", "ExperimentWaiting")
    assert "there is no PromptVersion 'support-v2'" in concluded(cluster)[2]
    assert cluster.condition("chat", "ReferencesResolved")[0] == "True"
    await cluster.apply("PromptVersion", "support-v2", SECOND)
    await lasting(cluster, 30)
    assert shares(cluster) == [(known, 50), (pair(cluster)[1], 50)]


async def test_a_pause_keeps_the_division_and_takes_no_look(cluster: Cluster) -> None:
    known, other = await begun(cluster)
    await lasting(cluster, 100)
    looks = experiment(cluster)["looks"]
    await cluster.apply("LLMService", "chat", declared(paused=True))
    await lasting(cluster, 200)
    assert experiment(cluster)["looks"] == looks
    assert concluded(cluster)[:2] == ("False", "ExperimentWaiting")
    assert shares(cluster) == [(known, 50), (other, 50)]
    await cluster.apply("LLMService", "chat", declared())
    await lasting(cluster, 200)
    assert experiment(cluster)["looks"] > looks


async def test_routers_of_an_older_release_are_waited_for(cluster: Cluster) -> None:
    cluster.routers.understands = ["startSeconds", "prompts"]
    known = await serving(cluster, declared())
    await lasting(cluster, 30)
    assert concluded(cluster)[:2] == ("False", "ExperimentWaiting")
    assert shares(cluster) == [(known, 100)]


async def test_with_lost_status_it_begins_anew(cluster: Cluster) -> None:
    known, other = await begun(cluster)
    await lose_status(cluster)
    await lasting(cluster, 60)
    assert shares(cluster) == [(known, 50), (other, 50)]
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_a_service_without_a_prompt_is_a_control_too(cluster: Cluster) -> None:
    known = await serving(cluster, {**CHAT, "experiment": FEEDBACK})
    await lasting(cluster, 30)
    assert shares(cluster) == [(known, 50), (f"{known}.support-v2.{short(SECOND)}", 50)]
