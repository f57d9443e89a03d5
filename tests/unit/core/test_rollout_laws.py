"""What holds for every transition of the rollout's state machine, over all states that can be reached.

The domain is small and walked exhaustively: two engines, one of them with two prompts; every strategy, and
any other at any moment; engines that are ready, coming or down; words of gates, trials and people. In each
state only what it looks at is varied.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import NamedTuple

import pytest

from pointsman.api.conditions import Reason
from pointsman.api.rollout import Strategy
from pointsman.api.service_status import Step
from pointsman.core.rollout import Judged, Observation, Phase, Plan, State, Trial, Word, step
from pointsman.core.variant import Variant

NOW = datetime(2026, 1, 1, tzinfo=UTC)
A, B = Variant("a"), Variant("b")
A2 = Variant("a", "other", "12345678")
"""The engines of A with another prompt."""
TARGETS = (A, A2, B)
SHADOWED = (Phase(0, shadow=30), Phase(20))
PLANS = (
    Plan(),
    Plan(Strategy.RECREATE),
    Plan(Strategy.CANARY, SHADOWED),
    Plan(Strategy.BLUE_GREEN, (Phase(0, gated=False),), Phase(100)),
)
ENGINES = [
    (frozenset(ready), frozenset(down))
    for ready, down in (("", ""), ("a", ""), ("b", ""), ("ab", ""), ("a", "b"), ("b", "a"), ("", "ab"))
]
"""(ready, down)"""
WORDS = tuple(Judged(word, Reason.CANARY_REJECTED, "worse") for word in Word)


class Transition(NamedTuple):
    before: State
    seen: Observation
    after: State


def observations(state: State) -> Iterator[Observation]:
    aborted = state.candidate.name if state.candidate else B.name
    # Whoever aborts doesn't look at engines.
    around = [("", engines) for engines in ENGINES] + [(aborted, ENGINES[3])]
    for target, plan, (abort, (ready, down)) in product((None, *TARGETS), PLANS, around):
        seen = Observation(target, ready, down, frozenset("ab"), plan=replace(plan, abort=abort))
        match state.step:
            case Step.CANARY | Step.BAKING:
                yield from (replace(seen, judged=word) for word in WORDS)
            case Step.CAPACITY | Step.TRIAL:
                yield from (replace(seen, trial=trial) for trial in Trial)
            case Step.TRAFFIC:
                yield from (replace(seen, acknowledged=acknowledged) for acknowledged in (False, True))
            case Step.DRAINING:
                for present, leaving in (
                    ("ab", ""),
                    ("ab", "a"),
                    ("ab", "b"),
                    ("a", ""),
                    ("b", ""),
                    ("", ""),
                ):
                    yield replace(seen, present=frozenset(present), leaving=frozenset(leaving))
            case _:
                yield seen


@functools.cache
def transitions() -> tuple[Transition, ...]:
    """Every transition out of every state that can be reached. Of rejections one is enough to see all."""
    found: list[Transition] = []
    known, fringe = {State()}, [State()]
    while fringe:
        state = fringe.pop()
        for seen in observations(state):
            after = step(state, seen, NOW)
            found.append(Transition(state, seen, after))
            # How often somebody was rejected, and when a step began, makes no other state.
            plain = replace(after, since=None, rejections=after.rejections[:1])
            if plain not in known:
                known.add(plain)
                fringe.append(plain)
    return tuple(found)


def states() -> list[State]:
    return sorted({each.before for each in transitions()}, key=repr)


def test_the_walk_comes_everywhere() -> None:
    assert {state.step for state in states()} == set(Step)
    assert {state.index for state in states() if state.step is Step.CANARY} == {0, 1}
    assert {state.index for state in states() if state.step is Step.CAPACITY} == {0, 1, 2}


def test_weights_sum_to_a_hundred_or_hold_everything() -> None:
    for each in transitions():
        shares = each.after.traffic
        assert sum(share.weight for share in shares) in (0, 100), each
        assert all(share.variant in (each.after.stable, each.after.candidate) for share in shares), each
        assert all(share.weight == 0 for share in shares if share.shadow), each


def test_nobody_is_sent_to_a_candidate_without_engines_while_there_is_a_stable_one() -> None:
    for each in transitions():
        candidate = each.after.candidate
        if candidate and each.after.stable and candidate.revision in each.seen.down:
            assert each.after.weight == 0, each


def test_a_candidate_gets_more_only_when_all_its_capacity_is_there() -> None:
    for each in transitions():
        candidate = each.after.candidate
        had = each.before.weight if candidate == each.before.candidate else 0
        if candidate and each.after.weight > had:
            assert candidate.revision in each.seen.ready, each


def test_the_stable_one_changes_only_by_what_has_had_all_requests() -> None:
    for each in transitions():
        if each.after.stable not in (each.before.stable, None):
            assert each.before.step in (Step.TRAFFIC, Step.BAKING), each
            assert each.after.stable == each.before.candidate, each
            assert each.before.weight == 100, each
            if each.before.step is Step.TRAFFIC:
                assert each.seen.acknowledged, each


def test_the_stable_one_is_given_up_for_a_recreate_alone() -> None:
    for each in transitions():
        if each.after.step is Step.DRAINING and each.before.step is not Step.DRAINING:
            assert each.seen.plan.strategy is Strategy.RECREATE, each
            assert len(each.after.revisions) == 2, "another prompt on the same engines moves none"
        if each.before.stable and not each.after.stable:
            assert each.before.step is Step.DRAINING, each


def test_the_stable_one_keeps_all_its_engines_until_another_takes_its_place() -> None:
    for each in transitions():
        if each.after.stable:
            plan, revision = each.seen.plan, each.after.stable.revision
            assert plan.engines(each.after, revision, 8) == 8, each


def test_a_step_comes_after_the_one_before_it() -> None:
    for before, seen, after in transitions():
        if before.candidate != after.candidate or not before.candidate:
            continue
        baked = before.step is Step.BAKING and seen.plan.bake is None
        recreated = after.step is Step.DRAINING
        assert before.index <= after.index <= before.index + 1 or baked or recreated, (before, seen, after)
        if after.step is Step.CANARY and before.step is not Step.CANARY:
            assert before.step in (Step.CAPACITY, Step.TRIAL)
        if after.index > before.index:
            passed = seen.judged.word is Word.PASS
            assert before.step is Step.CANARY
            assert passed or seen.plan.phase(before.index) is None


def test_a_rejection_takes_one_pass_and_leaves_the_stable_one_with_everything() -> None:
    for before, seen, after in transitions():
        new = after.rejections[:1] != before.rejections[:1]
        if new and after.stable:
            assert (after.step, after.candidate) == (Step.STEADY, None)
            assert [share.weight for share in after.traffic] == [100]
        worse = seen.judged.word is Word.REJECT and before.step in (Step.CANARY, Step.BAKING)
        if worse and before.stable and seen.target == before.candidate:
            assert new, (before, seen, after)


def test_what_was_rejected_is_never_tried_again() -> None:
    for before, seen, after in transitions():
        rejected = {one.variant for one in before.rejections}
        if after.candidate in rejected and after.candidate is not None:
            # As long as it was on its way already, or it is what served before and comes back.
            assert before.candidate == after.candidate or before.stable == after.candidate, (
                before,
                seen,
                after,
            )


def test_what_is_aborted_is_gone_in_the_same_pass() -> None:
    for before, seen, after in transitions():
        if before.candidate and seen.plan.abort == before.candidate.name:
            assert after.candidate != before.candidate
            assert after.rejections[0].reason is Reason.ROLLOUT_ABORTED
            assert after.rejections[0].variant == before.candidate


def test_approving_or_aborting_somebody_else_changes_nothing() -> None:
    for before, seen, after in transitions()[::97]:
        if not seen.plan.abort:
            other = replace(seen, plan=replace(seen.plan, abort="b-of-yesterday", approve="another"))
            assert step(before, other, NOW) == after


def test_nothing_moves_while_the_target_is_unknown_but_the_change_that_is_on_its_way() -> None:
    for before, seen, after in transitions():
        if seen.target is None and not before.candidate:
            assert (after.step, after.stable, after.candidate) == (before.step, before.stable, None)


def test_a_pass_after_which_nothing_new_was_seen_changes_nothing_once_it_is_at_rest() -> None:
    for before, seen, after in transitions():
        if after.step is Step.STEADY and before == replace(after, since=before.since):
            assert step(after, seen, NOW + timedelta(hours=1)) == after


def test_every_state_has_a_way_out_to_whatever_is_asked_for() -> None:
    """When everything comes true, the target is stable within a few passes, unless it was rejected."""
    for state, target, plan in product(states(), TARGETS, PLANS):
        current = state
        for _ in range(14):
            present = frozenset() if current.step is Step.DRAINING else frozenset(current.revisions)
            seen = Observation(
                target,
                frozenset("ab"),
                present=present,
                acknowledged=True,
                plan=plan,
                judged=Judged(Word.PASS),
            )
            current, last = step(current, seen, NOW), current
            if current == last:
                break
        assert (current.step, current.candidate) == (Step.STEADY, None), (state, target, plan)
        if not state.rejection(target):
            assert current.stable == target, (state, target, plan)


def test_every_state_has_a_way_back() -> None:
    """A spec that returns to the stable variant gives it everything, whatever else is wrong."""
    for state, plan in product(states(), PLANS):
        if state.stable is None or state.step is Step.DRAINING:
            continue
        after = step(state, Observation(state.stable, down=frozenset("b"), plan=plan), NOW)
        assert (after.step, after.stable, after.candidate) == (Step.STEADY, state.stable, None)
        assert [share.weight for share in after.traffic] == [100]


@pytest.mark.parametrize("jump", [-100_000, -1, 1, 100_000])
def test_time_running_backwards_or_jumping_changes_no_transition(jump: int) -> None:
    for before, seen, after in transitions()[::41]:
        other = step(before, seen, NOW + timedelta(seconds=jump))
        assert (other.step, other.index, other.stable, other.candidate, other.traffic) == (
            after.step,
            after.index,
            after.stable,
            after.candidate,
            after.traffic,
        )


@pytest.mark.parametrize("strategy", Strategy)
def test_the_plans_walked_are_of_every_strategy(strategy: Strategy) -> None:
    assert strategy in {plan.strategy for plan in PLANS}
