"""A client's connection: requests in, answers out, one exchange at a time, in order.

Heads of answers are always built here; bodies are framed anew. It knows HTTP and its exchange, nothing of
services or engines. All its waiting is driven by callbacks and by the router's tick.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Final, cast

from pointsman_router import errors, refusals, routes
from pointsman_router.answering import breaking
from pointsman_router.answering.exchange import Exchange
from pointsman_router.clients import keys
from pointsman_router.clients.patience import LINGER_SECONDS, Patience
from pointsman_router.clients.reader import Reader
from pointsman_router.clients.request import Request
from pointsman_router.errors import Problem, RefusedError
from pointsman_router.table import Table

if TYPE_CHECKING:
    from pointsman_router.router import Router

_MAX_TURNED_AWAY: Final = 256
"""Connections above the limit that are told so at a time; others are just closed."""
_SPLIT_WRITE: Final = 64 * 1024
_STATUS_LINES: Final = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_LAST_CHUNK: Final = b"0\r\n\r\n"


class Downstream(asyncio.Protocol):
    """One client connection."""

    __slots__ = (
        "_chunked",
        "_close",
        "_exchange",
        "_full",
        "_head",
        "_head_only",
        "_lost",
        "_owes_continue",
        "_patience",
        "_peer",
        "_queue",
        "_reader",
        "_request",
        "_router",
        "_running",
        "_table",
        "_transport",
        "_turned_away",
        "address",
        "paused",
    )

    def __init__(self, router: Router) -> None:
        self.paused = False
        self.address = b""
        self._router = router
        self._table = table = router.state.table
        self._reader = Reader(self, table.limits, router.bodies)
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
        self._full = False
        """Whether as many requests wait as a client may send ahead."""
        self._turned_away = False
        self._peer = b""
        self._patience = Patience()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but ancestry
        peer = transport.get_extra_info("peername")
        self._peer = self.address = str(peer[0]).removeprefix("::ffff:").encode() if peer else b""
        router = self._router
        if len(router.connections) >= self._table.limits.max_connections:
            self._turn_away()
            return
        router.connections.add(self)
        if self._table.proxies is not None:
            self._follow(self._table)

    def data_received(self, data: bytes) -> None:
        self._patience.heard = True
        table = self._router.state.table
        if table is not self._table:
            self._follow(table)
        self._reader.feed(data)

    def eof_received(self) -> None:
        # A client that closes its sending half is taken to have left, as most servers do: only so does a
        # client that goes away in an orderly manner end its engine's work at once.
        self._gone()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._router.connections.discard(self)
        if self._turned_away:
            self._router.turned_away -= 1
        self._gone()

    def pause_writing(self) -> None:
        self.paused = True
        self._patience.paused_since = monotonic()
        if self._exchange is not None:
            self._exchange.pause()

    def resume_writing(self) -> None:
        self.paused = False
        if self._exchange is not None:
            self._exchange.resume()
        else:
            self._work()

    # reader.Owner

    def admit(self, request: Request) -> Problem | None:
        try:
            route, request.path = routes.find(request.path)
        except RefusedError as refusal:
            return refusal.problem
        method = request.method
        if route is None:
            return errors.unknown_route(method.decode(), request.path.decode("latin-1"))
        table = self._table
        if method != route.method:
            if not (request.preflight and table.cors is not None):
                path = request.path.decode("latin-1")
                return errors.wrong_method(method.decode(), path, route.method.decode())
            request.route = route
            return None if table.cors.allows(request.origin) else refusals.unknown_origin()
        request.route = route
        request.preflight = b""
        return keys.check(request, table) if table.keys else None

    def proceed(self) -> None:
        if self._exchange is None and not self._queue:
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        else:
            self._owes_continue = True  # earlier answers come first

    def received(self, request: Request) -> None:
        self._owes_continue = False
        queue = self._queue
        if queue or self._exchange is not None or self._running or self.paused or self._close:
            queue.append(request)
            if self._exchange is None:
                self._work()
        else:
            self._running = True
            self._run(request)
            self._running = False
        waiting = len(queue) + (self._exchange is not None)
        if waiting and waiting >= self._table.limits.max_pipelined:
            self._full = True
            self._reader.pause()

    def surplus(self) -> None:
        if self._transport is not None:
            self._router.stats.hit("max_pipelined")
            self._transport.pause_reading()

    def refused(self, problem: Problem, request: Request) -> None:
        stats = self._router.stats
        stats.refusals[problem.status] = stats.refusals.get(problem.status, 0) + 1
        request.problem = problem
        request.keep_alive = False
        self._queue.append(request)
        if self._exchange is None:
            self._work()

    # exchange.Caller

    def start(self, status: int, lines: list[bytes], length: int | None) -> None:
        request = self._request
        assert request is not None
        policy = self._table.cors
        if policy is not None:
            lines = lines + policy.lines(request.origin)
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
        parts = (line, fields, b"\r\n" if fields else b"", request.id, framing)
        self._head = b"%b%b%bx-request-id: %b%b\r\n\r\n" % parts

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

    def chunks(self) -> Callable[[bytes], None] | None:
        framed = self._chunked and not self._head_only and not self._head
        return self._transport.write if framed and self._transport is not None else None

    def cut(self) -> None:
        self._close = True
        self._patience.ending_since = monotonic()
        if self._transport is not None:
            unframed = self._request is not None and self._request.http10
            breaking.cut(self._transport, unframed, self.paused)

    def finished(self) -> None:
        self._exchange = None
        request, self._request = self._request, None
        if request is not None and request.buffered:
            request.release()
        self._patience.heard = True  # from now on it's the client's turn
        if self._close:
            self._end()
        elif self._queue or self._full or self._owes_continue:
            self._work()

    @property
    def busy(self) -> bool:
        """Whether a request is being answered, or waits to be."""
        return self._exchange is not None or bool(self._queue)

    def drain(self) -> None:
        """The router stops: an idle connection is closed, a busy one after its answer."""
        if not self.busy and not self._reader.in_message and self._transport is not None:
            self._end()

    def stop(self) -> None:
        """The drain is over: what isn't whole ends in words that the client can read. May be told again."""
        if self._patience.ending_since:
            return
        if not self.busy and self._reader.in_message:
            self._reader.give_up(errors.router_stopped())
            return
        self._close = True
        if self._exchange is not None:
            self._exchange.stop()
        else:
            self._end()

    def abort(self) -> None:
        """Ends the connection now, whatever is under way or waits to be."""
        self._close = True
        if self._exchange is not None:
            self._exchange.cancel("stopped")
        if self._transport is not None:
            self._transport.abort()

    def tick(self, now: float) -> None:
        """Ends what takes too long. Called about once a second."""
        transport, patience = self._transport, self._patience
        patience.tick(now)
        if transport is None:
            return
        limits, reader = self._router.state.table.limits, self._reader
        if patience.ending_since:
            if patience.gone_wrong(now, limits, transport.get_write_buffer_size()):
                transport.abort()
            return
        if self._exchange is not None:
            self._exchange.tick(now)
        elif self.paused and now - patience.paused_since > limits.keep_alive_seconds:
            self._router.stats.hit("keep_alive_seconds")
            transport.abort()  # it takes no answers, of which there may be many
            return
        if reader.in_message:
            problem = None if self._full else patience.overdue(now, limits, reader)
            if problem is not None:
                reader.give_up(problem)
        elif not self.busy and patience.quiet(now) > limits.keep_alive_seconds:
            self._router.stats.hit("keep_alive_seconds")
            self._end()

    def _follow(self, table: Table) -> None:
        """Another configuration, or other endpoints, hold from here on."""
        known, self._table = self._table, table
        if table.limits is not known.limits or table is known:
            proxies = table.proxies
            trusted = proxies is not None and proxies.trusts(self._peer.decode())
            self._reader.follow(table.limits, proxies if trusted else None)

    def _turn_away(self) -> None:
        """There is no room for another connection: says so, before anything of it is read."""
        router, transport = self._router, self._transport
        assert transport is not None
        if router.turned_away >= _MAX_TURNED_AWAY:
            router.stats.hit("max_connections")
            transport.abort()
            return
        router.turned_away += 1
        self._turned_away = True
        self._reader.give_up(refusals.too_many_connections())
        asyncio.get_running_loop().call_later(LINGER_SECONDS, transport.abort)

    def _work(self) -> None:
        """Starts the next request. Answers that need no engine are written in this loop, not in recursion."""
        if self._running:
            return
        self._running = True
        queue = self._queue
        while queue and self._exchange is None and not self.paused and not self._close:
            self._run(queue.popleft())
        self._running = False
        if queue or self._transport is None or self._close:
            return
        if self._owes_continue and self._exchange is None:
            self._owes_continue = False
            self._write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._full:
            self._full = False
            self._transport.resume_reading()
            self._reader.resume()

    def _run(self, request: Request) -> None:
        self._request = request
        self.address = request.client or self._peer
        self._exchange = exchange = Exchange(self._router, self, request)
        try:
            if request.preflight and request.problem is None:
                exchange.reply(204, self._leave(request), b"")  # no engine would know
            else:
                exchange.begin()
        except Exception:
            self._router.failed("a request could not be handled")
            exchange.refuse(errors.internal_error())

    def _leave(self, request: Request) -> list[bytes]:
        """What a browser is told that asks whether its page may ask."""
        pages, route = self._table.cors, request.route
        return [] if pages is None or route is None else pages.leave(route.method)

    def _forget(self) -> None:
        """Requests that wait are never answered."""
        for request in self._queue:
            request.release()
        self._queue.clear()

    def _gone(self) -> None:
        """The client has left: what it asked for stops at once."""
        self._lost = True
        self._forget()
        self._close = True
        self._reader.close()
        if self._exchange is not None:
            self._exchange.cancel()

    def _end(self) -> None:
        """The last answer of this connection is written."""
        transport = self._transport
        self._forget()
        if self._lost or transport is None or transport.is_closing():
            return
        if self._reader.messages >= self._table.limits.max_requests_per_connection:
            self._router.stats.hit("max_requests_per_connection")
        self._patience.ending_since = monotonic()
        if self._reader.stopped and transport.can_write_eof():
            # Closing while the client still sends would reset the connection, and might take our answer
            # away before it's read: close our half, let the client send for a moment, then leave.
            transport.write_eof()
            transport.resume_reading()
        else:
            transport.close()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and data:
            self._transport.write(data)
