"""What simulated routers count: requests at a steady rate, answered by each revision in its own way.

Nothing is drawn. Times lie on fixed quantiles of a long-tailed distribution, so a story ends the same way
each time, and what a gate says follows from how much slower or more faulty a revision is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from statistics import NormalDist
from typing import Any

from pointsman_router import config
from pointsman_router.scale import index

QUANTILES = [NormalDist(0.0, 0.6).inv_cdf((number + 0.5) / 40) for number in range(40)]
FIRST_TOKEN, PER_TOKEN, THOUSAND_TOKENS = 0.4, 0.03, 0.2
WHOLE_ANSWER = FIRST_TOKEN + 1000 * THOUSAND_TOKENS * PER_TOKEN


@dataclass(frozen=True, slots=True)
class Manner:
    """How a revision answers."""

    slower: float = 1.0
    failing: float = 0.0
    longer: float = 1.0
    liked: float = 0.0
    """The part of requests that get a score of 1, while others get 0; unset: nobody tells any."""


@dataclass(slots=True)
class Counts:
    """Of one variant, in fractions of requests by how it answered them: rounding comes when they are told."""

    requests: dict[Manner, float] = field(default_factory=dict)

    def add(self, manner: Manner, requests: float) -> None:
        self.requests[manner] = self.requests.get(manner, 0.0) + requests

    def told(self, whole: float = 0.0) -> Mapping[str, Any]:
        """As `/signals` has it. `whole`: the part of answers that aren't streams."""
        answered = {manner: int(count * (1 - manner.failing)) for manner, count in self.requests.items()}
        unstreamed = {manner: int(count * whole) for manner, count in answered.items()}
        streamed = {manner: count - unstreamed[manner] for manner, count in answered.items()}
        apart = {
            "timeToFirstToken": _all((n, WHOLE_ANSWER * m.slower) for m, n in unstreamed.items()),
            "timePerOutputToken": _all((n, PER_TOKEN * m.slower) for m, n in unstreamed.items()),
        }
        streams = {
            "timeToFirstToken": _all((n, FIRST_TOKEN * m.slower) for m, n in streamed.items()),
            "timePerOutputToken": _all((n, PER_TOKEN * m.slower) for m, n in streamed.items()),
        }
        errors = sum(int(count * manner.failing) for manner, count in self.requests.items())
        return {
            "requests": sum(answered.values()) + errors,
            "errors": errors,
            "blocked": 0,
            "flagged": 0,
            "setAside": 0,
            "shadowed": 0,
            "histograms": {
                **{metric: Counter(streams[metric]) + Counter(apart[metric]) for metric in streams},
                "outputLength": _all((n, THOUSAND_TOKENS * m.longer) for m, n in answered.items()),
                "feedbackScore": _scores(answered),
            },
            "whole": apart,
        }


def _scores(answered: Mapping[Manner, int]) -> Mapping[str, int]:
    good = sum(int(count * manner.liked) for manner, count in answered.items())
    told = sum(count for manner, count in answered.items() if manner.liked)
    found = {str(index(0.0)): told - good, str(index(1.0)): good}
    return {bucket: count for bucket, count in found.items() if count}


def _all(parts: Iterable[tuple[int, float]]) -> Mapping[str, int]:
    found: Counter[str] = Counter()
    for samples, middle in parts:
        found.update(_spread(samples, middle))
    return found


def _spread(samples: int, middle: float) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for number, quantile in enumerate(QUANTILES):
        count = (samples + number) // len(QUANTILES)
        bucket = str(index(middle * 2.718281828459045**quantile))
        if count:
            found[bucket] = found.get(bucket, 0) + count
    return found


@dataclass(slots=True)
class Window:
    """One service's window in one router."""

    name: str
    since: datetime
    counts: dict[str, Counts] = field(default_factory=dict)

    def take(
        self, service: config.Service, rate: float, now: datetime, manners: Mapping[str, Manner]
    ) -> None:
        """Counts what came since it was last asked."""
        passed = max((now - self.since).total_seconds(), 0.0)
        self.since = max(now, self.since)
        for variant in service.variants:
            revision = variant.name.partition(".")[0]
            manner = manners.get(variant.name, manners.get(revision, Manner()))
            counts = self.counts.setdefault(variant.name, Counts())
            counts.add(manner, rate * passed * (variant.weight + variant.shadow) / 100)


class Measuring:
    """What routers count."""

    def __init__(self) -> None:
        self.rate = 100.0
        """Requests a second to each service."""
        self.manners: dict[str, Manner] = {}
        """How variants answer, or all of a revision; usually in the same way."""
        self.whole = 0.0
        """The part of all answers that aren't streams."""
        self._windows: dict[tuple[str, str], Window] = {}

    def begin_anew(self) -> None:
        """All routers restart, and forget."""
        self._windows.clear()

    def told(self, router: str, service: config.Service, now: datetime) -> Mapping[str, Any]:
        """A service's part of `/signals`."""
        name, at = service.analysis.window, (router, service.name)
        if not name:
            self._windows.pop(at, None)
            return {"window": "", "variants": {}}
        window = self._windows.get(at)
        if window is None or window.name != name:
            window = self._windows[at] = Window(name, now)
        window.take(service, self.rate, now, self.manners)
        return {
            "window": name,
            "variants": {v: counts.told(self.whole) for v, counts in window.counts.items()},
        }
