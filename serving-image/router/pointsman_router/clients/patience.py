"""How long a client may take: for a head, for a body and the pauses in it, to come back, to take its answer.

Driven by the router's tick, so every time here is true to about a second. Knows no sockets: it says what is
overdue, and its connection does what follows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pointsman_router import refusals

if TYPE_CHECKING:
    from pointsman_router.clients.reader import Reader
    from pointsman_router.errors import Problem
    from pointsman_router.settings import Limits

LINGER_SECONDS: Final = 2.0
"""How long a client may go on sending after an answer that ended its connection early."""


class Patience:
    """The clock of one connection; times are monotonic."""

    __slots__ = ("_phase", "_phase_since", "_quiet_since", "ending_since", "heard", "paused_since")

    def __init__(self) -> None:
        self.heard = True
        """Whether something came, or an answer ended, since the last tick."""
        self.paused_since = 0.0
        """Since when the client doesn't take what is sent."""
        self.ending_since = 0.0
        """Since when nothing more will be answered; 0 as long as something may."""
        self._quiet_since = 0.0
        self._phase = (-1, False)
        """Which message the client is sending, and whether it's at its body."""
        self._phase_since = 0.0

    def tick(self, now: float) -> None:
        if self.heard:
            self.heard = False
            self._quiet_since = now

    def quiet(self, now: float) -> float:
        """Seconds since anything was heard."""
        return now - self._quiet_since

    def gone_wrong(self, now: float, limits: Limits, unsent: int) -> bool:
        """Whether a connection that ends takes too long to. `unsent`: bytes it hasn't taken yet."""
        return now - self.ending_since > (limits.keep_alive_seconds if unsent else LINGER_SECONDS)

    def overdue(self, now: float, limits: Limits, reader: Reader) -> Problem | None:
        """What the client, in the middle of a request, has taken too long for."""
        phase = (reader.messages, reader.in_body)
        if phase != self._phase:
            self._phase = phase
            self._phase_since = now
        since = now - self._phase_since
        if not reader.in_body:
            if since > limits.head_seconds:
                return refusals.slow("the rest of the request's head", "head_seconds")
        elif since > limits.body_seconds:
            return refusals.slow("the rest of the request's body", "body_seconds")
        elif self.quiet(now) > limits.body_idle_seconds:
            return refusals.slow("the rest of the request's body", "body_idle_seconds")
        return None
