"""A request's way to an engine: which one, whether it has room, what happens when it can't be had.

The half of an exchange that faces the engines: it picks, waits in a queue, connects, and tries again where
that's safe. What comes back, and what the caller gets, is the other half's business.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from pointsman_router import errors
from pointsman_router.answering import comeback, stages
from pointsman_router.answering.caller import Caller
from pointsman_router.answering.pick import has_another, pick
from pointsman_router.clients.request import Request
from pointsman_router.engines import admission, health
from pointsman_router.engines.engine import Engine
from pointsman_router.engines.response import Fault, Receiver, Response
from pointsman_router.engines.retries import backoff
from pointsman_router.engines.upstream import Connection
from pointsman_router.errors import Problem, RefusedError
from pointsman_router.picking.wishes import Wish
from pointsman_router.table import ServiceState, VariantState

if TYPE_CHECKING:
    from pointsman_router.router import Router

_HEAD: Final = b"%b %b%b%b%bcontent-length: %d\r\nx-request-id: %b%b\r\n\r\n"
"""Of a request to an engine: method, path, query, its Host field, those that are passed on, the length of the
body, the id, and the variant's tag that ends that."""


class Attempts(ABC):
    """The attempts of one request at engines, one at a time."""

    __slots__ = (
        "_attempts",
        "_caller",
        "_came_at",
        "_cold",
        "_connection",
        "_document",
        "_draw",
        "_engine",
        "_engine_label",
        "_faults",
        "_plain",
        "_probing",
        "_rendered",
        "_request",
        "_router",
        "_sent_at",
        "_timer",
        "_tried",
        "_waits_for",
        "_wish",
        "internal",
        "only",
        "override",
        "probe",
        "service",
        "variant",
    )

    def __init__(self, router: Router, caller: Caller, request: Request) -> None:
        self.internal = False
        """Asked by the router itself: neither counted nor logged, and never made to wait."""
        self.only = ""
        """The variant to stay in, whatever its weight."""
        self.service: ServiceState | None = None
        self.variant: VariantState | None = None
        """Of the latest attempt."""
        self._came_at = 0.0
        """When (monotonic) it came to that variant: what it lost at others is no time of this one's."""
        self._faults: tuple[tuple[VariantState, Engine], ...] = ()
        """Attempts that failed by their engine's fault and were followed by another one."""
        self._router, self._caller, self._request = router, caller, request
        self.probe = False
        """Asks only whether something answers: no values of a prompt's variables are known."""
        self.override: frozenset[str] = frozenset()
        """What of the request stands, whatever a prompt fixes."""
        self._document: Mapping[str, Any] | None = None
        """What the body says, where a prompt may have to go into it."""
        self._plain = b""
        """Then the body without a prompt."""
        self._rendered: VariantState | None = None
        """Whose prompt is in the body."""
        self._wish: Wish | None = None
        self._draw = 0.0
        self._cold = False
        """Whether the times of the latest attempt are to be set aside."""
        self._attempts = 0
        self._tried: tuple[Engine, ...] = ()
        self._engine: Engine | None = None
        """Counted in its `in_flight` while it's here."""
        self._engine_label = b'""'
        self._connection: Connection | None = None
        self._probing = False
        """Whether this request decides if its engine comes back."""
        self._sent_at = 0.0
        """When (monotonic) the latest attempt, or the wait for it, began."""
        self._timer: asyncio.TimerHandle | None = None
        self._waits_for: VariantState | None = None
        """The variant in whose queue it is."""

    # The other half.

    @abstractmethod
    def answered(self, response: Response) -> Receiver | None: ...

    @abstractmethod
    def completed(self, data: bytes) -> None: ...

    @abstractmethod
    def broken(self, fault: Fault, untouched: bool) -> None: ...

    @abstractmethod
    def fail(self, problem: Problem, ending: str) -> None:
        """No engine will answer."""

    # Where to.

    def _try(self) -> None:
        """Gives the request to an engine, or lets it wait for one."""
        self._timer = None
        service = self.service
        assert service is not None
        now = self._sent_at = monotonic()
        picked = pick(service, self._tried, now, self._router.random, self.only, self._wish, self._draw)
        if picked is None:
            problem = errors.no_ready_endpoint(service.name, comeback.retry_after(service, now))
            self.fail(problem, "refused")
            return
        variant, engine = picked
        if engine is None or (engine.wanted and admission.awaited(engine)):
            if not self.internal:
                self._wait(variant, service)
                return
            engine = engine or min(variant.ready, key=lambda ready: ready.in_flight)
        self._ask(variant, engine, service)

    def _ask(self, variant: VariantState, engine: Engine, service: ServiceState) -> None:
        self._attempts += 1
        if variant is not self.variant:
            self._move_to(variant)
        if self._document is not None and variant is not self._rendered and not self._render(variant):
            return
        measure = variant.measure
        if measure is not None:
            number = engine.number
            self._cold = number not in measure.warm and measure.is_cold(number, self._sent_at)
        self._engine = engine
        self._engine_label = engine.label
        engine.in_flight += 1
        if engine.ejected:
            self._probing = health.taken(engine, self._sent_at)
        connection = engine.pool.take()
        if connection is None:
            engine.pool.connect(self, service.routing.timeouts.connect_seconds)
        else:
            self._send(connection, engine)

    def _render(self, variant: VariantState) -> bool:
        """Puts a variant's prompt into the body, anew where another attempt comes to another variant. False
        where the request is refused, which no earlier stage can know: the prompt is the variant's."""
        document, route, request = self._document, self._request.route, self._request
        assert document is not None
        assert route is not None
        if self._rendered is None:
            self._plain = request.body
        self._rendered = variant
        try:
            request.body = stages.rendered(
                self._plain, document, route, variant.renderer, self.probe, self.override
            )
        except RefusedError as refusal:
            self.fail(refusal.problem, "prompt_refused")
            return False
        return True

    def _move_to(self, variant: VariantState) -> None:
        last, self.variant = self.variant, variant
        variant.stats.in_flight += 1
        if last is not None:
            last.stats.in_flight -= 1
            if variant.name != last.name:
                self._came_at = self._sent_at
                self._cold = False

    # The queue.

    def _wait(self, variant: VariantState, service: ServiceState) -> None:
        """All engines have what they may have, or others came first."""
        self._router.stats.hit("max_requests")
        if variant is not self.variant:
            self._move_to(variant)
        if not variant.queue.join(self, variant.engines, service.routing.engines.max_queued):
            self._give_up_waiting(variant, service, "max_queued")
            return
        self._waits_for = variant
        variant.stats.queued += 1
        if len(variant.queue.waiting) == 1:
            variant.queue.wake(self._sent_at)  # others may wait for the same engine in another queue

    def go(self) -> bool:
        """admission.Waiter: there may be room now. Goes by the newest endpoints."""
        waits_for, service = self._waits_for, self.service
        if waits_for is None or service is None:
            return True
        service = self.service = self._router.state.table.services.get(service.name, service)
        now = monotonic()
        stay, random = self._stay_in(waits_for), self._router.random
        picked = pick(service, self._tried, now, random, stay, self._wish, self._draw)
        if picked is not None and picked[1] is None and picked[0].queue is waits_for.queue:
            return False
        self._leave_queue()
        if picked is None or picked[1] is None:
            self._try()
        else:
            self._sent_at = now
            self._ask(picked[0], picked[1], service)
        return True

    def _stay_in(self, waits_for: VariantState) -> str:
        """Who waits for a variant goes to no other, as long as it takes requests."""
        variant = None if self.service is None else self.service.variant(waits_for.name)
        return variant.name if variant is not None and variant.weight else self.only

    def _check_queue(self, now: float, variant: VariantState, service: ServiceState) -> None:
        if now - self._sent_at > service.routing.engines.queue_seconds:
            self._give_up_waiting(variant, service, "queue_seconds")
        elif next(iter(variant.queue.waiting), None) is self:
            variant.queue.wake(now)  # an engine that was only to be spared for a time tells nobody it's back

    def _give_up_waiting(self, variant: VariantState, service: ServiceState, limit: str) -> None:
        problem = errors.queue_full(service.name, variant.queue.retry_after(), limit)
        self.fail(problem, "refused")

    def _leave_queue(self) -> None:
        variant, self._waits_for = self._waits_for, None
        if variant is not None:
            variant.queue.leave(self)
            variant.stats.queued -= 1

    # The connection.

    def connected(self, connection: Connection) -> None:
        engine = self._engine
        if engine is None:
            connection.pool.put(connection)  # the caller left just now; the next one needn't connect
        elif connection.usable:
            health.reached(engine)
            self._send(connection, engine)
        else:
            connection.abort()
            self.unreachable(ConnectionResetError())

    def unreachable(self, error: Exception) -> None:
        engine, service = self._engine, self.service
        if engine is None or service is None:
            return
        if isinstance(error, TimeoutError):
            self._router.stats.hit("connect_seconds")
        self._count_failure("connect")
        now = monotonic()
        health.rest(engine, now)
        self._tried = (*self._tried, engine)
        if self._may_retry():
            self._retry("connect", wait=True)
        else:
            self.fail(errors.unreachable(service.name, comeback.retry_after(service, now)), "engine_broke")

    def _send(self, connection: Connection, engine: Engine) -> None:
        self._connection = connection
        request = self._request
        if self._caller.paused:
            connection.pause()
        tag = b"" if self.variant is None else self.variant.tag
        body, line = request.body, (request.method, request.path, request.query, engine.host_line)
        head = _HEAD % (*line, request.head, len(body), request.id, tag)
        connection.send(self, head, body)

    def _let_go(self) -> None:
        """Leaves what the attempt under way holds; a connection still in use is aborted."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waits_for is not None:
            self._leave_queue()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.abort()
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.in_flight -= 1
            if engine.pool.connecting:
                engine.pool.abandon(self)
            if self._probing:
                self._probing = False
                health.undecided(engine, monotonic())
            if engine.wanted:
                asyncio.get_running_loop().call_soon(admission.freed, engine, monotonic())

    # Failures.

    def _may_retry(self, paid: bool = True) -> bool:
        """Whether another attempt is allowed, which goes by the newest endpoints. `paid`: from the budget."""
        service = self.service
        if service is None:
            return False
        bounds = service.routing.retries
        if self._attempts >= bounds.max_attempts:
            return False
        if paid and not service.budget.spend(monotonic(), bounds.budget_percent):
            self._router.stats.hit("budget_percent")
            return False
        self.service = self._router.state.table.services.get(service.name, service)
        return True

    def _retry(self, reason: str, wait: bool) -> None:
        variant, engine = self.variant, self._engine
        if variant is not None:
            variant.stats.count_retry(reason)
            if reason != "stale" and engine is not None and engine.expected:
                self._faults = (*self._faults, (variant, engine))
        self._let_go()
        if wait:
            delay = backoff(self._attempts, self._router.random())
            self._timer = asyncio.get_running_loop().call_later(delay, self._try)
        else:
            self._try()

    def _turned_away(self, engine: Engine) -> bool:
        """An engine said 503: it's overloaded or drains, and hasn't begun. Whether another one is asked."""
        if engine.expected:
            self._count_failure("status")
        health.rest(engine, monotonic())
        tried = (*self._tried, engine)
        service = self.service
        if service is None or not has_another(service, tried, self.only) or not self._may_retry():
            return False
        self._tried = tried
        self._retry("draining", wait=False)
        return True

    def _count_failure(self, reason: str) -> None:
        """Counts what speaks against the engine, and perhaps leaves it out for a while."""
        engine, variant, service = self._engine, self.variant, self.service
        if engine is None or variant is None or service is None:
            return
        variant.stats.count_failure(reason)
        if health.failed(engine, variant.ready, monotonic(), service.routing.ejection):
            variant.stats.ejections += 1
            self._probing = False
