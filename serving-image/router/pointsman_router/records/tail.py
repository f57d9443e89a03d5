"""What the end of an answer tells: its tokens, and whether a filter or an error ended it.

Engines put all of that last. It's looked for by plain searches, which take a tenth of the time that an
expression does, and not before somebody asks.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

MOST: Final = 4096
"""Bytes of a piece that are worth keeping."""
_TOKENS: Final = (b'"completion_tokens"', b'"output_tokens"')
_NUMBER: Final = re.compile(rb"\s*:\s*([0-9]{1,9})")
_BLOCKED: Final = (b'"content_filter"',)
_FAILED: Final = (b'data: {"error"', b"event: error")
"""In JSON no text can hold any of these: its quotes and line breaks would be escaped."""


class Tail(NamedTuple):
    """The last pieces of an answer; those that it doesn't have are empty."""

    last: bytes
    before: bytes = b""
    two_before: bytes = b""
    events: int = 0
    """Of all of it, if it's a stream."""

    @property
    def tokens(self) -> int:
        """As its usage says, else as many as it had events; 0 where nothing tells."""
        for piece in self._pieces():
            for name in _TOKENS:
                at = piece.rfind(name)
                number = None if at < 0 else _NUMBER.match(piece, at + len(name))
                if number is not None:
                    return int(number[1])
        return max(self.events - 1, 0)  # the last one says that it's done

    @property
    def blocked(self) -> bool:
        """Whether a filter ended it."""
        return self._has(_BLOCKED)

    @property
    def failed(self) -> bool:
        """Whether it's a stream that the engine itself ended with an error."""
        return self._has(_FAILED)

    def _has(self, words: tuple[bytes, ...]) -> bool:
        for piece in self._pieces():
            for word in words:
                if word in piece:
                    return True
        return False

    def _pieces(self) -> tuple[bytes, ...]:
        """The newest first. Answers that aren't streams have one."""
        return (self.last, self.before, self.two_before) if self.before else (self.last,)
