"""One gate's question put to counts: how far apart candidate and stable are, and within which bounds.

Differences of rates and ratios of values look alike from here on: an estimate, and bounds so many standard
errors away. Several steps are put together so that each is compared within itself, because their shares of
the traffic differ and so may their days.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

from pointsman.core.judging import rates, ratios
from pointsman.core.judging.boundary import together
from pointsman.core.judging.gates import Gate
from pointsman.core.judging.rates import Counts
from pointsman.core.judging.ratios import LEAST, PLAIN, Ratio
from pointsman.core.judging.summary import Kind, Look


@dataclass(frozen=True, slots=True)
class Stage:
    """What a step that ended has shown: of a rate its counts, of values the ratio's logarithm and
    variance."""

    candidate: int
    stable: int
    candidate_hits: int = 0
    stable_hits: int = 0
    estimate: float = 0.0
    variance: float = 0.0

    @property
    def counts(self) -> Counts:
        return Counts(self.candidate_hits, self.candidate, self.stable_hits, self.stable)

    def numbers(self) -> tuple[float, ...]:
        return (
            self.candidate,
            self.stable,
            self.candidate_hits,
            self.stable_hits,
            self.estimate,
            self.variance,
        )

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Stage:
        return cls(*(int(number) for number in numbers[:4]), *(float(number) for number in numbers[4:6]))


@dataclass(frozen=True, slots=True)
class Contrast:
    """All steps together."""

    estimate: float
    lower: float
    upper: float
    candidate: float
    """The candidate's own value in the step under way, as its metric has it; of values the logarithm."""
    stable: float
    kinds: tuple[tuple[Kind, float], ...] = ()
    """Where several kinds of answers are compared, the logarithm of each one's ratio in that step."""


def interval(gate: Gate, between: Look, so_far: Look) -> tuple[float, float] | None:
    """The estimate of one interval alone, and the variance it would have if requests were independent."""
    if gate.rate:
        return _rate_interval(gate, between, so_far)
    found = _plain(gate, between, so_far)
    return (found.estimate, found.variance) if found else None


def stage(gate: Gate, look: Look) -> Stage | None:
    """What a step has shown, when it ends."""
    if not gate.rate:
        return _plain(gate, look, look)
    counts = _counts(gate, look)
    if counts is None:
        return None
    return Stage(counts.candidate, counts.stable, counts.candidate_hits, counts.stable_hits)


def joined(first: Stage, second: Stage) -> Stage:
    """Two steps as one."""
    precision = sum(1 / each.variance for each in (first, second) if each.variance)
    weighted = sum(each.estimate / each.variance for each in (first, second) if each.variance)
    return Stage(
        first.candidate + second.candidate,
        first.stable + second.stable,
        first.candidate_hits + second.candidate_hits,
        first.stable_hits + second.stable_hits,
        weighted / precision if precision else 0.0,
        1 / precision if precision else 0.0,
    )


def worth(gate: Gate, earlier: Sequence[Stage], look: Look) -> float:
    """How many samples the comparison stands on (`boundary.together`), all steps together."""
    return sum(together(each.candidate, each.stable) for each in earlier) + ratios.worth(gate, look)


def contrast(gate: Gate, earlier: Sequence[Stage], look: Look, below: float, above: float) -> Contrast | None:
    """The comparison, with bounds so many standard errors below and above. None: nothing to compare yet."""
    if gate.rate:
        return _rates(gate, earlier, look, below, above)
    found = ratios.ratio(gate, look, below, above)
    return _values(earlier, found, below, above) if found else None


def _rates(gate: Gate, earlier: Sequence[Stage], look: Look, below: float, above: float) -> Contrast | None:
    now = _counts(gate, look)
    if now is None:
        return None
    strata = [*(each.counts for each in earlier), now]
    estimate = rates.pooled(strata)
    return Contrast(
        estimate,
        rates.bound(strata, estimate, below, -1),
        rates.bound(strata, estimate, above, 1),
        now.candidate_hits / now.candidate,
        now.stable_hits / now.stable,
    )


def _values(earlier: Sequence[Stage], found: Ratio, below: float, above: float) -> Contrast:
    ratio, own = found.limited, (found.candidate, found.stable, found.kinds)
    others = sum(1 / each.variance for each in earlier)
    if not others or ratio.below + ratio.above == inf:
        return Contrast(ratio.value, ratio.value - ratio.below, ratio.value + ratio.above, *own)
    here = 1 / max(((ratio.below + ratio.above) / (below + above)) ** 2, LEAST)
    estimate = (ratio.value * here + sum(each.estimate / each.variance for each in earlier)) / (here + others)
    return Contrast(
        estimate,
        estimate - sqrt((ratio.below * here) ** 2 + below**2 * others) / (here + others),
        estimate + sqrt((ratio.above * here) ** 2 + above**2 * others) / (here + others),
        *own,
    )


def _plain(gate: Gate, look: Look, so_far: Look) -> Stage | None:
    """A ratio and its variance, if requests were independent; of as many kinds as tell it."""
    for each in ratios.comparable(gate, look):
        found = ratios.ratio(gate, each, PLAIN, PLAIN, so_far)
        variance = ratios.variance(found) if found else None
        if found and variance:
            numbers = (each.candidate.values(gate.metric), each.stable.values(gate.metric))
            return Stage(*numbers, estimate=found.limited.value, variance=variance)
    return None


def _rate_interval(gate: Gate, between: Look, so_far: Look) -> tuple[float, float] | None:
    counts, all_of_it = _counts(gate, between), _counts(gate, so_far)
    if counts is None or all_of_it is None:
        return None
    # By rates of all intervals: an interval without errors isn't a certain one.
    candidate, stable = all_of_it.variances()
    scaled = candidate * all_of_it.candidate / counts.candidate + stable * all_of_it.stable / counts.stable
    return counts.difference, scaled


def _counts(gate: Gate, look: Look) -> Counts | None:
    if not look.candidate.requests or not look.stable.requests:
        return None
    return Counts(
        look.candidate.hits(gate.metric),
        look.candidate.requests,
        look.stable.hits(gate.metric),
        look.stable.requests,
    )
