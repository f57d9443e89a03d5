"""How far an estimate may stray by chance when somebody looks at it again and again.

A plain confidence interval holds for one look. Whoever rejects at the first of many looks that shows
something rejects far too often. The boundary here holds at all moments at once: an estimate crosses it,
ever, with at most the declared probability, however often and whenever it's looked at.

Source: the one-sided normal mixture of Robbins (Statistical methods related to the law of the iterated
logarithm, 1970), in the closed form of Howard, Ramdas, McAuliffe and Sekhon (Time-uniform, nonparametric,
nonasymptotic confidence sequences, Annals of Statistics 49(2), 2021, section 3.2), applied to estimates that
are asymptotically normal (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory
and asymptotic confidence sequences, Annals of Statistics 52(6), 2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import NormalDist
from typing import Final

EARLY_ERROR: Final = 0.1
"""The part of the error that a boundary for few samples has."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """Of how many samples a boundary is narrowest."""

    samples: float
    early: float = 0.0
    """Of how many a second one is, beside it; 0 for none."""


def boundary(samples: float, error: float, tuning: Tuning) -> float:
    """How many standard errors an estimate may be off, on one side, when `samples` stand behind it.

    It's valid at every number, and within a tenth of its least width from a quarter to six times as many as
    it is tuned for. Of few samples it allows so much that what is a hundred times slower isn't seen, if only
    the noise is large too; a second one is for these. Of two, which share the error so that both hold at once
    (Bonferroni), the nearer counts.
    """
    if samples <= 0:
        return float("inf")
    if not tuning.early:
        return _mixture(samples, error, tuning.samples)
    return min(
        _mixture(samples, error * (1 - EARLY_ERROR), tuning.samples),
        _mixture(samples, error * EARLY_ERROR, tuning.early),
    )


def _mixture(samples: float, error: float, tuned_for: float) -> float:
    wide = 2 * log(1 / (2 * error)) if error < 0.25 else 2 * log(2)
    rho = tuned_for / (wide + log(1 + wide))
    return sqrt(2 * (1 + rho / samples) * log(1 + sqrt((samples + rho) / rho) / (2 * error)))


def at_once(error: float) -> float:
    """The same for an estimate that is looked at a single time."""
    return -NormalDist().inv_cdf(error)


def student(allowed: float, free: float) -> float:
    """The same where the standard error itself was estimated, on so many degrees of freedom.

    Student's likelihood ratio at the result is the normal one's at `allowed` (Lai, On confidence sequences,
    Annals of Statistics 4, 1976; Wang and Ramdas, Anytime-valid t-tests and confidence sequences for Gaussian
    means with unknown variance, Sequential Analysis 44, 2025). Of a single look it's Student's quantile, to a
    few percent on the safe side (Wallace, Bounds on normal approximations to Student's and the chi-square
    distributions, Annals of Mathematical Statistics 30, 1959).
    """
    return sqrt(free * (exp(min(allowed * allowed / free, 100.0)) - 1))


def together(candidate: float, stable: float) -> float:
    """How many samples a comparison is worth: as many as the smaller side, if the other one were certain."""
    return candidate * stable / (candidate + stable) if candidate > 0 and stable > 0 else 0.0
