"""How much larger the candidate's values are: the ratio of two quantiles or means, from counts on the scale.

Times are heavy-tailed, so nothing here assumes a shape. A quantile's limits are the values between which lie
as many samples as chance may shift from one side of it to the other. Everything is in logarithms, where a
ratio is a difference.

Sources: a quantile's limits by inverting the distribution at shifted fractions (Woodruff, Confidence
intervals for medians and other position measures, JASA 47, 1952; for every moment at once: Howard and
Ramdas, Sequential estimation of quantiles, Bernoulli 28(3), 2022); a difference's limits from those of its
parts (Zou and Donner, Construction of confidence limits about effect measures, Statistics in Medicine 27,
2008), which keeps them lopsided where the tail is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import inf, log, sqrt

from pointsman_router.scale import LOG_WIDTH, logarithm, middle


class Statistic(StrEnum):
    """Which number stands for many."""

    RATE = "rate"
    """The part of all requests."""
    P50 = "p50"
    P95 = "p95"
    MEAN = "mean"
    """Of times and lengths the geometric one, whose tail can't outweigh all else; of scores the usual one."""


@dataclass(frozen=True, slots=True)
class Limited:
    """A logarithm and how far off it may be on either side, at the given number of standard errors."""

    value: float
    below: float
    above: float


def fraction(counts: Mapping[int, int], part: float, allowed: float) -> Limited:
    """The value below which `part` of the samples lie."""
    steps, total = _steps(counts)
    shift = allowed * sqrt(part * (1 - part) / total)
    value = _at(steps, part * total)
    return Limited(
        value,
        value - _at(steps, (part - shift) * total) if shift < part else inf,
        _at(steps, (part + shift) * total) - value if shift < 1 - part else inf,
    )


def p50(counts: Mapping[int, int], allowed: float) -> Limited:
    """The median."""
    return fraction(counts, 0.5, allowed)


def p95(counts: Mapping[int, int], allowed: float) -> Limited:
    """What one of twenty is above."""
    return fraction(counts, 0.95, allowed)


def geometric(counts: Mapping[int, int], allowed: float) -> Limited:
    """The mean of logarithms."""
    total = sum(counts.values())
    mean = sum(count * (logarithm(bucket) + LOG_WIDTH / 2) for bucket, count in counts.items()) / total
    square = sum(count * (logarithm(bucket) + LOG_WIDTH / 2 - mean) ** 2 for bucket, count in counts.items())
    return _even(mean, square / total / total, allowed)


def arithmetic(counts: Mapping[int, int], allowed: float) -> Limited:
    """The logarithm of the usual mean."""
    total = sum(counts.values())
    mean = sum(count * middle(bucket) for bucket, count in counts.items()) / total
    square = sum(count * (middle(bucket) - mean) ** 2 for bucket, count in counts.items())
    return _even(log(mean), square / total / total / mean**2, allowed)


def ratio(candidate: Limited, stable: Limited) -> Limited:
    """The logarithm of the one by the other."""
    return Limited(
        candidate.value - stable.value,
        sqrt(candidate.below**2 + stable.above**2),
        sqrt(candidate.above**2 + stable.below**2),
    )


def _even(value: float, variance: float, allowed: float) -> Limited:
    # Values of one bucket still differ by a part of its width.
    off = allowed * sqrt(variance)
    return Limited(value, off, off)


def _steps(counts: Mapping[int, int]) -> tuple[list[tuple[int, int, int]], int]:
    """Each bucket with how many samples lie below and in it."""
    steps: list[tuple[int, int, int]] = []
    below = 0
    for bucket in sorted(counts):
        steps.append((bucket, below, counts[bucket]))
        below += counts[bucket]
    return steps, below


def _at(steps: list[tuple[int, int, int]], rank: float) -> float:
    """The logarithm of the value at a rank, as if a bucket's samples lay evenly in it."""
    low, high = 0, len(steps) - 1
    while low < high:
        between = (low + high + 1) // 2
        if steps[between][1] <= rank:
            low = between
        else:
            high = between - 1
    bucket, below, count = steps[low]
    return logarithm(bucket) + LOG_WIDTH * min((rank - below) / count, 1.0)
