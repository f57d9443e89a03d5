"""The transitions: first what the spec is after, then one step on the way, then who gets requests in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime

from pointsman.api.conditions import Reason
from pointsman.api.rollout import Strategy
from pointsman.api.service_status import Step
from pointsman.core.rollout.observation import Observation, Trial, Word
from pointsman.core.rollout.plan import Plan
from pointsman.core.rollout.state import Rejection, State
from pointsman.core.variant import Share, Variant


def step(state: State, seen: Observation, now: datetime) -> State:
    """The state after this pass. Total: any state and any observation give a state.

    One transition a pass, since each one rests on an observation of the one before.
    """
    known = _sound(state)
    aimed = _aim(known, seen, now)
    moved = _ADVANCE[known.step](known, seen, now) if aimed == known else aimed
    moved = replace(moved, traffic=_traffic(moved, seen), window="")
    return replace(moved, since=state.since if _place(moved) == _place(state) else now)


def recover(tracks: Mapping[Variant, str], rejections: tuple[Rejection, ...] = ()) -> State:
    """The state that Deployments tell, for when status was lost. A canary begins with its first step again.

    `tracks` maps the variants they were for to what those were: `stable` or `candidate`.
    """
    rejected = {one.variant for one in rejections}
    wanted = {one: track for one, track in tracks.items() if one not in rejected}
    stable, candidate = (_only(wanted, track) for track in ("stable", "candidate"))
    if candidate and candidate != stable:
        entered = Step.CAPACITY if stable else Step.STARTING
        return State(stable, candidate, entered, rejections=rejections)
    return State(stable, rejections=rejections)


def _only(tracks: Mapping[Variant, str], track: str) -> Variant | None:
    found = (one for one, on in tracks.items() if on == track)
    return min(found, key=lambda one: one.name, default=None)


def _place(state: State) -> tuple[object, ...]:
    return state.step, state.index, state.stable, state.candidate


def _sound(state: State) -> State:
    """Without a candidate there is nothing to be in the middle of, whatever a hand wrote into status."""
    return (
        state if state.candidate or state.step is Step.STEADY else replace(state, step=Step.STEADY, index=0)
    )


# What the spec is after.


def _aim(state: State, seen: Observation, now: datetime) -> State:
    """Follows the spec: a new target becomes the candidate, a return to the stable one drops it."""
    if state.candidate and seen.plan.abort == state.candidate.name:
        return _rejected(state, seen, Reason.ROLLOUT_ABORTED, _aborted(state.candidate), now)
    if seen.target is None or seen.target == state.candidate:
        return state
    if seen.target == state.stable:
        return _back(state, seen) if state.candidate else state
    if state.rejection(seen.target):
        # Not again. Whatever else was on its way isn't wanted any more, but for the way back to what served.
        return _back(state, seen) if state.candidate and state.stable else state
    aimed = replace(state, candidate=seen.target, index=0)
    if seen.plan.abort == seen.target.name:
        return _rejected(aimed, seen, Reason.ROLLOUT_ABORTED, _aborted(seen.target), now)
    if not state.stable:
        return replace(aimed, step=_first_step(state))
    return replace(aimed, step=Step.DRAINING if _gives_way(aimed, seen) else Step.CAPACITY)


def _aborted(candidate: Variant) -> str:
    return f"rollout.abort names {candidate.name}"


def _first_step(state: State) -> Step:
    """With nothing stable: start, unless a Recreate's predecessor has yet to leave."""
    return Step.DRAINING if state.step is Step.DRAINING else Step.STARTING


def _gives_way(state: State, seen: Observation) -> bool:
    """Whether the old engines are to leave before the new ones come."""
    return seen.plan.strategy is Strategy.RECREATE and seen.startable and not state.shares_engines


def _back(state: State, seen: Observation) -> State:
    """To the stable variant, if there is one."""
    stable = state.stable
    if state.step is Step.DRAINING and stable and stable.revision not in seen.present - seen.leaving:
        # Too late to keep it: its Deployment is on the way out. It starts anew once it has gone.
        return replace(state, stable=None, candidate=stable, index=0)
    return replace(state, candidate=None, step=Step.STEADY, index=0)


def _rejected(state: State, seen: Observation, reason: Reason, message: str, now: datetime) -> State:
    """Back to the stable variant in one pass, and never this candidate again."""
    assert state.candidate is not None
    found = Rejection(state.candidate, reason, message, now)
    return replace(_back(state, seen), rejections=state.rejecting(found))


# One step on the way.


def _starting(state: State, seen: Observation, now: datetime) -> State:
    return _capable(state, seen) if _has_capacity(state, seen) else state


def _gathering(state: State, seen: Observation, now: datetime) -> State:
    if _has_capacity(state, seen):
        return _capable(state, seen)
    if _gives_way(state, seen):
        # Its turn has come, or someone took the advice to give up waiting for spare capacity.
        return replace(state, step=Step.DRAINING, index=0)
    return state


def _has_capacity(state: State, seen: Observation) -> bool:
    return state.candidate is not None and state.candidate.revision in seen.ready


def _capable(state: State, seen: Observation) -> State:
    """The candidate's engines are there: to the trial before any traffic, else to the traffic."""
    if state.returns:
        return replace(state, step=Step.TRAFFIC)
    if state.index == 0 and seen.trial in (Trial.RUNNING, Trial.FAILED):
        return replace(state, step=Step.TRIAL)
    return _entered(state, seen.plan)


def _entered(state: State, plan: Plan) -> State:
    """The step in which the candidate gets what it has capacity for."""
    if state.stable and plan.phase(state.index):
        return replace(state, step=Step.CANARY)
    return replace(state, step=Step.BAKING if state.stable and plan.bake else Step.TRAFFIC)


def _trying(state: State, seen: Observation, now: datetime) -> State:
    if seen.trial is Trial.FAILED:
        return _rejected(state, seen, Reason.CANARY_REJECTED, seen.why, now)
    if seen.trial is Trial.RUNNING or not _has_capacity(state, seen):
        return state
    return _entered(state, seen.plan)


def _comparing(state: State, seen: Observation, now: datetime) -> State:
    if seen.judged.word is Word.REJECT:
        return _rejected(state, seen, seen.judged.reason, seen.judged.message, now)
    if seen.plan.phase(state.index) is None:
        # Its phase was taken away, or the strategy changed: on to all of the capacity.
        return replace(state, step=Step.CAPACITY, index=max(state.index, 1))
    if seen.judged.word is not Word.PASS:
        return state
    if seen.plan.bake is None:
        return replace(state, step=Step.CAPACITY, index=state.index + 1)
    return replace(state, step=Step.BAKING) if _has_capacity(state, seen) else state


def _taking(state: State, seen: Observation, now: datetime) -> State:
    return _promoted(state) if seen.acknowledged and state.weight == 100 else state


def _baking(state: State, seen: Observation, now: datetime) -> State:
    if seen.judged.word is Word.REJECT:
        return _rejected(state, seen, seen.judged.reason, seen.judged.message, now)
    if seen.plan.bake is None:
        # The strategy changed: to one by steps, or to one that asks for nothing more.
        return replace(state, step=Step.CAPACITY if seen.plan.phases else Step.TRAFFIC, index=0)
    return _promoted(state) if seen.judged.word is Word.PASS and state.weight == 100 else state


def _promoted(state: State) -> State:
    before = state.stable if state.shares_engines else None
    return State(stable=state.candidate, previous=before, rejections=state.rejections)


def _draining(state: State, seen: Observation, now: datetime) -> State:
    assert state.candidate is not None
    left = seen.present - {state.candidate.revision}
    return state if left else replace(state, stable=None, step=Step.STARTING)


def _steady(state: State, seen: Observation, now: datetime) -> State:
    return state


_ADVANCE: Mapping[Step, Callable[[State, Observation, datetime], State]] = {
    Step.STARTING: _starting,
    Step.CAPACITY: _gathering,
    Step.TRIAL: _trying,
    Step.CANARY: _comparing,
    Step.TRAFFIC: _taking,
    Step.BAKING: _baking,
    Step.DRAINING: _draining,
    Step.STEADY: _steady,
}
"""What takes each step further."""


# Who gets requests.

_ALONE = frozenset({Step.CANARY, Step.TRAFFIC, Step.BAKING})
"""Steps in which a candidate with nothing stable beside it has all requests."""
_NOBODY = frozenset({Step.STARTING, Step.DRAINING})
"""Steps in which nobody has any."""


def _traffic(state: State, seen: Observation) -> tuple[Share, ...]:
    """Who gets requests in this state; weight-0 variants are known to routers but never picked."""
    if state.stable is None:
        alone = 100 if state.step in _ALONE else 0
        return (Share(state.candidate, alone),) if state.candidate else ()
    if state.candidate is None:
        return (Share(state.stable, 100),)
    if state.step in _NOBODY:
        return Share(state.stable, 0), Share(state.candidate, 0)
    weight = _weight(state, seen)
    return Share(state.stable, 100 - weight), Share(state.candidate, weight, _shadow(state, seen))


def _weight(state: State, seen: Observation) -> int:
    """What the candidate is to have, as far as its engines are there: without any it has nothing, with fewer
    than all never more than it had."""
    assert state.candidate is not None
    wanted = seen.plan.weight(state)
    if state.candidate.revision in seen.down:
        return 0
    return wanted if _has_capacity(state, seen) else min(wanted, state.weight)


def _shadow(state: State, seen: Observation) -> int:
    phase = seen.plan.measured(state)
    return phase.shadow if phase and _has_capacity(state, seen) else 0
