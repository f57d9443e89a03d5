"""What routers count of a variant's answers: sums that add up over routers, and can be taken from each other.

Everything is a count, so a summary of two routers is the sum of theirs, and what came after a moment (the
end of the warm-up, the beginning of a step) is the summary now minus the one then. Values are counted on the
router's scale (`pointsman_router.scale`): times in seconds, lengths in thousands of tokens, scores as they
are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pointsman_router.scale import BUCKETS


class Metric(StrEnum):
    """What a gate compares."""

    ERROR_RATE = "errorRate"
    TIME_TO_FIRST_TOKEN = "timeToFirstToken"
    TIME_PER_OUTPUT_TOKEN = "timePerOutputToken"
    OUTPUT_LENGTH = "outputLength"
    BLOCKED_RATE = "blockedRate"
    FLAGGED_RATE = "flaggedRate"
    FEEDBACK_SCORE = "feedbackScore"


RATES: Mapping[Metric, str] = {
    Metric.ERROR_RATE: "errors",
    Metric.BLOCKED_RATE: "blocked",
    Metric.FLAGGED_RATE: "flagged",
}
"""Of which metrics a summary has one count, and which."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of a variant's requests."""

    requests: int = 0
    """Those that ended, whichever way."""
    errors: int = 0
    """Those that failed by the engine's fault."""
    blocked: int = 0
    flagged: int = 0
    histograms: Mapping[Metric, Mapping[int, int]] = field(default_factory=dict)
    """Of each metric that isn't a rate, how many values fell into which bucket of the scale."""

    def plus(self, other: Summary) -> Summary:
        """Both together, as of two routers."""
        return self._with(other, 1)

    def minus(self, earlier: Summary) -> Summary:
        """What came after an earlier summary. Never negative: a router that began anew takes nothing away."""
        return self._with(earlier, -1)

    def values(self, metric: Metric) -> int:
        """How many samples there are of a metric."""
        return self.requests if metric in RATES else sum(self.histograms.get(metric, {}).values())

    def hits(self, metric: Metric) -> int:
        """How many requests a rate counts."""
        return min(int(getattr(self, RATES[metric])), self.requests)

    def _with(self, other: Summary, sign: int) -> Summary:
        metrics = sorted({*self.histograms, *other.histograms})
        return Summary(
            requests=max(self.requests + sign * other.requests, 0),
            errors=max(self.errors + sign * other.errors, 0),
            blocked=max(self.blocked + sign * other.blocked, 0),
            flagged=max(self.flagged + sign * other.flagged, 0),
            histograms={
                metric: merged
                for metric in metrics
                if (
                    merged := _merged(self.histograms.get(metric, {}), other.histograms.get(metric, {}), sign)
                )
            },
        )

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "requests": self.requests,
            "errors": self.errors,
            "blocked": self.blocked,
            "flagged": self.flagged,
            "histograms": {
                metric.value: {str(bucket): count for bucket, count in sorted(counts.items())}
                for metric, counts in sorted(self.histograms.items())
            },
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Summary:
        """Of JSON. What a newer router counts beside it is left out, and so is what can't be."""
        histograms = document.get("histograms")
        known = histograms if isinstance(histograms, Mapping) else {}
        return cls(
            requests=_count(document.get("requests")),
            errors=_count(document.get("errors")),
            blocked=_count(document.get("blocked")),
            flagged=_count(document.get("flagged")),
            histograms={
                metric: counts
                for metric in Metric
                if metric not in RATES and (counts := _histogram(known.get(metric.value)))
            },
        )


@dataclass(frozen=True, slots=True)
class Look:
    """What has been counted of both variants since a step's measuring began, after any warm-up."""

    seconds: float
    stable: Summary
    candidate: Summary

    def plus(self, later: Look) -> Look:
        """With what came later."""
        return Look(
            self.seconds + later.seconds, self.stable.plus(later.stable), self.candidate.plus(later.candidate)
        )

    def since(self, earlier: Look) -> Look:
        """What came after an earlier look, of both variants over the same time."""
        return Look(
            max(self.seconds - earlier.seconds, 0.0),
            self.stable.minus(earlier.stable),
            self.candidate.minus(earlier.candidate),
        )


NOTHING = Look(0.0, Summary(), Summary())
"""Before anything was counted."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """What is set aside of a new engine, whose prefix cache is still cold.

    The look at which it's over becomes the baseline: what is judged is every later look `since` that one. So
    both variants are measured over the same time, and the stable one's answers of the warm-up don't count
    either.
    """

    requests: int = 0
    seconds: int = 0

    def over(self, look: Look) -> bool:
        """Whether a look, counted since the candidate's first request, has seen the whole warm-up."""
        return look.candidate.requests >= self.requests and look.seconds >= self.seconds


def _merged(mine: Mapping[int, int], others: Mapping[int, int], sign: int) -> dict[int, int]:
    if sign < 0:
        return {bucket: left for bucket, count in mine.items() if (left := count - others.get(bucket, 0)) > 0}
    found = {bucket: mine.get(bucket, 0) + others.get(bucket, 0) for bucket in {*mine, *others}}
    return dict(sorted(found.items()))


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _histogram(document: object) -> dict[int, int]:
    if not isinstance(document, Mapping):
        return {}
    named = {str(bucket): _count(count) for bucket, count in document.items()}
    return {
        int(bucket): count
        for bucket, count in named.items()
        if count and bucket.isdecimal() and len(bucket) < 5 and int(bucket) < BUCKETS
    }
