"""What routers count of a variant's answers: sums that add up over routers, and can be taken from each other.

Everything is a count, so a summary of two routers is the sum of theirs, and what came after a moment (the
end of the warm-up, the beginning of a step) is the summary now minus the one then. Values are counted on the
router's scale (`pointsman_router.scale`): times in seconds, lengths in thousands of tokens, scores as they
are. Times are counted apart by the kind of answer, since a stream's and a whole answer's aren't alike.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
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
_COUNTED = ("requests", *RATES.values())
TIMES = frozenset({Metric.TIME_TO_FIRST_TOKEN, Metric.TIME_PER_OUTPUT_TOKEN})
"""Of which metrics a summary has one count, and which."""


class Kind(Enum):
    """How an answer came."""

    STREAMED = "streams"
    """Or not told: routers of before count both kinds as one, and what isn't a time has no kinds."""
    WHOLE = "whole answers"


Histograms = Mapping[Metric, Mapping[int, int]]
"""Of each metric that isn't a rate, how many values fell into which bucket of the scale."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What became of a variant's requests."""

    requests: int = 0
    """Those that ended, whichever way."""
    errors: int = 0
    """Those that failed by the engine's fault."""
    blocked: int = 0
    flagged: int = 0
    histograms: Histograms = field(default_factory=dict)
    """Of streams, and of all that isn't told apart."""
    whole: Histograms = field(default_factory=dict)
    """Of answers that aren't streams."""

    def plus(self, other: Summary) -> Summary:
        """Both together, as of two routers."""
        return self._with(other, 1)

    def minus(self, earlier: Summary) -> Summary:
        """What came after an earlier summary. Never negative: a router that began anew takes nothing away."""
        return self._with(earlier, -1)

    def values(self, metric: Metric) -> int:
        """How many samples there are of a metric."""
        if metric in RATES:
            return self.requests
        return sum(sum(self.counts(metric, kind).values()) for kind in Kind)

    @property
    def telling(self) -> int:
        """How many requests told of anything: those that ended, and those whose clients left before the end
        and told by it how long a first token is in coming."""
        return max(self.requests, self.values(Metric.TIME_TO_FIRST_TOKEN))

    def counts(self, metric: Metric, kind: Kind) -> Mapping[int, int]:
        """The values of one kind of answer."""
        return (self.whole if kind is Kind.WHOLE else self.histograms).get(metric, {})

    def lacks(self, earlier: Summary) -> bool:
        """Whether something isn't counted any more that an earlier summary had: a router began anew."""
        if any(getattr(self, name) < getattr(earlier, name) for name in _COUNTED):
            return True
        return any(
            self.counts(metric, kind).get(bucket, 0) < count
            for kind in Kind
            for metric in (earlier.whole if kind is Kind.WHOLE else earlier.histograms)
            for bucket, count in earlier.counts(metric, kind).items()
        )

    def only(self, metric: Metric, kinds: Collection[Kind]) -> Summary:
        """Without a metric's values of other kinds."""
        left = {kind: {metric: self.counts(metric, kind)} if kind in kinds else {} for kind in Kind}
        return replace(
            self,
            histograms={**_without(self.histograms, metric), **left[Kind.STREAMED]},
            whole={**_without(self.whole, metric), **left[Kind.WHOLE]},
        )

    def hits(self, metric: Metric) -> int:
        """How many requests a rate counts."""
        return min(int(getattr(self, RATES[metric])), self.requests)

    def _with(self, other: Summary, sign: int) -> Summary:
        return Summary(
            requests=max(self.requests + sign * other.requests, 0),
            errors=max(self.errors + sign * other.errors, 0),
            blocked=max(self.blocked + sign * other.blocked, 0),
            flagged=max(self.flagged + sign * other.flagged, 0),
            histograms=_all_merged(self.histograms, other.histograms, sign),
            whole=_all_merged(self.whole, other.whole, sign),
        )

    def document(self) -> dict[str, Any]:
        """As JSON has it: whole answers among all, and once more by themselves."""
        return {
            "requests": self.requests,
            "errors": self.errors,
            "blocked": self.blocked,
            "flagged": self.flagged,
            "histograms": _told(_all_merged(self.histograms, self.whole, 1)),
            **({"whole": _told(self.whole)} if self.whole else {}),
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Summary:
        """Of JSON. What a newer router counts beside it is left out, and so is what can't be."""
        everything, whole = _histograms(document.get("histograms")), _histograms(document.get("whole"))
        streamed = _all_merged(everything, whole, -1)
        return cls(
            requests=_count(document.get("requests")),
            errors=_count(document.get("errors")),
            blocked=_count(document.get("blocked")),
            flagged=_count(document.get("flagged")),
            histograms=streamed,
            whole=_all_merged(everything, streamed, -1),
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

    def lacks(self, earlier: Look) -> bool:
        """Whether something isn't counted any more that an earlier look had."""
        return self.stable.lacks(earlier.stable) or self.candidate.lacks(earlier.candidate)

    def only(self, metric: Metric, kinds: Collection[Kind]) -> Look:
        """Without a metric's values of other kinds."""
        return Look(self.seconds, self.stable.only(metric, kinds), self.candidate.only(metric, kinds))

    def pair(self, metric: Metric, kind: Kind) -> tuple[int, int]:
        """How many values of a kind there are of the candidate and of the stable variant."""
        both = (self.candidate, self.stable)
        candidate, stable = (sum(each.counts(metric, kind).values()) for each in both)
        return candidate, stable


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


def _all_merged(mine: Histograms, others: Histograms, sign: int) -> dict[Metric, dict[int, int]]:
    found = {
        metric: _merged(mine.get(metric, {}), others.get(metric, {}), sign)
        for metric in sorted({*mine, *others})
    }
    return {metric: counts for metric, counts in found.items() if counts}


def _without(histograms: Histograms, metric: Metric) -> Histograms:
    return {other: counts for other, counts in histograms.items() if other is not metric}


def _told(histograms: Histograms) -> dict[str, dict[str, int]]:
    return {
        metric.value: {str(bucket): count for bucket, count in sorted(counts.items())}
        for metric, counts in sorted(histograms.items())
    }


def _histograms(document: object) -> Histograms:
    known = document if isinstance(document, Mapping) else {}
    return {
        metric: counts
        for metric in Metric
        if metric not in RATES and (counts := _histogram(known.get(metric.value)))
    }


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
