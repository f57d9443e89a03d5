"""One story per reason: what brings it about, on which condition it shows, and what mends it.

The rows are data, so that a test can hold that no reason lacks one. What Kubernetes says in them are its own
words.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from pointsman.api import names
from pointsman.api.conditions import ConditionType, Reason
from pointsman.kube.protocol import Forbidden
from pointsman.kube.store import address_of
from pointsman.kube.twin import Call
from tests.simulation.cluster import NAMESPACE
from tests.simulation.stories import CHAT, edited, serving
from tests.simulation.trouble import Trouble, TroubledCluster, ago

Act = Callable[[TroubledCluster], Awaitable[None]]

REMOTE: Final = {"model": {"source": {"uri": "hf://org/name"}}}
PRIVATE: Final = {"model": {"source": {"uri": "hf://org/name", "secretRef": {"name": "hub-token"}}}}
GPU: Final = {"accelerator": {"resource": "nvidia.com/gpu", "count": 1}}
CHANGED: Final = edited(engine={"maxModelLen": 1024})
FACTS: Final = {
    "parameters": 8_030_261_248,
    "layers": 32,
    "attentionHeads": 32,
    "kvHeads": 8,
    "headSize": 128,
    "hiddenSize": 4096,
    "vocabularySize": 128_256,
    "dtype": "bfloat16",
    "contextLength": 8192,
}
"""Llama 3.1 8B, which needs 15 GiB for its weights alone."""
TLS: Final = {"tls": {"secretRef": {"name": "front"}}}
BEGUN: Final = {"startedAt": "2026-01-01T00:00:00Z"}


@dataclass(frozen=True, slots=True)
class Cause:
    """What brings a reason about."""

    reason: Reason
    of: ConditionType
    """The condition that has it."""
    status: str
    bring: Act
    mend: Act | None = None
    """What ends it; None where the reason is no trouble, or ends by itself."""
    kind: str = "LLMService"
    name: str = "chat"
    says: str = ""
    """What must be in its message: the object, the field or the figure."""


def applying(spec: dict[str, Any], rounds: int = 0) -> Act:
    """Somebody applies the service."""

    async def act(cluster: TroubledCluster) -> None:
        await cluster.apply("LLMService", "chat", spec)
        await cluster.rounds(rounds)

    return act


def ready(spec: dict[str, Any] = CHAT) -> Act:
    """A service that answers."""

    async def act(cluster: TroubledCluster) -> None:
        await serving(cluster, spec)

    return act


def befalls(trouble: Trouble, spec: dict[str, Any] = CHAT) -> Act:
    """The engines of a new service come into trouble."""

    async def act(cluster: TroubledCluster) -> None:
        cluster.newborn = trouble
        await cluster.apply("LLMService", "chat", spec)

    return act


def candidate_befalls(trouble: Trouble) -> Act:
    """The engines of a changed service come into trouble while the old ones serve."""

    async def act(cluster: TroubledCluster) -> None:
        await serving(cluster)
        cluster.newborn = trouble
        await cluster.apply("LLMService", "chat", CHANGED)

    return act


async def heals(cluster: TroubledCluster) -> None:
    """Whatever was the matter isn't any more."""
    cluster.newborn = None
    cluster.troubles.clear()


def hub(answer: dict[str, Any] | None) -> Act:
    """A remote model whose hub answers so."""

    async def act(cluster: TroubledCluster) -> None:
        cluster.hub = answer
        await cluster.apply("LLMService", "chat", REMOTE)

    return act


async def hub_answers(cluster: TroubledCluster) -> None:
    cluster.hub = {"commit": "c0ffee", "bytes": 1}


def unplaced(said: str) -> Trouble:
    return Trouble(conditions=({"type": "PodScheduled", "status": "False", "message": said},))


def refused(said: str) -> Trouble:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": said}
    return Trouble(owner=(failure,), podless=True)


def waits(reason: str, message: str = "", **rest: Any) -> Trouble:
    return Trouble(containers=({"state": {"waiting": {"reason": reason, "message": message}}},), **rest)


def ends(code: int, message: str = "", reason: str = "Error", restarts: int = 1) -> Trouble:
    last = {"terminated": {"exitCode": code, "reason": reason, "message": message}}
    status = {"state": {"running": BEGUN}, "lastState": last, "started": False, "restartCount": restarts}
    return Trouble(containers=(status,))


def says(reason: str, message: str) -> Trouble:
    """The entrypoint's termination message."""
    return ends(1, json.dumps({"reason": reason, "message": message}))


async def stranger(cluster: TroubledCluster) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "spec": {"selector": {}}}
    await cluster.kube.create(
        {**service, "metadata": {"name": "chat-engine", "namespace": NAMESPACE}}, manager="them"
    )
    await cluster.apply("LLMService", "chat", CHAT)


async def stranger_leaves(cluster: TroubledCluster) -> None:
    del cluster.kube.store.objects[address_of(names.SERVICE, NAMESPACE, "chat-engine")]


async def refused_by_policy(cluster: TroubledCluster) -> None:
    def refuse(call: Call) -> None:
        if (call.verb, call.kind) == ("apply", "Deployment"):
            raise Forbidden("admission webhook denied the request: no team label")

    cluster.kube.before = refuse
    await cluster.apply("LLMService", "chat", CHAT)


async def policy_goes(cluster: TroubledCluster) -> None:
    cluster.kube.before = None


async def unreadable(cluster: TroubledCluster) -> None:
    """It was stored under rules that are no longer."""
    await serving(cluster)
    await cluster.apply("LLMService", "chat", {"model": {"source": {"uri": "ftp://elsewhere"}}})


async def name_taken(cluster: TroubledCluster) -> None:
    await cluster.apply("LLMService", "elder", edited(modelNames=["taken"]))
    await cluster.apply("LLMService", "chat", edited(modelNames=["taken"]))


async def elder_goes(cluster: TroubledCluster) -> None:
    await cluster.delete("LLMService", "elder")


async def router_down(cluster: TroubledCluster) -> None:
    cluster.routers.certified = False
    await cluster.apply("LLMRouter", "front", TLS)
    await cluster.apply("LLMService", "chat", edited(routerRef={"name": "front"}))


async def router_up(cluster: TroubledCluster) -> None:
    cluster.routers.certified = True


async def routers_deaf(cluster: TroubledCluster) -> None:
    await serving(cluster)
    cluster.routers.deaf = True
    await cluster.apply("LLMService", "chat", CHANGED)


async def routers_hear(cluster: TroubledCluster) -> None:
    cluster.routers.deaf = False


async def probe_fails(cluster: TroubledCluster) -> None:
    cluster.routers.broken.add("chat")
    await cluster.apply("LLMService", "chat", CHAT)


async def probe_answers(cluster: TroubledCluster) -> None:
    cluster.routers.broken.clear()


async def short(cluster: TroubledCluster) -> None:
    cluster.accelerators = 0
    await cluster.apply("LLMService", "chat", edited(hardware=GPU))


async def short_beside_old(cluster: TroubledCluster) -> None:
    cluster.accelerators = 1
    await serving(cluster, edited(hardware=GPU))
    await cluster.apply("LLMService", "chat", {**CHANGED, "hardware": GPU})


async def room_comes(cluster: TroubledCluster) -> None:
    cluster.accelerators = 8


async def deleting(cluster: TroubledCluster) -> None:
    await cluster.apply("LLMRouter", "front", {})
    await serving(cluster, edited(routerRef={"name": "front"}))
    cluster.routers.deaf = True
    await cluster.delete("LLMService", "chat")


async def recreating(cluster: TroubledCluster) -> None:
    spec = {"rollout": {"strategy": "Recreate"}}
    await serving(cluster, edited(**spec))
    cluster.newborn = Trouble()
    await cluster.apply("LLMService", "chat", {**CHANGED, **spec})


async def started_slower(cluster: TroubledCluster) -> None:
    """The last start took ten seconds; this one, of another revision, takes longer and longer."""
    stable = await serving(cluster)
    rows = [{"revision": stable, "total": 10}]
    await cluster.kube.patch_status(
        names.LLMSERVICE, NAMESPACE, "chat", {"startup": rows}, resource_version=None
    )
    running = {"state": {"running": {"startedAt": ago(cluster, 50)}}, "started": False}
    cluster.newborn = Trouble(containers=(running,))
    await cluster.apply("LLMService", "chat", CHANGED)


def _long_name(text: str) -> str:
    """A name that can't be compressed."""
    digest = hashlib.sha512(text.encode()).digest() + hashlib.sha384(text.encode()).digest()
    return "m" + base64.b32encode(digest).decode().strip("=").lower()[:127]


SERVICES_TOO_MANY = 750


async def big_configuration(cluster: TroubledCluster) -> None:
    await cluster.apply("LLMRouter", "front", {})
    for number in range(SERVICES_TOO_MANY):
        name = f"s{number}"
        spec = edited(routerRef={"name": "front"}, modelNames=[_long_name(f"{name}-{n}") for n in range(16)])
        service = {
            "apiVersion": names.API_VERSION,
            "kind": "LLMService",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": spec,
            "status": {"rollout": {"router": "front", "step": "Steady"}},
        }
        cluster.kube.store.insert(address_of(names.LLMSERVICE, NAMESPACE, name), service, {})
    await cluster.reconciler.reconcile(names.Key("LLMRouter", NAMESPACE, "front"))


async def small_configuration(cluster: TroubledCluster) -> None:
    """All but one of the services go."""
    for number in range(1, SERVICES_TOO_MANY):
        cluster.kube.store.remove(address_of(names.LLMSERVICE, NAMESPACE, f"s{number}"))


async def answered_before(cluster: TroubledCluster) -> None:
    """Requests are answered, each by what held a moment ago."""
    cluster.routers.hasty = True
    await cluster.apply("LLMService", "chat", CHAT)


async def answered_now(cluster: TroubledCluster) -> None:
    cluster.routers.hasty = False


async def declared_router(cluster: TroubledCluster) -> None:
    await cluster.apply("LLMRouter", "front", {})


async def certificate_missing(cluster: TroubledCluster) -> None:
    cluster.routers.certified = False
    await cluster.apply("LLMRouter", "front", TLS)


PROMPT = {"messages": [{"role": "system", "content": "You are the help desk."}]}
FLAWED = {"messages": [{"role": "system", "content": "You help {{customer}}."}]}
PROMPTED = {**CHAT, "promptRef": {"name": "support-v1"}}


async def prompt_deleted(cluster: TroubledCluster) -> None:
    await declared_prompt(cluster)
    await ready(PROMPTED)(cluster)
    await cluster.delete("PromptVersion", "support-v1")


async def declared_prompt(cluster: TroubledCluster) -> None:
    await cluster.apply("PromptVersion", "support-v1", PROMPT)


async def prompt_restored(cluster: TroubledCluster) -> None:
    await declared_prompt(cluster)
    await cluster.rounds(2)


async def prompt_flawed(cluster: TroubledCluster) -> None:
    await cluster.apply("PromptVersion", "support-v1", FLAWED)
    await cluster.apply("LLMService", "chat", PROMPTED)


async def declared_model(cluster: TroubledCluster) -> None:
    await cluster.apply("LLMModel", "small", CHAT["model"])
