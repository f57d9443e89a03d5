"""What an analysis keeps and adds up: routers as one, memories as texts, and turns told from noise."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.api.rollout import Rollout
from pointsman.api.service_status import AnalysisStatus, Step
from pointsman.core import judging
from pointsman.core.analysis import counts, gates, record, stretch, turning
from pointsman.core.analysis.record import Memory, Record
from pointsman.core.judging import DEFAULTS, Evidence, Gate, Look, Metric, Statistic, Summary, Verdict
from pointsman.core.observed import RouterSignals, parse_signals
from pointsman.core.variant import Variant

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAIR = (Variant("a"), Variant("b"))
ERRORS = (DEFAULTS[Metric.ERROR_RATE],)


def router(window: str, requests: int = 10, errors: int = 0, **more: object) -> RouterSignals:
    """One that counted as many requests of the candidate, and ten times as many of the stable variant."""
    times = {"timeToFirstToken": {"100": requests - errors}}
    told = {"requests": requests, "errors": errors, "setAside": 2, "histograms": times, **more}
    counted = {"a": {"requests": 10 * requests}, "b": told}
    body = {"services": {"chat": {"analysis": {"window": window, "variants": counted}}}}
    return parse_signals({"address": "r", "reachable": True, "body": body})


def test_what_routers_counted_of_one_window_adds_up() -> None:
    found = counts.total([router("b/0", 10, 1), router("b/0", 30, 2)], "chat", "b/0", PAIR, 60.0)
    assert found is not None
    assert (found.look.stable.requests, found.look.candidate.requests) == (400, 40)
    assert (found.look.candidate.errors, found.set_aside) == (3, 4)
    assert found.look.candidate.values(Metric.TIME_TO_FIRST_TOKEN) == 37


@pytest.mark.parametrize(
    "other",
    [router("b/1"), router(""), RouterSignals("gone"), parse_signals({"address": "r", "reachable": True})],
    ids=["another window", "none", "not reachable", "without the service"],
)
def test_one_router_that_counts_something_else_makes_it_no_look(other: RouterSignals) -> None:
    assert counts.total([router("b/0"), other], "chat", "b/0", PAIR, 60.0) is None
    assert counts.total([], "chat", "b/0", PAIR, 60.0) is None


def test_a_declared_bound_is_what_rejects_and_what_has_to_be_ruled_out() -> None:
    declared = [
        {"metric": "errorRate", "maxDifferencePermille": 20, "minSamples": 50},
        {"metric": "timeToFirstToken", "statistic": "P95", "maxRatioPercent": 125},
        {"metric": "feedbackScore", "maxDropPercent": 10},
        {"metric": "outputLength"},
    ]
    spec = Rollout.model_validate({"strategy": "Canary", "gates": declared})
    assert gates.gates(spec) == (
        Gate(Metric.ERROR_RATE, Statistic.RATE, 20, 20, 50),
        Gate(Metric.TIME_TO_FIRST_TOKEN, Statistic.P95, 25, 25),
        replace(DEFAULTS[Metric.FEEDBACK_SCORE], margin=10, limit=10),
        DEFAULTS[Metric.OUTPUT_LENGTH],
    )


def test_without_gates_three_are_asked_and_an_empty_list_asks_none() -> None:
    asked = gates.gates(Rollout.model_validate({"strategy": "Canary"}))
    assert [gate.metric.value for gate in asked] == ["errorRate", "timeToFirstToken", "timePerOutputToken"]
    assert gates.gates(Rollout.model_validate({"strategy": "Canary", "gates": []})) == ()


def look(seconds: float, candidate: int, errors: int = 0) -> Look:
    times = {Metric.TIME_TO_FIRST_TOKEN: {120: candidate - errors}}
    return Look(
        seconds, Summary(10 * candidate, 0), Summary(candidate, errors, histograms=times if candidate else {})
    )


def test_a_memory_comes_back_as_it_was_kept() -> None:
    asked = (*ERRORS, DEFAULTS[Metric.TIME_TO_FIRST_TOKEN])
    first, second = look(60.0, 300, 1), look(120.0, 600, 2)
    evidence = Evidence().after(asked, judging.NOTHING, first).with_step_ended(asked, first)
    for kept in (
        Memory(),
        Memory(evidence, second, first, first, evidence),
        Memory(evidence, second, second, judging.NOTHING),
        Memory(evidence, first, first, first, origin=second),
    ):
        assert record.unpack(record.pack(kept, asked)) == kept


def test_what_no_gate_asks_for_is_not_kept() -> None:
    lengths = {Metric.OUTPUT_LENGTH: {120: 300}}
    seen = replace(look(60.0, 300), candidate=Summary(300, histograms=lengths))
    kept = record.unpack(record.pack(Memory(last=seen), ERRORS))
    assert (kept.last.candidate.requests, kept.last.candidate.histograms) == (300, {})


@given(st.text(max_size=60))
def test_a_memory_that_is_none_is_an_empty_one(text: str) -> None:
    assert record.unpack(text) == Memory()


def test_a_record_is_what_status_says_of_it() -> None:
    known = Record("b/0", Step.CANARY, NOW, NOW, 3, 100, 10, 1, memory=Memory(last=look(60.0, 10)))
    asked = gates.gates(Rollout.model_validate({"strategy": "Canary"}))
    status = AnalysisStatus.model_validate(record.document(known, asked))
    assert record.parse(status) == known
    assert known.candidate == "b"


def test_a_candidate_that_was_good_for_long_and_then_fails_is_told_at_the_next_look() -> None:
    memory, requests, errors = Memory(), 0, 0
    for number in range(1, 13):
        requests += 300
        errors += 150 if number > 10 else 0
        seen = look(60.0 * number, requests, errors)
        memory = turning.sampled(memory, ERRORS, seen)
        (found,) = turning.judge(ERRORS, memory, seen, number, 0.01)
        memory = turning.remembered(memory, seen)
        if number <= 10:
            assert found.verdict is not Verdict.FAIL
        else:
            assert found.verdict is Verdict.FAIL
            assert "50 % against 0 %" in found.reason
            return


def test_few_requests_are_joined_until_they_are_enough_to_tell_a_turn() -> None:
    memory = turning.remembered(Memory(), look(60.0, 60))
    assert memory.base == judging.NOTHING
    later = look(120.0, 120)
    assert turning.remembered(memory, later).base == later


def test_what_a_router_forgets_is_no_interval() -> None:
    """Without a word of it, what comes next less what was lost would be nearly nothing but errors."""
    memory = Memory()
    for number in range(1, 31):
        told = look(10.0 * number, 50 * number)
        assert not stretch.torn(memory, told)
        memory = turning.sampled(memory, ERRORS, stretch.seen(memory, told))
    after = look(310.0, 20, 2)
    assert stretch.torn(memory, after)
    mended = stretch.mended(memory, after)
    assert (mended.mark, mended.base, mended.evidence) == (after, after, memory.evidence)
    later = look(320.0, 70, 2)
    assert not stretch.torn(mended, later)
    assert stretch.seen(mended, later) == later, "all that is still told counts"


def test_a_router_that_was_out_of_sight_brings_back_what_it_counted_once() -> None:
    both, one = look(60.0, 600), look(70.0, 350)
    memory = stretch.mended(turning.remembered(Memory(), both), one)
    back = look(80.0, 750)
    assert not stretch.torn(memory, back)
    assert stretch.seen(memory, back).candidate.requests == 750


@pytest.mark.parametrize(
    "less",
    [
        look(60.0, 299, 1),
        look(60.0, 300, 0),
        replace(look(60.0, 300, 1), stable=Summary(2999)),
        replace(look(60.0, 400, 1), candidate=replace(look(60.0, 400, 1).candidate, histograms={})),
    ],
    ids=["requests", "errors", "of the stable one", "a bucket"],
)
def test_any_count_that_falls_tells_of_a_router_that_began_anew(less: Look) -> None:
    assert stretch.torn(Memory(mark=look(50.0, 300, 1)), less)
    assert not stretch.torn(Memory(mark=look(50.0, 300, 1)), look(60.0, 301, 1))


def test_what_came_while_there_was_nothing_to_compare_with_is_left_out() -> None:
    asked = (*ERRORS, DEFAULTS[Metric.TIME_TO_FIRST_TOKEN])
    evidence = Evidence().with_step_ended(asked, look(60.0, 900))
    memory = stretch.begun(Memory(evidence, mark=look(50.0, 300)), look(60.0, 320))
    later = stretch.begun(memory, look(70.0, 340))
    assert (later.origin, later.mark, later.evidence) == (look(70.0, 340), judging.NOTHING, evidence)
    assert stretch.begun(later, look(80.0, 340)) is later, "nothing came, nothing to write"
    assert stretch.seen(later, look(90.0, 350)) == look(20.0, 10)
    forgotten = stretch.mended(later, look(100.0, 5))
    assert forgotten.origin == look(100.0, 5), "what was left out can't be told from the rest any more"


@pytest.mark.parametrize("asked", [ERRORS, (*ERRORS, DEFAULTS[Metric.TIME_TO_FIRST_TOKEN])])
def test_how_many_told_of_anything_is_kept_whatever_gates_ask_for(asked: tuple[Gate, ...]) -> None:
    kept = record.unpack(record.pack(Memory(mark=look(60.0, 300)), asked))
    assert look(70.0, 310).since(kept.mark).candidate.telling == 10
