"""Stories of candidates that are tried before they get traffic: what is asked, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pointsman.api import names
from tests.pss import violations
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.stories import CHAT, engines, revision_of, rollout, serving

ALIKE = {"equivalence": {"prompts": ["What is the capital of France?", "2 + 2 ="]}}
TRIED: dict[str, Any] = {**CHAT, "rollout": ALIKE}
PASSES = {"passed": True, "equivalence": {"prompts": 2, "agreed": 2, "neededPercent": 100}}
PARTS = {
    "passed": False,
    "equivalence": {
        "prompts": 2,
        "agreed": 1,
        "neededPercent": 100,
        "first": {"prompt": 2, "afterCharacters": 1, "stable": "“4”", "candidate": "“5”"},
    },
}
NOBODY = {"reason": "Unanswered", "message": "a question to the candidate got no answer in 8 tries"}


def changed(**more: Any) -> dict[str, Any]:
    return {**TRIED, "drainSeconds": 7, **more}


async def begun(trial: dict[str, Any] | None, spec: dict[str, Any] = TRIED) -> tuple[Cluster, str, str]:
    """A service that serves, and a change of it whose trial finds this: the cluster, stable and candidate."""
    cluster = Cluster()
    old = await serving(cluster, spec)
    assert cluster.all("Job") == [], "with nothing stable there is nothing to compare with"
    cluster.trial = trial
    await cluster.apply("LLMService", "chat", {**spec, "drainSeconds": 7})
    return cluster, old, revision_of({**spec, "drainSeconds": 7})


async def until(cluster: Cluster, step: str, seconds: int = 60) -> None:
    for _ in range(seconds):
        if rollout(cluster)["step"] == step:
            return
        await cluster.round()
    raise AssertionError(f"never came to {step}: {rollout(cluster)}")


def document(cluster: Cluster) -> dict[str, Any]:
    (found,) = [one for one in cluster.all("ConfigMap") if "trial.json" in (one.get("data") or {})]
    return dict(json.loads(found["data"]["trial.json"]))


def trials(cluster: Cluster) -> list[Any]:
    """Whatever there is of trials."""
    kinds = ("Job", "ConfigMap", "NetworkPolicy", "Pod")
    return [
        obj
        for kind in kinds
        for obj in cluster.all(kind)
        if (obj["metadata"].get("labels") or {}).get(names.LABEL_ROLE) == names.ROLE_TRIAL
    ]


async def test_a_candidate_that_answers_alike_gets_traffic_and_the_trial_leaves_only_its_verdict() -> None:
    cluster, _, new = await begun(PASSES)
    await cluster.settle()
    at = rollout(cluster)
    assert at["stable"] == new
    found = at["trial"]
    assert (found["variant"], found["verdict"], found["agreed"], found["prompts"]) == (new, "Pass", 2, 2)
    assert trials(cluster) == []
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_while_it_is_tried_it_has_no_traffic_and_status_says_so() -> None:
    cluster, old, new = await begun(None)
    await until(cluster, "Trial")
    for _ in range(120):
        await cluster.round()
    at = rollout(cluster)
    assert (at["step"], at["traffic"]) == (
        "Trial",
        [{"revision": old, "weight": 100}, {"revision": new, "weight": 0}],
    )
    assert cluster.condition("chat", "Ready") == (
        "False",
        "TrialRunning",
        "the candidate is tried before it gets any traffic",
    )
    assert cluster.condition("chat", "Available")[0] == "True"
    assert cluster.condition("chat", "Stalled")[0] != "True"


async def test_the_job_asks_both_through_the_router_and_is_restricted() -> None:
    cluster, old, new = await begun(None)
    await until(cluster, "Trial")
    await cluster.round()
    await cluster.round()
    (job,) = cluster.all("Job")
    assert job["metadata"]["name"].startswith(f"{new}-trial-")
    assert violations(job["spec"]["template"]["spec"]) == []
    asked = document(cluster)
    assert asked["target"] == {
        "url": "http://default-router-admin:8081/ask/chat",
        "candidate": new,
        "stable": old,
        "model": "chat",
    }
    questions = [one["messages"][0]["content"] for one in asked["equivalence"]["requests"]]
    assert questions == ALIKE["equivalence"]["prompts"]


async def test_a_candidate_that_answers_otherwise_is_rejected_and_status_says_where() -> None:
    cluster, old, new = await begun(PARTS)
    await cluster.settle()
    at = rollout(cluster)
    assert (at["stable"], at["failed"], at["traffic"]) == (old, [new], [{"revision": old, "weight": 100}])
    status, reason, message = cluster.condition("chat", "Ready")
    assert (status, reason) == ("False", "CanaryRejected")
    assert message.startswith(
        "1 of 2 answers agree with the stable one's, 100 % must; prompt 2 parts after 1 characters: "
        "stable “4”, candidate “5”"
    )
    assert cluster.condition("chat", "Available")[0] == "True"
    assert cluster.condition("chat", "Stalled")[0] == "True"
    assert (at["trial"]["verdict"], at["trial"]["agreed"]) == ("Fail", 1)
    assert engines(cluster) == [old]
    assert trials(cluster) == []


async def test_a_rejected_candidate_is_not_tried_again_and_the_way_back_is_ready() -> None:
    cluster, old, _ = await begun(PARTS)
    await cluster.settle()
    cluster.trial = PASSES
    for _ in range(30):
        await cluster.round()
    assert cluster.condition("chat", "Ready")[1] == "CanaryRejected"
    await cluster.apply("LLMService", "chat", TRIED)
    await cluster.settle()
    assert (rollout(cluster)["stable"], cluster.condition("chat", "Ready")[0]) == (old, "True")


async def test_no_verdict_is_no_pass_and_no_failure_and_it_is_tried_again() -> None:
    cluster, old, new = await begun(NOBODY)
    await until(cluster, "Trial")
    for _ in range(20):
        await cluster.round()
    status, reason, message = cluster.condition("chat", "Ready")
    assert (status, reason) == ("False", "TrialRunning")
    assert message.endswith("Unanswered: a question to the candidate got no answer in 8 tries")
    assert rollout(cluster)["traffic"][0] == {"revision": old, "weight": 100}
    first = cluster.all("Job")[0]["metadata"]["uid"]
    cluster.trial = PASSES
    for _ in range(90):
        await cluster.round()
    assert rollout(cluster)["stable"] == new
    assert first not in [job["metadata"]["uid"] for job in cluster.all("Job")]


async def test_other_questions_are_another_trial() -> None:
    cluster, _, _ = await begun(None)
    await until(cluster, "Trial")
    await cluster.round()
    await cluster.round()
    (before,) = cluster.all("Job")
    other = {"equivalence": {"prompts": ["Something else?"]}}
    await cluster.apply("LLMService", "chat", changed(rollout=other))
    for _ in range(10):
        await cluster.round()
    (after,) = cluster.all("Job")
    assert after["metadata"]["name"] != before["metadata"]["name"]
    assert len(document(cluster)["equivalence"]["requests"]) == 1


async def test_without_questions_a_trial_ends_and_the_candidate_goes_on() -> None:
    cluster, _, new = await begun(None)
    await until(cluster, "Trial")
    await cluster.apply("LLMService", "chat", {**CHAT, "drainSeconds": 7})
    await cluster.settle()
    assert rollout(cluster)["stable"] == new
    assert trials(cluster) == []


async def test_a_change_that_is_taken_back_ends_its_trial() -> None:
    cluster, old, _ = await begun(None)
    await until(cluster, "Trial")
    await cluster.round()
    await cluster.apply("LLMService", "chat", TRIED)
    await cluster.settle()
    assert (rollout(cluster)["stable"], engines(cluster)) == (old, [old])
    assert trials(cluster) == []


async def test_a_new_operator_finds_the_verdict() -> None:
    cluster, _, new = await begun(None)
    await until(cluster, "Trial")
    await cluster.round()
    cluster.trial = PASSES
    cluster.step()
    cluster.restart()
    await cluster.settle()
    assert rollout(cluster)["stable"] == new


async def test_a_lost_status_means_another_trial_before_any_traffic() -> None:
    cluster, old, new = await begun(None)
    await until(cluster, "Trial")
    await cluster.kube.edit(
        names.LLMSERVICE, NAMESPACE, "chat", {"status": {"rollout": None}}, subresource="status"
    )
    await cluster.round()
    await until(cluster, "Trial")
    assert rollout(cluster)["traffic"][-1] == {"revision": new, "weight": 0}
    cluster.trial = PARTS
    await cluster.settle()
    assert (rollout(cluster)["stable"], rollout(cluster)["failed"]) == (old, [new])


def prompt(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": text}]}


async def test_a_change_of_the_prompt_alone_is_not_compared_since_it_is_to_change_answers() -> None:
    cluster = Cluster()
    for name in ("v1", "v2"):
        await cluster.apply("PromptVersion", name, prompt(f"Answer by {name}."))
    old = await serving(cluster, {**TRIED, "promptRef": {"name": "v1"}})
    cluster.trial = PARTS
    await cluster.apply("LLMService", "chat", {**TRIED, "promptRef": {"name": "v2"}})
    await cluster.settle()
    at = rollout(cluster)
    assert (at["stable"].split(".")[:2], at.get("trial")) == ([old.split(".")[0], "v2"], None)


async def test_a_change_of_engines_beside_its_prompt_is_compared() -> None:
    cluster = Cluster()
    for name in ("v1", "v2"):
        await cluster.apply("PromptVersion", name, prompt(f"Answer by {name}."))
    old = await serving(cluster, {**TRIED, "promptRef": {"name": "v1"}})
    cluster.trial = PARTS
    await cluster.apply("LLMService", "chat", changed(promptRef={"name": "v2"}))
    await cluster.settle()
    assert (rollout(cluster)["stable"], rollout(cluster)["trial"]["verdict"]) == (old, "Fail")


DAYS: dict[str, Any] = {
    "messages": [{"role": "system", "content": "Answer within {{days}} days."}],
    "variables": [{"name": "days", "type": "integer"}],
}
REFUSED = {
    "reason": "QuestionRefused",
    "message": "both variants refuse prompt 1 by 400: “prompt_variables: it lacks 'days'”",
}


async def test_questions_that_both_refuse_reject_nothing_and_values_for_the_prompt_mend_them() -> None:
    cluster = Cluster()
    await cluster.apply("PromptVersion", "v1", DAYS)
    cluster.trial = REFUSED
    declared = {**TRIED, "promptRef": {"name": "v1"}}
    old = await serving(cluster, declared)
    await cluster.apply("LLMService", "chat", {**declared, "drainSeconds": 7})
    await until(cluster, "Trial")
    for _ in range(90):
        await cluster.round()
    assert cluster.condition("chat", "Ready")[:2] == ("False", "TrialRunning")
    assert (
        "refuse prompt 1 by 400: “prompt_variables: it lacks 'days'”" in cluster.condition("chat", "Ready")[2]
    )
    assert rollout(cluster)["traffic"][0] == {"revision": old, "weight": 100}
    assert rollout(cluster).get("failed", []) == []
    cluster.trial = None
    alike = {**ALIKE["equivalence"], "variables": [{"name": "days", "value": "30"}]}
    mended = {**declared, "drainSeconds": 7, "rollout": {"equivalence": alike}}
    await cluster.apply("LLMService", "chat", mended)
    for _ in range(5):
        await cluster.round()
    asked = document(cluster)["equivalence"]["requests"]
    assert [one["prompt_variables"] for one in asked] == [{"days": 30}] * 2
    cluster.trial = PASSES
    await cluster.settle()
    assert rollout(cluster)["stable"] != old
    assert cluster.condition("chat", "Ready")[0] == "True"


UNREADABLE = {
    "no JSON object": [],
    "nothing of ours": {"x": 1},
    "half of it": {"passed": False, "equivalence": 3},
}


@pytest.mark.parametrize("told", UNREADABLE.values(), ids=UNREADABLE)
async def test_a_result_that_can_not_be_read_moves_nothing(told: Any) -> None:
    cluster, old, _ = await begun(told)
    await until(cluster, "Trial")
    for _ in range(30):
        await cluster.round()
    assert rollout(cluster)["traffic"][0] == {"revision": old, "weight": 100}
    assert rollout(cluster)["step"] == "Trial"
    assert "ResultUnreadable" in cluster.condition("chat", "Ready")[2]
    cluster.trial = PASSES
    for _ in range(90):
        await cluster.round()
    assert rollout(cluster)["step"] == "Steady"
