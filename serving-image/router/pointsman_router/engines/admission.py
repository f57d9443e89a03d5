"""The queue in front of a variant whose engines have all the requests they may have.

First come, first served; bounded in length here and in time by whoever waits. It's woken when an engine of
the variant has room again and when endpoints change. Knows nothing of requests: whoever waits is asked, in
turn, to go.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import Final, Protocol

_WEIGHT: Final = 0.2
"""Of the newest interval in the mean of intervals between those who go."""
_MAX_RETRY_AFTER: Final = 120


class Waiter(Protocol):
    """A request that waits."""

    def go(self) -> bool:
        """There may be room: go, and leave the queue. False: there is none yet, so nobody behind may go."""


class Watched(Protocol):
    """An engine, as far as a queue knows it."""

    wanted: tuple[Queue, ...]


class Queue:
    """Requests that wait for room at any engine of one variant."""

    __slots__ = ("_gap", "_went_at", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[Waiter, None] = {}
        """In the order they came; a dict, since any of them may leave at any time."""
        self._gap = 0.0
        self._went_at = 0.0

    def join(self, waiter: Waiter, engines: Iterable[Watched], limit: int) -> bool:
        """Waits for these engines. False: `limit` others wait already."""
        if len(self.waiting) >= limit:
            return False
        if not self.waiting:
            self._went_at = 0.0  # how long nobody waited says nothing of the pace
        self.waiting[waiter] = None
        self.watch(engines)
        return True

    def watch(self, engines: Iterable[Watched]) -> None:
        """These engines are to wake it."""
        for engine in engines:
            if self not in engine.wanted:
                engine.wanted = (*engine.wanted, self)

    def leave(self, waiter: Waiter) -> None:
        self.waiting.pop(waiter, None)

    def wake(self, now: float) -> None:
        """Lets them go in their order, as long as there is room."""
        while self.waiting:
            waiter = next(iter(self.waiting))
            if not waiter.go():
                return
            self.waiting.pop(waiter, None)
            if self._went_at:
                gap = now - self._went_at
                self._gap = self._gap + _WEIGHT * (gap - self._gap) if self._gap else gap
            self._went_at = now

    def retry_after(self) -> int:
        """Seconds after which everyone who waits now will probably have gone."""
        return min(max(ceil(len(self.waiting) * self._gap), 1), _MAX_RETRY_AFTER)


def awaited(engine: Watched) -> bool:
    """Whether anybody waits for the engine. Ask where `engine.wanted` isn't empty."""
    engine.wanted = tuple(queue for queue in engine.wanted if queue.waiting)
    return bool(engine.wanted)


def freed(engine: Watched, now: float) -> None:
    """The engine has room again. Call it where `engine.wanted` isn't empty."""
    for queue in engine.wanted:
        queue.wake(now)
    awaited(engine)
