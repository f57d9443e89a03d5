"""The life of one request: its attempts at engines, and the answer on its way back.

Everything happens in callbacks: a connection's protocol calls in, nothing here waits. A retry is possible
until the first byte of an answer went to the caller; from then on a break is told in the answer itself.
Callers are client connections and probes; engines are reached through `upstream`.
"""

from __future__ import annotations

import asyncio
from time import monotonic, time
from typing import TYPE_CHECKING

from pointsman_router import errors, stages
from pointsman_router.accesslog import NO_LABEL, Entry
from pointsman_router.caller import Caller
from pointsman_router.engine import Engine
from pointsman_router.errors import Problem, RefusedError, Shape
from pointsman_router.events import EventBuffer
from pointsman_router.pick import has_another, pick
from pointsman_router.reader import Request
from pointsman_router.state import ServiceState, VariantState
from pointsman_router.upstream import Connection, Response
from pointsman_router.wishes import Wish

if TYPE_CHECKING:
    from pointsman_router.router import Router

_JSON_LINE = b"content-type: application/json"
_STALE_SECONDS = 1.0
"""A reused connection that dies within this time was closed by the engine before it saw the request. One
that dies later may have died of the request, which must not take the next engine with it."""
_BACKOFF_SECONDS = 0.025
_ASIDE_SECONDS = 0.5
_ASIDE_MAX_SECONDS = 8.0
CLIENT_GONE = 499
"""Counted and logged for a client that left before its answer was complete; never sent."""


class Exchange:
    """One request and its answer."""

    __slots__ = (
        "_attempts",
        "_bytes_in",
        "_bytes_out",
        "_caller",
        "_connection",
        "_done",
        "_engine",
        "_engine_label",
        "_events",
        "_first_byte",
        "_head",
        "_quiet_since",
        "_request",
        "_router",
        "_sent_at",
        "_started",
        "_status",
        "_timer",
        "_touched",
        "_tried",
        "_wish",
        "internal",
        "only",
        "service",
        "variant",
    )

    def __init__(self, router: Router, caller: Caller, request: Request) -> None:
        self.internal = False
        """Asked by the router itself: neither counted nor logged."""
        self.only = ""
        """The variant to stay in, whatever its weight."""
        self.service: ServiceState | None = None
        self.variant: VariantState | None = None
        """Of the latest attempt."""
        self._router = router
        self._caller = caller
        self._request = request
        self._engine: Engine | None = None
        """Counted in its `in_flight` while it's here."""
        self._engine_label = b'""'
        self._connection: Connection | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._events: EventBuffer | None = None
        self._head = b""
        self._tried: tuple[Engine, ...] = ()
        self._wish: Wish | None = None
        self._attempts = 0
        self._status = 0
        """What the caller was told; 0 as long as everything is open."""
        self._first_byte = 0.0
        self._bytes_in = len(request.body)
        self._bytes_out = 0
        self._sent_at = 0.0
        self._quiet_since = 0.0
        self._touched = False
        self._done = False
        self._started = monotonic()

    # What the caller does.

    def begin(self) -> None:
        """Answers the request, at once or later."""
        request = self._request
        try:
            prepared = stages.prepare(request, self._router.state.table)
        except RefusedError as refusal:
            self.refuse(refusal.problem)
            return
        service, body = prepared.service, prepared.body
        if service is None:
            self._status = 200
            self._write(200, [_JSON_LINE], body)
            self._settle(200, "ok")
            return
        self.service = service
        self._wish = prepared.wish
        request.body = body
        request.lines.append(b"x-request-id: %b\r\ncontent-length: %d\r\n\r\n" % (request.id, len(body)))
        self._head = b"\r\n".join(request.lines)
        self._try()

    def refuse(self, problem: Problem) -> None:
        """Answers with a problem that no engine has a part in."""
        if not self._done:
            self._fail(problem, "refused")

    def cancel(self, ending: str = "client_gone") -> None:
        """The caller has gone: whatever is under way for it stops now."""
        self._leave_engine()
        self._settle(CLIENT_GONE, ending)

    def pause(self) -> None:
        """The caller can't take more for now, so nothing more is read from the engine."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        if self._connection is not None:
            self._connection.resume()

    def tick(self, now: float) -> None:
        """Ends what takes longer than the limits allow. Called about once a second."""
        if self._done or self._connection is None or self.service is None:
            return
        limits = self.service.routing.timeouts
        if not self._status:
            if now - self._sent_at > limits.first_byte_seconds:
                self._fail(errors.engine_silent(limits.first_byte_seconds), "timeout")
        elif self._touched:
            self._touched = False
            self._quiet_since = now
        elif now - self._quiet_since > limits.idle_stream_seconds:
            if self._caller.paused:
                self._break_off(CLIENT_GONE, "client_gone")
            else:
                self._fail(errors.engine_silent(limits.idle_stream_seconds), "timeout")

    # Attempts.

    def _try(self) -> None:
        """Gives the request to an engine."""
        self._timer = None
        service = self.service
        assert service is not None
        now = self._sent_at = monotonic()
        picked = pick(service, self._tried, now, self._router.random, self.only, self._wish)
        variant, engine = picked or (None, None)
        if variant is None or engine is None:
            self.refuse(errors.no_ready_endpoint(service.name))
            return
        self._attempts += 1
        if variant is not self.variant:
            self._move_to(variant)
        self._engine = engine
        self._engine_label = engine.label
        engine.in_flight += 1
        connection = engine.pool.take()
        if connection is None:
            engine.pool.connect(self, service.routing.timeouts.connect_seconds)
        else:
            self._send(connection, engine)

    def _move_to(self, variant: VariantState | None) -> None:
        if self.variant is not None:
            self.variant.stats.in_flight -= 1
        if variant is not None:
            variant.stats.in_flight += 1
            self.variant = variant

    def _send(self, connection: Connection, engine: Engine) -> None:
        self._connection = connection
        request = self._request
        if self._caller.paused:
            connection.pause()
        head = b"%b %b%b%b%b" % (request.method, request.path, request.query, engine.host_line, self._head)
        connection.send(self, head, request.body)

    def _may_retry(self) -> bool:
        """Whether another attempt is allowed. It will go by the newest endpoints."""
        service = self.service
        if service is None or self._attempts >= service.routing.retries.max_attempts:
            return False
        self.service = self._router.state.table.services.get(service.name, service)
        return True

    def _retry(self, reason: str, wait: bool) -> None:
        if self.variant is not None:
            self.variant.stats.count_retry(reason)
        self._leave_engine()
        if wait:
            doubled: float = 2 ** (self._attempts - 1)
            delay = _BACKOFF_SECONDS * doubled * (0.5 + self._router.random())
            self._timer = asyncio.get_running_loop().call_later(delay, self._try)
        else:
            self._try()

    # upstream.Taker

    def connected(self, connection: Connection) -> None:
        engine = self._engine
        if engine is None:
            connection.pool.put(connection)  # the caller left meanwhile; the next one needn't connect
            return
        engine.failures = 0
        engine.aside_until = 0.0
        if connection.usable:
            self._send(connection, engine)
        else:
            self.unreachable(ConnectionResetError())

    def unreachable(self, error: Exception) -> None:
        engine, service = self._engine, self.service
        if engine is None or service is None:
            return
        engine.failures += 1
        doubled: float = 2 ** min(engine.failures - 1, 8)
        engine.aside_until = monotonic() + min(_ASIDE_SECONDS * doubled, _ASIDE_MAX_SECONDS)
        self._tried = (*self._tried, engine)
        if self._may_retry():
            self._retry("connect", wait=True)
        else:
            self._fail(errors.unreachable(service.name), "engine_broke")

    def answered(self, response: Response) -> bool:
        if response.status == 503 and self._turned_away():
            return False
        self._status = response.status
        self._touched = True
        self._head = self._request.body = b""  # no retry from here on
        length = response.length
        if response.content_type.startswith(b"text/event-stream"):
            self._events = EventBuffer()
            length = None  # an error event may have to follow
        self._caller.start(response.status, response.lines, length)
        return True

    def relay(self, data: bytes, complete: bool) -> None:
        self._touched = True
        if self._events is not None:
            data = self._events.feed(data, complete)
        if data:
            if not self._bytes_out:
                self._first_byte = monotonic()
            self._bytes_out += len(data)
        if complete:
            self._connection = None
            self._leave_engine()
            self._caller.body(data, True)
            self._settle(self._status, "ok")
        else:
            self._caller.body(data, False)

    def broken(self, cause: str, untouched: bool) -> None:
        connection, self._connection = self._connection, None
        if self._done or connection is None:
            return
        if untouched and monotonic() - connection.sent_at < _STALE_SECONDS and self._may_retry():
            connection.pool.purge()  # its neighbours are as old
            self._retry("stale", wait=False)
        else:
            self._fail(errors.engine_broke(f"Engine failure: {cause}"), "engine_broke")

    # Endings.

    def _turned_away(self) -> bool:
        """An engine that drains takes nothing new. Whether another engine was asked instead."""
        engine, service = self._engine, self.service
        if engine is None or service is None or not self._may_retry():
            return False
        tried = (*self._tried, engine)
        if not has_another(self.service or service, tried, self.only):
            return False
        self._tried = tried
        self._retry("draining", wait=False)
        return True

    def _fail(self, problem: Problem, ending: str) -> None:
        """The engine can't or won't go on: an error response, or an error in the stream that has begun."""
        self._leave_engine()
        if not self._status:
            self._write_problem(problem)
            self._settle(problem.status, ending)
        elif self._events is not None and self._events.whole:
            self._caller.body(errors.render_event(problem, self._shape), True)
            self._settle(problem.status, ending)
        else:
            self._break_off(problem.status, ending)

    def _break_off(self, status: int, ending: str) -> None:
        self._leave_engine()
        self._caller.cut()
        self._settle(status, ending)

    @property
    def _shape(self) -> Shape:
        route = self._request.route
        return Shape.OPENAI if route is None else route.shape

    def _write_problem(self, problem: Problem) -> None:
        lines = [_JSON_LINE]
        if problem.allow:
            lines.append(b"allow: " + problem.allow.encode())
        if problem.retry_after:
            lines.append(b"retry-after: %d" % problem.retry_after)
        self._write(problem.status, lines, errors.render(problem, self._shape, self._request.id.decode()))

    def _write(self, status: int, lines: list[bytes], body: bytes) -> None:
        self._bytes_out = len(body)
        self._caller.start(status, lines, len(body))
        self._caller.body(body, True)

    def _leave_engine(self) -> None:
        """Lets go of what the attempt under way holds; a connection still in use is aborted."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.in_flight -= 1
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()

    def _settle(self, status: int, ending: str) -> None:
        """Counts and logs the request, once; then the caller may go on to its next."""
        if self._done:
            return
        self._done = True
        now = monotonic()
        self._move_to(None)
        if not self.internal:
            self._count(status, now)
            log = self._router.log
            if log.enabled:
                log.add(self._entry(status, ending, now))
        self._caller.finished()

    def _count(self, status: int, now: float) -> None:
        if self.variant is not None:
            stats = self.variant.stats
        elif self.service is not None:
            stats = self.service.stats
        else:
            stats = self._router.unrouted
        stats.codes[status] = stats.codes.get(status, 0) + 1
        stats.bytes_in += self._bytes_in
        stats.bytes_out += self._bytes_out
        stats.duration.observe(now - self._started)
        if self._first_byte:
            stats.first_byte.observe(self._first_byte - self._started)

    def _entry(self, status: int, ending: str, now: float) -> Entry:
        route, variant, service = self._request.route, self.variant, self.service
        owner = variant or service
        return Entry(
            time(),
            self._request.id,
            b"-" if route is None else route.path,
            status,
            NO_LABEL if owner is None else owner.label,
            self._engine_label,
            self._attempts,
            self._first_byte - self._started if self._first_byte else 0.0,
            now - self._started,
            self._bytes_in,
            self._bytes_out,
            self._caller.address,
            ending.encode(),
        )
