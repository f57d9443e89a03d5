"""A token bucket: how many writes a second we ask of the API server, with bursts.

The server defends itself too (priority and fairness, 429); this keeps one operator from being the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Bucket:
    """`rate` tokens a second, at most `burst` saved up; waiters are served in order. `rate` 0: no limit."""

    def __init__(
        self,
        rate: float,
        burst: int,
        *,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rate = rate
        self._burst = float(max(burst, 1))
        self._monotonic = monotonic
        self._sleep = sleep
        self._tokens = self._burst
        self._at = monotonic()

    async def take(self) -> None:
        """Waits until a token is free and takes it."""
        if self._rate <= 0:
            return
        now = self._monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= 1.0
        # The debt is taken before sleeping, so those who come later wait longer: first come, first served.
        if self._tokens < 0:
            await self._sleep(-self._tokens / self._rate)
