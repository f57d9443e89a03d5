"""Server-sent events on their way through: passed on as they come, but never half of one.

Engines write whole events, so the usual chunk passes untouched. Where one ends in the middle of an event, the
rest is held back until it's there; so an error can always be told as an event of its own.
"""

from __future__ import annotations

from typing import Final

_ENDS: Final = (b"\n\n", b"\r\n\r\n")
_MAX_HELD: Final = 64 * 1024


class EventBuffer:
    """Holds back the beginning of an event until its end has come."""

    __slots__ = ("_held", "whole")

    def __init__(self) -> None:
        self._held = b""
        self.whole = True
        """Whether everything given out so far ends where an event ends."""

    def feed(self, data: bytes, complete: bool) -> bytes:
        """What may be passed on now: all of it once the stream is complete."""
        if self._held:
            data = self._held + data
            self._held = b""
        elif data.endswith(_ENDS):
            return data
        if complete or not data:
            return data
        end = max(_after_last(data, mark) for mark in _ENDS)
        if len(data) - end > _MAX_HELD:
            self.whole = False
            return data
        self._held = data[end:]
        return data[:end]


def _after_last(data: bytes, mark: bytes) -> int:
    at = data.rfind(mark)
    return 0 if at < 0 else at + len(mark)
