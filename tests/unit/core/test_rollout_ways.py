"""Every state has a way out: from each that can be reached, a world that does as it is asked comes to rest.

The world here is no better than a real one: engines come a pass after they are asked for, routers take a
division a pass after it is made, what nobody needs leaves when routers have let go of it, and a look is taken
of what routers run. So nothing can wait for what it keeps from coming.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice, product

import pytest

from pointsman.api.conditions import Reason
from pointsman.api.rollout import Strategy
from pointsman.api.service_status import Step
from pointsman.core.rollout import UNJUDGED, Judged, Observation, Phase, Plan, State, Trial, Word, step
from pointsman.core.variant import Division, Variant
from tests.unit.core.test_rollout_laws import NOW, PLANS, TARGETS, states

REPLICAS = 4
PASSES = 40
"""More than the longest way takes."""
STEPPED = Plan(Strategy.CANARY, (Phase(10), Phase(50)))
WAYS = (*PLANS, STEPPED)
WORDS = (Judged(Word.PASS), Judged(Word.REJECT, Reason.CANARY_REJECTED, "worse"))


@dataclass(slots=True)
class World:
    """What is around a rollout: it follows, a pass behind."""

    plan: Plan
    word: Judged = WORDS[0]
    trial: Trial = Trial.NONE
    engines: dict[str, int] = field(default_factory=dict)
    division: Division = field(default_factory=Division)

    def seen(self, state: State, target: Variant) -> Observation:
        """What a pass sees of it."""
        needed, acknowledged = self._needed(state), self.division == state.division
        return Observation(
            target,
            ready=frozenset(name for name, most in needed.items() if self.engines.get(name, 0) >= most),
            down=frozenset(name for name in state.revisions if not self.engines.get(name)),
            present=frozenset(self.engines),
            acknowledged=acknowledged,
            plan=self.plan,
            trial=self.trial,
            judged=self.word if acknowledged else UNJUDGED,
        )

    def follow(self, state: State) -> None:
        """Does as it is asked."""
        needed = self._needed(state)
        if self.division == state.division:
            keeps = needed if state.step is not Step.DRAINING else self._coming(state)
            self.engines = {name: most for name, most in self.engines.items() if name in keeps}
        self.division = state.division
        if state.step is not Step.DRAINING:
            self.engines |= needed

    def _needed(self, state: State) -> Mapping[str, int]:
        return {name: self.plan.engines(state, name, REPLICAS) for name in state.revisions}

    def _coming(self, state: State) -> set[str]:
        return {state.candidate.revision} if state.candidate else set()


def way(state: State, target: Variant, world: World) -> Iterator[tuple[State, World]]:
    """The states on the way, each with the world in which it was decided, to where nothing moves any more."""
    for _ in range(PASSES):
        before = replace(state, since=None), dict(world.engines), world.division
        state = step(state, world.seen(state, target), NOW)
        yield state, world
        world.follow(state)
        if before == (replace(state, since=None), world.engines, world.division):
            return
    raise AssertionError(f"under way after {PASSES} passes: {state}")


def everywhere() -> Iterator[tuple[State, Variant, World]]:
    """Every state that can be reached, with wishes, plans and words; with engines, and with none at all.

    Of these sixty choices each state is met with every seventh, another one than its neighbour.
    """
    full = {"a": REPLICAS, "b": REPLICAS}
    every = islice(product(states(), TARGETS, WAYS, WORDS, (full, {})), 0, None, 7)
    for state, target, plan, word, there in every:
        yield state, target, World(plan, word, engines=dict(there))


def test_every_way_ends_with_what_is_asked_for_or_with_its_rejection() -> None:
    for state, target, world in everywhere():
        *_, (end, _) = way(state, target, world)
        assert (end.step, end.candidate) == (Step.STEADY, None), (state, target, world)
        assert end.stable == target or end.rejection(target), (state, target, world)
        if state.stable and state.step is not Step.DRAINING:
            assert [share.weight for share in end.traffic] == [100], (state, target, world)
        if world.word.word is Word.PASS and not state.rejection(target):
            assert end.stable == target, (state, target, world)


def test_weights_keep_their_laws_on_every_way() -> None:
    for start, target, world in everywhere():
        rejected = {one.variant for one in start.rejections}
        for state, now in way(start, target, world):
            told = (start, target, state, now)
            assert sum(share.weight for share in state.traffic) in (0, 100), told
            if state.stable is None or state.candidate is None:
                continue
            assert now.plan.engines(state, state.stable.revision, REPLICAS) == REPLICAS, told
            if state.weight:
                assert now.engines.get(state.candidate.revision), told
            if state.step is Step.CANARY and now.plan.phase(state.index):
                assert state.weight <= now.plan.phases[state.index].weight, told
            if state.candidate in rejected and state.candidate != start.candidate:
                assert state.weight == 0 or state.candidate == start.stable, told


@pytest.mark.parametrize("plan", WAYS, ids=lambda plan: f"{plan.strategy.value}{len(plan.phases)}")
def test_a_candidate_that_fails_its_trial_never_has_a_request_on_any_way(plan: Plan) -> None:
    for start, target in product(states(), TARGETS):
        if start.step is not Step.STEADY or not start.stable or start.previous:
            continue
        seen = list(way(start, target, World(plan, trial=Trial.FAILED, engines={"a": 4, "b": 4})))
        assert all(state.weight == 0 for state, _ in seen), (start, target)


def test_engines_that_all_die_on_the_way_only_hold_it_up() -> None:
    for start, target, plan in islice(product(states(), TARGETS, WAYS), 0, None, 7):
        if start.rejection(target):
            continue
        for dies in range(1, 12, 3):
            world = World(plan, engines={"a": REPLICAS, "b": REPLICAS})
            state = [state for state, _ in islice(way(start, target, world), dies)][-1]
            world.engines.clear()
            *_, (end, _) = way(state, target, world)
            assert (end.step, end.stable) == (Step.STEADY, target), (start, target, plan, dies)


def test_routers_that_take_nothing_let_no_step_begin() -> None:
    """And a candidate that has nothing gets nothing but its first step's part, which nobody acts on."""
    for start, target in product(states(), TARGETS):
        if start.step is not Step.STEADY or not start.stable:
            continue
        world, state = World(STEPPED, engines={"a": REPLICAS, "b": REPLICAS}), start
        world.division = Division(window="of yesterday")
        for _ in range(PASSES):
            state = step(state, world.seen(state, target), NOW)
        moved = state.candidate is not None
        assert state.index == 0
        assert state.step in (Step.STEADY, Step.CANARY, Step.TRAFFIC)
        assert not moved or state.stable == start.stable
