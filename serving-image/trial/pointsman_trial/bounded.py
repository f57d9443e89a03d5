"""Bounds on what others chose: how long an expression may take, and how much of a text is shown."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import NoReturn, TypeVar

SECONDS = 2.0
"""How long one expression or schema may take on one answer; Python's can be made to take for ever."""
SHOWN_CHARS = 120
_PLAIN_MARKS = str.maketrans("“”", '""')
_Result = TypeVar("_Result")


def within(work: Callable[[], _Result], seconds: float = SECONDS) -> _Result:
    """What `work` returns. Raises TimeoutError when it takes longer.

    By an alarm of the process, which reaches an expression that is being matched; so only the main thread may
    call it, and asking is done by others.
    """

    def late(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return work()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def shorten(text: str, limit: int = SHOWN_CHARS) -> str:
    """`text` in one line of at most `limit` characters."""
    line = " ".join(text[: limit * 8].split())
    return line if len(line) <= limit and len(text) <= limit * 8 else line[: limit - 1] + "…"


def quoted(text: str, limit: int = SHOWN_CHARS) -> str:
    """A piece of an answer in one line. By these marks it is known again; they stand nowhere else."""
    return f"“{shorten(text, limit).translate(_PLAIN_MARKS)}”"
