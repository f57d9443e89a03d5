"""How much larger the candidate's values are, each kind of answer compared with its own.

A stream's first token comes at once, a whole answer's with its last, so of both together the median lies
somewhere between, where there are hardly any values: nearly nothing moves it, and then everything does. So
kinds are strata: each has its own ratio, and the logarithms of these are averaged. That one variant happens
to get more of one kind then changes nothing either.

A kind weighs as much as its comparison is worth in samples, the more the less its values scatter. How much
they scatter is the stable variant's affair, so no weight knows of the difference. Of what one variant has
hardly any of, nothing is compared.

Sources: strata weighed by their precision (Cochran, The combination of estimates from different experiments,
Biometrics 10, 1954); limits of a sum from those of its parts, as in `values` (Zou and Donner, 2008).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Final

from pointsman.core.judging import values
from pointsman.core.judging.boundary import together
from pointsman.core.judging.gates import Gate
from pointsman.core.judging.summary import Kind, Look, Metric, Summary
from pointsman.core.judging.values import Limited, Reading, Statistic

FEW: Final = 10
"""Values of each variant below which a kind, an interval or a step tells nothing."""

PLAIN: Final = 1.0
"""At how many standard errors a variance is read off limits."""

LEAST: Final = 1e-8
"""The least variance of a logarithm: values that are all alike are known to a hundredth of a percent."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio's logarithm, and the logarithms of both its parts: of streams, where they are compared."""

    limited: Limited
    candidate: float
    stable: float
    kinds: tuple[tuple[Kind, float], ...] = ()
    """Where there are several, the logarithm of each one's ratio."""


def comparable(gate: Gate, look: Look) -> tuple[Look, ...]:
    """The look without kinds of which there are too few to compare, then with the largest kind alone: for
    where the others' limits aren't known. Of rates, and where there's one kind, the look as it is."""
    there = [kind for kind in Kind if any(look.pair(gate.metric, kind))]
    if gate.rate or len(there) < 2:
        return (look,)
    enough = _enough(gate, look)
    if not enough:
        return (look,)
    largest = max(enough, key=lambda kind: together(*look.pair(gate.metric, kind)))
    chosen = [enough] if len(enough) == 1 else [enough, [largest]]
    return tuple(look.only(gate.metric, kinds) for kinds in chosen)


def worth(gate: Gate, look: Look) -> float:
    """How many samples the comparison stands on (`boundary.together`)."""
    if gate.rate:
        return together(look.candidate.requests, look.stable.requests)
    return sum(together(*look.pair(gate.metric, kind)) for kind in Kind)


def ratio(gate: Gate, look: Look, below: float, above: float, so_far: Look | None = None) -> Ratio | None:
    """The ratio with limits so many standard errors away; None where there's too little to compare.

    `so_far`: of an interval, the step up to now, by which kinds weigh. Otherwise the ratio would move with
    what each interval happens to have of each.
    """
    kinds = _enough(gate, look)
    if not kinds:
        return None
    each = [_one(gate, look, kind, below, above) for kind in kinds]
    if len(each) == 1:
        return each[0]
    return Ratio(
        _mean([one.limited for one in each], _weights(gate, so_far or look, kinds)),
        each[0].candidate,
        each[0].stable,
        tuple((kind, one.limited.value) for kind, one in zip(kinds, each, strict=True)),
    )


def variance(found: Ratio) -> float | None:
    """Of a ratio that was read at `PLAIN`; None where it isn't known."""
    wide = found.limited.below + found.limited.above
    return max((wide / (2 * PLAIN)) ** 2, LEAST) if wide < inf else None


def _enough(gate: Gate, look: Look) -> list[Kind]:
    return [kind for kind in Kind if min(look.pair(gate.metric, kind)) >= FEW]


def _one(gate: Gate, look: Look, kind: Kind, below: float, above: float) -> Ratio:
    # Its lower limit is the candidate's lower one by the stable one's upper one, and the other way round.
    candidate = _read(gate, look.candidate, kind, (below, above))
    stable = _read(gate, look.stable, kind, (above, below))
    return Ratio(values.ratio(candidate, stable), candidate.value, stable.value)


def _mean(each: Sequence[Limited], weights: Sequence[float]) -> Limited:
    total = sum(weights)
    parts = [(one, weight / total) for one, weight in zip(each, weights, strict=True)]
    return Limited(
        sum(one.value * part for one, part in parts),
        sqrt(sum((one.below * part) ** 2 for one, part in parts)),
        sqrt(sum((one.above * part) ** 2 for one, part in parts)),
    )


def _weights(gate: Gate, look: Look, kinds: Sequence[Kind]) -> list[float]:
    samples = [together(*look.pair(gate.metric, kind)) for kind in kinds]
    scatter = [_scatter(gate, look.stable, kind) for kind in kinds]
    if inf in scatter:
        return samples
    return [number / wide for number, wide in zip(samples, scatter, strict=True)]


def _scatter(gate: Gate, stable: Summary, kind: Kind) -> float:
    """The variance of a single value's worth, as its statistic has it."""
    found = _read(gate, stable, kind, (PLAIN, PLAIN))
    number = sum(stable.counts(gate.metric, kind).values())
    return max(((found.below + found.above) / 2) ** 2, LEAST) * number


_READINGS: Final[Mapping[Statistic, Reading]] = {
    Statistic.P50: values.p50,
    Statistic.P95: values.p95,
    Statistic.MEAN: values.geometric,
}


def _read(gate: Gate, summary: Summary, kind: Kind, allowed: tuple[float, float]) -> Limited:
    counts = summary.counts(gate.metric, kind)
    if gate.metric is Metric.FEEDBACK_SCORE and gate.statistic is Statistic.MEAN:
        return values.arithmetic(counts, allowed)
    return _READINGS[gate.statistic](counts, allowed)
