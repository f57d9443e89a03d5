"""One router process from start to graceful stop: its two ports, what feeds it, and its last seconds."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from pointsman_router.records.accesslog import AccessLog
from pointsman_router.router import Router
from pointsman_router.running.listening import BACKLOG, Address, PublicPort, bind, port_of
from pointsman_router.telling.admin import Admin
from pointsman_router.telling.signals import Poller

_DRAIN_ROUND_SECONDS: Final = 0.05
_LAST_WORDS_SECONDS: Final = 2.0
"""How long clients of what is cut when the drain is over have to take that it was."""
_GC_THRESHOLDS: Final = (50_000, 20, 50)
"""Requests make next to no cycles; collecting often only costs."""

SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
"""What a process is told by. Whoever blocks them before it starts loses none: it unblocks each it handles."""

logger = logging.getLogger("pointsman_router")

Work = Coroutine[Any, Any, None]


class StartError(Exception):
    """The process can't start; the message says why."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What keeps a router's state up to date, and when each resource it follows was last heard of."""

    work: Sequence[Work]
    watches: Callable[[], Mapping[str, float]] = dict


@dataclass(slots=True)
class Process:
    """How a process listens, logs and stops; times in seconds, and they may change while it runs."""

    public: Address
    admin: Address
    source: Callable[[Process, Router], Feed]
    """Given the router, begins to feed it."""
    drain_seconds: float
    """From SIGTERM on, how long requests in flight have to finish; the configuration may give them longer."""
    accept_seconds: float
    """How much of that time new connections are still taken, since who sends them lags behind readiness."""
    access_log: bool
    lifeline: int = -1
    """A descriptor that ends when the process that started this one does; -1: none."""
    router: Router = field(init=False)

    async def run(self) -> int:
        """Runs until SIGTERM or SIGINT, drains, and gives the exit status. Raises StartError."""
        self.router = router = Router(AccessLog(sys.stdout.fileno() if self.access_log else None))
        stop = self._stop_signal()
        port, admin = self._ports(router)
        feed = self.source(self, router)
        loop = asyncio.get_running_loop()
        admin_server = await loop.create_server(
            Admin(router, feed.watches).accept, sock=admin, backlog=BACKLOG
        )
        await port.update()
        router.start()
        tasks = [asyncio.ensure_future(work) for work in (*feed.work, port.follow(), Poller(router).run())]
        for task in tasks:
            task.add_done_callback(lambda _: stop.set())
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        state = f"not served: {router.closed_because}" if router.closed_because else "served"
        logger.info("port %d, admin port %d; the port is %s", port.address.port, port_of(admin), state)
        await stop.wait()
        status = _report(tasks)
        await self._drain(port)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        admin_server.close()
        router.log.close()
        return status

    def log_requests(self, wanted: bool) -> None:
        """Turns the access log on or off from now on."""
        router = self.router
        if wanted != router.log.enabled:
            last, router.log = router.log, AccessLog(sys.stdout.fileno() if wanted else None)
            last.close(0)

    def _stop_signal(self) -> asyncio.Event:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))
        if self.lifeline >= 0:

            def orphaned() -> None:
                loop.remove_reader(self.lifeline)
                stop.set()

            loop.add_reader(self.lifeline, orphaned)
        return stop

    def _ports(self, router: Router) -> tuple[PublicPort, Any]:
        address = self.public
        try:
            public = PublicPort(router, address)
            address = self.admin
            return public, bind(address)
        except OSError as error:
            raise StartError(f"can't listen on port {address.port}: {error}") from None

    async def _drain(self, port: PublicPort) -> None:
        """Readiness goes first, then new connections, then what is in flight or the time is up."""
        router, began = self.router, monotonic()
        router.draining = True
        logger.info("draining: %d requests in flight", router.in_flight)
        await asyncio.sleep(min(self.accept_seconds, self.drain_seconds))
        port.stop()
        while monotonic() - began < max(self.drain_seconds, router.state.table.drain_seconds):
            for connection in tuple(router.connections):
                connection.drain()
            if not router.connections:
                break
            await asyncio.sleep(_DRAIN_ROUND_SECONDS)
        cut = router.in_flight
        await _cut(router)
        router.stop()
        await asyncio.sleep(0)
        logger.info("stopped after %.1f s; %d requests were cut", monotonic() - began, cut)


async def _cut(router: Router) -> None:
    """Tells those whose time is over, and lets them hear of it. Who doesn't listen is left."""
    began = monotonic()
    while router.connections and monotonic() - began < _LAST_WORDS_SECONDS:
        router.cut()
        await asyncio.sleep(_DRAIN_ROUND_SECONDS)


def _report(tasks: Sequence[asyncio.Future[None]]) -> int:
    """A task that ended by itself is a fault: then the process doesn't exit with 0."""
    broken = [task for task in tasks if task.done()]
    for task in broken:
        logger.error("a part of the router ended", exc_info=task.exception())
    return 1 if broken else 0


def raise_file_limit() -> None:
    """Each stream takes two file descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
