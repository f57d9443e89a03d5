"""What routers would have counted: samples spread evenly over a shape's quantiles, so that cases repeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from math import exp
from statistics import NormalDist

from pointsman.core.judging import Look, Metric, Summary
from pointsman_router import scale

MINUTE = 60.0


@lru_cache(maxsize=256)
def lognormal(samples: int, median: float, noise: float = 0.6) -> Mapping[int, int]:
    """A histogram of values as times are spread."""
    ranks = ((rank + 0.5) / samples for rank in range(samples))
    values = (median * exp(noise * NormalDist().inv_cdf(rank)) for rank in ranks)
    return dict(sorted(Counter(scale.index(value) for value in values).items()))


def scores(good: int, bad: int) -> Mapping[int, int]:
    """Thumbs up and thumbs down."""
    return {0: bad, scale.index(1.0): good}


def answers(
    requests: int, errors: int = 0, first: float = 0.2, each: float = 0.03, length: float = 0.2
) -> Summary:
    """An engine's requests: how many failed, and medians of what is measured of the others."""
    rest = max(requests - errors, 1)
    return Summary(
        requests,
        errors,
        histograms={
            Metric.TIME_TO_FIRST_TOKEN: lognormal(rest, first),
            Metric.TIME_PER_OUTPUT_TOKEN: lognormal(rest, each, 0.4),
            Metric.OUTPUT_LENGTH: lognormal(rest, length, 0.8),
        },
    )


def minutes(stable: Summary, candidate: Summary, number: int) -> list[Look]:
    """Looks after so many minutes, all alike."""
    looks = [Look(MINUTE, stable, candidate)]
    for _ in range(number - 1):
        last = looks[-1]
        looks.append(Look(last.seconds + MINUTE, last.stable.plus(stable), last.candidate.plus(candidate)))
    return looks


def scored(summary: Summary, good: int, bad: int) -> Summary:
    """With feedback."""
    return replace(summary, histograms={**summary.histograms, Metric.FEEDBACK_SCORE: scores(good, bad)})
