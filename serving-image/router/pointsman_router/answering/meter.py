"""What there is to know of an answer that passes by: its tokens, and whether a filter or an error ended it.

Nothing is parsed on the way. Events are counted by their ends, in C, and the last pieces are kept until the
answer is whole; its usage is looked for in them, since engines put it last. Stands between an engine's
connection and the answer, and only where a window measures.
"""

from __future__ import annotations

import re
from typing import Final

from pointsman_router.engines.response import Receiver

_TOKENS: Final = (b'"completion_tokens"', b'"output_tokens"')
_NUMBER: Final = re.compile(rb"\s*:\s*([0-9]{1,9})")
_BLOCKED: Final = b'"content_filter"'
_FAILED: Final = (b'data: {"error"', b"event: error")
"""In JSON no text can hold any of these: its quotes and line breaks would be escaped."""
_EVENT_END: Final = b"\n\n"
_LOOKED_AT: Final = -4096
"""From there on something is looked for in a piece: engines put what matters at the end. By plain searches,
since they take a tenth of the time that an expression does."""


class Meter:
    """Counts what passes on to the receiver."""

    __slots__ = ("_before", "_events", "_last", "_to", "_two_before")

    def __init__(self, to: Receiver) -> None:
        self._to = to
        self._events = 0
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
            self._events += data.count(_EVENT_END)
            self._two_before, self._before, self._last = self._before, self._last, data

    @property
    def tokens(self) -> int:
        """As its usage says, else as many as it had events; 0 where nothing tells."""
        for piece in self._kept():
            for name in _TOKENS:
                at = piece.rfind(name, _LOOKED_AT)
                number = None if at < 0 else _NUMBER.match(piece, at + len(name))
                if number is not None:
                    return int(number[1])
        return max(self._events - 1, 0)  # the last one says that it's done

    @property
    def blocked(self) -> bool:
        """Whether a filter ended it."""
        return self._ends_with((_BLOCKED,))

    @property
    def failed(self) -> bool:
        """Whether it's a stream that the engine itself ended with an error."""
        return self._ends_with(_FAILED)

    def _ends_with(self, words: tuple[bytes, ...]) -> bool:
        for piece in self._kept():
            for word in words:
                if piece.find(word, _LOOKED_AT) >= 0:
                    return True
        return False

    def _kept(self) -> tuple[bytes, ...]:
        """The last pieces, the newest first. Answers that aren't streams have one."""
        if not self._before:
            return (self._last,)
        return self._last, self._before, self._two_before
