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
WHOLE_SECONDS = 3600.0
"""How long garbage may lie among what was left alone."""


async def give_back(idle: Callable[[], bool]) -> None:
    """Never returns. Gives back what isn't used once, whenever the operator has become `idle`."""
    trim, loop = _trim(), asyncio.get_running_loop()
    given, whole = False, loop.time()
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        if not idle():
            given = False
        elif not given:
            given = True
            if loop.time() - whole >= WHOLE_SECONDS:
                whole = loop.time()
                gc.unfreeze()
            gc.collect()
            gc.freeze()
            trim(0)


def _trim() -> Callable[[int], object]:
    try:
        trim: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return lambda pad: None
    return trim
