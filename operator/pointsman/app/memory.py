"""Memory that a busy while took is given back to the machine when it's over.

Reading everything at the start takes several times what is kept of it, and the C library holds on to what it
once had. Where it isn't glibc, that stays so.

What is left then lives long. Python's garbage collector would walk through all of it again and again, and
every pass would stand still meanwhile (a quarter of a second with little to look at): it's told to leave it
alone, and looks through everything once in an hour only.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Callable

EVERY_SECONDS = 20.0
INSTANT_SECONDS = 0.1
"""Passes that are spread over minutes leave instants only in which none runs."""
WHOLE_SECONDS = 3600.0
"""How long garbage may lie among what was left alone."""
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
"""glibc's own numbers of what can be set."""
LARGE_BYTES = 128 * 1024


def be_frugal() -> None:
    """Has the C library take memory in a way in which it can be given back. Before other threads start.

    Else it takes pages of lists, which are large, out of the middle of all that stays as soon as it has seen
    one; and each thread has a heap of its own, in which what others might use lies idle.
    """
    option = _of_libc("mallopt")
    option(M_ARENA_MAX, 1)
    option(M_MMAP_THRESHOLD, LARGE_BYTES)


async def give_back(idle: Callable[[], bool], passes: Callable[[], int]) -> None:
    """Never returns. Gives back what isn't used in an instant in which the operator is `idle`, where it has
    carried out `passes` since it last did."""
    trim, loop = _of_libc("malloc_trim"), asyncio.get_running_loop()
    before, whole, pause = -1, loop.time(), EVERY_SECONDS
    while True:
        await asyncio.sleep(pause)
        pause = EVERY_SECONDS
        if passes() == before:
            continue
        if not idle():
            pause = INSTANT_SECONDS
            continue
        before = passes()
        if loop.time() - whole >= WHOLE_SECONDS:
            whole = loop.time()
            gc.unfreeze()
        gc.collect()
        gc.freeze()
        trim(0)


def _of_libc(name: str) -> Callable[..., object]:
    try:
        found: Callable[..., object] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError, TypeError):
        return lambda *_: None
    return found
