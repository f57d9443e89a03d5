"""The rollout's state machine: its laws over every state and observation, and its stories."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import chain, combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.api.service import Strategy
from pointsman.api.service_status import Step
from pointsman.core.rollout import Observation, State, recover, step
from pointsman.core.variant import Share, Variant

NOW = datetime(2026, 1, 1, tzinfo=UTC)
A, B, C = (Variant(name) for name in "abc")
A2 = Variant("a", "other", "12345678")
"""The engines of A with another prompt."""
TARGETS = (A, A2, B)
ENGINES = ("a", "b")


def subsets(names: tuple[str, ...]) -> list[frozenset[str]]:
    return [frozenset(s) for s in chain.from_iterable(combinations(names, n) for n in range(len(names) + 1))]


def reachable() -> set[State]:
    """Every state that some sequence of observations leads to, walked exhaustively."""
    found, fringe = {State()}, [State()]
    while fringe:
        state = fringe.pop()
        for seen in observations():
            after = step(state, seen, NOW)
            if after not in found:
                found.add(after)
                fringe.append(after)
    return found


def observations() -> list[Observation]:
    return [
        Observation(target, ready, present, leaving, acknowledged, strategy)
        for target, ready, present, acknowledged, strategy in product(
            (None, *TARGETS), subsets(ENGINES), subsets(ENGINES), (False, True), Strategy
        )
        for leaving in subsets(tuple(sorted(present)))
    ]


REACHABLE = sorted(reachable(), key=repr)


@pytest.mark.parametrize("state", REACHABLE, ids=repr)
def test_weights_sum_to_a_hundred_or_hold_everything(state: State) -> None:
    assert sum(share.weight for share in state.traffic) in (0, 100)
    assert all(share.variant in (state.stable, state.candidate) for share in state.traffic)


@pytest.mark.parametrize("state", REACHABLE, ids=repr)
def test_every_state_has_a_way_to_steady(state: State) -> None:
    """No dead ends: when everything comes true, the target becomes stable within a few passes."""
    for target, strategy in product((*TARGETS, C), Strategy):
        current = state
        for _ in range(8):
            present = frozenset() if current.step is Step.DRAINING else frozenset(current.revisions)
            seen = Observation(target, frozenset(current.revisions), present, frozenset(), True, strategy)
            current = step(current, seen, NOW)
        assert (current.step, current.stable, current.candidate) == (Step.STEADY, target, None)


@pytest.mark.parametrize("state", REACHABLE, ids=repr)
def test_traffic_moves_only_after_capacity_was_seen_and_removal_only_after_acknowledgement(
    state: State,
) -> None:
    for seen in observations():
        after = step(state, seen, NOW)
        if after.step is Step.TRAFFIC and state.step is not Step.TRAFFIC:
            assert after.candidate is not None
            assert after.candidate.revision in seen.ready
        if state.step is Step.TRAFFIC and after.stable == state.candidate and not after.candidate:
            assert seen.acknowledged
        if after.stable != state.stable and state.step is Step.CAPACITY:
            pytest.fail("stable changed without passing through traffic")


@pytest.mark.parametrize("state", REACHABLE, ids=repr)
def test_nothing_moves_while_the_target_is_unknown_and_nothing_was_seen(state: State) -> None:
    # An empty Draining is over by itself: what drained is gone.
    if state.step is not Step.DRAINING:
        assert step(state, Observation(None, present=frozenset(ENGINES)), NOW).stable == state.stable


@pytest.mark.parametrize("state", REACHABLE, ids=repr)
def test_engines_that_serve_never_drain_for_another_prompt(state: State) -> None:
    for seen in observations():
        after = step(state, seen, NOW)
        if after.step is Step.DRAINING and state.step is not Step.DRAINING:
            assert after.candidate is not None
            assert after.stable is not None
            assert after.candidate.revision != after.stable.revision


@given(st.sampled_from(REACHABLE), st.sampled_from(observations()), st.integers(-3600, 3600))
def test_time_running_backwards_or_jumping_changes_no_decision(
    state: State, seen: Observation, jump: int
) -> None:
    one = step(state, seen, NOW)
    other = step(state, seen, NOW + timedelta(seconds=jump))
    assert (one.step, one.stable, one.candidate, one.traffic) == (
        other.step,
        other.stable,
        other.candidate,
        other.traffic,
    )


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        ({}, State()),
        ({A: "stable"}, State(A)),
        ({A: "candidate"}, State(None, A, Step.STARTING)),
        ({A: "stable", B: "candidate"}, State(A, B, Step.CAPACITY)),
    ],
    ids=["nothing there", "one that served", "the first, on its way", "a change on its way"],
)
def test_what_deployments_tell_gives_a_lost_state_back(tracks: dict[Variant, str], expected: State) -> None:
    assert recover(tracks) == expected


def test_a_new_candidate_in_the_middle_starts_over_from_the_stable_one() -> None:
    middle = State(A, B, Step.TRAFFIC, NOW, (Share(A, 0), Share(B, 100)))
    after = step(middle, Observation(C, present=frozenset({"a", "b"})), NOW)
    assert (after.stable, after.candidate, after.step) == (A, C, Step.CAPACITY)
    assert after.traffic == (Share(A, 100), Share(C, 0))


def test_taking_the_advice_to_recreate_turns_a_waiting_surge_around() -> None:
    waiting = State(A, B, Step.CAPACITY, NOW, (Share(A, 100), Share(B, 0)))
    seen = Observation(B, present=frozenset({"a", "b"}), strategy=Strategy.RECREATE)
    assert step(waiting, seen, NOW).step is Step.DRAINING


def test_another_prompt_on_the_same_engines_has_its_capacity_at_once() -> None:
    for strategy in Strategy:
        state = State(A, step=Step.STEADY, traffic=(Share(A, 100),))
        seen = Observation(A2, frozenset("a"), frozenset("a"), acknowledged=True, strategy=strategy)
        steps = []
        for _ in range(4):
            state = step(state, seen, NOW)
            steps.append(state.step)
        assert steps == [Step.CAPACITY, Step.TRAFFIC, Step.STEADY, Step.STEADY]
        assert state.stable == A2
