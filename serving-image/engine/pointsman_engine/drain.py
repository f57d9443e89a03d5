"""The way out: tell routers first, then wait for what is in flight, then count what is cut.

The engine itself can't do it: on SIGTERM it refuses new requests at once while still calling itself healthy,
so routers would send requests into 500s. Also holds the two ends of the control socket, over which the
container's preStop hook asks for the drain and waits for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from pointsman_engine.log import say

POLL_S = 0.5
SILENT_S = 30.0
"""An engine that says nothing for so long while draining hangs; there's nothing to wait for."""

DRAIN = b"drain\n"
DRAINED = b"drained\n"


@dataclass(frozen=True, slots=True)
class Drained:
    """How a drain went."""

    seconds: float
    cut: int | None
    """Requests still in flight at the end, which the engine will abort; None where it didn't say."""


async def drain(
    in_flight: Callable[[], Awaitable[int | None]],
    running: Callable[[], bool],
    settle_s: float,
    limit_s: float,
    silent_s: float = SILENT_S,
) -> Drained:
    """Waits `settle_s` for routers to learn, then until nothing is in flight or `limit_s` are over.

    An engine that doesn't answer any more isn't waited for.

    Both are counted from the start. Empty means empty twice in a row: a request may be just between a
    router's pick and the engine's queue.
    """
    started = answered = time.monotonic()
    empty = 0
    count: int | None = None
    while running() and (passed := time.monotonic() - started) < max(limit_s, settle_s):
        count = await in_flight()
        empty = empty + 1 if count == 0 else 0
        answered = time.monotonic() if count is not None else answered
        silent = time.monotonic() - answered > silent_s
        if passed >= settle_s and (empty >= 2 or silent):
            break
        await asyncio.sleep(POLL_S)
    return Drained(time.monotonic() - started, count)


async def serve_control(path: Path, on_drain: Callable[[], Awaitable[object]]) -> asyncio.Server:
    """Listens for `drain` on a socket that only our user may open."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            if await reader.readline() == DRAIN:
                await on_drain()
                writer.write(DRAINED)
                await writer.drain()
        writer.close()

    path.unlink(missing_ok=True)
    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(handle, path=path)
    finally:
        os.umask(before)


def ask_for_drain(path: Path) -> int:
    """The preStop hook: returns when the drain is over. Exit status 0 also where there's nothing to drain."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
            connection.sendall(DRAIN)
            drained = connection.makefile("rb").readline() == DRAINED
        except OSError as error:
            say(f"nothing to drain: {error}")
            return 0
    say("drained" if drained else "the engine ended before the drain did")
    return 0
