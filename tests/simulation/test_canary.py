"""Stories of changes that are judged: what users declare, what routers count, and how it ends."""

from __future__ import annotations

import pytest

from tests.simulation.cluster import Cluster
from tests.simulation.judged import CANARY, begun, changed, lasting, lose_status, replicas, until
from tests.simulation.measuring import Manner
from tests.simulation.stories import engines, revision_of, rollout, serving


async def test_a_good_candidate_goes_through_all_steps_and_becomes_stable(cluster: Cluster) -> None:
    old, new = await begun(cluster)
    assert await lasting(cluster, 400) == [
        "Capacity 0: 0",
        "Canary 0: 10",
        "Capacity 1: 10",
        "Canary 1: 50",
        "Capacity 2: 50",
        "Traffic 2: 100",
        "Steady -: -",
    ]
    assert (rollout(cluster)["stable"], engines(cluster)) == (new, [new])
    assert old not in engines(cluster)
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_a_candidate_gets_engines_by_its_weight_and_the_stable_one_keeps_all(cluster: Cluster) -> None:
    old, new = await begun(cluster)
    for step, wanted in (("Canary", 1), ("Capacity", 2)):
        await until(cluster, step, 1 if step == "Capacity" else 0)
        assert (replicas(cluster, old), replicas(cluster, new)) == (4, wanted)
    await until(cluster, "Traffic", 2)
    assert (replicas(cluster, old), replicas(cluster, new)) == (4, 4)


async def test_while_it_is_compared_status_says_so_and_users_are_served(cluster: Cluster) -> None:
    await begun(cluster)
    await until(cluster, "Canary")
    await lasting(cluster, 10)
    assert cluster.condition("chat", "Available")[0] == "True"
    assert cluster.condition("chat", "Ready") == (
        "False",
        "Analysing",
        "step 1 of 2: the candidate has 10 % of requests and is compared",
    )
    assert cluster.condition("chat", "Reconciling")[0] == "True"
    assert cluster.condition("chat", "RolloutHealthy")[:2] == ("True", "Analysing")


@pytest.mark.parametrize(
    ("manner", "gate"),
    [
        (Manner(slower=2.0), "timeToFirstToken"),
        (Manner(failing=0.05), "errorRate"),
    ],
    ids=["slow", "failing"],
)
async def test_a_bad_candidate_is_rejected_within_two_looks_and_the_spec_stays(
    cluster: Cluster, manner: Manner, gate: str
) -> None:
    old, new = await begun(cluster)
    cluster.routers.measuring.manners[new] = manner
    await until(cluster, "Canary")
    assert (await lasting(cluster, 130))[-1] == "Steady -: -"
    await cluster.settle()
    status, reason, message = cluster.condition("chat", "Ready")
    assert (status, reason) == ("False", "CanaryRejected")
    assert gate in message
    assert "samples" in message
    assert cluster.condition("chat", "Available")[0] == "True"
    assert cluster.condition("chat", "Stalled")[:2] == ("True", "CanaryRejected")
    assert cluster.condition("chat", "EngineHealthy")[0] == "True"
    at = rollout(cluster)
    assert (at["stable"], at["failed"], at["traffic"]) == (old, [new], [{"revision": old, "weight": 100}])
    assert engines(cluster) == [old]
    assert cluster.find("LLMService", "chat")["spec"]["drainSeconds"] == 7


@pytest.mark.parametrize("slower", [1.0, 2.0], ids=["as fast", "slow"])
async def test_streams_and_whole_answers_are_compared_each_with_their_own(
    cluster: Cluster, slower: float
) -> None:
    cluster.routers.measuring.whole = 0.5
    old, new = await begun(cluster)
    cluster.routers.measuring.manners[new] = Manner(slower=slower)
    await lasting(cluster, 400)
    await cluster.settle()
    ready, reason, message = cluster.condition("chat", "Ready")
    if slower == 1:
        assert (rollout(cluster)["stable"], ready) == (new, "True")
    else:
        assert (rollout(cluster)["stable"], reason) == (old, "CanaryRejected")
        assert "(streams 2.1 x, whole answers 2.1 x)" in message


async def test_a_rejected_candidate_is_never_tried_again_and_a_return_of_the_spec_is_ready(
    cluster: Cluster,
) -> None:
    old, new = await begun(cluster)
    cluster.routers.measuring.manners[new] = Manner(failing=0.5)
    await lasting(cluster, 200)
    assert await lasting(cluster, 600) == ["Steady -: -"]
    await cluster.apply("LLMService", "chat", CANARY)
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[0] == "True"
    assert rollout(cluster)["rejections"][0]["variant"] == new
    await cluster.apply("LLMService", "chat", changed(CANARY))
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[1] == "CanaryRejected"
    assert engines(cluster) == [old]


async def test_too_little_traffic_is_no_pass(cluster: Cluster) -> None:
    cluster.routers.measuring.rate = 0.5
    old, new = await begun(cluster)
    assert (await lasting(cluster, 900))[-1] == "Canary 0: 10"
    status, reason, message = cluster.condition("chat", "Ready")
    assert (status, reason) == ("False", "AwaitingSamples")
    assert "errorRate" in message
    assert cluster.condition("chat", "Stalled")[0] == "-"
    assert sorted(engines(cluster)) == sorted([old, new])
    cluster.routers.measuring.rate = 100.0
    await lasting(cluster, 600)
    assert rollout(cluster)["stable"] == new


@pytest.mark.parametrize(
    ("action", "reason", "step"),
    [
        ("Wait", "AwaitingSamples", "Canary"),
        ("Hold", "AwaitingApproval", "Canary"),
        ("Reject", "CanaryRejected", "Steady"),
    ],
)
async def test_what_follows_from_finding_nothing_is_declared(
    cluster: Cluster, action: str, reason: str, step: str
) -> None:
    cluster.routers.measuring.rate = 0.5
    await begun(cluster, analysis={"inconclusive": {"afterSeconds": 200, "action": action}})
    await lasting(cluster, 150)
    assert cluster.condition("chat", "Ready")[1] == "AwaitingSamples"
    await lasting(cluster, 150)
    assert (cluster.condition("chat", "Ready")[1], rollout(cluster)["step"]) == (reason, step)


async def test_what_is_held_goes_on_by_a_word_for_this_candidate_alone(cluster: Cluster) -> None:
    cluster.routers.measuring.rate = 0.5
    held = {"inconclusive": {"afterSeconds": 100, "action": "Hold"}}
    _, new = await begun(cluster, analysis=held, approve="chat-00000000")
    assert (await lasting(cluster, 300))[-1] == "Canary 0: 10"
    await cluster.apply("LLMService", "chat", changed(CANARY, analysis=held, approve=new))
    assert (await lasting(cluster, 400))[-1] == "Steady -: -"
    assert rollout(cluster)["stable"] == new


async def test_a_manual_step_waits_for_the_candidates_name_and_goes_on_judging(cluster: Cluster) -> None:
    steps = [{"weight": 10, "approval": "Manual"}]
    old, new = await begun(cluster, steps=steps)
    await lasting(cluster, 300)
    assert cluster.condition("chat", "Ready")[:2] == ("False", "AwaitingApproval")
    assert new in cluster.condition("chat", "Ready")[2]
    await cluster.apply("LLMService", "chat", changed(CANARY, steps=steps, approve=old))
    await lasting(cluster, 60)
    assert rollout(cluster)["step"] == "Canary"
    await cluster.apply("LLMService", "chat", changed(CANARY, steps=steps, approve=new))
    await lasting(cluster, 60)
    assert rollout(cluster)["stable"] == new


async def test_an_approved_candidate_that_turns_out_bad_is_rejected_all_the_same(cluster: Cluster) -> None:
    _, new = await begun(cluster, steps=[{"weight": 10, "approval": "Manual"}])
    await lasting(cluster, 200)
    cluster.routers.measuring.manners[new] = Manner(failing=0.5)
    await lasting(cluster, 150)
    assert cluster.condition("chat", "Ready")[1] == "CanaryRejected"


STAGES = [("Capacity", 0), ("Canary", 0), ("Capacity", 1), ("Canary", 1), ("Capacity", 2), ("Traffic", 2)]


@pytest.mark.parametrize(("step", "index"), STAGES, ids=lambda it: str(it))
async def test_a_spec_that_returns_at_any_step_gives_the_stable_one_everything(
    cluster: Cluster, step: str, index: int
) -> None:
    old, _ = await begun(cluster)
    await until(cluster, step, index)
    await cluster.apply("LLMService", "chat", CANARY)
    await cluster.round()
    assert rollout(cluster)["traffic"] == [{"revision": old, "weight": 100}]
    await cluster.settle()
    assert engines(cluster) == [old]
    assert cluster.condition("chat", "Ready")[0] == "True"


@pytest.mark.parametrize(("step", "index"), STAGES, ids=lambda it: str(it))
async def test_an_abort_at_any_step_is_a_rejection_of_this_candidate_alone(
    cluster: Cluster, step: str, index: int
) -> None:
    old, new = await begun(cluster, abort="chat-00000000")
    await until(cluster, step, index)
    await cluster.apply("LLMService", "chat", changed(CANARY, abort=new))
    await cluster.round()
    assert rollout(cluster)["traffic"] == [{"revision": old, "weight": 100}]
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[:2] == ("False", "RolloutAborted")
    assert engines(cluster) == [old]
    await cluster.apply("LLMService", "chat", {**changed(CANARY, abort=new), "drainSeconds": 8})
    await lasting(cluster, 400)
    assert cluster.condition("chat", "Ready")[0] == "True"


@pytest.mark.parametrize(("step", "index"), STAGES, ids=lambda it: str(it))
async def test_an_operator_that_dies_at_any_step_goes_on_where_it_was(
    cluster: Cluster, step: str, index: int
) -> None:
    _, new = await begun(cluster)
    await until(cluster, step, index)
    cluster.restart()
    assert (await lasting(cluster, 400))[-1] == "Steady -: -"
    assert rollout(cluster)["stable"] == new


@pytest.mark.parametrize(("step", "index"), STAGES, ids=lambda it: str(it))
async def test_a_new_candidate_at_any_step_starts_over_from_the_stable_one(
    cluster: Cluster, step: str, index: int
) -> None:
    old, new = await begun(cluster)
    await until(cluster, step, index)
    newer = {**changed(CANARY), "drainSeconds": 8}
    await cluster.apply("LLMService", "chat", newer)
    await cluster.round()
    at = rollout(cluster)
    assert (at["stable"], at["candidate"], at["step"]) == (old, revision_of(newer), "Capacity")
    assert (at["stepIndex"], at["candidateWeight"]) == (0, 0)
    await lasting(cluster, 400)
    assert rollout(cluster)["stable"] == revision_of(newer)
    assert new not in engines(cluster)


@pytest.mark.parametrize(("step", "index"), STAGES, ids=lambda it: str(it))
async def test_a_status_that_is_lost_begins_the_canary_again(cluster: Cluster, step: str, index: int) -> None:
    old, new = await begun(cluster)
    await until(cluster, step, index)
    await lose_status(cluster)
    await cluster.round()
    assert rollout(cluster)["stable"] == old
    assert (await lasting(cluster, 400))[-1] == "Steady -: -"
    assert rollout(cluster)["stable"] == new


async def test_a_rejection_outlives_the_status_it_stood_in(cluster: Cluster) -> None:
    old, new = await begun(cluster)
    cluster.routers.measuring.manners[new] = Manner(failing=0.5)
    await lasting(cluster, 200)
    await lose_status(cluster)
    assert await lasting(cluster, 400) == ["Steady -: -"]
    assert (rollout(cluster)["failed"], engines(cluster)) == ([new], [old])
    assert cluster.condition("chat", "Ready")[1] == "CanaryRejected"


async def test_a_router_that_never_acknowledges_holds_the_step_and_status_says_so(cluster: Cluster) -> None:
    old, _ = await begun(cluster)
    await until(cluster, "Capacity")
    cluster.routers.deaf = True
    await lasting(cluster, 300)
    assert cluster.condition("chat", "RouterProgrammed")[:2] == ("False", "AwaitingRouter")
    assert cluster.condition("chat", "Ready")[1] == "AwaitingRouter"
    assert "analysis" not in rollout(cluster)
    assert old in engines(cluster)
    cluster.routers.deaf = False
    await lasting(cluster, 400)
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_a_router_that_hears_nothing_any_more_is_named(cluster: Cluster) -> None:
    await serving(cluster, CANARY)
    (told,) = await cluster.routers.read(["default"])
    cluster.routers.cut_off["10.0.0.7:8081"] = told["body"]
    await cluster.apply("LLMService", "chat", changed(CANARY))
    await lasting(cluster, 300)
    awaited = ("False", "AwaitingRouter", "routers have yet to acknowledge the configuration: 10.0.0.7:8081")
    assert cluster.condition("chat", "RouterProgrammed") == awaited
    assert cluster.condition("chat", "Ready") == awaited
    assert cluster.condition("chat", "Available")[0] == "True"


async def test_a_router_that_knows_the_candidate_and_not_its_engines_is_named(cluster: Cluster) -> None:
    _, new = await begun(cluster)
    await until(cluster, "Capacity")
    for _ in range(2):
        # At first it knows nothing of the candidate; then all but its engines.
        told = (await cluster.routers.read(["default"]))[0]["body"]
        if new in told["services"]["chat"]["variants"]:
            told["services"]["chat"]["variants"][new]["ready"] = 0
        cluster.routers.cut_off["10.0.0.7:8081"] = told
        await lasting(cluster, 100)
        assert rollout(cluster)["step"] == "Capacity"
    status, reason, message = cluster.condition("chat", "Ready")
    assert (status, reason) == ("False", "AwaitingRouter")
    assert message.endswith("routers have yet to see it: 10.0.0.7:8081")
    cluster.routers.cut_off.clear()
    assert (await lasting(cluster, 900))[-1] == "Steady -: -"


async def test_a_stable_deployment_that_is_deleted_in_the_middle_comes_back(cluster: Cluster) -> None:
    old, new = await begun(cluster)
    await until(cluster, "Canary", 1)
    cluster.failing[old] = {"name": "engine", "ready": False, "restartCount": 0}
    await cluster.delete("Deployment", old)
    await lasting(cluster, 400)
    status, reason, message = cluster.condition("chat", "RolloutHealthy")
    assert (status, reason) == ("False", "StableFailing")
    assert message.startswith(f"no engine of the stable {old} answers")
    assert cluster.condition("chat", "Available")[0] == "True", "the candidate answers all"
    assert rollout(cluster)["step"] == "Canary", "there is nothing to compare with"
    del cluster.failing[old]
    assert (await lasting(cluster, 400))[-1] == "Steady -: -"
    assert rollout(cluster)["stable"] == new
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_routers_that_restart_count_anew(cluster: Cluster) -> None:
    _, new = await begun(cluster, steps=[{"weight": 10, "minSeconds": 300}], gates=[{"metric": "errorRate"}])
    await until(cluster, "Canary")
    await lasting(cluster, 100)
    before = rollout(cluster)["analysis"]["candidateSamples"]
    assert before
    cluster.routers.measuring.begin_anew()
    await lasting(cluster, 130)
    analysis = rollout(cluster)["analysis"]
    assert before < analysis["candidateSamples"] <= 1300, "of 130 seconds, not of 230"
    assert (await lasting(cluster, 200))[-1] == "Steady -: -"
    assert rollout(cluster)["stable"] == new


async def test_a_candidate_whose_engines_die_gets_nothing_until_they_are_back(cluster: Cluster) -> None:
    old, new = await begun(cluster)
    await until(cluster, "Canary", 1)
    cluster.failing[new] = {"name": "engine", "ready": False, "restartCount": 3}
    deployment = cluster.find("Deployment", new)
    cluster._status(deployment, {**deployment["status"], "readyReplicas": 0})
    await lasting(cluster, 5)
    assert rollout(cluster)["traffic"] == [
        {"revision": old, "weight": 100},
        {"revision": new, "weight": 0},
    ]
    assert rollout(cluster)["step"] == "Canary"
    del cluster.failing[new]
    await lasting(cluster, 400)
    assert rollout(cluster)["stable"] == new


async def test_copies_go_to_a_candidate_before_any_traffic(cluster: Cluster) -> None:
    steps = [{"weight": 0, "shadow": 50}, {"weight": 50}]
    _, new = await begun(cluster, steps=steps)
    await until(cluster, "Canary")
    await lasting(cluster, 3)
    running = cluster.routers.running("default").services[0]
    assert [(v.weight, v.shadow) for v in running.variants] == [(100, 0), (0, 50)]
    assert running.assignment.salt == ""
    await until(cluster, "Canary", 1)
    await lasting(cluster, 3)
    running = cluster.routers.running("default").services[0]
    assert [(v.weight, v.shadow) for v in running.variants] == [(50, 0), (50, 0)]
    assert (running.assignment.salt, running.analysis.window) == (new, f"{new}/1")


async def test_looks_are_written_when_they_are_due_and_nothing_between(cluster: Cluster) -> None:
    cluster.routers.measuring.rate = 0.5
    await begun(cluster)
    await until(cluster, "Canary")
    await lasting(cluster, 5)
    versions = set()
    for _ in range(240):
        await cluster.round()
        versions.add(cluster.find("LLMService", "chat")["metadata"]["resourceVersion"])
    assert len(versions) <= 6
