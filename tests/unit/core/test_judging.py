"""What a gate says of what was counted: each case a situation somebody will meet, named like a manual."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pointsman.core.judging import (
    DEFAULTS,
    FALSE_REJECTION,
    NOTHING,
    Evidence,
    Gate,
    Look,
    Metric,
    Statistic,
    Summary,
    Verdict,
    WarmUp,
    interval_over,
    judge,
    verdict,
)
from tests.unit.core.judging_counts import answers, lognormal, minutes, scored

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
STABLE = answers(2700, 13)
SAME = answers(300, 2)

CASES: dict[str, tuple[Metric, list[Look], Verdict, str]] = {
    "as many errors as the stable one has: passes once one more of a hundred is ruled out": (
        Metric.ERROR_RATE,
        minutes(STABLE, answers(300, 1), 6),
        PASS,
        "errorRate is 0.333 % against 0.481 %, -0.148 points more",
    ),
    "as many errors, but after one minute: too early to tell": (
        Metric.ERROR_RATE,
        minutes(STABLE, SAME, 1),
        OPEN,
        "neither beyond 0 nor within 1 for certain",
    ),
    "five more of a hundred fail: rejected within two minutes": (
        Metric.ERROR_RATE,
        minutes(STABLE, answers(300, 16), 2),
        FAIL,
        "allowed 0; 600 against 5,400 samples",
    ),
    "one more of a hundred fails: rejected within ten minutes": (
        Metric.ERROR_RATE,
        minutes(STABLE, answers(300, 5), 10),
        FAIL,
        "errorRate is 1.67 % against 0.481 %, 1.19 points more",
    ),
    "every request fails: rejected at the first look": (
        Metric.ERROR_RATE,
        minutes(STABLE, answers(300, 300), 1),
        FAIL,
        "errorRate is 100 % against 0.481 %",
    ),
    "both fail all the time: the candidate isn't worse": (
        Metric.ERROR_RATE,
        minutes(answers(2700, 2700), answers(300, 300), 1),
        PASS,
        "100 % against 100 %",
    ),
    "no errors at all: passes with a few hundred requests": (
        Metric.ERROR_RATE,
        minutes(answers(2700), answers(300), 2),
        PASS,
        "0 % against 0 %",
    ),
    "too few requests: inconclusive, whatever they show": (
        Metric.ERROR_RATE,
        minutes(STABLE, answers(99, 99), 1),
        OPEN,
        "errorRate: 99 against 2,700 samples; at least 100 of each are needed",
    ),
    "too few requests of the stable one: inconclusive too": (
        Metric.ERROR_RATE,
        minutes(answers(50), answers(300, 300), 1),
        OPEN,
        "300 against 50 samples",
    ),
    "first tokens take twice as long: rejected within two minutes": (
        Metric.TIME_TO_FIRST_TOKEN,
        minutes(STABLE, answers(300, 2, first=0.4), 2),
        FAIL,
        "timeToFirstToken p50 is 2 x the stable one's",
    ),
    "first tokens take half as long again: rejected within ten minutes": (
        Metric.TIME_TO_FIRST_TOKEN,
        minutes(STABLE, answers(300, 2, first=0.3), 10),
        FAIL,
        "allowed 1.1",
    ),
    "first tokens take as long: passes": (
        Metric.TIME_TO_FIRST_TOKEN,
        minutes(STABLE, SAME, 5),
        PASS,
        "timeToFirstToken p50 is 1 x the stable one's",
    ),
    "first tokens come in half the time: passes": (
        Metric.TIME_TO_FIRST_TOKEN,
        minutes(STABLE, answers(300, 2, first=0.1), 3),
        PASS,
        "1.3 is ruled out",
    ),
    "first tokens take a fifth longer: between margin and limit, neither way": (
        Metric.TIME_TO_FIRST_TOKEN,
        minutes(STABLE, answers(300, 2, first=0.24), 4),
        OPEN,
        "neither beyond 1.1 nor within 1.3 for certain",
    ),
    "tokens take twice as long: rejected": (
        Metric.TIME_PER_OUTPUT_TOKEN,
        minutes(STABLE, answers(300, 2, each=0.06), 2),
        FAIL,
        "timePerOutputToken p50 is 2 x",
    ),
    "answers of half the length: rejected, since less is worse too": (
        Metric.OUTPUT_LENGTH,
        minutes(STABLE, answers(300, 2, length=0.1), 3),
        FAIL,
        "outputLength mean is 0.5 x",
    ),
    "answers of twice the length: rejected": (
        Metric.OUTPUT_LENGTH,
        minutes(STABLE, answers(300, 2, length=0.4), 3),
        FAIL,
        "outputLength mean is 2 x",
    ),
    "answers as long: passes": (Metric.OUTPUT_LENGTH, minutes(STABLE, SAME, 3), PASS, "1.5 is ruled out"),
    "half of the answers are blocked: rejected": (
        Metric.BLOCKED_RATE,
        minutes(STABLE, replace(SAME, blocked=150), 1),
        FAIL,
        "blockedRate is 50 % against 0 %",
    ),
    "one of ten answers is flagged: rejected": (
        Metric.FLAGGED_RATE,
        minutes(STABLE, replace(SAME, flagged=30), 1),
        FAIL,
        "flaggedRate is 10 % against 0 %",
    ),
    "users like it less: rejected": (
        Metric.FEEDBACK_SCORE,
        minutes(scored(STABLE, 810, 90), scored(SAME, 50, 50), 3),
        FAIL,
        "feedbackScore mean is 0.556 x",
    ),
    "users like it more: passes": (
        Metric.FEEDBACK_SCORE,
        minutes(scored(STABLE, 450, 450), scored(SAME, 90, 10), 3),
        PASS,
        "0.85 is ruled out",
    ),
    "nobody has said anything: inconclusive": (
        Metric.FEEDBACK_SCORE,
        minutes(STABLE, SAME, 5),
        OPEN,
        "0 against 0 samples; at least 50 of each are needed",
    ),
}


@pytest.mark.parametrize(("metric", "looks", "expected", "words"), CASES.values(), ids=CASES.keys())
def test_a_gate_says_of(metric: Metric, looks: list[Look], expected: Verdict, words: str) -> None:
    # Beside two other gates, as in a rollout, so that it has a third or so of the error rate.
    beside = [
        DEFAULTS[other] for other in (Metric.BLOCKED_RATE, Metric.TIME_TO_FIRST_TOKEN) if other != metric
    ]
    found = judge([DEFAULTS[metric], *beside], looks)[0]
    assert (found.verdict, words in found.reason) == (expected, True), found.reason


def test_a_judgement_has_its_numbers_as_people_read_them() -> None:
    gates = [
        DEFAULTS[Metric.TIME_TO_FIRST_TOKEN],
        DEFAULTS[Metric.OUTPUT_LENGTH],
        DEFAULTS[Metric.ERROR_RATE],
    ]
    first, length, errors = judge(gates, minutes(STABLE, answers(300, 12, first=0.4), 3))
    assert first.stable == pytest.approx(0.2, rel=0.01)
    assert first.candidate == pytest.approx(0.4, rel=0.01)
    assert first.estimate == pytest.approx(2, rel=0.01)
    assert (first.margin, first.limit) == (1.1, 1.3)
    assert first.lower is not None
    assert first.upper is not None
    assert 1.1 < first.lower < 2 < first.upper
    assert (first.stable_samples, first.candidate_samples) == (3 * 2687, 3 * 288)
    assert length.stable == pytest.approx(200, rel=0.01), "tokens, not thousands of them"
    assert errors.stable == pytest.approx(13 / 2700, rel=1e-3)
    assert (errors.candidate, errors.margin, errors.limit) == (0.04, 0.0, 0.01)


def test_one_gate_that_fails_rejects_and_all_have_to_pass() -> None:
    gates = list(DEFAULTS.values())[:3]
    passes, fails, open_ = (
        judge(gates, minutes(STABLE, candidate, number))
        for candidate, number in ((answers(300, 1), 8), (answers(300, 1, each=0.06), 8), (SAME, 1))
    )
    assert [verdict(each) for each in (passes, fails, open_)] == [PASS, FAIL, OPEN]
    assert verdict([*fails, *open_]) is FAIL
    assert verdict([*passes, *open_]) is OPEN
    assert verdict([]) is PASS, "no gates, nothing to wait for"


def test_before_the_first_look_everything_is_inconclusive() -> None:
    assert {each.verdict for each in judge(list(DEFAULTS.values()), [])} == {OPEN}


def test_more_gates_make_each_one_stricter() -> None:
    looks = minutes(STABLE, answers(300, 5), 10)
    alone = judge([DEFAULTS[Metric.ERROR_RATE]], looks)[0]
    among = judge(list(DEFAULTS.values()), looks)[0]
    assert alone.lower is not None
    assert among.lower is not None
    assert among.lower < alone.lower
    assert among.upper == alone.upper, "a pass needs no share: all have to"


def test_moods_widen_what_steadiness_would_decide() -> None:
    gate = DEFAULTS[Metric.TIME_TO_FIRST_TOKEN]
    steady = minutes(STABLE, answers(300, 2, first=0.26), 8)
    moody, last = [], NOTHING
    for minute in range(8):
        now = answers(300, 2, first=0.13 if minute % 2 else 0.52)
        last = Look(last.seconds + 60, last.stable.plus(STABLE), last.candidate.plus(now))
        moody.append(last)
    assert judge([gate], steady)[0].verdict is FAIL
    assert judge([gate], moody)[0].verdict is OPEN


def test_a_candidate_that_falls_behind_more_and_more_is_no_mood() -> None:
    """Its queue grows: intervals differ much from each other, and by little from how late it is."""
    gate = Gate(Metric.TIME_TO_FIRST_TOKEN, Statistic.MEAN, margin=50, limit=50, minimum_samples=20)
    evidence, last = Evidence(), NOTHING
    for waited in (15.0, 35.0, 50.0, 60.0):
        look = last.plus(Look(60.0, answers(75, first=0.3), answers(25, first=waited)))
        evidence, last = evidence.after([gate], last, look), look
    assert evidence.excess(gate) > 15
    (judgement,) = judge([gate], [last], FALSE_REJECTION, evidence)
    assert judgement.verdict is FAIL, judgement.reason


def test_what_slows_both_alike_widens_nothing() -> None:
    gate = DEFAULTS[Metric.TIME_TO_FIRST_TOKEN]
    evidence, last = Evidence(), NOTHING
    for minute in range(12):
        slow = 0.2 * (1 + minute % 3)
        look = last.plus(Look(60.0, answers(2700, 13, first=slow), answers(300, 2, first=slow)))
        evidence, last = evidence.after([gate], last, look), look
    assert evidence.excess(gate) < 2


def test_an_interval_is_over_after_ten_seconds_and_25_requests_of_each() -> None:
    before = Look(60.0, answers(900), answers(100))
    for seconds, stable, candidate, over in (
        (70.0, 990, 125, True),
        (69.0, 990, 125, False),
        (70.0, 990, 124, False),
        (70.0, 924, 125, False),
    ):
        look = Look(seconds, Summary(stable), Summary(candidate))
        assert interval_over(before, look) is over
        if not over:
            empty = Evidence()
            assert empty.after(list(DEFAULTS.values()), before, look) is empty


def test_who_leaves_without_a_first_token_ends_an_interval_too() -> None:
    left = Summary(0, histograms={Metric.TIME_TO_FIRST_TOKEN: lognormal(25, 10.0)})
    look = Look(10.0, answers(100), left)
    assert interval_over(NOTHING, look)
    assert not interval_over(look, replace(look, seconds=20.0)), "nobody came since"


def test_earlier_steps_stand_beside_the_one_under_way() -> None:
    gates = [DEFAULTS[Metric.ERROR_RATE], DEFAULTS[Metric.TIME_TO_FIRST_TOKEN]]
    step = minutes(STABLE, answers(300, 5, first=0.26), 5)
    evidence = Evidence()
    for before, look in zip((NOTHING, *step), step, strict=False):
        evidence = evidence.after(gates, before, look)
    alone = judge(gates, [step[-1]], evidence=evidence)
    both = judge(gates, [step[-1]], evidence=evidence.with_step_ended(gates, step[-1]))
    for one, two in zip(alone, both, strict=True):
        assert two.estimate == pytest.approx(one.estimate, rel=0.02)
        assert one.lower is not None
        assert two.lower is not None
        assert two.lower > one.lower, "twice as much is known"


def test_a_bad_day_between_steps_isnt_held_against_a_candidate_whose_share_grew() -> None:
    # A tenth of a good day's traffic, then half of a bad one's: of all requests, the candidate's fail
    # more often; within each step, just as often.
    gate = DEFAULTS[Metric.ERROR_RATE]
    good = Look(600.0, answers(27_000, 27), answers(3000, 3))
    bad = Look(600.0, answers(15_000, 450), answers(15_000, 450))
    steps = judge([gate], [bad], evidence=Evidence().with_step_ended([gate], good))[0]
    mixed = judge([gate], [good.plus(bad)])[0]
    assert (steps.verdict, mixed.verdict) == (PASS, FAIL)
    assert steps.estimate == pytest.approx(0, abs=1e-3)


def test_of_many_steps_the_earliest_become_one_and_nothing_is_lost() -> None:
    gates = [DEFAULTS[Metric.ERROR_RATE], DEFAULTS[Metric.TIME_TO_FIRST_TOKEN]]
    look = Look(60.0, STABLE, answers(300, 4, first=0.21))
    evidence = Evidence()
    for _ in range(40):
        evidence = evidence.with_step_ended(gates, look)
    assert {len(kept) for kept in evidence.stages.values()} == {16}
    assert sum(stage.candidate for stage in evidence.earlier(gates[0])) == 40 * 300
    assert sum(stage.candidate_hits for stage in evidence.earlier(gates[0])) == 40 * 4
    found = judge(gates, [look], evidence=evidence)
    assert found[0].estimate == pytest.approx(4 / 300 - 13 / 2700, rel=0.02)
    assert found[1].estimate == pytest.approx(1.05, rel=0.01)


def test_evidence_survives_a_restart_by_way_of_json() -> None:
    gates = list(DEFAULTS.values())
    evidence, last = Evidence(), NOTHING
    for look in minutes(scored(STABLE, 90, 10), scored(SAME, 40, 10), 9):
        evidence, last = evidence.after(gates, last, look), look
    evidence = evidence.with_step_ended(gates, last)
    text = json.dumps(evidence.document())
    assert Evidence.of(json.loads(text)) == evidence
    assert len(text) < 2000, "small enough for status"
    assert Evidence.of({}) == Evidence()


def test_a_warm_up_is_set_aside_of_both() -> None:
    warm_up = WarmUp(requests=100, seconds=60)
    cold = Look(60.0, answers(900), answers(100, first=2.0))
    assert [warm_up.over(look) for look in (replace(cold, seconds=59.0), cold)] == [False, True]
    assert not warm_up.over(replace(cold, candidate=answers(99)))
    later = cold.plus(Look(60.0, answers(900, 9), answers(100, 1)))
    assert later.since(cold) == Look(60.0, answers(900, 9), answers(100, 1))


def test_a_router_that_began_anew_takes_nothing_away() -> None:
    assert Summary(5, 1, histograms={Metric.OUTPUT_LENGTH: {3: 1}}).minus(
        Summary(9, 0, 2, histograms={Metric.OUTPUT_LENGTH: {3: 2, 4: 7}})
    ) == Summary(0, 1)


DOCUMENTS: dict[str, tuple[object, Summary]] = {
    "what a router reports": (
        {"requests": 9, "errors": 1, "blocked": 2, "flagged": 3, "histograms": {"outputLength": {"7": 8}}},
        Summary(9, 1, 2, 3, {Metric.OUTPUT_LENGTH: {7: 8}}),
    ),
    "nothing": ({}, Summary()),
    "more than is known": ({"requests": 1, "moons": 2, "histograms": {"moons": {"1": 1}}}, Summary(1)),
    "a histogram of a rate": ({"histograms": {"errorRate": {"1": 1}}}, Summary()),
    "what can't be": (
        {"requests": -1, "errors": "x", "blocked": True, "histograms": {"outputLength": {"-1": 1, "384": 1}}},
        Summary(),
    ),
    "no histograms where they should be": ({"histograms": [1]}, Summary()),
}


@pytest.mark.parametrize(("document", "summary"), DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_summary_is_read_from(document: dict[str, object], summary: Summary) -> None:
    assert Summary.of(document) == summary
    assert Summary.of(summary.document()) == summary


def test_every_metric_has_a_default_whose_limit_is_beyond_its_margin() -> None:
    assert set(DEFAULTS) == set(Metric)
    assert all(gate.limit > gate.margin >= 0 for gate in DEFAULTS.values())
    assert 0 < FALSE_REJECTION <= 0.01


def test_a_tail_is_judged_by_its_quantile() -> None:
    gate = Gate(Metric.TIME_TO_FIRST_TOKEN, Statistic.P95, margin=20, limit=50)
    assert judge([gate], minutes(STABLE, answers(300, first=0.5), 10))[0].verdict is FAIL
    early = judge([gate], minutes(STABLE, answers(120, first=0.5), 1))[0]
    assert early.verdict is OPEN
    assert early.upper is None, "of 120 samples six are beyond: how far isn't known"
    assert "?" in early.reason
