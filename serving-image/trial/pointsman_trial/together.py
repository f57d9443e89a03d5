"""Several questions in flight, their answers in the order of the questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")


def in_order(
    ask: Callable[[_Question], _Answer], questions: Iterable[_Question], at_once: int
) -> Iterator[_Answer]:
    """Answers, each as soon as it and those before it are there. The first that raises ends it."""
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="ask")
    try:
        yield from pool.map(ask, questions)
    finally:
        # Those in flight end by themselves: waiting for them would hold up a verdict that is known.
        pool.shutdown(wait=False, cancel_futures=True)
