"""A scripted engine: a server that does to each request what the test says, well-behaved or not."""

import asyncio
import json
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Script = Callable[["Turn"], Awaitable[None]]


@dataclass
class Received:
    """One request as it reached the engine."""

    line: str
    fields: list[tuple[str, str]]
    """Names in lower case, in the order they came."""
    body: bytes

    @property
    def path(self) -> str:
        return self.line.split(" ")[1]

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    def field(self, name: str) -> str | None:
        values = [value for key, value in self.fields if key == name]
        assert len(values) <= 1, values
        return values[0] if values else None


@dataclass
class Turn:
    """One request and the connection it came on."""

    request: Received
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    engine: "FakeEngine"

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def until_left(self) -> None:
        """Waits until the router gives the connection up."""
        try:
            while await self.reader.read(65536):
                pass
        except OSError:
            pass

    def reset(self) -> None:
        """Ends the connection with a reset."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.writer.transport.abort()


@dataclass
class FakeEngine:
    """Listens on loopback. `scripts` are used up one a request; then `script` goes on."""

    script: Script = field(default_factory=lambda: reply({"object": "chat.completion"}))
    scripts: deque[Script] = field(default_factory=deque)
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    """Accepted so far."""
    left: int = 0
    """Requests whose client went away before the script was done."""
    port: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> "FakeEngine":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._open)

    async def stop(self) -> None:
        """Stops listening and ends all connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._open):
            writer.transport.abort()
        await asyncio.sleep(0)

    def close_idle(self) -> None:
        """Ends all connections in an orderly way, and goes on listening."""
        for writer in tuple(self._open):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            while (request := await _read_request(reader)) is not None:
                self.requests.append(request)
                script = self.scripts.popleft() if self.scripts else self.script
                await self._run(script, Turn(request, reader, writer, self))
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    async def _run(self, script: Script, turn: Turn) -> None:
        try:
            await script(turn)
        except (OSError, RuntimeError):
            self.left += 1
            raise ConnectionResetError from None


async def _read_request(reader: asyncio.StreamReader) -> Received | None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.split("\r\n")[:-2]
    fields = [(name.lower(), value.strip()) for name, _, value in (entry.partition(":") for entry in rest)]
    received = Received(line, fields, b"")
    assert received.field("transfer-encoding") is None, "the router always announces a length"
    received.body = await reader.readexactly(int(received.field("content-length") or 0))
    return received


def reply(document: Any, status: int = 200, fields: dict[str, str] | None = None) -> Script:
    """Answers with JSON."""
    body = json.dumps(document).encode()
    lines = {"content-type": "application/json", "content-length": str(len(body)), **(fields or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return raw(f"HTTP/1.1 {status} Word\r\n{head}\r\n".encode() + body)


def raw(data: bytes, then_close: bool = False) -> Script:
    """Answers with these bytes."""

    async def script(turn: Turn) -> None:
        await turn.write(data)
        if then_close:
            turn.writer.close()

    return script


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


SSE_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)


def event(document: Any) -> bytes:
    return b"data: " + (document if isinstance(document, bytes) else json.dumps(document).encode()) + b"\n\n"


def events(*documents: Any, gap: float = 0.0, end: bool = True) -> Script:
    """Streams events, one a chunk; without `end` the connection is closed in the middle of the stream."""

    async def script(turn: Turn) -> None:
        await turn.write(SSE_HEAD)
        for document in documents:
            await turn.write(chunk(event(document)))
            await asyncio.sleep(gap)
        if end:
            await turn.write(chunk(event(b"[DONE]")) + b"0\r\n\r\n")
        else:
            turn.writer.close()

    return script


def gated(gate: asyncio.Event) -> Script:
    """A stream whose first event comes at once, and whose end when the gate is opened."""

    async def script(turn: Turn) -> None:
        await turn.write(SSE_HEAD + chunk(event({"n": 1})))
        await gate.wait()
        await turn.write(chunk(event(b"[DONE]")) + b"0\r\n\r\n")

    return script


async def hang(turn: Turn) -> None:
    """Says nothing, until the router leaves."""
    await turn.until_left()
    raise ConnectionResetError


async def reset(turn: Turn) -> None:
    """Resets the connection instead of answering."""
    turn.reset()


async def close(turn: Turn) -> None:
    """Closes the connection instead of answering."""
    turn.writer.close()


def echo(turn: Turn) -> Awaitable[None]:
    """Answers with what was received."""
    request = turn.request
    document = {"line": request.line, "fields": request.fields, "body": request.body.decode("latin-1")}
    return reply(document)(turn)
