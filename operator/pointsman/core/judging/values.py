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

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
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


Reading = Callable[[Mapping[int, int], tuple[float, float]], Limited]
"""A statistic of counts, its lower limit so many standard errors below and its upper one so many above."""


def fraction(counts: Mapping[int, int], part: float, allowed: tuple[float, float]) -> Limited:
    """The value below which `part` of the samples lie."""
    ranks = _ranked(counts)
    below, above = (each * sqrt(part * (1 - part) / ranks.total) for each in allowed)
    value = ranks.at(part * ranks.total)
    return Limited(
        value,
        value - ranks.at((part - below) * ranks.total) if below < part else inf,
        ranks.at((part + above) * ranks.total) - value if above < 1 - part else inf,
    )


def p50(counts: Mapping[int, int], allowed: tuple[float, float]) -> Limited:
    """The median."""
    return fraction(counts, 0.5, allowed)


def p95(counts: Mapping[int, int], allowed: tuple[float, float]) -> Limited:
    """What one of twenty is above."""
    return fraction(counts, 0.95, allowed)


def geometric(counts: Mapping[int, int], allowed: tuple[float, float]) -> Limited:
    """The mean of logarithms."""
    total = sum(counts.values())
    mean = sum(count * bucket for bucket, count in counts.items()) / total
    square = sum(count * (bucket - mean) ** 2 for bucket, count in counts.items())
    # Values of one bucket differ too, evenly over its width.
    return _even(logarithm(mean + 0.5), LOG_WIDTH**2 * (square / total + 1 / 12) / total, allowed)


def arithmetic(counts: Mapping[int, int], allowed: tuple[float, float]) -> Limited:
    """The logarithm of the usual mean."""
    total = sum(counts.values())
    mean = sum(count * middle(bucket) for bucket, count in counts.items()) / total
    square = sum(count * (middle(bucket) - mean) ** 2 for bucket, count in counts.items())
    return _even(log(mean), (square / mean**2 / total + LOG_WIDTH**2 / 12) / total, allowed)


def ratio(candidate: Limited, stable: Limited) -> Limited:
    """The logarithm of the one by the other; limits of the one that are far meet those of the other."""
    return Limited(
        candidate.value - stable.value,
        sqrt(candidate.below**2 + stable.above**2),
        sqrt(candidate.above**2 + stable.below**2),
    )


def _even(value: float, variance: float, allowed: tuple[float, float]) -> Limited:
    off = sqrt(variance)
    return Limited(value, allowed[0] * off, allowed[1] * off)


@dataclass(frozen=True, slots=True)
class _Ranks:
    """Counts in the order of their buckets, with how many samples lie below each."""

    buckets: list[int]
    below: list[int]

    @property
    def total(self) -> int:
        return self.below[-1]

    def at(self, rank: float) -> float:
        """The logarithm of the value at a rank, as if a bucket's samples lay evenly in it."""
        place = min(max(bisect_right(self.below, rank) - 1, 0), len(self.buckets) - 1)
        below, above = self.below[place : place + 2]
        return logarithm(self.buckets[place] + min((rank - below) / (above - below), 1.0))


def _ranked(counts: Mapping[int, int]) -> _Ranks:
    buckets = sorted(counts)
    return _Ranks(buckets, list(accumulate(map(counts.__getitem__, buckets), initial=0)))
