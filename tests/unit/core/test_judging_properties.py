"""What holds for all counts: zeros, absurd ones, any order of adding them up."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.judging import (
    DEFAULTS,
    NOTHING,
    Evidence,
    Gate,
    Judgement,
    Look,
    Metric,
    Statistic,
    Summary,
    Verdict,
    judge,
    verdict,
)
from pointsman_router.scale import BUCKETS

VALUED = [metric for metric in Metric if not DEFAULTS[metric].rate]
COUNTS = st.one_of(st.integers(0, 5), st.integers(0, 5000), st.integers(0, 10**12))
HISTOGRAMS = st.dictionaries(st.integers(0, BUCKETS - 1), st.integers(1, 10**9), min_size=1, max_size=4)
BY_METRIC = st.dictionaries(st.sampled_from(VALUED), HISTOGRAMS, max_size=2)
SUMMARIES = st.builds(Summary, COUNTS, COUNTS, COUNTS, COUNTS, BY_METRIC, BY_METRIC)
LOOKS = st.builds(Look, st.floats(0, 1e6), SUMMARIES, SUMMARIES)


@st.composite
def gates(draw: st.DrawFn) -> Gate:
    """Any that can be declared."""
    metric = draw(st.sampled_from(list(Metric)))
    statistics = (Statistic.P50, Statistic.P95, Statistic.MEAN)
    statistic = Statistic.RATE if DEFAULTS[metric].rate else draw(st.sampled_from(statistics))
    margin = draw(st.integers(0, 1000))
    return Gate(
        metric,
        statistic,
        margin,
        margin + draw(st.integers(1, 1000)),
        draw(st.sampled_from([1, 10, 100, 5000])),
    )


GATES = st.lists(gates(), min_size=1, max_size=2, unique_by=lambda gate: gate.key)


def numbers(found: Judgement) -> list[float | None]:
    return [
        found.estimate,
        found.lower,
        found.upper,
        found.stable,
        found.candidate,
        found.margin,
        found.limit,
    ]


@given(GATES, st.lists(LOOKS, max_size=2), st.floats(1e-6, 0.5))
def test_whatever_was_counted_is_judged_and_told_in_json(
    asked: list[Gate], looks: list[Look], error: float
) -> None:
    found = judge(asked, looks, error)
    assert [each.metric for each in found] == [gate.metric for gate in asked]
    for each in found:
        assert all(number is None or math.isfinite(number) for number in numbers(each))
        assert len(each.reason) < 300
        assert each.reason.count("\n") == 0
    json.dumps([numbers(each) for each in found], allow_nan=False)
    assert found == judge(asked, looks, error)


@given(GATES, st.lists(LOOKS, min_size=1, max_size=2))
def test_evidence_of_anything_survives_json(asked: list[Gate], looks: list[Look]) -> None:
    evidence, last = Evidence(), NOTHING
    for look in looks:
        evidence, last = evidence.after(asked, last, last.plus(look)), last.plus(look)
        evidence = evidence.with_step_ended(asked, look)
    assert Evidence.of(json.loads(json.dumps(evidence.document(), allow_nan=False))) == evidence
    judge(asked, [looks[-1]], evidence=evidence)


@given(GATES, LOOKS)
def test_bounds_enclose_the_estimate(asked: list[Gate], look: Look) -> None:
    for each in judge(asked, [look]):
        if each.estimate is not None:
            slack = 1e-3 * abs(each.estimate) + 1e-6
            assert each.lower is None or each.lower <= each.estimate + slack
            assert each.upper is None or each.upper >= each.estimate - slack


@given(GATES, LOOKS)
def test_too_few_samples_are_always_inconclusive(asked: list[Gate], look: Look) -> None:
    for gate, found in zip(asked, judge(asked, [look]), strict=True):
        values = min(look.stable.values(gate.metric), look.candidate.values(gate.metric))
        assert found.stable_samples <= look.stable.values(gate.metric)
        if min(values, found.stable_samples, found.candidate_samples) < gate.minimum_samples:
            assert found.verdict is Verdict.INCONCLUSIVE


@given(GATES, LOOKS, st.floats(1e-6, 0.5))
def test_what_is_all_of_one_kind_is_judged_alike_whichever_kind_it_is(
    asked: list[Gate], look: Look, error: float
) -> None:
    both = (look.stable, look.candidate)
    streams = Look(look.seconds, *(replace(each, whole={}) for each in both))
    whole = Look(look.seconds, *(replace(each, histograms={}, whole=each.histograms) for each in both))
    assert judge(asked, [streams], error) == judge(asked, [whole], error)


RANK = {Verdict.PASS: 0, Verdict.INCONCLUSIVE: 1, Verdict.FAIL: 2}


@given(
    st.integers(1, 20_000),
    st.integers(1, 20_000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(1, 500),
    st.integers(0, 20),
)
def test_more_errors_never_make_a_verdict_better(
    stable: int, candidate: int, rate: float, base: float, more: int, margin: int
) -> None:
    gate = Gate(Metric.ERROR_RATE, Statistic.RATE, margin, margin + 10, 1)
    few = min(int(candidate * rate), candidate)
    many = min(few + more, candidate)
    seen = Summary(stable, int(stable * base))
    fewer, worse = (
        judge([gate], [Look(60.0, seen, Summary(candidate, errors))])[0] for errors in (few, many)
    )
    assert RANK[worse.verdict] >= RANK[fewer.verdict]


@given(HISTOGRAMS, HISTOGRAMS, st.integers(1, 60))
def test_slower_never_makes_a_verdict_better(
    stable: dict[int, int], candidate: dict[int, int], slower: int
) -> None:
    for statistic in (Statistic.P50, Statistic.P95, Statistic.MEAN):
        gate = Gate(Metric.TIME_TO_FIRST_TOKEN, statistic, 10, 30, 1)
        within = {bucket: count for bucket, count in candidate.items() if bucket + slower < BUCKETS}
        shifted = {bucket + slower: count for bucket, count in within.items()}
        base, worse = (
            judge([gate], [Look(1.0, values(stable), values(counts))])[0] for counts in (within, shifted)
        )
        assert RANK[worse.verdict] >= RANK[base.verdict]


def values(counts: dict[int, int]) -> Summary:
    return Summary(sum(counts.values()), histograms={Metric.TIME_TO_FIRST_TOKEN: counts} if counts else {})


@given(SUMMARIES, SUMMARIES, SUMMARIES)
def test_summaries_add_up_in_any_order(one: Summary, two: Summary, three: Summary) -> None:
    assert one.plus(two) == two.plus(one)
    assert one.plus(two).plus(three) == one.plus(two.plus(three))
    assert one.plus(Summary()) == one
    assert one.plus(two).minus(two) == one


@given(SUMMARIES, SUMMARIES)
def test_what_came_since_is_never_negative(one: Summary, two: Summary) -> None:
    left = one.minus(two)
    assert min(left.requests, left.errors, left.blocked, left.flagged) >= 0
    both = (*left.histograms.values(), *left.whole.values())
    assert all(count > 0 for counts in both for count in counts.values())
    assert Summary.of(json.loads(json.dumps(left.document()))) == left


@given(GATES, LOOKS, st.integers(2, 5))
def test_routers_may_be_added_up_before_or_after(asked: list[Gate], look: Look, routers: int) -> None:
    merged = look
    for _ in range(routers - 1):
        merged = replace(
            merged, stable=merged.stable.plus(look.stable), candidate=merged.candidate.plus(look.candidate)
        )
    assert merged.candidate.requests == routers * look.candidate.requests
    assert verdict(judge(asked, [merged])) in Verdict
