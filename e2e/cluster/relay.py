"""Carries TCP connections from this machine's loopback to an address inside the node's network namespace.

    python relay.py PID [--attached] PORT=HOST:PORT ...

Listens on 127.0.0.1:PORT (0: any free one) and connects from the network namespace of process PID. Prints
`listening PORT ...` once it can be used. `--attached`: ends when standard input does. Runs by itself, as a
file: it imports nothing of this project.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import os
import socket
import struct
import sys
from collections.abc import Sequence

CLONE_NEWNET = 0x40000000
CHUNK = 1 << 16


def enter_network_of(pid: int) -> None:
    """Moves this process into the network namespace of `pid`; sockets it already has stay where they are."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/proc/{pid}/ns/net") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), f"/proc/{pid}/ns/net")


def listen(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    return listener


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carries one direction, up to and including its end."""
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends a connection so that its other side sees an error, and no orderly end."""
    if writer.is_closing():  # it was this side that broke off: nobody is there to be told
        return
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
    """One connection, both directions; an error on either side is passed on as a reset."""
    try:
        far_reader, far_writer = await asyncio.open_connection(host, port)
    except OSError:
        reset(writer)
        return
    try:
        async with asyncio.TaskGroup() as directions:
            directions.create_task(pump(reader, far_writer))
            directions.create_task(pump(far_reader, writer))
    except* OSError:
        reset(writer)
        reset(far_writer)
    finally:
        writer.close()
        far_writer.close()


async def serve(listeners: Sequence[tuple[socket.socket, str, int]], attached: bool) -> None:
    """Carries what comes in on `listeners` until it is cancelled or, `attached`, its parent is gone."""
    async with contextlib.AsyncExitStack() as servers:
        for listener, host, port in listeners:
            accept = functools.partial(carry, host=host, port=port)
            await servers.enter_async_context(await asyncio.start_server(accept, sock=listener))
        print("listening", *(listener.getsockname()[1] for listener, _, _ in listeners), flush=True)
        ended = asyncio.Event()
        if attached:
            # Nothing is ever sent on standard input: it becomes readable when its other end is closed.
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
        await ended.wait()


def main(arguments: Sequence[str]) -> None:
    attached = "--attached" in arguments
    pid, *routes = [argument for argument in arguments if argument != "--attached"]
    listeners = []
    for route in routes:
        local, _, remote = route.partition("=")
        host, _, port = remote.rpartition(":")
        listeners.append((listen(int(local)), host, int(port)))
    enter_network_of(int(pid))
    asyncio.run(serve(listeners, attached))


if __name__ == "__main__":
    main(sys.argv[1:])
