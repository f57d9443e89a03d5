"""The connections to one engine: those that wait for a request, and how new ones are made.

It knows addresses and times, nothing of what connections carry.
"""

from __future__ import annotations

import asyncio
from time import monotonic

from pointsman_router.engines.response import Taker
from pointsman_router.engines.upstream import Connection
from pointsman_router.settings import Limits


class Pool:
    """The connections to one engine."""

    __slots__ = ("closed", "connecting", "host", "idle", "max_head", "max_headers", "open", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.limit(Limits())
        self.open = 0
        """Connections there are, idle ones included."""
        self.idle: list[Connection] = []
        """Oldest first; the youngest is taken, so that what isn't needed grows old and is closed."""
        self.closed = False
        """Whether nothing is kept: the engine is gone, or takes nothing new."""
        self.connecting: dict[Taker, asyncio.Task[None]] = {}
        """Connections being made, by whoever they are for."""

    def limit(self, limits: Limits) -> None:
        """What an engine's head may hold from here on."""
        self.max_head = limits.max_head_bytes
        self.max_headers = limits.max_headers

    def take(self) -> Connection | None:
        """An idle connection that may be used again, or None."""
        idle = self.idle
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
            connection.abort()
        return None

    def put(self, connection: Connection) -> None:
        """Takes back a connection on which nothing is open."""
        if self.closed:
            connection.abort()
            return
        connection.idle_since = monotonic()
        self.idle.append(connection)

    def lost(self, connection: Connection) -> None:
        self.open -= 1
        if connection in self.idle:
            self.idle.remove(connection)

    def connect(self, taker: Taker, seconds: float) -> None:
        """Makes a connection and gives it to the taker, or tells why there is none within `seconds`."""
        self.connecting[taker] = asyncio.get_running_loop().create_task(self._connect(taker, seconds))

    def abandon(self, taker: Taker) -> None:
        """The taker has left: nothing more is made for it."""
        task = self.connecting.pop(taker, None)
        if task is not None:
            task.cancel()

    async def _connect(self, taker: Taker, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        connection = Connection(self)
        try:
            async with asyncio.timeout(seconds):
                await loop.create_connection(lambda: connection, self.host, self.port)
        except (OSError, TimeoutError, ValueError) as error:  # ValueError: a name no host can have
            connection.discard()
            self.connecting.pop(taker, None)
            taker.unreachable(error)
        except asyncio.CancelledError:
            connection.discard()
            raise
        else:
            self.connecting.pop(taker, None)
            taker.connected(connection)

    def trim(self, now: float, seconds: float) -> None:
        """Closes connections that were idle for longer than `seconds`."""
        idle = self.idle
        old = 0
        while old < len(idle) and now - idle[old].idle_since > seconds:
            old += 1
        if old:
            stale, self.idle = idle[:old], idle[old:]
            for connection in stale:
                connection.abort()

    def open_to(self, new: bool) -> None:
        """Whether the engine takes anything `new`. Where it doesn't, idle connections would hold its stop up;
        what is in flight ends by itself."""
        self.closed = not new
        if self.closed:
            self.purge()

    def purge(self) -> None:
        """Closes the idle connections."""
        stale, self.idle = self.idle, []
        for connection in stale:
            connection.abort()
