"""A small HTTP/1.1 client for what the router asks on its own account: the API server and status ports.

One connection a request, bodies bounded or read as a stream. Requests of clients never go through here.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httptools

_READ_BYTES = 64 * 1024


class FetchError(Exception):
    """The answer never came, or not as HTTP."""


@dataclass(frozen=True, slots=True)
class Target:
    """Who is asked; with `tls`, its certificate must be valid for `host`."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


class Stream:
    """An answer whose body is read as it comes."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self.status = 0
        self._reader = reader
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._head_done = False
        self._complete = False
        self._until_end = True

    async def read_head(self) -> None:
        """Reads until the status is known."""
        while not self._head_done:
            await self._feed()

    async def read(self) -> bytes:
        """The next bytes of the body; empty at its end. Raises FetchError when it's cut short."""
        while not self._pieces and not self._complete:
            await self._feed()
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data

    async def read_all(self, limit: int) -> bytes:
        """The whole body. Raises FetchError above `limit` bytes."""
        body = bytearray()
        while data := await self.read():
            body += data
            if len(body) > limit:
                raise FetchError(f"the answer is larger than {limit} bytes")
        return bytes(body)

    async def lines(self, limit: int) -> AsyncIterator[bytes]:
        """The body's lines, each when it's whole. Raises FetchError for a line above `limit` bytes."""
        rest = b""
        while data := await self.read():
            *whole, rest = (rest + data).split(b"\n")
            for line in whole:
                if line.strip():
                    yield line
            if len(rest) > limit:
                raise FetchError(f"a line is longer than {limit} bytes")

    async def _feed(self) -> None:
        data = await self._reader.read(_READ_BYTES)
        if not data:
            if self._head_done and self._until_end:
                self._complete = True
                return
            raise FetchError("the connection ended before the answer did")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise FetchError(f"malformed HTTP: {error}") from None

    # llhttp's callbacks.

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self._until_end = False

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._head_done = self.status >= 200

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        self._complete = self._head_done


@asynccontextmanager
async def stream(target: Target, path: str, headers: Mapping[str, str]) -> AsyncIterator[Stream]:
    """GET `path`. Raises OSError or FetchError; the caller sets the time limit."""
    reader, writer = await asyncio.open_connection(
        target.host, target.port, ssl=target.tls, server_hostname=target.host if target.tls else None
    )
    try:
        host = f"[{target.host}]" if ":" in target.host else target.host
        fields = {"host": f"{host}:{target.port}", "connection": "close", **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        answer = Stream(reader)
        await answer.read_head()
        yield answer
    finally:
        writer.transport.abort()


async def get(target: Target, path: str, seconds: float, limit: int) -> tuple[int, bytes]:
    """Status and body of GET `path`. Raises OSError (TimeoutError is one) or FetchError."""
    async with asyncio.timeout(seconds), stream(target, path, {}) as answer:
        return answer.status, await answer.read_all(limit)
