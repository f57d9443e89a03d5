"""Streams and whole answers beside each other: each kind is compared with its own, then put together."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from pointsman.core.analysis import counts, record
from pointsman.core.analysis.record import Memory
from pointsman.core.judging import (
    DEFAULTS,
    NOTHING,
    Evidence,
    Gate,
    Judgement,
    Kind,
    Look,
    Metric,
    Statistic,
    Summary,
    Verdict,
    judge,
    ratios,
)
from pointsman.core.judging.contrast import interval
from pointsman.core.observed import parse_signals
from pointsman.core.variant import Variant
from pointsman_router import scale
from pointsman_router.config import Analysis
from pointsman_router.records.windows import Warmth, Window
from tests.unit.core.judging_counts import lognormal, minutes

PASS, FAIL, OPEN = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
FIRST, EACH = Metric.TIME_TO_FIRST_TOKEN, Metric.TIME_PER_OUTPUT_TOKEN
GATE = DEFAULTS[FIRST]


def mixed(streams: int, whole: int, first: float = 0.06, all_of_it: float = 6.0) -> Summary:
    """An engine's answers: of streams how long the first token takes, of the others the whole answer."""
    return Summary(
        streams + whole,
        histograms={FIRST: lognormal(streams, first)} if streams else {},
        whole={FIRST: lognormal(whole, all_of_it, 0.9)} if whole else {},
    )


def untold(summary: Summary) -> Summary:
    """As a router tells it that counts both kinds as one."""
    return Summary.of({**summary.document(), "whole": {}})


def judged(stable: Summary, candidate: Summary, number: int = 8, gate: Gate = GATE) -> Judgement:
    return judge([gate], minutes(stable, candidate, number))[0]


STABLE = mixed(1350, 1350)

CASES: dict[str, tuple[Summary, Summary, Verdict, Verdict]] = {
    "both kinds take as long: passes, and couldn't while they were one": (
        STABLE, mixed(150, 150), PASS, OPEN,
    ),
    "both kinds take twice as long: rejected": (STABLE, mixed(150, 150, 0.12, 12.0), FAIL, OPEN),
    "both kinds take a fifth longer: neither way": (STABLE, mixed(150, 150, 0.072, 7.2), OPEN, OPEN),
    "streams take twice as long, whole answers don't: rejected": (
        STABLE, mixed(150, 150, 0.12), FAIL, OPEN,
    ),
    "whole answers take twice as long, streams don't: seen, but they scatter more and weigh less": (
        STABLE, mixed(150, 150, all_of_it=12.0), OPEN, OPEN,
    ),
    "as fast, with more whole answers among them: passes, and would have been rejected": (
        mixed(2400, 300), mixed(100, 200), PASS, FAIL,
    ),
    "twice as slow, with fewer whole answers among them: rejected, and would have passed": (
        mixed(1000, 1700), mixed(250, 50, 0.12, 12.0), FAIL, PASS,
    ),
    "nothing that both have: inconclusive": (mixed(2700, 0), mixed(0, 300), OPEN, FAIL),
}  # fmt: skip


@pytest.mark.parametrize(("stable", "candidate", "apart", "as_one"), CASES.values(), ids=CASES.keys())
def test_a_gate_on_times_says_of(
    stable: Summary, candidate: Summary, apart: Verdict, as_one: Verdict
) -> None:
    found = judged(stable, candidate)
    assert found.verdict is apart, found.reason
    assert judged(untold(stable), untold(candidate)).verdict is as_one


def test_what_was_found_is_told_of_each_kind_and_the_values_are_those_of_streams() -> None:
    found = judged(STABLE, mixed(150, 150, first=0.12))
    assert "(streams 2 x, whole answers 0.999 x), allowed 1.1; 2,400 against 21,600 samples" in found.reason
    assert found.stable == pytest.approx(0.06, rel=0.01)
    assert found.candidate == pytest.approx(0.12, rel=0.01)
    assert found.estimate is not None
    assert 1.1 < found.estimate < 2
    alone = judged(mixed(0, 2700), mixed(0, 300, all_of_it=12.0))
    assert "streams" not in alone.reason
    assert alone.stable == pytest.approx(6.0, rel=0.02)


@pytest.mark.parametrize("statistic", [Statistic.P50, Statistic.P95, Statistic.MEAN])
def test_no_weight_knows_of_the_difference(statistic: Statistic) -> None:
    # However much slower one kind is, the estimate follows it by the same part of it.
    gate = replace(GATE, statistic=statistic)
    found = []
    for slower in (1.0, 2.0, 4.0, 8.0):
        each = ratios.ratio(gate, Look(60.0, STABLE, mixed(600, 600, 0.06 * slower)), 1.0, 1.0)
        assert each is not None
        found.append(each.limited.value)
    steps = [after - before for before, after in pairwise(found)]
    assert steps == pytest.approx([steps[0]] * 3, rel=0.05)
    assert 0.5 * math.log(2) < steps[0] < math.log(2), "streams scatter less, so they weigh more"


def test_of_what_there_is_hardly_any_nothing_is_compared() -> None:
    alone = judged(mixed(1350, 0), mixed(150, 0), 1)
    for whole in (1, 9):
        found = judged(mixed(1350, 10 * whole), mixed(150, whole, all_of_it=600.0), 1)
        assert replace(found, reason="") == replace(alone, reason="")


def test_a_small_kind_whose_limits_arent_known_holds_nothing_up() -> None:
    # Twelve values have no limits at so many standard errors; of the many others there are.
    gate = replace(GATE, minimum_samples=1)
    small = ratios.ratio(gate, Look(60.0, mixed(0, 120), mixed(0, 12)), 4.0, 4.0)
    assert small is not None
    assert small.limited.below == math.inf
    found = judge([gate], [Look(600.0, mixed(13_500, 120), mixed(1500, 12, 0.12))])[0]
    assert (found.verdict, found.candidate_samples) == (FAIL, 1500)


def test_steps_and_intervals_put_kinds_together_too() -> None:
    step = minutes(STABLE, mixed(150, 150, 0.075, 7.5), 5)
    evidence = Evidence()
    for before, look in zip((NOTHING, *step), step, strict=False):
        evidence = evidence.after([GATE], before, look)
    ended = evidence.with_step_ended([GATE], step[-1])
    (stage,) = ended.earlier(GATE)
    assert stage.estimate == pytest.approx(math.log(1.25), rel=0.02)
    assert Evidence.of(json.loads(json.dumps(ended.document()))) == ended
    alone, both = (judge([GATE], [step[-1]], evidence=each)[0] for each in (evidence, ended))
    assert both.estimate == pytest.approx(1.25, rel=0.02)
    assert None not in (alone.lower, both.lower)
    assert (both.lower or 0) > (alone.lower or 0)


def test_an_interval_varies_by_as_much_as_it_says() -> None:
    chance, off = random.Random(3), []

    def some(number: int) -> Summary:
        kinds: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        for _ in range(number):
            whole = chance.random() < 0.3
            value = chance.lognormvariate(2.0, 0.9) if whole else chance.lognormvariate(-3.0, 0.6)
            kinds[whole][scale.index(value)] += 1
        return Summary(number, histograms={FIRST: kinds[0]}, whole={FIRST: kinds[1]})

    for _ in range(300):
        look = Look(10.0, some(400), some(150))
        seen = interval(GATE, look, look)
        assert seen is not None
        off.append(seen[0] ** 2 / seen[1])
    assert sum(off) / len(off) == pytest.approx(1, abs=0.25)


# What routers tell.


TEN_TOKENS = (b'{"completion_tokens": 10}',)


def routed() -> Summary:
    """What a router counts of two streams and three whole answers, as an operator reads it."""
    window = Window(Analysis("b/0"), Warmth("b", []), 0.0)
    for _ in range(2):
        window.of("b").answered(TEN_TOKENS, 0, 0.1, 1.0, True, False)
    for _ in range(3):
        window.of("b").answered(TEN_TOKENS, 0, 0.0, 2.0, False, False)
    return read(window.document())


def read(told: dict[str, object]) -> Summary:
    body = {"services": {"chat": {"analysis": json.loads(json.dumps(told))}}}
    signals = parse_signals({"address": "r", "reachable": True, "body": body})
    found = counts.total([signals], "chat", "b/0", (Variant("a"), Variant("b")), 60.0)
    assert found is not None
    return found.look.candidate


def test_what_a_router_counts_apart_is_read_apart() -> None:
    found = routed()
    assert found.counts(FIRST, Kind.STREAMED) == {scale.index(0.1): 2}
    assert found.counts(FIRST, Kind.WHOLE) == {scale.index(2.0): 3}
    assert found.counts(EACH, Kind.WHOLE) == {scale.index(0.2): 3}
    assert (found.values(FIRST), found.values(Metric.OUTPUT_LENGTH)) == (5, 5)
    assert found.counts(Metric.OUTPUT_LENGTH, Kind.WHOLE) == {}


def test_an_operator_of_before_reads_all_of_it_as_one() -> None:
    everything = routed().document()["histograms"]["timeToFirstToken"]
    assert everything == {str(scale.index(0.1)): 2, str(scale.index(2.0)): 3}


def test_of_a_router_of_before_all_is_one_kind() -> None:
    document = {name: part for name, part in routed().document().items() if name != "whole"}
    old = read({"window": "b/0", "variants": {"b": document}})
    assert (old.whole, old.values(FIRST)) == ({}, 5)
    both = old.plus(routed())
    assert (sum(both.counts(FIRST, Kind.STREAMED).values()), both.values(FIRST)) == (7, 10)


@pytest.mark.parametrize(
    "whole", [None, [1], {"timeToFirstToken": 3}, {"timeToFirstToken": {"100": 9, "-1": 2}}], ids=str
)
def test_whole_answers_are_never_more_than_there_are(whole: object) -> None:
    told = {"histograms": {"timeToFirstToken": {"100": 5, "101": 1}}, "whole": whole}
    found = Summary.of(told)
    assert found.values(FIRST) == 6
    assert Summary.of(found.document()) == found


def test_a_memory_keeps_kinds_apart_and_stays_small() -> None:
    gates = (GATE, DEFAULTS[EACH])
    wide = mixed(50_000, 50_000)
    wide = replace(wide, histograms={**wide.histograms, EACH: lognormal(50_000, 0.03)}, whole={
        **wide.whole, EACH: lognormal(50_000, 0.033)})  # fmt: skip
    last, mark, base = (Look(60.0 * at, wide, replace(wide, requests=at)) for at in (1, 2, 3))
    kept = Memory(Evidence(), last, mark, base)
    text = record.pack(kept, gates)
    assert record.unpack(text) == kept
    assert len(text) < record.MEMORY_LIMIT / 2
