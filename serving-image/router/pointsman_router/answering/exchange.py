"""The life of one request, from the stages until its answer is complete or given up.

Everything happens in callbacks: a connection's protocol calls in, nothing here waits. A retry is possible
until an engine's answer has begun; from then on a break is told in the answer itself. Callers are client
connections and probes. How the request gets to an engine is in `attempts`, what the caller gets in `answer`.
"""

from __future__ import annotations

import asyncio
from time import monotonic, time
from typing import TYPE_CHECKING, Final

from pointsman_router import errors
from pointsman_router.answering import stages
from pointsman_router.answering.answer import Answer, Untold, is_json, is_stream, retry_after
from pointsman_router.answering.attempts import Attempts
from pointsman_router.answering.caller import Caller
from pointsman_router.answering.meter import Meter
from pointsman_router.clients.request import Request
from pointsman_router.engines import health
from pointsman_router.engines.response import Fault, Receiver, Response
from pointsman_router.errors import Problem, RefusedError
from pointsman_router.records.accesslog import NO_LABEL, Entry
from pointsman_router.records.windows import Measure, has_failed
from pointsman_router.table import ServiceState

if TYPE_CHECKING:
    from pointsman_router.router import Router

_JSON_LINE: Final = b"content-type: application/json"
_STALE_SECONDS: Final = 1.0
"""A reused connection that dies within this time was closed by the engine before it saw the request. One
that dies later may have died of the request, which must not take the next engine with it."""
_new_tuple: Final = tuple.__new__
"""Makes a named tuple without a Python call in between."""
CLIENT_GONE: Final = 499
"""Counted and logged for a client that left before its answer was complete; never sent."""


class Exchange(Attempts):
    """One request and its answer."""

    __slots__ = (
        "_answer",
        "_answered",
        "_bytes_in",
        "_cut",
        "_deadline",
        "_done",
        "_error",
        "_left",
        "_meter",
        "_progress",
        "_quiet_since",
        "_spoke_at",
        "_started",
        "_stream",
    )

    def __init__(self, router: Router, caller: Caller, request: Request) -> None:
        Attempts.__init__(self, router, caller, request)  # `super` costs as much as all of the rest
        self._answer = Answer(caller, request)
        self._bytes_in = len(request.body)
        self._stream = False
        """Whether the client asked for a stream."""
        self._answered = False
        """Whether an engine's answer has begun."""
        self._error: Untold | None = None
        """An engine's answer that can't be passed on, since a stream was begun before it."""
        self._meter: Meter | None = None
        """What measures the answer, where that's a stream and a window is set."""
        self._cut = False
        """Whether it ended because its engine went away, or the router does."""
        self._left = False
        """Whether the client left while an engine was at work for it, or all of a variant were for others."""
        self._progress = 0
        self._deadline: asyncio.TimerHandle | None = None
        """The client's own; the service's is looked after by `tick`."""
        self._done = False
        self._spoke_at = self._quiet_since = self._started = self._came_at = monotonic()

    # What the caller does.

    def begin(self) -> None:
        """Answers the request, at once or later."""
        request = self._request
        try:
            prepared = stages.prepare(request, self._router.state.table, self.only)
        except RefusedError as refusal:
            self.refuse(refusal.problem)
            return
        service, body = prepared.service, prepared.body
        if service is None:
            status = 200 if prepared.report is None else self._router.reports.take(prepared.report)
            self.reply(status, [_JSON_LINE], body)
            return
        self.service = service
        self._wish = prepared.wish
        self._draw = prepared.draw
        self._stream = prepared.stream
        self._document = prepared.document
        original, request.body = request.body, body
        self._account(service)
        if request.timeout:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(request.timeout, self._expire, request.timeout)
        self._try()
        if service.copies is not None:
            self._copy(service, original)

    def _account(self, service: ServiceState) -> None:
        """Counts the request to what its service may spend on retries."""
        budget = service.budget
        if self._started >= budget.turn_at:
            budget.turn(self._started)
        budget.requests += 1

    def _copy(self, service: ServiceState, body: bytes) -> None:
        """Lets a variant without weight have a copy. `body`: as the client sent it."""
        if not self.internal:
            self._router.shadows.offer(service, self._request, body)

    def reply(self, status: int, lines: list[bytes], body: bytes) -> None:
        """Answers with what needs no engine."""
        self._answer.write(status, lines, body)
        self._settle(status, "ok")

    def refuse(self, problem: Problem) -> None:
        """Answers with a problem that no engine has a part in."""
        if not self._done:
            self.fail(problem, "refused")

    def cancel(self, ending: str = "client_gone") -> None:
        """The caller has gone: whatever is under way for it stops now."""
        held = self._engine is not None or self._waits_for is not None
        self._left = ending == "client_gone" and held
        self._let_go()
        self._settle(CLIENT_GONE, ending)

    def stop(self) -> None:
        """The router ends before this does: it's told so, and cut."""
        self._end_cut(errors.router_stopped(), "stopped")

    def pause(self) -> None:
        """The caller can't take more for now, so nothing more is read from the engine."""
        if self._connection is not None:
            self._connection.pause()

    def resume(self) -> None:
        if self._connection is not None:
            self._connection.resume()

    # What takes too long.

    def tick(self, now: float) -> None:
        """Ends what takes longer than the limits allow. Called about once a second."""
        service = self.service
        if self._done or service is None:
            return
        limits = service.routing.timeouts
        if self._answer.progress != self._progress:
            self._progress = self._answer.progress
            self._quiet_since = now
        if now - self._started > limits.request_seconds:
            self._expire(limits.request_seconds, "request_seconds")
        elif self._waits_for is not None:
            self._check_queue(now, self._waits_for, service)
        elif self._answered:
            if now - self._quiet_since > limits.idle_stream_seconds:
                self._silent("idle_stream_seconds", limits.idle_stream_seconds)
        elif self._connection is not None and now - self._sent_at > limits.first_byte_seconds:
            self._silent("first_byte_seconds", limits.first_byte_seconds)
        if not self._done and now - max(self._quiet_since, self._spoke_at) > limits.comment_seconds:
            self._keep_alive(now)

    def _keep_alive(self, now: float) -> None:
        """Nothing went to the client for a while. A stream takes a comment; what else there is must wait."""
        if not (self._stream or self._answer.status) or self.internal:
            return
        variant, answer = self.variant, self._answer
        told = None if answer.status or self._connection is None else variant
        if told is not None:
            answer.extra = told.lines
        if answer.comment():
            self._spoke_at = now
            if told is not None:
                self.only = told.name  # the head is out, and says who answers

    def _silent(self, limit: str, seconds: float) -> None:
        if self._answered and self._caller.paused:
            self._router.stats.hit(limit)
            self._break_off(CLIENT_GONE, "client_gone")
            return
        if not self._cut_short():
            self._count_failure("timeout")
            self.fail(errors.engine_silent(seconds, limit), "timeout")

    def _expire(self, seconds: float, limit: str = "") -> None:
        """The whole request took too long, by the client's own word or by the `limit`."""
        self.fail(errors.too_late(seconds, limit), "timeout")

    # upstream.Taker

    def answered(self, response: Response) -> Receiver | None:
        engine, variant, service = self._engine, self.variant, self.service
        assert engine is not None
        assert variant is not None
        assert service is not None
        status = response.status
        if status >= 500 and health.is_failure(status):
            if status != 503:
                self._count_failure("status")
            elif self._turned_away(engine):
                return None
        elif engine.ejected:
            health.began_well(engine, self._sent_at, service.routing.ejection)
            self._probing = False  # the next one that is to decide is another's
        self._answered = True
        self._quiet_since = monotonic()
        self._plain = b""
        self._document = None
        self._request.release()  # no retry from here on
        answer = self._answer
        answer.extra = variant.lines
        if answer.status and not (status == 200 and is_stream(response)):
            self._error = Untold(status)
            return self._error
        if status >= 400 and not is_json(response):
            self.fail(errors.engine_status(status, retry_after(response)), "ok")
            return None
        answer.begin(response, variant.stats.gaps, engine, self._stopped)
        if variant.measure is None or not answer.streamed:
            return answer
        self._meter = Meter(answer)
        return self._meter

    def completed(self, data: bytes) -> None:
        self._connection = None
        engine, error = self._engine, self._error
        if error is not None:
            error.relay(data)
            self.fail(errors.of_engine(error.status, bytes(error.body)), "ok")
            return
        if self._meter is not None:
            self._meter.note(data)
        status = self._answer.status
        if engine is not None and engine.failures and not health.is_failure(status):
            health.succeeded(engine)
        self._answer.finish(data)
        if not self._done:
            self._let_go()
            self._settle(status, "ok")

    def broken(self, fault: Fault, untouched: bool) -> None:
        connection, self._connection = self._connection, None
        if self._done or connection is None:
            return
        # No engine saw the request, so trying again adds to nobody's load and isn't paid for.
        if untouched and monotonic() - connection.sent_at < _STALE_SECONDS and self._may_retry(paid=False):
            connection.pool.purge()  # its neighbours are as old
            self._retry("stale", wait=False)
            return
        if self._cut_short():
            return
        self._count_failure(fault.reason)
        if fault.limit:
            self._router.stats.hit(fault.limit)
        self.fail(errors.engine_broke(f"Engine failure: {fault.words}"), "engine_broke")

    def _stopped(self) -> None:
        """The engine says that it was stopped: it was to go, and didn't get this done in time."""
        self._end_cut(errors.engine_stopped(), "engine_stopped")

    def _cut_short(self) -> bool:
        """Whether the engine was to go, so that what it didn't finish is cut; ends the request if so."""
        engine = self._engine
        if engine is None or not engine.leaving:
            return False
        self._stopped()
        return True

    def _end_cut(self, problem: Problem, ending: str) -> None:
        self._cut = True
        if self.variant is not None and not self.internal:
            self.variant.stats.cut += 1
        self.fail(problem, ending)

    # Endings.

    def fail(self, problem: Problem, ending: str) -> None:
        """It ends here: with an error response, or with an error in the stream that has begun."""
        self._let_go()
        if problem.limit:
            self._router.stats.hit(problem.limit)
        self._answer.fail(problem)
        self._settle(problem.status, ending)

    def _break_off(self, status: int, ending: str) -> None:
        self._let_go()
        self._caller.cut()
        self._settle(status, ending)

    def _settle(self, status: int, ending: str) -> None:
        """Counts and logs the request, once; then the caller may go on to its next."""
        if self._done:
            return
        self._done = True
        now = monotonic()
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self.variant is not None:
            self.variant.stats.in_flight -= 1
        self._answer.over()
        if not self.internal:
            self._record(status, ending, now)
        self._caller.finished()

    def _record(self, status: int, ending: str, now: float) -> None:
        self._count(status, now)
        if self._faults:
            self._measure_faults()
        variant = self.variant
        asked = (self._attempts or self._left) and not self._cut
        if variant is not None and variant.measure is not None and asked:
            self._measure(variant.measure, status, ending, now)
        log = self._router.log
        if log.enabled:
            log.add(self._entry(status, ending, now))

    def _measure_faults(self) -> None:
        """A variant that was left since it couldn't answer has failed the request, whoever answers it then.
        Where it got another try, what became of that counts. That an engine goes may be known only now."""
        last = self.variant
        blamed = {variant.name: variant for variant, engine in self._faults if not engine.leaving}
        for name, variant in blamed.items():
            if variant.measure is not None and last is not None and name != last.name:
                variant.measure.failed()

    def _measure(self, measure: Measure, status: int, ending: str, now: float) -> None:
        """What the window counts of it. Who found no room says nothing of an engine."""
        if ending == "refused":
            return
        answer, meter, began = self._answer, self._meter, self._came_at
        if status == CLIENT_GONE:
            if self._left:
                first = answer.first_byte_at - began if answer.first_byte_at else None
                measure.left(first, now - began, self._stream, self._cold)
            return
        tail, events = (answer.tail, 0) if meter is None else (meter.tail, meter.events)
        if status >= 500 or (meter is not None and has_failed(tail)) or ending == "prompt_refused":
            # A prompt that asks for more than clients send fails them. Who errs does so with every variant.
            measure.failed()
        elif status >= 400:
            measure.refused()
        else:
            first = answer.first_byte_at - began if answer.first_byte_at else 0.0
            measure.answered(tail, events, first, now - began, meter is not None, self._cold)

    def _count(self, status: int, now: float) -> None:
        if self.variant is not None:
            stats = self.variant.stats
        elif self.service is not None:
            stats = self.service.stats
        else:
            stats = self._router.unrouted
        answer = self._answer
        stats.codes[status] = stats.codes.get(status, 0) + 1
        stats.bytes_in += self._bytes_in
        stats.bytes_out += answer.bytes_out
        stats.duration.observe(now - self._started)
        if answer.first_byte_at:
            stats.first_byte.observe(answer.first_byte_at - self._started)
        key = self._request.key
        if key is not None:
            key.stats.requests += 1

    def _entry(self, status: int, ending: str, now: float) -> Entry:
        route, answer, key = self._request.route, self._answer, self._request.key
        owner = self.variant or self.service
        values = (
            time(),
            self._request.id,
            b"-" if route is None else route.path,
            status,
            NO_LABEL if owner is None else owner.label,
            self._engine_label,
            self._attempts,
            answer.first_byte_at - self._started if answer.first_byte_at else 0.0,
            now - self._started,
            self._bytes_in,
            answer.bytes_out,
            self._request.client or self._caller.address,
            b'""' if key is None else key.label,
            ending.encode(),
        )
        return _new_tuple(Entry, values)
