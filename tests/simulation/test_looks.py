"""A pass acts by its first look. What only the closer one shows changes what is said, never what is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pointsman.core import inventory, router, service
from pointsman.core.decision import Decision
from pointsman.core.world import RouterWorld, ServiceWorld
from tests.simulation.worlds import worlds


def first(world: Any) -> Any:
    """The World as the first look has it, of one that was looked at whole."""
    if isinstance(world, RouterWorld):
        return replace(world, pods=(), pod_events=())
    pods = world.pods if service.asks_pods(world) else ()
    signals = world.signals if service.asks_routers(world) else ()
    return replace(world, pods=pods, signals=signals, pod_events=(), rooms=(), probe=None)


def effects(world: Any, decision: Decision) -> Any:
    """All that a decision does to the cluster, status aside."""
    plan = inventory.plan(
        decision.desired, world.owned, retained=decision.retained, strangers=world.strangers
    )
    return plan, decision.paused, decision.state, decision.finalize


def test_effects_follow_from_the_first_look() -> None:
    decide: dict[type, Any] = {ServiceWorld: service.decide, RouterWorld: router.decide}
    whole = [seen for seen in worlds() if type(seen.world) in decide]
    assert any(first(seen.world) != seen.world for seen in whole)
    for seen in whole:
        act = decide[type(seen.world)](first(seen.world))
        assert effects(seen.world, act) == effects(seen.world, seen.decision), seen.decision.because
