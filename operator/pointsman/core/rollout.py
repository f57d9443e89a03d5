"""Which variant serves, and what has to happen before another one may: a pure state machine.

`step(state, observation) -> state`. The state keeps only what can't be observed again (which variant is
stable, which is the candidate, how far the change has come); everything else is looked at in each pass.
Make before break takes three observed passes: capacity (the candidate is ready in every router's eyes),
traffic (every router acknowledges the new weights), removal. With Recreate the old revision leaves first,
and the gap is a step of its own, so that status can name it.

Traffic is divided between variants, pods belong to engine revisions: variants that share one move no pods.
This module knows neither Kubernetes objects nor routers; it is told names and facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from pointsman.api.service import Strategy
from pointsman.api.service_status import Step
from pointsman.core import variant
from pointsman.core.variant import Share, Variant


@dataclass(frozen=True, slots=True)
class State:
    """What a rollout remembers, kept in `status.rollout`."""

    stable: Variant | None = None
    candidate: Variant | None = None
    step: Step = Step.STEADY
    since: datetime | None = None
    """When the current step began; None before the first."""
    traffic: tuple[Share, ...] = ()
    """Every variant that routers should know, the weights summing to 100 or 0."""

    @property
    def revisions(self) -> tuple[str, ...]:
        """The engine revisions this state needs, the stable one first."""
        return variant.revisions((self.stable, self.candidate))

    @property
    def shares_engines(self) -> bool:
        """Whether the change is one between variants of the same engines: it moves no pods."""
        return len(self.revisions) == 1


@dataclass(frozen=True, slots=True)
class Observation:
    """What one pass saw that matters to a rollout. `ready`, `present`, `leaving` hold engine revisions."""

    target: Variant | None
    """Variant the spec asks for; None while its inputs can't be resolved (then nothing moves)."""
    ready: frozenset[str] = frozenset()
    """Those with all the capacity asked for, ready in the eyes of every router."""
    present: frozenset[str] = frozenset()
    """Those of which a Deployment, or a pod still leaving, exists."""
    leaving: frozenset[str] = frozenset()
    """Those of `present` that are being deleted already."""
    acknowledged: bool = False
    """Every live router runs exactly the configuration that follows from the current state."""
    strategy: Strategy = Strategy.SURGE
    startable: bool = True
    """The target could be started now. Until then nothing gives way to it."""


def step(state: State, seen: Observation, now: datetime) -> State:
    """The state after this pass. Total: any state and any observation give a state.

    One transition a pass, since each one rests on an observation of the one before.
    """
    aimed = _aim(state, seen)
    moved = _advance(aimed, seen) if aimed == state else aimed
    moved = replace(moved, traffic=_traffic(moved))
    if (moved.step, moved.stable, moved.candidate) == (state.step, state.stable, state.candidate):
        return replace(moved, since=state.since)
    return replace(moved, since=now)


def recover(tracks: Mapping[Variant, str]) -> State:
    """The state that Deployments tell, for when status was lost.

    `tracks` maps the variants they were for to what those were: `stable` or `candidate`.
    """
    stable, candidate = (_only(tracks, track) for track in ("stable", "candidate"))
    if candidate:
        return State(stable, candidate, Step.CAPACITY if stable else Step.STARTING)
    return State(stable)


def _only(tracks: Mapping[Variant, str], track: str) -> Variant | None:
    found = (one for one, on in tracks.items() if on == track)
    return min(found, key=lambda one: one.name, default=None)


def _aim(state: State, seen: Observation) -> State:
    """Follows the spec: a new target becomes the candidate, a return to the stable one drops it."""
    if seen.target is None or seen.target == state.candidate:
        return state
    if seen.target == state.stable:
        return _revert(state, seen)
    aimed = replace(state, candidate=seen.target)
    if not state.stable:
        return replace(aimed, step=_first_step(state))
    return replace(aimed, step=Step.DRAINING if _gives_way(aimed, seen) else Step.CAPACITY)


def _first_step(state: State) -> Step:
    """With nothing stable: start, unless a Recreate's predecessor has yet to leave."""
    return Step.DRAINING if state.step is Step.DRAINING else Step.STARTING


def _gives_way(state: State, seen: Observation) -> bool:
    """Whether the old engines are to leave before the new ones come."""
    return seen.strategy is Strategy.RECREATE and seen.startable and not state.shares_engines


def _revert(state: State, seen: Observation) -> State:
    if state.candidate is None or state.stable is None:
        return state
    if state.step is Step.DRAINING and state.stable.revision not in seen.present - seen.leaving:
        # Too late to keep it: its Deployment is on the way out. It starts anew once it has gone.
        return replace(state, stable=None, candidate=seen.target)
    return replace(state, candidate=None, step=Step.STEADY)


def _advance(state: State, seen: Observation) -> State:
    candidate = state.candidate.revision if state.candidate else ""
    match state.step:
        case Step.STARTING | Step.CAPACITY if candidate in seen.ready:
            return replace(state, step=Step.TRAFFIC)
        case Step.CAPACITY if _gives_way(state, seen):
            # Its turn has come, or someone took the advice to give up waiting for spare capacity.
            return replace(state, step=Step.DRAINING)
        case Step.TRAFFIC if seen.acknowledged:
            return State(stable=state.candidate, step=Step.STEADY)
        case Step.DRAINING if not seen.present - {candidate}:
            return replace(state, stable=None, step=Step.STARTING)
        case _:
            return state


def _traffic(state: State) -> tuple[Share, ...]:
    """Who gets requests in this state; weight-0 variants are known to routers but never picked."""
    weights: Mapping[Step, tuple[int, int]] = {
        Step.STEADY: (100, 0),
        Step.STARTING: (0, 0),
        Step.CAPACITY: (100, 0),
        Step.TRAFFIC: (0, 100),
        Step.DRAINING: (0, 0),
    }
    stable, candidate = weights[state.step]
    shares = ((state.stable, stable), (state.candidate, candidate))
    return tuple(Share(one, weight) for one, weight in shares if one is not None)
