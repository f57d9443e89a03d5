"""An engine whose every byte the test writes, and which comes to its senses when told to."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

RIGHT = b'{"object":"chat.completion","right":true}'
"""What it answers once it's sane again."""


@dataclass
class Line:
    """A connection, as the engine has it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """Reads a whole request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        return head + await self.reader.readexactly(length)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def pour(self, data: bytes) -> None:
        """Writes the same again and again, until the router leaves."""
        while True:
            await self.send(data)
            await asyncio.sleep(0)

    async def drip(self, data: bytes) -> None:
        """Writes byte by byte, slowly, until the router leaves."""
        for byte in data:
            await self.send(bytes([byte]))
            await asyncio.sleep(0.03)

    async def left(self) -> None:
        """Says nothing more, until the router leaves."""
        while await self.reader.read(65536):
            pass
        raise ConnectionResetError

    def close(self) -> None:
        self.writer.close()

    def half_close(self) -> None:
        """Ends the sending half alone."""
        self.writer.write_eof()

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        if sock is None:
            return  # the router was quicker to leave
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Line], Awaitable[None]]
"""What happens on each connection; afterwards, if it's still open, requests are answered rightly."""


@dataclass
class RoughEngine:
    """Listens on loopback and does what the script says, until it's `sane`."""

    script: Script
    port: int = 0
    open: int = 0
    """Connections that are open now."""
    sane: bool = False
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._writers):
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer)
        self.open += 1
        self._writers.add(writer)
        try:
            if not self.sane:
                await self.script(line)
            while True:
                await line.request()
                await line.send(answer(RIGHT))
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, RuntimeError):
            pass
        finally:
            self.open -= 1
            self._writers.discard(writer)
            writer.transport.abort()


def head(*fields: str, status: str = "200 OK", version: str = "HTTP/1.1") -> bytes:
    """A response's head."""
    return "\r\n".join([f"{version} {status}", *fields, "", ""]).encode()


def answer(body: bytes, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """A whole response as it should be."""
    return head(f"content-type: {kind}", f"content-length: {len(body)}", status=status) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(data: bytes) -> bytes:
    return b"data: " + data + b"\n\n"


CHUNKED = head("content-type: application/json", "transfer-encoding: chunked")
EVENTS = head("content-type: text/event-stream", "transfer-encoding: chunked")


def says(data: bytes, then: Callable[[Line], object] | None = None) -> Script:
    """Reads the request and writes these bytes; then does something to the connection, or waits until the
    router has left."""

    async def script(line: Line) -> None:
        await line.request()
        await line.send(data)
        if then is None:
            await line.left()
        else:
            await asyncio.sleep(0.01)  # so that what was written isn't overtaken by a reset
            then(line)

    return script


def rightly(data: bytes, behind: bytes = b"") -> Script:
    """Reads the request and writes these bytes, others `behind` them, and goes on."""

    async def script(line: Line) -> None:
        await line.request()
        await line.send(data)
        if behind:
            await asyncio.sleep(0.02)
            await line.send(behind)

    return script


def pours(data: bytes, endlessly: bytes) -> Script:
    """Reads the request, writes these bytes and then others without end."""

    async def script(line: Line) -> None:
        await line.request()
        await line.send(data)
        await line.pour(endlessly)

    return script


def drips(data: bytes) -> Script:
    """Reads the request and writes these bytes one by one, slowly."""

    async def script(line: Line) -> None:
        await line.request()
        await line.drip(data)
        await line.left()

    return script
