"""Connections that aren't anybody's yet: a TLS handshake is under way, and may never be completed.

Whoever only connects costs memory too, so these are counted, each for exactly as long as it lives. A
connection becomes the router's when its handshake is done. Knows neither certificates nor configuration.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pointsman_router.answering.downstream import Downstream


class Handshakes:
    """Counts them, and makes connections of those that are done. `left` is called for each that ends."""

    def __init__(self, accept: Callable[[], Downstream], left: Callable[[], None]) -> None:
        self.accept = accept
        self.left = left
        self.pending = 0

    def begin(self) -> asyncio.Protocol:
        """Protocol factory of a port that speaks TLS."""
        return _Guest(self)


class _Guest(asyncio.Protocol):
    """Stands in for a connection until it has said hello. An event loop never tells a protocol of a handshake
    that failed, but lets go of it: hence `__del__`. It takes part in no cycle."""

    __slots__ = ("_handshakes",)

    def __init__(self, handshakes: Handshakes) -> None:
        self._handshakes = handshakes
        handshakes.pending += 1

    def __del__(self) -> None:
        handshakes = self._handshakes
        handshakes.pending -= 1
        handshakes.left()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        connection = self._handshakes.accept()
        transport.set_protocol(connection)
        connection.connection_made(transport)
