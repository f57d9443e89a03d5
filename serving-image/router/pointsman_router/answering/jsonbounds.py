"""Whether a JSON body keeps within bounds that an engine's slower parser might not survive beyond.

Every body is checked, so each check begins with one that costs next to nothing and is only ever too careful;
what it can't clear, an exact one judges. Pure.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from typing import Any, Final

_IS_DIGIT: Final = bytes(ord("0") if chr(code) in "0123456789" else ord(" ") for code in range(256))
_IS_NUMBERS: Final = bytes(ord("0") if chr(code) in "0123456789.eE+-" else ord(" ") for code in range(256))
_A_STRING: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)'
"""One that isn't closed is one up to the end: else each quote in it would begin another search to there."""
_STRING: Final = re.compile(_A_STRING, re.DOTALL)
_STRUCTURE: Final = re.compile(_A_STRING + rb"|[,\[{]", re.DOTALL)
MOST_VALUES: Final = 1_000_000
"""Values in one document: batches of token ids stay far below. Each takes up to some hundred bytes once it's
parsed, so that a small body of nothing but `[],[],…` would take gigabytes."""
_NOT_DIGITS: Final = 4
"""Characters of a number that are no digits: two signs, a point, an `e`. They part its digits in three."""
_SAMPLES: Final = 3
_LOOKS: Final = 32
"""Places in a body that are looked at one by one; where there are more, a look at all of it costs less."""


def has_too_many_values(body: bytes) -> bool:
    """Whether a document, not parsed yet, holds more values than may be."""
    if len(body) <= MOST_VALUES or len(body) - len(body.translate(None, b",[{")) <= MOST_VALUES:
        return False
    marks = (one for one in _STRUCTURE.finditer(body) if one.end() - one.start() == 1)
    return next(islice(marks, MOST_VALUES, None), None) is not None


def deeper_than(body: bytes, document: dict[str, Any], most: int) -> bool:
    """Whether objects and arrays stand more than `most` deep within each other."""
    # Replacing looks for a mark by whole words; counting, in CPython 3.11, byte by byte: ten times as long.
    if 2 * len(body) - len(body.replace(b"{", b"")) - len(body.replace(b"[", b"")) <= most:
        return False
    level: list[Any] = [document]
    for _ in range(most):
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True


def has_number_beyond(body: bytes, most: int) -> bool:
    """Whether a number is written with more than `most` characters."""
    # One that long has a run of digits in which three samples in a row fall, and all between them are digits;
    # and it reaches at least so far around them. Ids and times of day, which prompts are full of, don't.
    step, longer = _step(most), b"0" * (most + 1)
    sampled = body[::step].translate(_IS_DIGIT)
    at = -1
    for _ in range(_LOOKS):
        at = sampled.find(b"000", at + 1)
        if at < 0:
            return False
        start, end = at * step, (at + _SAMPLES - 1) * step + 1
        if not body[start:end].isdigit():
            continue
        if longer in body[max(start - most, 0) : end + most].translate(_IS_NUMBERS):
            break
    return longer in _STRING.sub(b'""', body).translate(_IS_NUMBERS)


@lru_cache(maxsize=8)
def _step(most: int) -> int:
    longest_run = -(-(most + 1 - _NOT_DIGITS) // 3)
    return max(1, longest_run // _SAMPLES)
