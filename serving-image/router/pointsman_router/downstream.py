"""A client's connection: requests in, answers out, one exchange at a time, in order.

Heads of answers are always built here; bodies are framed anew. It knows HTTP and its exchange, nothing of
services or engines. All its waiting is driven by callbacks and by the router's tick.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from pointsman_router import errors, routes
from pointsman_router.errors import Problem
from pointsman_router.exchange import Exchange
from pointsman_router.reader import Reader, Request
from pointsman_router.settings import Limits

if TYPE_CHECKING:
    from pointsman_router.router import Router

_PAUSE_QUEUE: Final = 16
_MAX_QUEUE: Final = 256
_LINGER_SECONDS: Final = 2.0
_SPLIT_WRITE: Final = 64 * 1024
_STATUS_LINES: Final = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_LAST_CHUNK: Final = b"0\r\n\r\n"


class Downstream(asyncio.Protocol):
    """One client connection."""

    __slots__ = (
        "_chunked",
        "_close",
        "_exchange",
        "_head",
        "_head_only",
        "_heard",
        "_lingering_since",
        "_lost",
        "_message_since",
        "_next_message",
        "_owes_continue",
        "_queue",
        "_quiet_since",
        "_reader",
        "_request",
        "_router",
        "_running",
        "_transport",
        "address",
        "paused",
    )

    def __init__(self, router: Router) -> None:
        limits = router.state.table.limits
        self.paused = False
        self.address = b""
        self._router = router
        self._reader = Reader(self, limits.max_head_bytes, limits.max_body_bytes)
        self._transport: asyncio.Transport | None = None
        self._queue: deque[Request] = deque()
        self._exchange: Exchange | None = None
        self._request: Request | None = None
        self._head = b""
        """Of the answer, held back until its first body bytes can go with it."""
        self._chunked = False
        self._head_only = False
        self._close = False
        self._lost = False
        self._running = False
        self._owes_continue = False
        self._heard = True
        self._quiet_since = 0.0
        self._next_message = -1
        self._message_since = 0.0
        self._lingering_since = 0.0

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but ancestry
        peer = transport.get_extra_info("peername")
        self.address = str(peer[0]).removeprefix("::ffff:").encode() if peer else b""
        self._router.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        if not self._lingering_since:
            self._reader.feed(data)

    def eof_received(self) -> None:
        # A client that closes its sending half is taken to have left, as most servers do: only so does a
        # client that goes away in an orderly manner end its engine's work at once.
        self._gone()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._router.connections.discard(self)
        self._gone()

    def pause_writing(self) -> None:
        self.paused = True
        if self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        self.paused = False
        if self._exchange is not None:
            self._exchange.resume()
        else:
            self._work()

    # reader.Owner

    def admit(self, request: Request, length: int | None) -> Problem | None:
        route = routes.find(request.path)
        if route is None:
            return errors.unknown_route(request.method.decode(), request.path.decode("latin-1"))
        if request.method != route.method:
            path = request.path.decode("latin-1")
            return errors.wrong_method(request.method.decode(), path, route.method.decode())
        request.route = route
        return None

    def proceed(self) -> None:
        if self._exchange is None and not self._queue:
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        else:
            self._owes_continue = True  # earlier answers come first

    def received(self, request: Request) -> None:
        self._owes_continue = False
        self._queue.append(request)
        if self._exchange is None:
            self._work()
        if len(self._queue) >= _PAUSE_QUEUE:
            if len(self._queue) >= _MAX_QUEUE:
                request.keep_alive = False
                self._reader.close()
            if self._transport is not None:
                self._transport.pause_reading()

    def refused(self, problem: Problem, request: Request) -> None:
        stats = self._router.stats
        stats.refusals[problem.status] = stats.refusals.get(problem.status, 0) + 1
        request.problem = problem
        request.keep_alive = False
        request.body = b""
        self._queue.append(request)
        if self._exchange is None:
            self._work()

    # exchange.Caller

    def start(self, status: int, lines: list[bytes], length: int | None) -> None:
        request = self._request
        assert request is not None
        self._chunked = False
        self._head_only = request.method == b"HEAD"
        if length is not None:
            framing = b"\r\ncontent-length: %d" % length if status != 204 and status != 304 else b""
        elif request.http10:
            framing = b""
        else:
            self._chunked = True
            framing = b"\r\ntransfer-encoding: chunked"
        if not request.keep_alive or self._router.draining:
            self._close = True
            framing += b"\r\nconnection: close"
        line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        fields = b"\r\n".join(lines)
        self._head = b"%b%b%bx-request-id: %b%b\r\n\r\n" % (
            line,
            fields,
            b"\r\n" if fields else b"",
            request.id,
            framing,
        )

    def body(self, data: bytes, complete: bool) -> None:
        head, self._head = self._head, b""
        if self._head_only:
            self._write(head)
        elif self._chunked:
            if data:
                head += b"%x\r\n%b\r\n" % (len(data), data)
            self._write(head + _LAST_CHUNK if complete else head)
        elif len(data) > _SPLIT_WRITE:
            self._write(head)
            self._write(data)
        else:
            self._write(head + data)

    def cut(self) -> None:
        self._close = True
        transport = self._transport
        if transport is None:
            return
        if self._request is not None and self._request.http10:
            _reset(transport)  # an orderly end would look like the answer's
        else:
            transport.close()

    def finished(self) -> None:
        self._exchange = None
        self._request = None
        if self._close:
            self._end()
        else:
            self._work()

    # The rest.

    @property
    def busy(self) -> bool:
        """Whether a request is being answered, or waits to be."""
        return self._exchange is not None or bool(self._queue)

    def limit(self, limits: Limits) -> None:
        """From the next request on, these limits hold."""
        self._reader.limit(limits.max_head_bytes, limits.max_body_bytes)

    def drain(self) -> None:
        """The router stops: an idle connection is closed, a busy one after its answer."""
        if not self.busy and not self._reader.in_message and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Ends the connection now, whatever is under way."""
        if self._exchange is not None:
            self._exchange.cancel("stopped")
        if self._transport is not None:
            self._transport.abort()

    def tick(self, now: float) -> None:
        """Ends what takes too long. Called about once a second."""
        if self._heard:
            self._heard = False
            self._quiet_since = now
        if self._lingering_since:
            if now - self._lingering_since > _LINGER_SECONDS and self._transport is not None:
                self._transport.abort()
        elif self._exchange is not None:
            self._exchange.tick(now)
        elif not self._queue:
            self._check_client(now)

    def _check_client(self, now: float) -> None:
        """It's the client's turn: to begin a request, or to go on with one."""
        limits = self._router.state.table.limits
        reader = self._reader
        if not reader.in_message:
            if now - self._quiet_since > limits.keep_alive_seconds and self._transport is not None:
                self._transport.close()
            return
        if reader.messages != self._next_message:
            self._next_message = reader.messages
            self._message_since = now
        if reader.in_body:
            if now - self._quiet_since > limits.body_idle_seconds:
                reader.give_up(errors.client_slow("the rest of the request's body"))
        elif now - self._message_since > limits.head_seconds:
            reader.give_up(errors.client_slow("the rest of the request's head"))

    def _work(self) -> None:
        """Starts the next request. Answers that need no engine are written in this loop, not in recursion."""
        if self._running:
            return
        self._running = True
        queue = self._queue
        while queue and self._exchange is None and not self.paused and not self._close:
            self._run(queue.popleft())
        self._running = False
        if not queue and self._transport is not None and not self._close:
            if self._owes_continue and self._exchange is None:
                self._owes_continue = False
                self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._transport.resume_reading()

    def _run(self, request: Request) -> None:
        self._request = request
        self._exchange = exchange = Exchange(self._router, self, request)
        try:
            exchange.begin()
        except Exception:
            self._router.failed("a request could not be handled")
            exchange.refuse(errors.internal_error())

    def _gone(self) -> None:
        """The client has left: what it asked for stops at once."""
        self._lost = True
        self._queue.clear()
        self._close = True
        self._reader.close()
        if self._exchange is not None:
            self._exchange.cancel()

    def _end(self) -> None:
        """The last answer of this connection is written."""
        transport = self._transport
        self._queue.clear()
        if self._lost or transport is None or transport.is_closing():
            return
        if self._reader.stopped:
            # Closing while the client still sends would reset the connection, and might take our answer
            # away before it's read: close our half, let the client send for a moment, then leave.
            transport.write_eof()
            transport.resume_reading()
            self._lingering_since = monotonic()
        else:
            transport.close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and data:
            self._transport.write(data)


def _reset(transport: asyncio.Transport) -> None:
    """Ends a connection so that its other end sees an error, not an end."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
