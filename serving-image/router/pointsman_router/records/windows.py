"""What is measured of a service's variants while one is compared with another.

A window counts from zero and is told in /signals; what routers count of the same window adds up. Times that
say more of a cold cache than of a variant are set aside: those of the first requests to each engine that's
new to a variant, and of the window's first seconds. Only the times: an answer that fails counts from the
first one on. Times of streams and of whole answers are counted apart: mixed, they'd say above all how many
there were of each. Answers are noted as they come and counted some at a time, which takes half of what each
by itself would: by then nothing of it would be in the processor's caches. Whoever reads counts them first.
Where no window is set there's nothing of it on the path.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any, Final, TypeAlias

from pointsman_router.config import Analysis
from pointsman_router.scale import index, middle

THOUSAND: Final = 1000.0
"""Lengths are counted in thousands of tokens, or a long answer would be beyond the scale."""
FEW: Final = 10
"""Values below which it isn't known what is usual."""
LONG: Final = 2.0
"""How many times what is usual somebody has to have waited for that to say something."""
BATCH: Final = 64
"""Answers that are counted at a time."""
Pair: TypeAlias = tuple[str, int]
"""A variant's name and an engine's number."""
Tail: TypeAlias = tuple[bytes, ...]
"""The last pieces of an answer, the newest first; those that it doesn't have may be empty."""
MOST: Final = 4096
"""Bytes of a piece that are worth keeping."""
# Engines put what matters last: it is looked for by plain searches, not before somebody asks.
_TOKENS: Final = (b'"completion_tokens"', b'"output_tokens"')
_NUMBER: Final = re.compile(rb"\s*:\s*([0-9]{1,9})")
_BLOCKED: Final = b'"content_filter"'
_FAILED: Final = (b'data: {"error"', b"event: error")
"""In JSON no text can hold any of these: its quotes and line breaks would be escaped."""
Values: TypeAlias = tuple[list[float], list[float]]
"""Seconds to first tokens, and seconds per token."""
Answered: TypeAlias = tuple[Tail, int, float, float, bool, bool]
"""What `Measure.answered` is told."""


class Histogram:
    """Values by the buckets of the scale that operator and router share."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}

    def add(self, values: Iterable[float]) -> None:
        counts = self.counts
        for bucket in map(index, values):
            counts[bucket] = counts.get(bucket, 0) + 1

    def median(self) -> float | None:
        """The value that half of them keep to; None where there are too few."""
        total, below = sum(self.counts.values()), 0
        if total >= FEW:
            for bucket in sorted(self.counts):
                below += self.counts[bucket]
                if 2 * below >= total:
                    return middle(bucket)
        return None

    def document(self, other: Histogram | None = None) -> dict[str, int]:
        """As `/signals` tells it, with another one's added."""
        counts = self.counts
        if other is not None:
            counts = {at: counts.get(at, 0) + other.counts.get(at, 0) for at in {*counts, *other.counts}}
        return {str(bucket): count for bucket, count in sorted(counts.items())}


class Times:
    """How long answers of one kind took."""

    __slots__ = ("per_output_token", "to_first_token")

    def __init__(self) -> None:
        self.to_first_token = Histogram()
        self.per_output_token = Histogram()

    def add(self, values: Values) -> None:
        self.to_first_token.add(values[0])
        self.per_output_token.add(values[1])

    def document(self) -> dict[str, Any]:
        """As `/signals` tells it."""
        return {
            "timeToFirstToken": self.to_first_token.document(),
            "timePerOutputToken": self.per_output_token.document(),
        }


class Counts:
    """What became of one variant's requests within a window."""

    __slots__ = (
        "blocked",
        "errors",
        "feedback_score",
        "flagged",
        "noted",
        "output_length",
        "requests",
        "set_aside",
        "shadowed",
        "streamed",
        "whole",
    )

    def __init__(self) -> None:
        self.requests = 0
        """That an engine answered, or failed to. Who left before the end isn't among them."""
        self.errors = 0
        self.blocked = 0
        """Answers that a filter ended."""
        self.flagged = 0
        """Answers that somebody reported."""
        self.set_aside = 0
        """Answers whose times don't count."""
        self.shadowed = 0
        """Of the requests, how many were copies."""
        self.streamed = Times()
        self.whole = Times()
        """Of answers that aren't streams."""
        self.output_length = Histogram()
        self.feedback_score = Histogram()
        self.noted: list[Answered] = []
        """Answers that are yet to be counted, but for their number."""

    def tally(self) -> None:
        """Counts what was noted."""
        noted, self.noted = self.noted, []
        lengths: list[float] = []
        streams: Values = [], []
        wholes: Values = [], []
        for tail, events, first, whole, streamed, cold in noted:
            count = tokens(tail, events)
            if count:
                lengths.append(count / THOUSAND)
            if is_blocked(tail):
                self.blocked += 1
            if cold:
                self.set_aside += 1
            elif streamed:
                streams[0].append(first)
                if count > 1:
                    streams[1].append((whole - first) / (count - 1))
            else:
                wholes[0].append(whole)
                if count:
                    wholes[1].append(whole / count)
        self.output_length.add(lengths)
        self.streamed.add(streams)
        self.whole.add(wholes)

    def document(self) -> dict[str, Any]:
        """As `/signals` tells it: whole answers among all, for operators of before, and by themselves."""
        self.tally()
        whole = self.whole
        return {
            "requests": self.requests,
            "errors": self.errors,
            "blocked": self.blocked,
            "flagged": self.flagged,
            "setAside": self.set_aside,
            "shadowed": self.shadowed,
            "histograms": {
                "timeToFirstToken": self.streamed.to_first_token.document(whole.to_first_token),
                "timePerOutputToken": self.streamed.per_output_token.document(whole.per_output_token),
                "outputLength": self.output_length.document(),
                "feedbackScore": self.feedback_score.document(),
            },
            "whole": whole.document(),
        }


class Warmth:
    """Which engines are still new to which variant. Kept over the windows of one candidate, whose engines
    don't grow cold between them."""

    __slots__ = ("_left", "_warm", "candidate")

    def __init__(self, candidate: str, there: Iterable[Pair]) -> None:
        self.candidate = candidate
        self._warm = frozenset(pair for pair in there if pair[0] != candidate)
        """The engines that had been at work before there was this candidate."""
        self._left: dict[Pair, int] = {}

    def takes(self, pair: Pair, requests: int) -> bool:
        """Whether one more request is among the first ones there; counts it."""
        if pair in self._warm:
            return False
        left = self._left.get(pair, requests)
        if left:
            self._left[pair] = left - 1
        return left > 0

    def keep_only(self, pairs: Collection[Pair]) -> None:
        """Forgets engines that are gone."""
        self._left = {pair: left for pair, left in self._left.items() if pair in pairs}


class Window:
    """One window of a service."""

    __slots__ = ("analysis", "began", "variants", "warmth")

    def __init__(self, analysis: Analysis, warmth: Warmth, now: float) -> None:
        self.analysis = analysis
        self.began = now
        self.variants: dict[str, Counts] = {}
        self.warmth = warmth

    def of(self, variant: str) -> Measure:
        """What measures a variant's requests."""
        return Measure(self, variant, self.variants.setdefault(variant, Counts()))

    def usual(self, streamed: bool) -> float | None:
        """The time to a first token that half of the answers of the quickest variant keep to."""
        for counts in self.variants.values():
            counts.tally()
        each = (counts.streamed if streamed else counts.whole for counts in self.variants.values())
        return min((m for times in each if (m := times.to_first_token.median()) is not None), default=None)

    def document(self) -> dict[str, Any]:
        """As `/signals` tells it."""
        variants = {name: counts.document() for name, counts in self.variants.items()}
        return {"window": self.analysis.window, "variants": variants}


class Measure:
    """Measures the requests of one variant."""

    __slots__ = ("_name", "_requests", "_warm_at", "_warmth", "_window", "counts", "warm")

    def __init__(self, window: Window, name: str, counts: Counts) -> None:
        self.counts = counts
        self.warm: set[int] = set()
        """Engines whose requests are known not to be cold, from here on."""
        self._name = name
        self._window = window
        self._warmth = window.warmth
        self._requests = window.analysis.warm_up_requests
        self._warm_at = window.began + window.analysis.warm_up_seconds

    def is_cold(self, engine: int, now: float) -> bool:
        """Whether the times of a request that goes to this engine now are to be set aside."""
        first = self._warmth.takes((self._name, engine), self._requests)
        if first or now < self._warm_at:
            return True
        self.warm.add(engine)
        return False

    def failed(self) -> None:
        """A request ended in an error that is the engine's fault."""
        self.counts.requests += 1
        self.counts.errors += 1

    def refused(self) -> None:
        """An engine refused a request by the client's fault, which says nothing of it."""
        self.counts.requests += 1

    def left(self, first: float | None, waited: float, streamed: bool, cold: bool) -> None:
        """The client left before the end: seconds to the first byte, where there was one, and until it left.

        Who left before the first token has shown that it takes longer than that, not how long. It counts as
        if that had been it, but only beyond what answers usually take with the quickest variant: there it's
        on the slow side, whatever it would have been. Left out, whoever is so slow that people give up would
        show only what it was quick with.
        """
        if cold or not (streamed or first is None):
            return
        if first is None:
            usual = self._window.usual(streamed)
            if usual is None or waited < LONG * usual:
                return
        times = self.counts.streamed if streamed else self.counts.whole
        times.to_first_token.add((waited if first is None else first,))

    def answered(
        self, tail: Tail, events: int, first: float, whole: float, streamed: bool, cold: bool
    ) -> None:
        """A request was answered whole: what that ended with, how many events it had, and seconds to its
        first byte and its last. `cold`: whether these are to be set aside."""
        counts = self.counts
        counts.requests += 1
        noted = counts.noted
        noted.append((tail, events, first, whole, streamed, cold))
        if len(noted) >= BATCH:
            counts.tally()


def candidate_of(window: str) -> str:
    """The variant a window is about."""
    return window.rpartition("/")[0] or window


def tokens(tail: Tail, events: int) -> int:
    """As its usage says, else as many as it had events; 0 where nothing tells."""
    for piece in tail:
        for name in _TOKENS:
            at = piece.rfind(name)
            number = None if at < 0 else _NUMBER.match(piece, at + len(name))
            if number is not None:
                return int(number[1])
    return max(events - 1, 0)  # the last one says that it's done


def is_blocked(tail: Tail) -> bool:
    """Whether a filter ended it."""
    return any(_BLOCKED in piece for piece in tail)


def has_failed(tail: Tail) -> bool:
    """Whether it's a stream that the engine itself ended with an error."""
    return any(word in piece for piece in tail for word in _FAILED)
