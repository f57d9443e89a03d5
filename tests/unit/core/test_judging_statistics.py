"""The arithmetic under the verdicts, against brute force, sorted samples, and its own promises."""

from __future__ import annotations

import math
import random
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.judging import (
    DEFAULTS,
    NOTHING,
    Evidence,
    Look,
    Metric,
    Summary,
    Verdict,
    judge,
    rates,
    values,
)
from pointsman.core.judging.boundary import Tuning, at_once, boundary, student, together
from pointsman.core.judging.rates import Counts
from pointsman.core.judging.spread import Belief, Pool, Spread
from pointsman_router import scale
from tests.unit.core.judging_counts import lognormal

PLAIN = (1.0, 1.0)


def walks(error: float, steps: list[int], runs: int) -> float:
    """How many sums of pure noise cross the boundary at one of the looks."""
    chance, crossed = random.Random(7), 0
    for _ in range(runs):
        total = at = 0.0
        for size in steps:
            total, at = total + chance.gauss(0, math.sqrt(size)), at + size
            if total > boundary(at, error, Tuning(300, early=6)) * math.sqrt(at):
                crossed += 1
                break
    return crossed / runs


@pytest.mark.parametrize("step", [1, 30, 300], ids="a look every {} samples".format)
def test_the_boundary_is_crossed_no_more_often_than_declared_at_all_looks_together(step: int) -> None:
    # 2,000 runs of up to 300 looks: the bound, and three standard errors of the simulation itself.
    assert walks(0.05, [step] * 300, 2000) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


def test_a_plain_interval_would_be_crossed_far_too_often() -> None:
    chance, crossed = random.Random(7), 0
    for _ in range(500):
        total = 0.0
        crossed += any((total := total + chance.gauss(0, 1)) > 1.645 * math.sqrt(n) for n in range(1, 301))
    assert crossed / 500 > 0.25


def test_a_single_look_needs_less_than_every_moment() -> None:
    for error in (0.05, 1e-3, 1e-9, 1e-30):
        assert NormalDist().cdf(-at_once(error)) == pytest.approx(error, rel=1e-6)
        assert at_once(error) < min(boundary(samples, error, Tuning(300)) for samples in (100, 1000, 10_000))


def test_the_boundary_is_narrowest_where_it_is_tuned_for() -> None:
    for tuning in (Tuning(300), Tuning(1000), Tuning(1000, early=20)):
        samples = tuning.samples
        least = boundary(samples, 0.005, tuning)
        for part in range(1, 500):
            assert boundary(samples * part / 20, 0.005, tuning) >= least * 0.99
        assert boundary(samples * 0.3, 0.005, tuning) < least * 1.1
        assert boundary(samples * 6, 0.005, tuning) < least * 1.1
        assert boundary(0, 0.005, tuning) == math.inf


def test_an_early_boundary_allows_less_of_few_samples_and_hardly_more_of_many() -> None:
    late, both = Tuning(300), Tuning(300, early=6)
    assert boundary(3, 0.005, both) < boundary(3, 0.005, late) / 2
    assert boundary(300, 0.005, late) < boundary(300, 0.005, both) < 1.02 * boundary(300, 0.005, late)


def test_an_estimated_error_needs_more_than_a_known_one() -> None:
    assert student(4.0, 1e9) == pytest.approx(4.0, rel=1e-3)
    assert student(4.0, 5) > student(4.0, 20) > student(4.0, 100) > 4.0
    assert math.isfinite(student(1e6, 4))


def test_a_comparison_is_worth_less_than_its_smaller_side() -> None:
    assert together(100, 900) == 90
    assert together(100, 0) == 0


@given(st.integers(1, 400), st.integers(1, 400), st.floats(0, 1), st.floats(0, 1), st.floats(-0.9, 0.9))
def test_the_restricted_rate_is_the_likeliest(
    candidate: int, stable: int, first: float, second: float, difference: float
) -> None:
    counts = Counts(int(candidate * first), candidate, int(stable * second), stable)

    def likelihood(base: float) -> float:
        return sum(
            hits * math.log(max(rate, 1e-300)) + (total - hits) * math.log(max(1 - rate, 1e-300))
            for hits, total, rate in (
                (counts.candidate_hits, candidate, base + difference),
                (counts.stable_hits, stable, base),
            )
        )

    low, high = max(0.0, -difference), min(1.0, 1 - difference)
    best = max(likelihood(low + (high - low) * step / 1000) for step in range(1001))
    assert likelihood(rates.restricted(counts, difference)) >= best - 1e-6 * abs(best) - 1e-5


def test_bounds_of_rates_are_where_the_likelihood_says() -> None:
    counts = Counts(12, 300, 13, 2700)
    for side in (-1, 1):
        bound = rates.bound([counts], counts.difference, 2.5, side)
        assert math.sqrt(rates.deviance(counts, bound)) == pytest.approx(2.5, rel=1e-3)
    # Doubled, the same rates are known better by the square root of two.
    twice = rates.bound([counts, counts], counts.difference, 2.5, -1)
    assert rates.deviance(counts, twice) == pytest.approx(2.5**2 / 2, rel=1e-3)


def test_a_rate_without_hits_is_bounded_by_how_many_were_asked() -> None:
    none = Counts(0, 300, 0, 2700)
    assert rates.bound([none], 0.0, 3.0, 1) == pytest.approx(1 - math.exp(-4.5 / 300), rel=1e-3)
    assert rates.bound([Counts(5, 5, 5, 5)], 0.0, 3.0, 1) <= 1.0


@pytest.mark.parametrize("part", [0.5, 0.95])
def test_quantiles_are_those_of_the_samples(part: float) -> None:
    chance = random.Random(3)
    samples = sorted(chance.lognormvariate(-2, 0.7) for _ in range(20_000))
    counts: dict[int, int] = {}
    for sample in samples:
        counts[scale.index(sample)] = counts.get(scale.index(sample), 0) + 1
    found = values.fraction(counts, part, PLAIN)
    assert math.exp(found.value) == pytest.approx(samples[int(part * 20_000)], rel=0.005)
    density = math.exp(-(NormalDist().inv_cdf(part) ** 2) / 2) / math.sqrt(2 * math.pi) / 0.7
    expected = math.sqrt(part * (1 - part) / 20_000) / density
    assert found.below == pytest.approx(expected, rel=0.25)
    assert found.above == pytest.approx(expected, rel=0.25)


def test_means_are_those_of_the_samples() -> None:
    counts = lognormal(5000, 0.2)
    found = values.geometric(counts, PLAIN)
    assert math.exp(found.value) == pytest.approx(0.2, rel=0.002)
    assert found.below == pytest.approx(0.6 / math.sqrt(5000), rel=0.02)
    halves = values.arithmetic({0: 500, scale.index(1.0): 500}, PLAIN)
    assert math.exp(halves.value) == pytest.approx(0.5, rel=0.03)
    assert halves.above == pytest.approx(1 / math.sqrt(1000), rel=0.03)


def test_limits_that_would_lie_beyond_all_samples_are_none() -> None:
    assert values.p95({100: 50}, (4.0, 4.0)).above == math.inf
    assert values.p50({100: 4}, (4.0, 4.0)).below == math.inf


def test_spread_is_what_chance_doesnt_explain() -> None:
    chance, belief = random.Random(5), Belief(1.0, 1.0, 4.0, 3.0)
    for excess in (1.0, 9.0):
        spread = Spread()
        for _ in range(600):
            spread = spread.and_one(chance.gauss(0.3, 0.1 * math.sqrt(excess)), 0.01)
        assert spread.excess(belief) == pytest.approx(excess, rel=0.25)
        assert spread.groups.number == 100


def test_groups_see_what_neighbours_share() -> None:
    chance, spread, mood = random.Random(5), Spread(), 0.0
    for _ in range(1200):
        mood = 0.9 * mood + chance.gauss(0, 1)
        spread = spread.and_one(mood, 1.0)
    assert spread.groups.excess(1.0, 1.0) > 2.5 * spread.intervals.excess(1.0, 1.0)


def test_pools_are_weighted_means() -> None:
    pool = Pool().and_one(1.0, 1.0).and_one(4.0, 2.0)
    assert (pool.number, pool.precision, pool.mean) == (2, 3.0, 3.0)
    assert pool.q == pytest.approx(1 * (1 - 3) ** 2 + 2 * (4 - 3) ** 2)


def test_good_candidates_are_seldom_rejected_at_any_of_many_looks() -> None:
    # Two of a hundred fail on both sides, twenty looks, 200 times: at most one of a hundred is rejected, and
    # what chance adds in so few.
    gate, rejected, chance = DEFAULTS[Metric.ERROR_RATE], 0, random.Random(11)
    for _ in range(200):
        evidence, last = Evidence(), NOTHING
        for _ in range(20):
            stable, candidate = (sum(chance.random() < 0.02 for _ in range(100)) for _ in range(2))
            look = last.plus(Look(60.0, Summary(100, stable), Summary(100, candidate)))
            evidence, last = evidence.after([gate], last, look), look
            if judge([gate], [look], 0.01, evidence)[0].verdict is Verdict.FAIL:
                rejected += 1
                break
    assert rejected <= 2 + 3 * math.sqrt(2)
