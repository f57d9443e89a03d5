"""Keeps the end of an answer that passes by, and counts its events.

Nothing is parsed on the way. Events are counted by their ends, in C, and the last pieces are kept until the
answer is whole (`records.windows` reads them). Stands between an engine's connection and the answer, and only
where a window measures.
"""

from __future__ import annotations

from typing import Final

from pointsman_router.engines.response import Receiver
from pointsman_router.records.windows import MOST, Tail

_EVENT_END: Final = b"\n\n"


class Meter:
    """Counts what passes on to the receiver."""

    __slots__ = ("_before", "_last", "_to", "_two_before", "events")

    def __init__(self, to: Receiver) -> None:
        self._to = to
        self.events = 0
        self._last = self._before = self._two_before = b""

    def relay(self, data: bytes) -> None:
        self.note(data)
        self._to.relay(data)

    def chunk(self, data: bytes, size: int) -> bool:
        if not self._to.chunk(data, size):
            return False  # it comes again, through `relay`
        self.note(data)
        return True

    def note(self, data: bytes) -> None:
        """A piece of the answer, with or without its framing."""
        if data:
            self.events += data.count(_EVENT_END)
            if len(data) > MOST:
                data = data[-MOST:]
            self._two_before, self._before, self._last = self._before, self._last, data

    @property
    def tail(self) -> Tail:
        """What it ends with."""
        return self._last, self._before, self._two_before
