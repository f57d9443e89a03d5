"""Worlds as stories come by them: what every pass saw and decided, with secrets and prompts in everything."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from pointsman.engine import looking
from tests.simulation.cluster import NAMESPACE, SETTINGS, Cluster
from tests.simulation.measuring import Manner
from tests.simulation.stories import rollout, serving

SECRET = "s3cret-0f-the-team"
PROXIED = replace(
    SETTINGS,
    hf_endpoint=f"https://{SECRET}.mirror.corp:8443/hub",
    environment={"HTTPS_PROXY": f"http://me:{SECRET}@proxy.corp:3128", "NO_PROXY": f"10.0.0.0/8,{SECRET}"},
    ca_config_map="ca",
)
PROOF = [
    {"name": "capital", "message": f"Where is {SECRET}?", "answer": {"contains": SECRET}},
    {"name": "count", "prompt": f"{SECRET} 1 2 3", "answer": {"regex": f"{SECRET} 4"}, "maxTokens": 4},
]
REMOTE = {
    "source": {"uri": "hf://org/private", "secretRef": {"name": "hub-token"}},
    "proof": PROOF,
}
CHAT: dict[str, Any] = {"model": REMOTE, "engine": {"env": {"PASSWORD": SECRET, "LEVEL": "1"}}}
WRONG = {
    "reason": "WrongAnswers",
    "message": f"proof 'capital': expected something that contains “{SECRET}”, got “no {SECRET}”",
}

Story = Callable[[Cluster], Awaitable[None]]


async def births(cluster: Cluster) -> None:
    await serving(cluster, CHAT)


async def a_wrong_proof(cluster: Cluster) -> None:
    await serving(cluster, CHAT)
    await cluster.apply("LLMService", "chat", {**CHAT, "drainSeconds": 10})
    await cluster.round()
    cluster.failing[rollout(cluster)["candidate"]] = {
        "name": "engine",
        "ready": False,
        "restartCount": 2,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": f"back-off: {SECRET}"}},
        "lastState": {"terminated": {"exitCode": 1, "message": json.dumps(WRONG)}},
    }
    await cluster.settle()


async def a_secret_that_is_missing(cluster: Cluster) -> None:
    cluster.unmounted = f'MountVolume.SetUp failed for volume "hub" : secret "hub-token" not found {SECRET}'
    await cluster.apply("LLMService", "chat", CHAT)
    await cluster.settle()


async def references(cluster: Cluster) -> None:
    await cluster.apply(
        "LLMService", "chat", {"modelRef": {"name": "shared"}, "routerRef": {"name": "front"}}
    )
    await cluster.round()
    await cluster.round()
    await cluster.apply("LLMModel", "shared", REMOTE)
    await cluster.apply("LLMRouter", "front", {"tls": {}, "limits": {"maxConnections": 5}})
    cluster.routers.certified = False
    for _ in range(8):
        await cluster.round()
    cluster.routers.certified = True
    await cluster.settle()


async def a_name_that_is_taken(cluster: Cluster) -> None:
    await cluster.apply("LLMService", "elder", {**CHAT, "modelNames": ["taken"]})
    await cluster.apply("LLMService", "chat", {**CHAT, "modelNames": ["taken", "chat"]})
    foreign = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "chat-engine", "namespace": NAMESPACE},
        "spec": {"selector": {}},
    }
    await cluster.kube.create(foreign, manager="them")
    await cluster.settle()


async def recreated_and_deleted(cluster: Cluster) -> None:
    cluster.accelerators = 1
    hardware = {"accelerator": {"resource": "nvidia.com/gpu", "count": 1}}
    spec = {**CHAT, "hardware": hardware, "rollout": {"strategy": "Recreate"}}
    await serving(cluster, spec)
    await cluster.apply("LLMService", "chat", {**spec, "restartedAt": "2026-01-02T00:00:00Z"})
    await cluster.settle()
    await cluster.delete("LLMService", "chat")
    await cluster.settle()


async def without_capacity(cluster: Cluster) -> None:
    cluster.accelerators = 0
    hardware = {"accelerator": {"resource": "nvidia.com/gpu", "count": 1}}
    await cluster.apply("LLMService", "chat", {**CHAT, "hardware": hardware, "paused": False})
    await cluster.settle()


PROMPT: dict[str, Any] = {
    "family": "support",
    "messages": [{"role": "system", "content": f"{SECRET}: help {{{{customer}}}}."}],
    "variables": [{"name": "customer", "type": "string"}],
}
SUITE: dict[str, Any] = {
    "family": "support",
    "cases": [
        {
            "name": "one",
            "variables": [{"name": "customer", "value": SECRET}],
            "messages": [{"role": "user", "content": SECRET}],
            "assertions": [
                {"contains": SECRET},
                {"jsonSchema": json.dumps({"const": SECRET})},
                {
                    "similarity": {
                        "to": SECRET,
                        "minPermille": 900,
                        "embedding": {"serviceRef": {"name": "embed"}},
                    }
                },
            ],
        }
    ],
}


async def prompts(cluster: Cluster) -> None:
    await cluster.apply("PromptSuite", "support", SUITE)
    await cluster.apply("PromptVersion", "support-v1", PROMPT)
    await serving(cluster, {**CHAT, "promptRef": {"name": "support-v1"}})
    await cluster.delete("PromptVersion", "support-v1")
    await cluster.settle()


async def an_experiment(cluster: Cluster) -> None:
    rival = {**PROMPT, "messages": [{"role": "system", "content": f"{SECRET}: serve {{{{customer}}}}."}]}
    await cluster.apply("PromptVersion", "support-v1", PROMPT)
    await cluster.apply("PromptVersion", "support-v2", rival)
    control = {**CHAT, "promptRef": {"name": "support-v1"}}
    await serving(cluster, control)
    measured = {"promptRef": {"name": "support-v2"}, "metrics": [{"metric": "errorRate"}]}
    await cluster.apply("LLMService", "chat", {**control, "experiment": measured})
    await cluster.settle()


async def a_rejected_canary(cluster: Cluster) -> None:
    spec = {**CHAT, "rollout": {"strategy": "Canary", "analysis": {"intervalSeconds": 10}}}
    await serving(cluster, spec)
    await cluster.apply("LLMService", "chat", {**spec, "drainSeconds": 7})
    await cluster.round()
    cluster.routers.measuring.manners[rollout(cluster)["candidate"]] = Manner(failing=0.3)
    for _ in range(40):
        await cluster.round()


STORIES: tuple[Story, ...] = (
    births,
    a_wrong_proof,
    a_secret_that_is_missing,
    references,
    a_name_that_is_taken,
    recreated_and_deleted,
    without_capacity,
    a_rejected_canary,
    prompts,
    an_experiment,
)


class Watched(Cluster):
    """A cluster whose every World is kept."""

    def __init__(self) -> None:
        super().__init__(PROXIED)
        self.seen: list[Any] = []

    async def round(self) -> Any:
        await self.look()
        return await super().round()

    async def look(self) -> None:
        """Keeps what a pass for each object would see now."""
        for key in self._keys():
            found = await looking.whole(self.reconciler.gatherer, key, self.now)
            if found is not None:
                self.seen.append(found)


@functools.cache
def worlds() -> tuple[Any, ...]:
    """All that was seen in all stories, with the decisions."""

    async def told() -> list[Any]:
        seen = []
        for story in STORIES:
            cluster = Watched()
            await story(cluster)
            await cluster.look()
            seen += cluster.seen
        return seen

    return tuple(asyncio.run(told()))
