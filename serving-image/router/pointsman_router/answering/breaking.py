"""How a client's connection ends in the middle of an answer: so that nobody takes what came for all of it."""

from __future__ import annotations

import asyncio
import socket
import struct

from pointsman_router.clients.patience import LINGER_SECONDS


def cut(transport: asyncio.Transport, unframed: bool, paused: bool) -> None:
    """Ends it. `unframed`: only the connection's end would tell the answer's; `paused`: the client doesn't
    take what was sent before."""
    if unframed:
        _reset(transport)  # an orderly end would look like the answer's
        return
    if paused:
        # What was sent before is still on its way to a client that may never read it.
        asyncio.get_running_loop().call_later(LINGER_SECONDS, transport.abort)
    transport.close()


def _reset(transport: asyncio.Transport) -> None:
    """Ends a connection so that its other end sees an error, not an end."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
