"""Memory that a busy while took is given back to the machine when it's over.

Reading everything at the start takes several times what is kept of it, and the C library holds on to what it
once had. Where it isn't glibc, nothing happens.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Callable

EVERY_SECONDS = 20.0


async def give_back(idle: Callable[[], bool]) -> None:
    """Never returns. Gives back what isn't used once, whenever the operator has become `idle`."""
    trim = _trim()
    given = False
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        if not idle():
            given = False
        elif not given:
            given = True
            gc.collect()
            trim(0)


def _trim() -> Callable[[int], object]:
    try:
        trim: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return lambda pad: None
    return trim
