"""The rollout's state machine: its stories, step by step. `test_rollout_laws` has what holds for all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pointsman.api.conditions import Reason
from pointsman.api.rollout import Rollout, Strategy
from pointsman.api.service_status import Step
from pointsman.core.rollout import (
    Judged,
    Observation,
    Phase,
    Plan,
    Rejection,
    State,
    Trial,
    Word,
    plan,
    recover,
    step,
)
from pointsman.core.variant import Share, Variant

NOW = datetime(2026, 1, 1, tzinfo=UTC)
A, B, C = (Variant(name) for name in "abc")
A2 = Variant("a", "other", "12345678")
"""The engines of A with another prompt."""
CANARY = Plan(Strategy.CANARY, (Phase(10), Phase(50)))
SWITCH = Plan(Strategy.BLUE_GREEN, (Phase(0, gated=False),), Phase(100))
STEADY = State(A, traffic=(Share(A, 100),))
PASS, REJECT = Judged(Word.PASS), Judged(Word.REJECT, Reason.CANARY_REJECTED, "twice as slow")
ALL = Observation(B, frozenset("ab"), present=frozenset("ab"), acknowledged=True)
"""Everything is as it should be."""


def told(state: State, *seen: Observation) -> list[str]:
    """What each observation leads to: the step, its index and the candidate's weight."""
    lines = []
    for each in seen:
        state = step(state, each, NOW)
        lines.append(f"{state.step.value} {state.index}: {state.weight}")
    return lines


def test_a_canary_gathers_capacity_before_each_weight_and_all_of_it_before_the_last() -> None:
    good = replace(ALL, plan=CANARY, judged=PASS)
    assert told(STEADY, *[good] * 8) == [
        "Capacity 0: 0",
        "Canary 0: 10",
        "Capacity 1: 10",
        "Canary 1: 50",
        "Capacity 2: 50",
        "Traffic 2: 100",
        "Steady 0: 0",
        "Steady 0: 0",
    ]


def test_a_canary_stays_in_a_step_while_nothing_is_found() -> None:
    waits = replace(ALL, plan=CANARY)
    assert told(STEADY, *[waits] * 4)[1:] == ["Canary 0: 10"] * 3


def test_a_rejected_candidate_loses_its_traffic_at_once_and_is_not_tried_again() -> None:
    good, bad = replace(ALL, plan=CANARY, judged=PASS), replace(ALL, plan=CANARY, judged=REJECT)
    state = STEADY
    for seen in (good, good, bad):
        state = step(state, seen, NOW)
    assert state == State(
        A,
        since=NOW,
        traffic=(Share(A, 100),),
        rejections=(Rejection(B, Reason.CANARY_REJECTED, "twice as slow", NOW),),
    )
    assert step(state, good, NOW) == state
    other = step(state, replace(good, target=C), NOW)
    assert (other.candidate, other.step, other.rejections) == (C, Step.CAPACITY, state.rejections)


def test_the_way_back_to_what_served_before_takes_no_steps_where_its_engines_run() -> None:
    new = State(A2, previous=A, traffic=(Share(A2, 100),))
    back = replace(ALL, target=A, plan=CANARY, trial=Trial.RUNNING)
    assert told(new, back, back, back) == ["Capacity 0: 0", "Traffic 0: 100", "Steady 0: 0"]
    moved = replace(new, previous=B)
    assert told(moved, *[replace(ALL, plan=CANARY)] * 2) == ["Capacity 0: 0", "Canary 0: 10"]


def test_a_promotion_remembers_what_served_before() -> None:
    last = State(A, A2, Step.TRAFFIC, 2, NOW, traffic=(Share(A, 0), Share(A2, 100)))
    after = step(last, replace(ALL, target=A2, plan=CANARY), NOW)
    assert (after.stable, after.previous) == (A2, A)


def test_a_switch_measures_first_then_moves_all_at_once_and_bakes() -> None:
    waits, good = replace(ALL, plan=SWITCH), replace(ALL, plan=SWITCH, judged=PASS)
    assert told(STEADY, waits, waits, waits, good, waits, waits, good) == [
        "Capacity 0: 0",
        "Canary 0: 0",
        "Canary 0: 0",
        "Baking 0: 100",
        "Baking 0: 100",
        "Baking 0: 100",
        "Steady 0: 0",
    ]


def test_what_bakes_goes_back_in_one_pass() -> None:
    baking = State(A, B, Step.BAKING, 0, NOW, (Share(A, 0), Share(B, 100)))
    for seen in (
        replace(ALL, plan=SWITCH, judged=REJECT),
        replace(ALL, plan=replace(SWITCH, abort="b")),
        replace(ALL, target=A, plan=SWITCH),
    ):
        after = step(baking, seen, NOW)
        assert (after.step, after.traffic) == (Step.STEADY, (Share(A, 100),))


def test_requests_leave_a_candidate_whose_engines_are_gone_and_come_back_when_all_are_there() -> None:
    middle = State(A, B, Step.CANARY, 1, NOW, (Share(A, 50), Share(B, 50)))
    up = replace(ALL, plan=CANARY)
    gone = replace(up, ready=frozenset("a"), down=frozenset("b"))
    some = replace(up, ready=frozenset("a"))
    assert told(middle, some, gone, some, up) == [
        "Canary 1: 50",
        "Canary 1: 0",
        "Canary 1: 0",
        "Canary 1: 50",
    ]


def test_a_trial_comes_before_any_traffic_and_its_failure_is_a_rejection() -> None:
    running, passed = replace(ALL, plan=CANARY, trial=Trial.RUNNING), replace(ALL, plan=CANARY)
    assert told(STEADY, running, running, running, passed) == [
        "Capacity 0: 0",
        "Trial 0: 0",
        "Trial 0: 0",
        "Canary 0: 10",
    ]
    trying = State(A, B, Step.TRIAL, 0, NOW, (Share(A, 100), Share(B, 0)))
    after = step(trying, replace(ALL, plan=CANARY, trial=Trial.FAILED, why="case 'greets'"), NOW)
    assert (after.step, after.rejections[0].message) == (Step.STEADY, "case 'greets'")


def test_the_first_of_a_service_has_nothing_to_be_compared_with() -> None:
    for each in (CANARY, SWITCH):
        seen = replace(ALL, plan=each)
        assert told(State(), seen, seen, seen) == ["Starting 0: 0", "Traffic 0: 100", "Steady 0: 0"]


def test_a_new_candidate_in_the_middle_starts_over_from_the_stable_one() -> None:
    middle = State(A, B, Step.TRAFFIC, 2, NOW, (Share(A, 0), Share(B, 100)))
    after = step(middle, replace(ALL, target=C, plan=CANARY), NOW)
    assert (after.stable, after.candidate, after.step, after.index) == (A, C, Step.CAPACITY, 0)
    assert after.traffic == (Share(A, 100), Share(C, 0))


def test_taking_the_advice_to_recreate_turns_a_waiting_surge_around() -> None:
    waiting = State(A, B, Step.CAPACITY, 0, NOW, (Share(A, 100), Share(B, 0)))
    seen = Observation(B, present=frozenset("ab"), plan=Plan(Strategy.RECREATE))
    assert step(waiting, seen, NOW).step is Step.DRAINING


def test_an_abort_while_the_old_one_drains_brings_it_back() -> None:
    draining = State(A, B, Step.DRAINING, 0, NOW, (Share(A, 0), Share(B, 0)))
    seen = Observation(B, present=frozenset(), plan=Plan(Strategy.RECREATE, abort="b"))
    after = step(draining, seen, NOW)
    assert (after.stable, after.candidate, after.step) == (None, A, Step.DRAINING)
    back = replace(seen, ready=frozenset("a"), acknowledged=True)
    assert told(after, back, back, back) == ["Starting 0: 0", "Traffic 0: 100", "Steady 0: 0"]


def test_another_prompt_on_the_same_engines_has_its_capacity_at_once() -> None:
    for strategy in (Strategy.SURGE, Strategy.RECREATE):
        seen = Observation(A2, frozenset("a"), present=frozenset("a"), acknowledged=True, plan=Plan(strategy))
        assert told(STEADY, *[seen] * 3) == ["Capacity 0: 0", "Traffic 0: 100", "Steady 0: 0"]


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        ({}, State()),
        ({A: "stable"}, State(A)),
        ({A: "candidate"}, State(None, A, Step.STARTING)),
        ({A: "stable", B: "candidate"}, State(A, B, Step.CAPACITY)),
        ({A: "stable", A2: "candidate"}, State(A, A2, Step.CAPACITY)),
    ],
    ids=["nothing there", "one that served", "the first, on its way", "a change", "a change of the prompt"],
)
def test_what_deployments_tell_gives_a_lost_state_back(tracks: dict[Variant, str], expected: State) -> None:
    assert recover(tracks) == expected


def test_a_lost_state_forgets_no_rejection() -> None:
    rejected = (Rejection(B, Reason.CANARY_REJECTED, "slow", NOW),)
    assert recover({A: "stable", B: "candidate"}, rejected) == State(A, rejections=rejected)


# What the spec asks for.


def test_a_canary_without_steps_has_three() -> None:
    found = plan(Rollout.model_validate({"strategy": "Canary"}))
    assert [(phase.weight, phase.seconds, phase.gated) for phase in found.phases] == [
        (5, 60, True),
        (20, 60, True),
        (50, 60, True),
    ]


@pytest.mark.parametrize(
    ("replicas", "expected"),
    [(1, [1, 1, 1]), (8, [1, 4, 8]), (3, [1, 2, 3]), (0, [0, 0, 0]), (10, [1, 5, 10])],
)
def test_a_candidate_has_the_engines_of_its_part_and_at_least_one(replicas: int, expected: list[int]) -> None:
    states = [State(A, B, Step.CAPACITY, index) for index in range(3)]
    assert [CANARY.engines(state, "b", replicas) for state in states] == expected
    assert [CANARY.engines(state, "a", replicas) for state in states] == [replicas] * 3
    assert SWITCH.engines(states[0], "b", replicas) == replicas


def test_copies_count_as_requests_for_the_engines_of_a_candidate() -> None:
    shadowed = Plan(Strategy.CANARY, (Phase(0, shadow=50), Phase(60)))
    assert shadowed.engines(State(A, B, Step.CANARY, 0), "b", 4) == 2


def test_without_gates_a_switch_waits_for_nothing_but_a_word() -> None:
    bare = plan(Rollout.model_validate({"strategy": "BlueGreen", "gates": [], "bakeSeconds": 0}))
    assert (bare.phases[0].seconds, bare.bake) == (0, Phase(100, seconds=0))
    asked = plan(Rollout.model_validate({"strategy": "BlueGreen", "approval": "Manual"}))
    assert (asked.phases[0].seconds, asked.phases[0].manual) == (60, True)
    assert asked.bake == Phase(100, seconds=600)
