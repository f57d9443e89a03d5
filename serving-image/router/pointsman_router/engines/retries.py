"""How many retries a service can afford, and how long to wait before one.

When an engine fails, retries keep single failures from clients; when all of them do, retries would multiply
the load that made them fail. So they are kept to a share of the requests of the last ten seconds. Pure.
"""

from __future__ import annotations

from collections import deque
from typing import Final

_SECONDS: Final = 10
_FLOOR: Final = 10
"""Retries that are allowed in that time however few requests there were."""
_BACKOFF_SECONDS: Final = 0.025


class Budget:
    """Requests and retries of one service in the last ten seconds, in buckets of one second."""

    __slots__ = ("_past", "_retries", "requests", "turn_at")

    def __init__(self) -> None:
        self.requests = 0
        """Of the second that is running: whoever begins one counts it here."""
        self.turn_at = 0.0
        """When (monotonic) `turn` is due."""
        self._retries = 0
        self._past: deque[tuple[int, int]] = deque(maxlen=_SECONDS - 1)

    def turn(self, now: float) -> None:
        """A new second begins."""
        self._past.append((self.requests, self._retries))
        skipped = min(int(now - self.turn_at), _SECONDS)
        self._past.extend((0, 0) for _ in range(skipped))
        self.requests = self._retries = 0
        self.turn_at = now + 1.0

    def spend(self, now: float, percent: int) -> bool:
        """Takes one retry from it. False: there is none left."""
        if now >= self.turn_at:
            self.turn(now)
        requests = self.requests + sum(bucket[0] for bucket in self._past)
        retries = self._retries + sum(bucket[1] for bucket in self._past)
        if retries >= max(_FLOOR, requests * percent // 100):
            return False
        self._retries += 1
        return True


def backoff(attempts: int, random: float) -> float:
    """Seconds to wait before the next attempt after so many. `random` in [0, 1): half of it is chance, so
    that requests which failed together don't come back together."""
    doubled: float = 2 ** (attempts - 1)
    return _BACKOFF_SECONDS * doubled * (0.5 + random)
