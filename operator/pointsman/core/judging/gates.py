"""What a gate asks: which number, how much worse it may be, and how much worse has to be ruled out.

One threshold can't do both: a candidate that differs by nothing can't be shown to differ by less than
nothing, however long one waits, and one that's allowed to be a fifth slower can't be rejected for being
that. So each gate has two, and between them lies what may end either way (Wald's zone of indifference,
1945): beyond `margin` a candidate is rejected once that's shown; it passes once `limit` or more is ruled
out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from math import log1p
from typing import Final

from pointsman.core.judging.boundary import Tuning
from pointsman.core.judging.summary import RATES, TIMES, Metric
from pointsman.core.judging.values import Statistic


class Worse(Enum):
    """In which direction a metric gets worse."""

    HIGHER = "higher"
    LOWER = "lower"
    EITHER = "either"


WORSE: Final[Mapping[Metric, Worse]] = {
    **dict.fromkeys(Metric, Worse.HIGHER),
    Metric.FEEDBACK_SCORE: Worse.LOWER,
    Metric.OUTPUT_LENGTH: Worse.EITHER,
}

OF_TIMES: Final = Tuning(300.0, early=6.0)
OF_RATES: Final = Tuning(1000.0, early=20.0)
OF_OTHERS: Final = Tuning(300.0)
"""A rate, that of something rare, takes more samples than a time does. Early bounds suit both: of times as
little is believed of the noise as few intervals tell, and of rates likelihoods are compared, which a handful
of errors suffices for. Ten scores that are all the same seem to have no noise, and are only few."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One comparison of candidate against stable."""

    metric: Metric
    statistic: Statistic
    margin: int
    """How much worse than the stable one is still allowed: of rates in requests of a thousand, of everything
    else in percent of the stable one's."""
    limit: int
    """How much worse has to be ruled out before it passes; in the same unit, above `margin`."""
    minimum_samples: int = 100
    """Of each variant; with fewer it's inconclusive."""

    @property
    def key(self) -> str:
        """What tells it from other gates."""
        return f"{self.metric.value}/{self.statistic.value}"

    @property
    def rate(self) -> bool:
        return self.metric in RATES

    @property
    def time(self) -> bool:
        return self.metric in TIMES

    @property
    def worse(self) -> Worse:
        return WORSE[self.metric]

    @property
    def tuning(self) -> Tuning:
        """At how many samples it's surest: where what it looks for shows, if it's there."""
        if self.rate:
            return OF_RATES
        return OF_TIMES if self.time else OF_OTHERS

    def threshold(self, declared: int) -> float:
        """A declared margin or limit as estimates have it: a difference of rates, or a ratio's logarithm."""
        if self.rate:
            return min(declared, 1000) / 1000
        return -log1p(-min(declared, 99) / 100) if self.worse is Worse.LOWER else log1p(declared / 100)


DEFAULTS: Final[Mapping[Metric, Gate]] = {
    gate.metric: gate
    for gate in (
        Gate(Metric.ERROR_RATE, Statistic.RATE, margin=0, limit=10),
        Gate(Metric.TIME_TO_FIRST_TOKEN, Statistic.P50, margin=10, limit=30),
        Gate(Metric.TIME_PER_OUTPUT_TOKEN, Statistic.P50, margin=10, limit=30),
        Gate(Metric.OUTPUT_LENGTH, Statistic.MEAN, margin=20, limit=50),
        Gate(Metric.BLOCKED_RATE, Statistic.RATE, margin=5, limit=20),
        Gate(Metric.FLAGGED_RATE, Statistic.RATE, margin=5, limit=20),
        Gate(Metric.FEEDBACK_SCORE, Statistic.MEAN, margin=5, limit=15, minimum_samples=50),
    )
}
"""What stands where nothing is declared. `make bench-canary` shows what they find and how seldom they err.

Errors: one more of a thousand is noise that no one would go back for; ten more are what a canary is for.
Times: a tenth is within what two equal engines differ by; three tenths are felt. The median, not a tail,
because a tail takes ten times as many samples, and an engine that's slower is slower in the median.
"""
