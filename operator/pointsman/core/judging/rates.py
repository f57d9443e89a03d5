"""How much likelier something happens to the candidate's requests: the difference of two proportions.

Errors are rare, so normal approximations of their counts are far off. What is compared instead is
likelihoods: how much better do the counts agree with the rates that were seen than with rates that differ by
exactly so much. Its signed root is nearly normal even for a handful of errors, which is what `boundary` asks
for.

Source: the profile likelihood with the restricted estimate of Miettinen and Nurminen (Comparative analysis of
two rates, Statistics in Medicine 4, 1985, appendix). Steps, whose shares differ, are strata: each has its own
base rate, and their likelihoods are added, so a day on which everything fails tells nothing against either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import acos, copysign, cos, log, pi, sqrt

_HALVINGS = 24
"""Of an interval of rates: to less than one of ten millions."""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many requests of each variant were hit."""

    candidate_hits: int
    candidate: int
    stable_hits: int
    stable: int

    @property
    def difference(self) -> float:
        return self.candidate_hits / self.candidate - self.stable_hits / self.stable

    def variances(self) -> tuple[float, float]:
        """Of both rates, with half a hit and half a miss added to each, so that none is certain."""
        return _variance(self.candidate_hits, self.candidate), _variance(self.stable_hits, self.stable)


def pooled(strata: Sequence[Counts]) -> float:
    """The difference that agrees best with all strata."""
    if len(strata) == 1:
        return strata[0].difference
    low, high = min(each.difference for each in strata), max(each.difference for each in strata)
    for _ in range(_HALVINGS):
        third = (high - low) / 3
        if _deviance(strata, low + third) < _deviance(strata, high - third):
            high -= third
        else:
            low += third
    return (low + high) / 2


def bound(strata: Sequence[Counts], estimate: float, allowed: float, side: int) -> float:
    """The difference furthest to one side (-1, 1) that's no more than `allowed` standard errors away."""
    inside, outside = estimate, float(side)
    for _ in range(_HALVINGS):
        between = (inside + outside) / 2
        if _deviance(strata, between) <= allowed * allowed:
            inside = between
        else:
            outside = between
    return outside


def _deviance(strata: Sequence[Counts], difference: float) -> float:
    return sum(deviance(each, difference) for each in strata)


def deviance(counts: Counts, difference: float) -> float:
    """Twice the logarithm by which the counts are less likely under rates that differ by just this."""
    base = restricted(counts, difference)
    free = _likelihood(counts, counts.candidate_hits / counts.candidate, counts.stable_hits / counts.stable)
    return max(2 * (free - _likelihood(counts, base + difference, base)), 0.0)


def restricted(counts: Counts, difference: float) -> float:
    """The stable variant's most likely rate, if the candidate's is larger by `difference`: a cubic's root."""
    everything = counts.candidate + counts.stable
    hits = counts.candidate_hits + counts.stable_hits
    square = (counts.candidate + 2 * counts.stable) * difference - everything - hits
    linear = (counts.stable * difference - everything - 2 * counts.stable_hits) * difference + hits
    constant = counts.stable_hits * difference * (1 - difference)
    third = square / (3 * everything)
    q = third**3 - linear * square / (6 * everything**2) + constant / (2 * everything)
    p = copysign(sqrt(max(third**2 - linear / (3 * everything), 0.0)), q)
    angle = (pi + acos(min(max(q / p**3, -1.0), 1.0))) / 3 if p else 0.0
    root = 2 * p * cos(angle) - third
    return min(max(root, 0.0, -difference), 1.0, 1.0 - difference)


def _likelihood(counts: Counts, candidate: float, stable: float) -> float:
    return _one(counts.candidate_hits, counts.candidate, candidate) + _one(
        counts.stable_hits, counts.stable, stable
    )


def _one(hits: int, requests: int, rate: float) -> float:
    missed = requests - hits
    least = 1e-300
    return (hits * log(max(rate, least)) if hits else 0.0) + (
        missed * log(max(1 - rate, least)) if missed else 0.0
    )


def _variance(hits: int, requests: int) -> float:
    rate = (hits + 0.5) / (requests + 1)
    return rate * (1 - rate) / requests
