"""Stories of rollouts in which somebody else has a word: a webhook or a Job that is asked in each step."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pointsman.api import names
from pointsman.app import debug_record
from pointsman.engine import looking
from tests.pss import violations
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.judged import CANARY, begun, changed, idle, lasting, lose_status, until
from tests.simulation.stories import CHAT, engines, revision_of, rollout

STEPS = [{"weight": 10, "minSeconds": 10}, {"weight": 50, "minSeconds": 10}]
QUICK: dict[str, Any] = {**CHAT, "rollout": {"strategy": "Canary", "steps": STEPS, "gates": []}}
SWITCH: dict[str, Any] = {**CHAT, "rollout": {"strategy": "BlueGreen", "bakeSeconds": 20, "gates": []}}

WEBHOOK: dict[str, Any] = {"name": "budget", "webhook": {"url": "https://ci.test/gate"}}
JOB: dict[str, Any] = {"name": "evaluation", "job": {"image": "registry.test/eval:1", "args": ["--quick"]}}
NO = {"pass": False, "message": "the error budget is spent"}
NOBODY = {"reason": "Unanswered", "message": "gate 'budget' got no answer in 3 tries; the last: 503: "}
KINDS = {"a webhook": WEBHOOK, "a Job": JOB}


def asked(cluster: Cluster, kind: str = "Job") -> list[Any]:
    """What there is of checks."""
    return [one for one in cluster.all(kind) if "-check-" in one["metadata"]["name"]]


async def asking(cluster: Cluster, seconds: int = 300) -> None:
    """Until a check is asked."""
    for _ in range(seconds):
        if asked(cluster):
            return
        await cluster.round()
    raise AssertionError(f"never asked: {rollout(cluster)}")


def said(cluster: Cluster) -> list[tuple[str, int, str]]:
    return [(one["name"], one.get("stepIndex", 0), one["verdict"]) for one in rollout(cluster)["checks"]]


def told(cluster: Cluster) -> dict[str, Any]:
    """What the one check that is asked is told."""
    (found,) = asked(cluster, "ConfigMap")
    if "trial.json" in found["data"]:
        return dict(json.loads(found["data"]["trial.json"])["gate"]["step"])
    return dict(json.loads(found["data"]["check.json"]))


@pytest.mark.parametrize("check", KINDS.values(), ids=KINDS)
async def test_a_yes_in_each_step_takes_it_on_and_nothing_stays_but_the_verdict(
    cluster: Cluster, check: dict[str, Any]
) -> None:
    _, new = await begun(cluster, QUICK, checks=[check])
    names_seen = set()
    for _ in range(120):
        await cluster.round()
        names_seen |= {one["metadata"]["name"] for one in asked(cluster)}
        if rollout(cluster)["step"] == "Steady":
            break
    assert rollout(cluster)["stable"] == new
    assert len(names_seen) == 2, "once in each of two steps"
    assert said(cluster) == [(check["name"], 1, "Pass")]
    await cluster.settle()
    assert [asked(cluster, kind) for kind in ("Job", "ConfigMap", "Pod")] == [[], [], []]
    assert cluster.find("NetworkPolicy", "chat-trial") is None


async def test_it_is_asked_when_time_and_gates_have_passed_and_told_what_they_found(cluster: Cluster) -> None:
    cluster.check = None
    old, new = await begun(cluster, CANARY, checks=[WEBHOOK])
    await until(cluster, "Canary")
    for _ in range(50):
        await cluster.round()
        assert asked(cluster) == []
    await asking(cluster)
    found = told(cluster)
    assert (found["name"], found["namespace"], found["format"], found["model"]) == (
        "chat",
        "team-a",
        1,
        "chat",
    )
    assert found["url"] == "http://default-router.team-a.svc/v1"
    assert found["askUrl"] == "http://default-router-admin:8081/ask/chat"
    at = found["rollout"]
    assert (at["candidate"], at["stable"]) == (
        {"variant": new, "revision": new},
        {"variant": old, "revision": old},
    )
    assert (at["strategy"], at["step"], at["stepIndex"], at["weight"]) == ("Canary", "Canary", 0, 10)
    assert at["requests"]["candidate"] > 100
    assert {gate["verdict"] for gate in at["gates"]} == {"Pass"}
    assert cluster.condition("chat", "Ready") == (
        "False",
        "ChecksRunning",
        "step 1 of 2: the candidate has 10 % of requests and is compared; checks are asked: 'budget'",
    )
    assert cluster.condition("chat", "RolloutHealthy")[0] == "True"
    before = told(cluster)
    await lasting(cluster, 300)
    assert told(cluster) == before, "what it was told holds still while it thinks"


@pytest.mark.parametrize("check", KINDS.values(), ids=KINDS)
async def test_a_no_rejects_with_what_it_said(cluster: Cluster, check: dict[str, Any]) -> None:
    cluster.check = NO
    old, new = await begun(cluster, QUICK, checks=[check])
    await lasting(cluster, 60)
    at = rollout(cluster)
    assert (at["stable"], at["failed"], engines(cluster)) == (old, [new], [old])
    status, reason, message = cluster.condition("chat", "Ready")
    assert (status, reason) == ("False", "CanaryRejected")
    assert message.startswith(
        f"check '{check['name']}' says no: the error budget is spent; the stable variant"
    )
    assert said(cluster) == [(check["name"], 0, "Fail")]
    assert asked(cluster) == []


@pytest.mark.parametrize("check", KINDS.values(), ids=KINDS)
async def test_no_verdict_waits_is_tried_again_and_then_takes_it_on(
    cluster: Cluster, check: dict[str, Any]
) -> None:
    cluster.check = NOBODY
    _, new = await begun(cluster, QUICK, checks=[check])
    await asking(cluster)
    first = asked(cluster)[0]["metadata"]
    await lasting(cluster, 30)
    status, reason, message = cluster.condition("chat", "Ready")
    assert (status, reason) == ("False", "CheckUnanswered")
    assert f"check '{check['name']}' comes to no verdict: " in message
    assert cluster.condition("chat", "RolloutHealthy")[0] == "Unknown"
    since = rollout(cluster)["checks"][0]["at"]
    await lasting(cluster, 90)
    (again,) = asked(cluster)
    assert (again["metadata"]["name"], again["metadata"]["uid"] != first["uid"]) == (first["name"], True)
    assert (said(cluster)[0][2], rollout(cluster)["checks"][0]["at"]) == ("Inconclusive", since)
    assert cluster.condition("chat", "Ready")[2] == message, "it holds still"
    cluster.check = {"pass": True}
    await lasting(cluster, 120)
    assert rollout(cluster)["stable"] == new


PATIENCE = {
    "Reject": (
        "CanaryRejected",
        "inconclusive after 100 seconds, and analysis.inconclusive says Reject: check",
    ),
    "Hold": ("AwaitingApproval", "set rollout.approve to chat-"),
    "Wait": ("CheckUnanswered", "comes to no verdict"),
}


@pytest.mark.parametrize(("action", "expected"), PATIENCE.items(), ids=PATIENCE)
async def test_who_never_answers_uses_up_the_declared_patience(
    cluster: Cluster, action: str, expected: tuple[str, str]
) -> None:
    cluster.check = NOBODY
    patience = {"inconclusive": {"afterSeconds": 100, "action": action}}
    given = {"checks": [WEBHOOK], "analysis": patience}
    _, new = await begun(cluster, QUICK, **given)
    await asking(cluster)
    await lasting(cluster, 60)
    assert cluster.condition("chat", "Ready")[1] == "CheckUnanswered", "counted from its first try"
    await lasting(cluster, 60)
    _, reason, message = cluster.condition("chat", "Ready")
    assert reason == expected[0]
    assert expected[1] in message
    if action == "Hold":
        await cluster.apply("LLMService", "chat", changed(QUICK, approve=new, **given))
        await lasting(cluster, 60)
        assert rollout(cluster)["stepIndex"] == 1


async def test_one_no_counts_though_others_think_on(cluster: Cluster) -> None:
    cluster.check = None
    old, _ = await begun(cluster, QUICK, checks=[WEBHOOK, JOB])
    await asking(cluster)
    await cluster.round()
    assert len(asked(cluster)) == 2
    assert cluster.condition("chat", "Ready")[2].endswith("checks are asked: 'budget', 'evaluation'")
    (mine,) = [
        one for one in asked(cluster) if one["spec"]["template"]["spec"]["containers"][0]["name"] == "check"
    ]
    cluster._end(mine, "check", {"exitCode": 3, "reason": "Error", "message": ""})
    await lasting(cluster, 60)
    assert cluster.condition("chat", "Ready")[2].startswith("check 'evaluation' says no: it exited with 3;")
    assert (engines(cluster), asked(cluster)) == ([old], [])


async def test_a_person_is_asked_after_them(cluster: Cluster) -> None:
    cluster.check = None
    steps = [{"weight": 50, "minSeconds": 10, "approval": "Manual"}]
    _, new = await begun(cluster, QUICK, checks=[WEBHOOK], steps=steps, approve=revision_of(changed(QUICK)))
    await asking(cluster)
    assert cluster.condition("chat", "Ready")[1] == "ChecksRunning"
    await cluster.apply("LLMService", "chat", changed(QUICK, checks=[WEBHOOK], steps=steps))
    cluster.check = {"pass": True}
    await lasting(cluster, 30)
    assert cluster.condition("chat", "Ready")[1] == "AwaitingApproval"
    await cluster.apply("LLMService", "chat", changed(QUICK, checks=[WEBHOOK], steps=steps, approve=new))
    await lasting(cluster, 60)
    assert rollout(cluster)["stable"] == new


@pytest.mark.parametrize("check", KINDS.values(), ids=KINDS)
async def test_a_new_operator_finds_what_was_said_and_asks_nobody_twice(
    cluster: Cluster, check: dict[str, Any]
) -> None:
    cluster.check = None
    _, new = await begun(cluster, QUICK, checks=[check])
    await asking(cluster)
    first = asked(cluster)[0]["metadata"]["uid"]
    cluster.restart()
    await lasting(cluster, 30)
    assert [one["metadata"]["uid"] for one in asked(cluster)] == [first]
    cluster.check = {"pass": True}
    cluster.step()
    cluster.restart()
    await lasting(cluster, 80)
    assert rollout(cluster)["stable"] == new


async def test_a_job_that_a_hand_deletes_is_asked_anew(cluster: Cluster) -> None:
    cluster.check = None
    _, new = await begun(cluster, QUICK, checks=[JOB])
    await asking(cluster)
    (before,) = asked(cluster)
    await cluster.delete("Job", before["metadata"]["name"])
    await lasting(cluster, 30)
    (after,) = asked(cluster)
    assert after["metadata"]["name"] == before["metadata"]["name"]
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    cluster.check = {"pass": True}
    await lasting(cluster, 80)
    assert rollout(cluster)["stable"] == new


async def test_another_candidate_is_another_question(cluster: Cluster) -> None:
    cluster.check = None
    _, new = await begun(cluster, QUICK, checks=[WEBHOOK])
    await asking(cluster)
    (before,) = asked(cluster)
    other = {**changed(QUICK, checks=[WEBHOOK]), "drainSeconds": 9}
    cluster.check = {"pass": True}
    cluster.step()
    await cluster.apply("LLMService", "chat", other)
    await cluster.round()
    await cluster.round()
    assert before["metadata"]["name"] not in [one["metadata"]["name"] for one in asked(cluster)]
    assert (rollout(cluster)["candidate"], rollout(cluster)["stepIndex"]) == (revision_of(other), 0)
    cluster.check = NO
    await lasting(cluster, 60)
    assert rollout(cluster)["failed"] == [revision_of(other)]
    assert new not in engines(cluster)


async def test_the_same_candidate_once_more_is_asked_once_more(cluster: Cluster) -> None:
    await begun(cluster, QUICK, checks=[WEBHOOK])
    await until(cluster, "Capacity", 1)
    assert said(cluster) == [("budget", 0, "Pass")]
    await cluster.apply("LLMService", "chat", QUICK)
    await lasting(cluster, 30)
    cluster.check = NO
    await cluster.apply("LLMService", "chat", changed(QUICK, checks=[WEBHOOK]))
    await lasting(cluster, 60)
    assert cluster.condition("chat", "Ready")[1] == "CanaryRejected"
    assert said(cluster) == [("budget", 0, "Fail")]


async def test_a_lost_status_means_that_it_is_asked_again(cluster: Cluster) -> None:
    await begun(cluster, QUICK, checks=[WEBHOOK])
    await until(cluster, "Capacity", 1)
    await lose_status(cluster)
    cluster.check = NO
    await lasting(cluster, 80)
    assert cluster.condition("chat", "Ready")[1] == "CanaryRejected"


async def test_without_checks_it_goes_on(cluster: Cluster) -> None:
    cluster.check = None
    _, new = await begun(cluster, QUICK, checks=[WEBHOOK])
    await asking(cluster)
    await cluster.apply("LLMService", "chat", changed(QUICK))
    await lasting(cluster, 80)
    assert (rollout(cluster)["stable"], asked(cluster), rollout(cluster).get("checks")) == (new, [], None)


async def test_paused_it_hears_nobody(cluster: Cluster) -> None:
    cluster.check = None
    _, new = await begun(cluster, QUICK, checks=[WEBHOOK])
    await asking(cluster)
    await cluster.apply("LLMService", "chat", {**changed(QUICK, checks=[WEBHOOK]), "paused": True})
    cluster.check = NO
    await lasting(cluster, 40)
    assert (rollout(cluster)["candidate"], rollout(cluster).get("checks")) == (new, None)
    await cluster.apply("LLMService", "chat", changed(QUICK, checks=[WEBHOOK]))
    await lasting(cluster, 60)
    assert rollout(cluster)["failed"] == [new]


async def test_a_switch_is_asked_about_before_it_and_at_the_end_of_the_bake(cluster: Cluster) -> None:
    cluster.check = None
    _, new = await begun(cluster, SWITCH, checks=[WEBHOOK])
    await asking(cluster)
    (before,) = asked(cluster)
    assert (rollout(cluster)["step"], told(cluster)["rollout"]["weight"]) == ("Canary", 0)
    cluster.check = {"pass": True}
    await until(cluster, "Baking")
    cluster.check = None
    await lasting(cluster, 60)
    (after,) = asked(cluster)
    assert after["metadata"]["name"] != before["metadata"]["name"]
    assert told(cluster)["rollout"]["step"] == "Baking"
    cluster.check = NO
    await lasting(cluster, 60)
    assert rollout(cluster)["failed"] == [new]


async def test_what_runs_is_restricted_and_knows_where_it_is(cluster: Cluster) -> None:
    cluster.check = None
    old, new = await begun(cluster, QUICK, checks=[WEBHOOK, JOB])
    await asking(cluster)
    for job in asked(cluster):
        spec = job["spec"]["template"]["spec"]
        assert violations(spec) == []
        assert spec["automountServiceAccountToken"] is False
        assert job["metadata"]["name"].startswith(f"{new}-check-")
    (container,) = [
        one
        for job in asked(cluster)
        for one in job["spec"]["template"]["spec"]["containers"]
        if one["name"] == names.CHECK_CONTAINER
    ]
    variables = {one["name"]: one["value"] for one in container["env"]}
    assert (container["image"], container["args"]) == ("registry.test/eval:1", ["--quick"])
    assert variables["POINTSMAN_URL"] == "http://default-router.team-a.svc/v1"
    assert (variables["POINTSMAN_CANDIDATE"], variables["POINTSMAN_STABLE"]) == (new, old)


async def test_an_exit_counts_once_its_job_is_over(cluster: Cluster) -> None:
    cluster.check = None
    old, _ = await begun(cluster, QUICK, checks=[JOB])
    await asking(cluster)
    (job,) = asked(cluster)
    ended = {"exitCode": 143, "reason": "Error", "message": "told to go"}
    status = {"phase": "Failed", "containerStatuses": [{"name": "check", "state": {"terminated": ended}}]}
    cluster._put_pod(f"{job['metadata']['name']}-pod", job, job["spec"]["template"]["metadata"], status)
    await lasting(cluster, 20)
    assert cluster.condition("chat", "Ready")[1] == "ChecksRunning"
    moment = cluster.now.isoformat().replace("+00:00", "Z")
    late = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "it was too slow"}
    cluster._status(asked(cluster)[0], {"conditions": [{**late, "lastTransitionTime": moment}]})
    await lasting(cluster, 20)
    assert cluster.condition("chat", "Ready")[1] == "CheckUnanswered"
    assert cluster.condition("chat", "Ready")[2].endswith("NoVerdict: it was too slow")
    assert old in engines(cluster)


async def test_why_its_pod_does_not_start_is_said(cluster: Cluster) -> None:
    cluster.check = None
    await begun(cluster, QUICK, checks=[JOB])
    await asking(cluster)
    (job,) = asked(cluster)
    waiting = {"reason": "ErrImagePull", "message": "not found"}
    status = {
        "containerStatuses": [
            {"name": "check", "image": "registry.test/eval:1", "state": {"waiting": waiting}}
        ]
    }
    cluster._put_pod(f"{job['metadata']['name']}-pod", job, job["spec"]["template"]["metadata"], status)
    await idle(cluster, cluster.now)
    await lasting(cluster, 20)
    message = cluster.condition("chat", "Ready")[2]
    assert message.endswith(
        "check 'evaluation' comes to no verdict: ImagePullFailed: image 'registry.test/eval:1': not found"
    )


async def test_a_recorded_world_holds_no_address_and_asks_the_same_check(cluster: Cluster) -> None:
    cluster.check = None
    secret = {"name": "budget", "webhook": {"url": "https://hooks.test/T0/s3cret"}}
    await begun(cluster, QUICK, checks=[secret, {**JOB, "job": {**JOB["job"], "env": {"KEY": "s3cret"}}}])
    await asking(cluster)
    key = names.Key("LLMService", NAMESPACE, "chat")
    seen = await looking.service(cluster.reconciler.gatherer, key, cluster.now)
    assert seen is not None
    file = debug_record.recorded(seen.world, seen.decision)
    assert file["notes"] == []
    assert "s3cret" not in json.dumps(file)
    assert "hooks.test" not in json.dumps(file)
    made = {("Job", one["metadata"]["name"]) for one in asked(cluster)}
    assert len(made) == 2
    assert made <= {tuple(one) for one in file["decision"]["retained"]}
