"""One conversation through the router, and everything that must hold of it."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.router.fuzz.harness import (
    check_client_side,
    check_engine_side,
    check_secret,
    converse,
    methods_of,
)


def check(client: bytes, script: bytes, piece: int, run: Callable[[Any], Any] = asyncio.run) -> int:
    """One conversation and everything that must hold of it. Returns how many requests reached an engine.

    `run`: what runs a coroutine to its end.
    """
    if b"HEAD" in client:
        return 0  # whether a body follows its answer can't be told from the bytes
    got, reached = run(converse(client, script, piece))
    check_client_side(got, methods_of(client))
    check_secret(client, reached)
    return sum(check_engine_side(data) for data in reached)
