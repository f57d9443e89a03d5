"""What one object's World is, and what is decided about it. Nothing is written here.

A pass looks twice. By the first look it acts; the closer one, at what can't change what should exist, comes
after the effects and ends in the status. `pointsman debug world` writes down the whole. Both look by these
functions, so what is recorded is what a pass would have seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Generic, TypeVar

import orjson

from pointsman.api import names
from pointsman.core import inventory, owned
from pointsman.core import model as model_core
from pointsman.core import prompt as prompt_core
from pointsman.core import router as router_core
from pointsman.core import service as service_core
from pointsman.core import suite as suite_core
from pointsman.core.decision import Decision
from pointsman.core.world import (
    Manifest,
    ModelWorld,
    PromptWorld,
    RouterWorld,
    ServiceWorld,
    SuiteWorld,
)
from pointsman.engine.gather import Gatherer

World = TypeVar("World", ServiceWorld, RouterWorld, ModelWorld, PromptWorld, SuiteWorld)


@dataclass(frozen=True, slots=True)
class Seen(Generic[World]):
    """One object, everything about it, and the decision."""

    world: World
    decision: Decision
    raw: Manifest | None
    """The object as the API server has it; None for a router that doesn't exist (yet)."""
    addresses: Sequence[str] = ()
    """Where the router of a service is asked."""

    @property
    def owned(self) -> Sequence[Manifest]:
        """The children; of what has none, none."""
        return self.world.owned if isinstance(self.world, ServiceWorld | RouterWorld) else ()

    @property
    def plan(self) -> inventory.Plan:
        """What it takes to get from what is there to what should be."""
        if self.decision.paused or not isinstance(self.world, ServiceWorld | RouterWorld):
            return inventory.Plan()
        return inventory.plan(
            self.decision.desired,
            self.world.owned,
            retained=self.decision.retained,
            strangers=self.world.strangers,
        )


async def whole(gatherer: Gatherer, key: names.Key, now: datetime) -> Seen[Any] | None:
    """All that a pass for this object has seen in the end."""
    if key.kind == names.LLMSERVICE.kind:
        found = await service(gatherer, key, now)
        return await service_closer(gatherer, await named(gatherer, found)) if found is not None else None
    if key.kind == names.LLMROUTER.kind:
        return await router_closer(gatherer, await named(gatherer, await router(gatherer, key, now)))
    looks: Mapping[str, Callable[[Gatherer, names.Key, datetime], Awaitable[Seen[Any] | None]]] = {
        names.LLMMODEL.kind: model,
        names.PROMPTVERSION.kind: prompt,
        names.PROMPTSUITE.kind: suite,
    }
    return await looks[key.kind](gatherer, key, now)


async def service(gatherer: Gatherer, key: names.Key, now: datetime) -> Seen[ServiceWorld] | None:
    """An LLMService; None where it is gone. Raises Unreadable and the kube errors, as do the others."""
    found = await gatherer.service(key, now)
    if found is None:
        return None
    return Seen(found.world, service_core.decide(found.world), found.raw, found.addresses)


async def service_closer(gatherer: Gatherer, seen: Seen[ServiceWorld]) -> Seen[ServiceWorld]:
    """The same with all that status tells of."""
    world = await gatherer.closer_service(seen.world, seen.addresses)
    return seen if world == seen.world else replace(seen, world=world, decision=service_core.decide(world))


async def router(gatherer: Gatherer, key: names.Key, now: datetime) -> Seen[RouterWorld]:
    """An LLMRouter, which may not exist (yet)."""
    world, raw = await gatherer.router(key, now)
    return Seen(world, router_core.decide(world), raw)


async def router_closer(gatherer: Gatherer, seen: Seen[RouterWorld]) -> Seen[RouterWorld]:
    """The same with all that status tells of."""
    world = await gatherer.closer_router(seen.world)
    return seen if world == seen.world else replace(seen, world=world, decision=router_core.decide(world))


async def named(gatherer: Gatherer, seen: Seen[World]) -> Seen[World]:
    """The same with what bears the name of something desired and wasn't listed; decided anew, if any does."""
    if seen.raw is None:
        return seen
    unlisted = await gatherer.unlisted(seen.decision.desired, seen.owned)
    if not unlisted:
        return seen
    world = _fuller(seen.world, unlisted, seen.raw["metadata"]["uid"])
    decide = service_core.decide if isinstance(world, ServiceWorld) else router_core.decide
    return replace(seen, world=world, decision=decide(world))


def _fuller(world: Any, unlisted: Sequence[Manifest], uid: str) -> Any:
    ours, strangers = _divided(unlisted, uid)
    return replace(world, owned=[*world.owned, *ours], strangers=strangers)


def _divided(unlisted: Sequence[Manifest], uid: str) -> tuple[list[Manifest], list[Manifest]]:
    """What is ours, and what isn't."""
    ours = [raw for raw in unlisted if owned.is_owned(raw, uid)]
    return ours, [raw for raw in unlisted if raw not in ours]


async def model(gatherer: Gatherer, key: names.Key, now: datetime) -> Seen[ModelWorld] | None:
    """An LLMModel; None where it is gone."""
    found = await gatherer.model(key, now)
    if found is None:
        return None
    world, raw = found
    return Seen(world, model_core.decide(world), raw)


async def prompt(gatherer: Gatherer, key: names.Key, now: datetime) -> Seen[PromptWorld] | None:
    """A PromptVersion; None where it is gone."""
    found = await gatherer.prompt(key, now)
    if found is None:
        return None
    world, raw = found
    return Seen(world, prompt_core.decide(world), raw)


async def suite(gatherer: Gatherer, key: names.Key, now: datetime) -> Seen[SuiteWorld] | None:
    """A PromptSuite; None where it is gone."""
    found = await gatherer.suite(key, now)
    if found is None:
        return None
    world, raw = found
    return Seen(world, suite_core.decide(world), raw)


async def no_closer(gatherer: Gatherer, seen: Seen[World]) -> Seen[World]:
    """There's nothing about it to look closer at."""
    return seen


def fingerprint(decision: Decision) -> str:
    """A short hash of a decision: the same for the same one, in a pass's line and in a recorded file."""
    # Sets have no order of their own.
    text = orjson.dumps(decision, default=sorted, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:12]
