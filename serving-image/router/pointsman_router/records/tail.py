"""What the end of an answer tells: its tokens, and whether a filter or an error ended it.

Engines put all of that last. It's looked for by plain searches, which take a tenth of the time that an
expression does, and not before somebody asks.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

Tail: TypeAlias = tuple[bytes, ...]
"""The last pieces of an answer, the newest first; those that it doesn't have may be empty."""
MOST: Final = 4096
"""Bytes of a piece that are worth keeping."""
_TOKENS: Final = (b'"completion_tokens"', b'"output_tokens"')
_NUMBER: Final = re.compile(rb"\s*:\s*([0-9]{1,9})")
_BLOCKED: Final = b'"content_filter"'
_FAILED: Final = (b'data: {"error"', b"event: error")
"""In JSON no text can hold any of these: its quotes and line breaks would be escaped."""


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
