"""Connections to one engine: a pool, and the protocol that reads responses off one of them.

llhttp follows the framing of every response, and a connection goes back to the pool only when nothing about
it is in doubt: the response ended where its framing says, nothing came after it, the request was written
whole. It knows no services, variants or clients; what a response means is the exchange's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any, Protocol, cast

import httptools

from pointsman_router.headers import (
    CONNECTION,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    FORWARD,
    PLAIN_CONNECTION,
    RESPONSE_ACTIONS,
    TRANSFER_ENCODING,
    classify_response,
    without_nominated,
)
from pointsman_router.settings import Limits

_SPLIT_WRITE = 64 * 1024
"""Bodies above this are written apart from the head instead of being copied behind it."""
_action_of = RESPONSE_ACTIONS.get


class Taker(Protocol):
    """Whoever sent a request and takes its response: an exchange."""

    def connected(self, connection: Connection) -> None:
        """A new connection is there for it (it may have stopped waiting)."""

    def unreachable(self, error: Exception) -> None:
        """No connection could be made."""

    def answered(self, response: Response) -> bool:
        """The head is complete. False: the taker wants nothing more of it."""

    def relay(self, data: bytes, complete: bool) -> None:
        """Body bytes in order; `complete` comes once, last."""

    def broken(self, cause: str, untouched: bool) -> None:
        """The response can't be completed; `untouched`: not one byte of it came, on a reused connection."""


class Response:
    """The head of an engine's response."""

    __slots__ = ("content_type", "length", "lines", "status")

    def __init__(self) -> None:
        self.status = 0
        self.lines: list[bytes] = []
        """Fields to pass on, as `name: value`."""
        self.length: int | None = None
        """Bytes of body; None when only its framing or the connection's end tells."""
        self.content_type = b""


class _StopParsingError(Exception):
    """Leaves llhttp's callbacks; `args[0]` says what is wrong, or is empty when the taker left."""


class Connection(asyncio.Protocol):
    """One connection to an engine, carrying one request at a time."""

    __slots__ = (
        "_close_delimited",
        "_complete",
        "_connection_field",
        "_doubt",
        "_fed",
        "_head_done",
        "_keep",
        "_parser",
        "_paused",
        "_pieces",
        "_response",
        "_taker",
        "_transfer",
        "_transport",
        "idle_since",
        "pool",
        "reused",
        "sent_at",
    )

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.idle_since = 0.0
        self.sent_at = 0.0
        self.reused = False
        self._transport: asyncio.Transport | None = None
        self._taker: Taker | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._doubt = False
        self._paused = False
        self._reset()

    def _reset(self) -> None:
        self._response = Response()
        self._head_done = False
        self._complete = False
        self._close_delimited = False
        self._transfer: bytes | None = None
        self._connection_field = b""
        self._keep = True
        self._fed = 0

    # What the exchange does with it.

    @property
    def usable(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, taker: Taker, head: bytes, body: bytes) -> None:
        """Writes a request; the taker gets the response."""
        transport = self._transport
        assert transport is not None
        assert self._taker is None
        self._taker = taker
        self.sent_at = monotonic()
        if len(body) > _SPLIT_WRITE:
            transport.write(head)
            transport.write(body)
        else:
            transport.write(head + body)

    def abort(self) -> None:
        """Leaves at once: whoever waits for the response has gone, or it isn't to be trusted."""
        self._taker = None
        self._doubt = True
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        """The client can't take more for now."""
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            if self._transport is not None:
                self._transport.resume_reading()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but ancestry
        self.pool.open += 1

    def data_received(self, data: bytes) -> None:
        taker = self._taker
        if taker is None:
            self.abort()  # an idle engine has nothing to say; whatever this is, it isn't an answer
            return
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            cause = self._cause(error)
        else:
            cause = "" if self._fed <= self.pool.max_head else "the engine's framing takes too much room"
        if self._taker is None:
            return
        pieces = self._pieces
        if pieces:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
        else:
            data = b""
        if self._complete:
            if cause:
                self._doubt = True
            self._finish(taker, data)
        elif cause:
            self._break(taker, data, cause)
        elif self._head_done:
            taker.relay(data, False)

    def eof_received(self) -> None:
        taker = self._taker
        if taker is not None and self._head_done and self._close_delimited:
            self._complete = True
            self._doubt = True
            self._finish(taker, b"")

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._parser = None  # breaks the cycle between parser and callbacks
        self.pool.lost(self)
        taker, self._taker = self._taker, None
        if taker is not None:
            untouched = self.reused and not self._fed and not self._head_done
            taker.broken("the engine closed the connection before its answer was complete", untouched)

    # llhttp's callbacks, in the order they come.

    def on_message_begin(self) -> None:
        if self._complete:
            self._doubt = True  # a second response nobody asked for
            raise _StopParsingError("surplus response")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_done:
            return  # a trailer
        action = _action_of(name)
        if action is None:
            action = classify_response(name)
        if action == FORWARD:
            self._response.lines.append(name + b": " + value)
        elif action == CONTENT_TYPE:
            self._response.content_type = value
            self._response.lines.append(name + b": " + value)
        elif action == CONTENT_LENGTH:
            self._response.length = int(value)
        elif action == TRANSFER_ENCODING:
            self._transfer = value if self._transfer is None else self._transfer + b"," + value
        elif action == CONNECTION:
            self._connection_field += b"," + value

    def on_headers_complete(self) -> None:
        parser, response, taker = self._parser, self._response, self._taker
        status = response.status = parser.get_status_code()
        if status < 200:
            if status == 101:
                raise _StopParsingError("the engine switched protocols unasked")
            return
        self._check_framing(status)
        self._head_done = True
        if taker is None or not taker.answered(response):
            raise _StopParsingError("")

    def on_body(self, data: bytes) -> None:
        self._fed = 0
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        if self._head_done:
            self._complete = True
            self._fed = 0
        else:
            self._reset()  # 1xx: the answer is still to come

    # What they lead to.

    def _check_framing(self, status: int) -> None:
        parser, response = self._parser, self._response
        version = parser.get_http_version()
        if version != "1.1" and version != "1.0":
            raise _StopParsingError("the engine speaks neither HTTP/1.1 nor 1.0")
        transfer = self._transfer
        if transfer is not None and (transfer.strip().lower() != b"chunked" or version == "1.0"):
            raise _StopParsingError("the engine's Transfer-Encoding is not plain chunked")
        if transfer is not None and response.length is not None:
            raise _StopParsingError("the engine sent Content-Length with Transfer-Encoding")
        self._keep = parser.should_keep_alive()
        if status == 204 or status == 304:
            response.length = 0
        elif transfer is None and response.length is None:
            self._close_delimited = True
            self._keep = False
        if self._connection_field and self._connection_field[1:] not in PLAIN_CONNECTION:
            response.lines = without_nominated(response.lines, self._connection_field)

    def _cause(self, error: httptools.HttpParserError) -> str:
        if isinstance(error, httptools.HttpParserCallbackError):
            context = error.__context__
            if not isinstance(context, _StopParsingError):
                self._doubt = True
                raise error
            return str(context)
        return f"the engine sent malformed HTTP: {error}"

    def _finish(self, taker: Taker, data: bytes) -> None:
        """The response is whole: first let go of the connection, so that what follows may reuse it."""
        self._taker = None
        transport = self._transport
        clean = self._keep and not self._doubt and transport is not None and not transport.is_closing()
        if clean and transport is not None and not transport.get_write_buffer_size():
            self._reset()
            self.resume()
            self.reused = True
            self.pool.put(self)
        else:
            self.abort()
        taker.relay(data, True)

    def _break(self, taker: Taker, data: bytes, cause: str) -> None:
        self.abort()
        if self._head_done and data:
            taker.relay(data, False)
        taker.broken(cause, False)


class Pool:
    """The connections to one engine."""

    __slots__ = ("_connecting", "closed", "host", "idle", "max_head", "open", "port")

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.max_head = Limits().max_head_bytes
        self.open = 0
        """Connections there are, idle ones included."""
        self.idle: list[Connection] = []
        """Oldest first; the youngest is taken, so that what isn't needed grows old and is closed."""
        self.closed = False
        self._connecting: set[asyncio.Task[None]] = set()

    def take(self) -> Connection | None:
        """An idle connection that may be used again, or None."""
        idle = self.idle
        while idle:
            connection = idle.pop()
            if connection.usable:
                return connection
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
        task = asyncio.get_running_loop().create_task(self._connect(taker, seconds))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, taker: Taker, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        factory: Callable[[], Connection] = lambda: Connection(self)  # noqa: E731
        try:
            async with asyncio.timeout(seconds):
                _, connection = await loop.create_connection(factory, self.host, self.port)
        except (OSError, TimeoutError) as error:
            taker.unreachable(error)
        else:
            taker.connected(connection)

    def trim(self, now: float, seconds: float) -> None:
        """Closes connections that were idle for longer than `seconds`."""
        idle = self.idle
        old = 0
        while old < len(idle) and now - idle[old].idle_since > seconds:
            old += 1
        stale, self.idle = idle[:old], idle[old:]
        for connection in stale:
            connection.abort()

    def close(self) -> None:
        """Keeps nothing any more: the engine is gone. What is in flight ends by itself."""
        self.closed = True
        self.purge()

    def purge(self) -> None:
        """Closes the idle connections."""
        stale, self.idle = self.idle, []
        for connection in stale:
            connection.abort()
