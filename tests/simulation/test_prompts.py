"""Services that answer by a prompt: copied before it's used, rolled out without pods, kept when it's gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pointsman.api import names
from pointsman.api.prompt import PromptSpec
from pointsman.core import prompting
from pointsman_router import config
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.stories import CHAT, engines, rollout, serving

Json = dict[str, Any]
PROMPTED: Json = {**CHAT, "promptRef": {"name": "support-v1"}}
NEXT: Json = {**CHAT, "promptRef": {"name": "support-v2"}}


def saying(text: str) -> Json:
    return {
        "messages": [{"role": "system", "content": f"{text} {{{{customer}}}}"}],
        "variables": [{"name": "customer", "type": "string", "maxLength": 80}],
        "parameters": {"temperature": "0.2", "topP": "1", "maxTokens": 9, "seed": 1, "stop": ["END"]},
    }


FIRST, SECOND = saying("Help"), saying("Be brief with")


def short(spec: Json) -> str:
    return prompting.short(prompting.digest(PromptSpec.model_validate(spec)))


@pytest.fixture
async def cluster() -> Cluster:
    made = Cluster()
    await made.apply("PromptVersion", "support-v1", FIRST)
    await made.apply("PromptVersion", "support-v2", SECOND)
    return made


def copies(cluster: Cluster) -> list[str]:
    found = cluster.all("ControllerRevision")
    return [c["metadata"]["name"] for c in found if names.LABEL_ROLE in c["metadata"]["labels"]]


def routed(cluster: Cluster) -> config.Service:
    return next(one for one in cluster.routers.running("default").services if one.name == "chat")


def resolved(cluster: Cluster) -> tuple[str, str]:
    return cluster.condition("chat", "ReferencesResolved")[:2]


async def test_a_prompt_is_copied_and_compiled_for_the_router(cluster: Cluster) -> None:
    stable = await serving(cluster, PROMPTED)
    (engine,) = engines(cluster)
    assert stable == f"{engine}.support-v1.{short(FIRST)}"
    assert copies(cluster) == [f"chat-prompt-{short(FIRST)}"]
    service = routed(cluster)
    assert [(v.name, v.prompt, v.weight) for v in service.variants] == [
        (stable, f"support-v1.{short(FIRST)}", 100)
    ]
    (prompt,) = service.prompts
    assert prompt.messages == (config.PromptMessage("system", "Help {{customer}}"),)
    assert prompt.variables == (config.PromptVariable("customer", max_length=80),)
    assert [(one.name, one.value) for one in prompt.parameters] == [
        ("temperature", "0.2"),
        ("top_p", "1"),
        ("max_completion_tokens", "9"),
        ("seed", "1"),
        ("stop", '["END"]'),
    ]
    assert cluster.find("PromptVersion", "support-v1")["status"]["services"] == 1
    assert cluster.find("PromptVersion", "support-v2")["status"]["services"] == 0


async def test_another_prompt_moves_no_pod(cluster: Cluster) -> None:
    await serving(cluster, PROMPTED)
    before = cluster.all("Deployment")
    stable = await serving(cluster, NEXT)
    assert stable.endswith(f".support-v2.{short(SECOND)}")
    after = cluster.all("Deployment")
    assert [d["metadata"]["uid"] for d in after] == [d["metadata"]["uid"] for d in before]
    assert [d["spec"] for d in after] == [d["spec"] for d in before]
    assert [prompt.name for prompt in routed(cluster).prompts] == [f"support-v2.{short(SECOND)}"]
    assert await serving(cluster, PROMPTED) != stable
    assert await serving(cluster, CHAT) == engines(cluster)[0]
    assert routed(cluster).prompts == ()


async def test_no_router_is_told_of_a_prompt_before_there_is_a_copy(cluster: Cluster) -> None:
    await cluster.apply("LLMService", "chat", PROMPTED)
    for _ in range(12):
        await cluster.round()
        named = {share["revision"] for share in rollout(cluster).get("traffic", ())}
        assert all(name.rpartition(".")[2] in "".join(copies(cluster)) for name in named if "." in name)
        for service in cluster.routers.running("default").services:
            assert {v.prompt for v in service.variants if v.prompt} == {p.name for p in service.prompts}


async def test_a_prompt_that_is_missing_is_waited_for(cluster: Cluster) -> None:
    stable = await serving(cluster, PROMPTED)
    await cluster.apply("LLMService", "chat", {**CHAT, "promptRef": {"name": "support-v3"}})
    await cluster.settle()
    assert resolved(cluster) == ("False", "ReferenceNotFound")
    assert cluster.condition("chat", "Ready")[1] == "ReferenceNotFound"
    assert cluster.condition("chat", "Available")[0] == "True"
    assert "spec.promptRef: there is no PromptVersion 'support-v3'" in cluster.condition("chat", "Ready")[2]
    assert rollout(cluster)["stable"] == stable
    await cluster.apply("PromptVersion", "support-v3", saying("Sing for"))
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[0] == "True"
    assert ".support-v3." in rollout(cluster)["stable"]


async def test_a_prompt_that_is_gone_goes_on_answering(cluster: Cluster) -> None:
    stable = await serving(cluster, PROMPTED)
    hash_before = config.service_hash(routed(cluster))
    await cluster.delete("PromptVersion", "support-v1")
    await cluster.settle()
    assert resolved(cluster) == ("False", "PromptDeleted")
    assert cluster.condition("chat", "Ready")[0] == "True", "it answers as it did"
    assert rollout(cluster)["stable"] == stable
    assert config.service_hash(routed(cluster)) == hash_before
    await cluster.apply("LLMService", "chat", {**PROMPTED, "drainSeconds": 7})
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[0] == "True", "a change of the engine takes the copy along"
    assert rollout(cluster)["stable"].endswith(f".support-v1.{short(FIRST)}")
    await cluster.apply("PromptVersion", "support-v1", FIRST)
    await cluster.settle()
    assert resolved(cluster) == ("True", "Resolved")


async def test_a_prompt_made_again_with_another_text_is_another_one(cluster: Cluster) -> None:
    stable = await serving(cluster, PROMPTED)
    await cluster.delete("PromptVersion", "support-v1")
    await cluster.settle()
    await cluster.apply("PromptVersion", "support-v1", SECOND)
    await cluster.settle()
    assert rollout(cluster)["stable"].endswith(f".support-v1.{short(SECOND)}") != stable
    (prompt,) = routed(cluster).prompts
    assert prompt.messages[0].content == "Be brief with {{customer}}"
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_a_prompt_that_cannot_be_used_changes_nothing(cluster: Cluster) -> None:
    stable = await serving(cluster, PROMPTED)
    await cluster.apply("PromptVersion", "broken", {"messages": [{"role": "user", "content": "{{x}}"}]})
    await cluster.apply("LLMService", "chat", {**CHAT, "promptRef": {"name": "broken"}})
    await cluster.settle()
    assert resolved(cluster) == ("False", "PromptInvalid")
    assert cluster.condition("broken", "Ready", "PromptVersion")[1] == "InvalidSpec"
    assert rollout(cluster)["stable"] == stable
    assert cluster.condition("chat", "Available")[0] == "True"


async def test_lost_status_is_found_again_with_its_prompt(cluster: Cluster) -> None:
    stable = await serving(cluster, PROMPTED)
    found = cluster.find("LLMService", "chat")
    await cluster.kube.patch_status(
        names.LLMSERVICE,
        NAMESPACE,
        "chat",
        {"rollout": None},
        resource_version=found["metadata"]["resourceVersion"],
    )
    await cluster.settle()
    assert rollout(cluster)["stable"] == stable


async def test_a_lost_copy_is_made_again(cluster: Cluster) -> None:
    stable = await serving(cluster, PROMPTED)
    before = routed(cluster)
    await cluster.delete("ControllerRevision", copies(cluster)[0])
    await cluster.round()
    assert routed(cluster) == before, "routers keep what they have meanwhile"
    await cluster.settle()
    assert rollout(cluster)["stable"] == stable
    assert len(copies(cluster)) == 1


async def test_few_copies_are_kept(cluster: Cluster) -> None:
    for number in range(9):
        name = f"support-v{number + 10}"
        await cluster.apply("PromptVersion", name, saying(f"Say {number} to"))
        await serving(cluster, {**CHAT, "promptRef": {"name": name}})
    kept = copies(cluster)
    assert len(kept) == prompting.HISTORY + 1
    assert f"chat-prompt-{short(saying('Say 8 to'))}" in kept


async def test_routers_that_know_no_prompts_hold_the_change_back(cluster: Cluster) -> None:
    cluster.routers.understands = [name for name in config.LATER_FIELDS if name != "prompts"]
    stable = await serving(cluster, CHAT)
    before = routed(cluster)
    await cluster.apply("LLMService", "chat", PROMPTED)
    for _ in range(10):
        await cluster.round()
    assert replace(routed(cluster), generation=1) == before
    assert rollout(cluster)["stable"] == stable
    assert cluster.condition("chat", "Ready")[0] == "False"
    cluster.routers.understands = list(config.LATER_FIELDS)
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[0] == "True"
    assert routed(cluster).prompts
