"""One gate's question put to counts: how far apart candidate and stable are, and within which bounds.

Differences of rates and ratios of values look alike from here on: an estimate, and bounds so many standard
errors away. Several steps are put together so that each is compared within itself, because their shares of
the traffic differ and so may their days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Final, NamedTuple

from pointsman.core.judging import rates, values
from pointsman.core.judging.boundary import together
from pointsman.core.judging.gates import Gate
from pointsman.core.judging.rates import Counts
from pointsman.core.judging.summary import Look, Metric, Summary
from pointsman.core.judging.values import Limited, Reading, Statistic

FEW: Final = 10
"""Values of each variant below which an interval or a step tells nothing."""

_PLAIN: Final = 1.0
"""At how many standard errors a variance is read off limits."""

_LEAST: Final = 1e-8
"""The least variance of a logarithm: values that are all alike are known to a hundredth of a percent."""


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


class Parts(NamedTuple):
    """A ratio's logarithm, and the logarithms of both its parts."""

    ratio: Limited
    candidate: float
    stable: float


def interval(gate: Gate, between: Look, so_far: Look) -> tuple[float, float] | None:
    """The estimate of one interval alone, and the variance it would have if requests were independent."""
    if gate.rate:
        return _rate_interval(gate, between, so_far)
    parts = _ratio(gate, between, _PLAIN, _PLAIN)
    return (parts.ratio.value, variance) if parts and (variance := _variance(parts.ratio)) else None


def stage(gate: Gate, look: Look) -> Stage | None:
    """What a step has shown, when it ends."""
    candidate, stable = look.candidate.values(gate.metric), look.stable.values(gate.metric)
    if gate.rate:
        counts = _counts(gate, look)
        hits = (counts.candidate_hits, counts.stable_hits) if counts else (0, 0)
        return Stage(candidate, stable, *hits) if counts else None
    parts = _ratio(gate, look, _PLAIN, _PLAIN)
    variance = _variance(parts.ratio) if parts else None
    return (
        Stage(candidate, stable, estimate=parts.ratio.value, variance=variance)
        if parts and variance
        else None
    )


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
    pairs = [(each.candidate, each.stable) for each in earlier]
    pairs.append((look.candidate.values(gate.metric), look.stable.values(gate.metric)))
    return sum(together(candidate, stable) for candidate, stable in pairs)


def contrast(gate: Gate, earlier: Sequence[Stage], look: Look, below: float, above: float) -> Contrast | None:
    """The comparison, with bounds so many standard errors below and above. None: nothing to compare yet."""
    if gate.rate:
        return _rates(gate, earlier, look, below, above)
    parts = _ratio(gate, look, below, above)
    return _values(earlier, parts, below, above) if parts else None


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


def _values(earlier: Sequence[Stage], parts: Parts, below: float, above: float) -> Contrast:
    ratio, *own = parts
    others = sum(1 / each.variance for each in earlier)
    if not others or ratio.below + ratio.above == inf:
        return Contrast(ratio.value, ratio.value - ratio.below, ratio.value + ratio.above, *own)
    here = 1 / max(((ratio.below + ratio.above) / (below + above)) ** 2, _LEAST)
    estimate = (ratio.value * here + sum(each.estimate / each.variance for each in earlier)) / (here + others)
    return Contrast(
        estimate,
        estimate - sqrt((ratio.below * here) ** 2 + below**2 * others) / (here + others),
        estimate + sqrt((ratio.above * here) ** 2 + above**2 * others) / (here + others),
        *own,
    )


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


_READINGS: Final[Mapping[Statistic, Reading]] = {
    Statistic.P50: values.p50,
    Statistic.P95: values.p95,
    Statistic.MEAN: values.geometric,
}


def _ratio(gate: Gate, look: Look, below: float, above: float) -> Parts | None:
    """The ratio with limits so many standard errors away, and what it's of."""
    if min(look.candidate.values(gate.metric), look.stable.values(gate.metric)) < FEW:
        return None
    # Its lower limit is the candidate's lower one by the stable one's upper one, and the other way round.
    candidate = _read(gate, look.candidate, (below, above))
    stable = _read(gate, look.stable, (above, below))
    return Parts(values.ratio(candidate, stable), candidate.value, stable.value)


def _read(gate: Gate, summary: Summary, allowed: tuple[float, float]) -> Limited:
    counts = summary.histograms.get(gate.metric, {})
    if gate.metric is Metric.FEEDBACK_SCORE and gate.statistic is Statistic.MEAN:
        return values.arithmetic(counts, allowed)
    return _READINGS[gate.statistic](counts, allowed)


def _variance(ratio: Limited) -> float | None:
    wide = ratio.below + ratio.above
    return max((wide / (2 * _PLAIN)) ** 2, _LEAST) if wide < inf else None
