"""Copies of requests for a variant without weight: asked once more, and the answer thrown away.

So a candidate is seen at work before anybody depends on it. A copy begins after its client's own request is
on its way and shares nothing with it but the bytes of the body. It waits for nothing, is never tried again,
spends nobody's budget and is charged to no key; where there's no room for it, it's dropped and counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pointsman_router.answering.exchange import Exchange
from pointsman_router.clients.request import Request
from pointsman_router.table import ServiceState, VariantState

if TYPE_CHECKING:
    from pointsman_router.router import Router

MAX_COPIES: Final = 64
"""Copies in flight at once, in a process."""
MAX_BODY_BYTES: Final = 1024 * 1024
"""The largest body that is copied: together they take no more than 64 MiB."""


class Shadows:
    """The copies of one router process."""

    __slots__ = ("_router", "under_way")

    def __init__(self, router: Router) -> None:
        self._router = router
        self.under_way: set[Copy] = set()

    def offer(self, service: ServiceState, request: Request, body: bytes) -> None:
        """Perhaps copies a request that has just begun. `body`: as its client sent it."""
        copies = service.copies
        if copies is None or not copies.takes():
            return
        variant = service.variant(copies.variant)
        if variant is None:
            return
        router = self._router
        held = router.bodies.used + len(body) > router.state.table.limits.max_buffered_bytes // 2
        if len(self.under_way) >= MAX_COPIES or len(body) > MAX_BODY_BYTES or held or router.draining:
            variant.stats.shadow_dropped += 1
            return
        copy = Copy(router, _again(request, body), variant)
        self.under_way.add(copy)
        asyncio.get_running_loop().call_soon(copy.start_out)  # the client's own comes first

    def stop(self) -> None:
        """Ends all of them."""
        for copy in tuple(self.under_way):
            copy.end()


class Copy:
    """One copy, and whoever its answer is for: nobody."""

    __slots__ = ("_exchange", "_request", "_router", "_variant", "address", "paused")

    def __init__(self, router: Router, request: Request, variant: VariantState) -> None:
        self.paused = False
        self.address = b"shadow"
        self._router = router
        self._request = request
        self._variant = variant
        self._exchange: CopyExchange | None = None

    def start_out(self) -> None:
        """Asks."""
        if self not in self._router.shadows.under_way:
            return  # the router stopped meanwhile
        self._exchange = exchange = CopyExchange(self._router, self, self._request)
        exchange.only = self._variant.name
        try:
            exchange.begin()
        except Exception:
            self._router.failed("a copy could not be sent")
            exchange.cancel()

    def end(self) -> None:
        """Nobody is interested any more."""
        if self._exchange is None:
            self.finished()
        else:
            self._exchange.cancel("stopped")

    def tick(self, now: float) -> None:
        """Ends it where it takes too long, as a client's request."""
        if self._exchange is not None:
            self._exchange.tick(now)

    # caller.Caller

    def start(self, status: int, lines: list[bytes], length: int | None) -> None:
        pass

    def body(self, data: bytes, complete: bool) -> None:
        pass

    def chunks(self) -> Callable[[bytes], None]:
        return _forget

    def cut(self) -> None:
        pass

    def finished(self) -> None:
        self._exchange = None
        self._request.release()
        self._router.shadows.under_way.discard(self)


class CopyExchange(Exchange):
    """A request whose only effect is what is measured of it."""

    __slots__ = ()

    def _wait(self, variant: VariantState, service: ServiceState) -> None:
        variant.stats.shadow_dropped += 1
        self._let_go()
        self._settle(503, "refused")

    def _may_retry(self, paid: bool = True) -> bool:
        return False

    def _keep_alive(self, now: float) -> None:
        self._spoke_at = now

    def _copy(self, service: ServiceState, body: bytes) -> None:
        pass  # there are no copies of copies

    def _account(self, service: ServiceState) -> None:
        pass

    def _record(self, status: int, ending: str, now: float) -> None:
        variant = self.variant
        if variant is None or not self._attempts or ending == "refused":
            return
        variant.stats.shadowed += 1
        if variant.measure is not None and not self._cut:
            before = variant.measure.counts.requests
            self._measure(variant.measure, status, ending, now)
            variant.measure.counts.shadowed += variant.measure.counts.requests - before


def _again(request: Request, body: bytes) -> Request:
    """The same request, as nobody's."""
    copy = request.like()
    copy.id = request.id
    copy.key = None
    copy.timeout = 0.0
    copy.body = body
    copy.keep_alive = True
    if copy.budget is not None:
        copy.budget.used += len(body)
        copy.buffered = len(body)
    return copy


def _forget(data: bytes) -> None:
    pass
