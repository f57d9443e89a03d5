"""The first half of a pass: what one object's World is, and what is decided about it. Nothing is written.

A pass carries the decision out; `pointsman debug world` writes both down. Both look by these functions, so
what is recorded is what a pass would have seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

import orjson

from pointsman.api import names
from pointsman.core import model as model_core
from pointsman.core import owned
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


async def service(gatherer: Gatherer, key: names.Key, now: datetime) -> Seen[ServiceWorld] | None:
    """An LLMService; None where it is gone. Raises Unreadable and the kube errors, as do the others."""
    found = await gatherer.service(key, now)
    if found is None:
        return None
    world, raw = found
    decision = service_core.decide(world)
    unlisted = await gatherer.unlisted(decision.desired, world.owned)
    if unlisted:
        ours, strangers = _divided(unlisted, world.service.metadata.uid)
        world = replace(world, owned=[*world.owned, *ours], strangers=strangers)
        decision = service_core.decide(world)
    return Seen(world, decision, raw)


async def router(gatherer: Gatherer, key: names.Key, now: datetime) -> Seen[RouterWorld]:
    """An LLMRouter, which may not exist (yet)."""
    world, raw = await gatherer.router(key, now)
    decision = router_core.decide(world)
    unlisted = await gatherer.unlisted(decision.desired, world.owned) if world.router is not None else []
    if world.router is not None and unlisted:
        ours, strangers = _divided(unlisted, world.router.metadata.uid)
        world = replace(world, owned=[*world.owned, *ours], strangers=strangers)
        decision = router_core.decide(world)
    return Seen(world, decision, raw)


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


def fingerprint(decision: Decision) -> str:
    """A short hash of a decision: the same for the same one, in a pass's line and in a recorded file."""
    # Sets have no order of their own.
    text = orjson.dumps(decision, default=sorted, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:12]
