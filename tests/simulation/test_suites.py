"""Stories of candidates that must pass a PromptSuite: what is asked, and what status says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pointsman.api import names
from pointsman.app import debug_record
from pointsman.engine import looking
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.stories import CHAT, engines, revision_of, rollout, serving

SUITE: dict[str, Any] = {
    "cases": [
        {
            "name": "refund",
            "messages": [{"role": "user", "content": "May I send it back?"}],
            "variables": [{"name": "days", "value": "30"}],
            "assertions": [{"contains": "30 days"}, {"refusal": False}],
            "times": 3,
            "mayFail": 1,
        },
        {
            "name": "near",
            "messages": [{"role": "user", "content": "Hello"}],
            "assertions": [
                {
                    "similarity": {
                        "to": "Hi there",
                        "minPermille": 800,
                        "embedding": {"serviceRef": {"name": "embed"}},
                    }
                }
            ],
        },
    ],
    "seed": 7,
}
PLAIN: dict[str, Any] = {"cases": [SUITE["cases"][0]]}
TRIED = {**CHAT, "rollout": {"suiteRef": {"name": "support"}}}
NEXT = {**TRIED, "drainSeconds": 7}
FAILS = {
    "passed": False,
    "suite": {
        "cases": 1,
        "failed": 1,
        "mayFail": 0,
        "failing": [
            {
                "name": "refund",
                "failed": 2,
                "of": 3,
                "expected": "something that contains “30 days”",
                "got": "“No.”",
            }
        ],
    },
}


async def begun(trial: dict[str, Any] | None, suite: dict[str, Any] | None = PLAIN) -> Cluster:
    """A service that serves, and a change of it that has to pass the suite."""
    cluster = Cluster()
    await serving(cluster, CHAT)
    if suite is not None:
        await cluster.apply("PromptSuite", "support", suite)
    cluster.trial = trial
    await cluster.apply("LLMService", "chat", NEXT)
    for _ in range(20):
        await cluster.round()
    return cluster


def document(cluster: Cluster) -> dict[str, Any]:
    (found,) = [one for one in cluster.all("ConfigMap") if "trial.json" in (one.get("data") or {})]
    return dict(json.loads(found["data"]["trial.json"]))


async def test_a_candidate_that_passes_its_suite_gets_traffic() -> None:
    cluster = await begun({"passed": True, "suite": {"cases": 1, "failed": 0, "failing": []}})
    await cluster.settle()
    at = rollout(cluster)
    assert at["stable"] == revision_of(NEXT)
    assert (at["trial"]["verdict"], at["trial"]["cases"], at["trial"]["failed"]) == ("Pass", 1, 0)


async def test_one_that_fails_gets_none_and_the_condition_names_the_case() -> None:
    cluster = await begun(FAILS)
    await cluster.settle()
    status, reason, message = cluster.condition("chat", "Ready")
    assert (status, reason) == ("False", "CanaryRejected")
    assert message.startswith(
        "1 of 1 cases fail: case 'refund' (2 of 3 times): expected something that contains “30 days”, "
        "got “No.”"
    )
    assert cluster.condition("chat", "Available")[0] == "True"
    assert engines(cluster) == [rollout(cluster)["stable"]]


async def test_a_suite_is_asked_as_clients_ask() -> None:
    cluster = await begun(None)
    asked = document(cluster)
    assert "stable" not in asked["target"]
    (case,) = asked["suite"]["cases"]
    assert case["request"] == {
        "messages": [{"role": "user", "content": "May I send it back?"}],
        "prompt_variables": {"days": "30"},
    }
    assert (case["times"], case["mayFail"], case["maxTokens"]) == (3, 1, 256)
    assert case["assertions"] == [{"contains": "30 days"}, {"refusal": False}]


async def test_an_embedding_service_of_the_namespace_is_asked_through_its_router() -> None:
    cluster = Cluster()
    await serving(cluster, CHAT, "embed")
    await serving(cluster, CHAT)
    await cluster.apply("PromptSuite", "support", SUITE)
    cluster.trial = None
    await cluster.apply("LLMService", "chat", NEXT)
    for _ in range(20):
        await cluster.round()
    asked = document(cluster)["suite"]
    assert asked["embeddings"] == {
        "embedding-1": {"url": f"http://default-router.{NAMESPACE}.svc/v1/embeddings", "model": "embed"}
    }
    assert asked["cases"][1]["assertions"][0]["similarity"]["embedding"] == "embedding-1"


async def test_a_suite_that_is_not_there_holds_the_candidate_back_and_is_named() -> None:
    cluster = await begun({"passed": True}, suite=None)
    assert cluster.condition("chat", "Ready")[:2] == ("False", "ReferenceNotFound")
    assert "spec.rollout.suiteRef: there is no PromptSuite 'support'" in cluster.condition("chat", "Ready")[2]
    assert rollout(cluster)["traffic"][0]["weight"] == 100
    await cluster.apply("PromptSuite", "support", PLAIN)
    await cluster.settle()
    assert rollout(cluster)["stable"] == revision_of(NEXT)
    await cluster.delete("PromptSuite", "support")
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[0] == "True", "of who serves nobody asks it any more"


def prompt(family: str | None) -> dict[str, Any]:
    said = {"messages": [{"role": "system", "content": f"You are of {family}."}]}
    return said | ({"family": family} if family else {})


PASSES = {"passed": True, "suite": {"cases": 1, "failed": 0, "failing": []}}
PROMPTED = {**TRIED, "promptRef": {"name": "v1"}}


@pytest.mark.parametrize(("family", "of"), [("sales", "'sales'"), (None, "none")])
async def test_a_suite_of_another_family_is_named_before_the_trial_and_asks_nothing(
    family: str | None, of: str
) -> None:
    cluster = Cluster()
    old = await serving(cluster, CHAT)
    await cluster.apply("PromptSuite", "support", {**PLAIN, "family": "support"})
    await cluster.apply("PromptVersion", "v1", prompt(family))
    cluster.trial = PASSES
    await cluster.apply("LLMService", "chat", PROMPTED)
    await cluster.settle()
    told = f"PromptSuite 'support' tests prompts of family 'support', and PromptVersion 'v1' is of {of}"
    for kind in ("Ready", "ReferencesResolved"):
        assert cluster.condition("chat", kind) == (
            "False",
            "SuiteFamilyMismatch",
            f"spec.rollout.suiteRef: {told}; name a suite of the prompt's family",
        )
    assert cluster.all("Job") == []
    assert [one for one in rollout(cluster)["traffic"] if one["weight"]] == [{"revision": old, "weight": 100}]
    assert cluster.condition("chat", "Available")[0] == "True"
    await cluster.apply("PromptSuite", "support", {**PLAIN, "family": family} if family else PLAIN)
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[0] == "True"
    assert rollout(cluster)["trial"]["verdict"] == "Pass"


async def test_a_prompt_that_is_made_anew_of_the_suites_family_is_tried() -> None:
    cluster = Cluster()
    await serving(cluster, CHAT)
    await cluster.apply("PromptSuite", "support", {**PLAIN, "family": "support"})
    await cluster.apply("PromptVersion", "v1", prompt("sales"))
    cluster.trial = PASSES
    await cluster.apply("LLMService", "chat", PROMPTED)
    await cluster.settle()
    await cluster.delete("PromptVersion", "v1")
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[1] == "SuiteFamilyMismatch", "the copy tells its family too"
    await cluster.apply("PromptVersion", "v1", {**prompt("sales"), "family": "support"})
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_a_service_without_a_prompt_is_tried_by_a_suite_of_any_family() -> None:
    cluster = await begun(PASSES, suite={**PLAIN, "family": "support"})
    await cluster.settle()
    assert (rollout(cluster)["stable"], rollout(cluster)["trial"]["verdict"]) == (revision_of(NEXT), "Pass")


async def test_a_prompt_of_the_suites_family_is_tried() -> None:
    cluster = Cluster()
    await cluster.apply("PromptSuite", "support", {**PLAIN, "family": "support"})
    await cluster.apply("PromptVersion", "v1", prompt("support"))
    cluster.trial = PASSES
    await serving(cluster, PROMPTED)
    assert rollout(cluster)["trial"]["verdict"] == "Pass"


async def test_an_embedding_service_that_is_not_there_is_named() -> None:
    cluster = await begun({"passed": True}, suite=SUITE)
    message = cluster.condition("chat", "Ready")[2]
    assert "PromptSuite 'support' asks LLMService 'embed', which isn't there" in message
    assert cluster.all("Job") == []


async def test_a_prompts_variables_are_sent_in_its_types_and_a_new_prompt_is_tried_without_new_pods() -> None:
    cluster = Cluster()
    for name, said in (("v1", "Answer within {{days}} days."), ("v2", "Answer in {{days}} days or less.")):
        prompt = {
            "messages": [{"role": "system", "content": said}],
            "variables": [{"name": "days", "type": "integer"}],
        }
        await cluster.apply("PromptVersion", name, prompt)
    await cluster.apply("PromptSuite", "support", PLAIN)
    await serving(cluster, {**TRIED, "promptRef": {"name": "v1"}})
    old, pods = rollout(cluster)["stable"], engines(cluster)
    cluster.trial = None
    await cluster.apply("LLMService", "chat", {**TRIED, "promptRef": {"name": "v2"}})
    for _ in range(20):
        await cluster.round()
    asked = document(cluster)
    assert asked["target"]["candidate"] == rollout(cluster)["candidate"] != old
    assert asked["suite"]["cases"][0]["request"]["prompt_variables"] == {"days": 30}
    cluster.trial = FAILS
    await cluster.settle()
    assert rollout(cluster)["stable"] == old
    assert cluster.condition("chat", "Ready")[:2] == ("False", "CanaryRejected")
    assert cluster.condition("chat", "Available")[0] == "True"
    assert engines(cluster) == pods


async def test_a_suite_that_is_changed_meanwhile_is_asked_as_it_is_then() -> None:
    cluster = await begun(None)
    (before,) = cluster.all("Job")
    await cluster.apply("PromptSuite", "support", {**PLAIN, "seed": 9})
    for _ in range(5):
        await cluster.round()
    (after,) = cluster.all("Job")
    assert before["metadata"]["name"] != after["metadata"]["name"]
    assert document(cluster)["suite"]["cases"][0]["seed"] == 9


async def test_the_very_first_candidate_has_to_pass_too() -> None:
    cluster = Cluster()
    await cluster.apply("PromptSuite", "support", PLAIN)
    cluster.trial = FAILS
    await cluster.apply("LLMService", "chat", NEXT)
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[:2] == ("False", "CanaryRejected")
    assert cluster.condition("chat", "Available")[0] == "False"


async def test_a_recorded_world_holds_no_question_and_asks_for_the_same_trial() -> None:
    cluster = await begun(None)
    key = names.Key("LLMService", NAMESPACE, "chat")
    seen = await looking.service(cluster.reconciler.gatherer, key, cluster.now)
    assert seen is not None
    file = debug_record.recorded(seen.world, seen.decision)
    text = json.dumps(file)
    assert "send it back" not in text
    assert "30 days" not in text
    assert file["notes"] == []
    (job,) = cluster.all("Job")
    desired = [m["metadata"]["name"] for m in file["decision"]["desired"] if m["kind"] == "Job"]
    assert desired == [job["metadata"]["name"]]
