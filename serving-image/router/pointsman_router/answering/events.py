"""Server-sent events on their way through: passed on as they come, but never half of one.

Engines write whole events, so the usual chunk passes untouched. Where one ends in the middle of an event, the
rest is held back until it's there; so a comment or an error can always be told between two events.
"""

from __future__ import annotations

from typing import Final

ENDS: Final = (b"\n\n", b"\r\n\r\n")
"""How an event may end."""
_MAX_HELD: Final = 64 * 1024


class EventBuffer:
    """Holds back the beginning of an event until its end has come."""

    __slots__ = ("held", "open", "whole")

    def __init__(self) -> None:
        self.held = b""
        self.whole = True
        """Whether everything given out so far ends where an event ends."""
        self.open = False
        """Whether an event has begun whose end hasn't come. While it's False, what ends with one of ENDS
        needn't be fed: it may be passed on as it is."""

    def feed(self, data: bytes) -> bytes:
        """What may be passed on now."""
        if self.held:
            data = self.held + data
            self.held = b""
        end = max(_after_last(data, mark) for mark in ENDS)
        if end:
            self.whole = True
        if len(data) - end > _MAX_HELD:
            self.whole = False
            self.open = True
            return data
        self.held = data[end:]
        self.open = bool(self.held) or not self.whole
        return data[:end]


def _after_last(data: bytes, mark: bytes) -> int:
    at = data.rfind(mark)
    return 0 if at < 0 else at + len(mark)
