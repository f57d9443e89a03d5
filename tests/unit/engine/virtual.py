"""An event loop in which time passes only when nothing else is left to do, and then at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """`asyncio.sleep(3600)` takes no time at all, and an hour by `time()`."""

    def __init__(self) -> None:
        self._virtual = 1000.0
        super().__init__(_Skipping(self))

    def time(self) -> float:
        return self._virtual

    def skip(self, seconds: float) -> None:
        """Lets time pass."""
        self._virtual += seconds


class _Skipping(selectors.DefaultSelector):
    """Waits by moving the clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("nothing will ever happen any more")
        ready = super().select(0)
        if not ready and timeout > 0:
            self._loop.skip(timeout)
        return ready


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


def now() -> float:
    """The running loop's time."""
    return asyncio.get_running_loop().time()
