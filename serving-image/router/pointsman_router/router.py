"""What all parts of a router process share: its state, its counters, its connections and its clock tick."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from random import random
from time import monotonic

from pointsman_router.answering.downstream import Downstream
from pointsman_router.answering.feedback import Reports
from pointsman_router.answering.shadow import Copy, Shadows
from pointsman_router.clients.request import Budget
from pointsman_router.records.accesslog import AccessLog
from pointsman_router.records.metrics import Stats
from pointsman_router.state import State

_MAX_TICK_SECONDS = 1.0
_MIN_TICK_SECONDS = 0.02
_AT_ONCE = 512
"""Connections looked after in one go: thousands would hold up every stream for tens of milliseconds."""

logger = logging.getLogger("pointsman_router")


class Router:
    """One router process. `random` gives numbers in [0, 1)."""

    __slots__ = (
        "_pause",
        "_timer",
        "_turns",
        "bodies",
        "closed_because",
        "connections",
        "draining",
        "log",
        "random",
        "reports",
        "shadows",
        "state",
        "stats",
        "tls_error",
        "turned_away",
        "unrouted",
    )

    def __init__(self, log: AccessLog, random: Callable[[], float] = random) -> None:
        self.stats = Stats()
        self.unrouted = self.stats.of("", "")
        """Of requests that belong to no service."""
        self.state = State(self.stats)
        self.log = log
        self.random = random
        self.connections: set[Downstream] = set()
        self.shadows = Shadows(self)
        self.reports = Reports()
        self.draining = False
        """Whether answers tell clients to connect anew, elsewhere."""
        self.bodies = Budget()
        """Of request bodies held in memory, over all connections."""
        self.turned_away = 0
        """Connections above the limit that are being told so."""
        self.closed_because = ""
        """Why the public port isn't served; empty when it is."""
        self.tls_error = ""
        """Why the newest certificate isn't the one in use; empty when it is, or when there needn't be one."""
        self._timer: asyncio.TimerHandle | None = None
        self._turns: list[Downstream | Copy] = []
        """Connections that still have their turn in the tick under way."""
        self._pause = 0.0

    @property
    def ready(self) -> bool:
        """Whether it should be sent clients."""
        state = self.state
        return state.configured and state.endpoints_known and not self.draining and not self.closed_because

    @property
    def buffered_bytes(self) -> int:
        """Of request bodies held in memory, over all connections."""
        return self.bodies.used

    @property
    def in_flight(self) -> int:
        """Requests being answered, on client connections."""
        return sum(connection.busy for connection in self.connections)

    def accept(self) -> Downstream:
        """Protocol factory of the public port."""
        return Downstream(self)

    def failed(self, what: str) -> None:
        """A fault of our own, with the exception that is being handled."""
        logger.exception(what)

    def start(self) -> None:
        """Begins to tick."""
        self._tick()

    def cut(self) -> None:
        """Ends every request with words about it, and every connection once they're out."""
        for connection in tuple(self.connections):
            connection.stop()

    def stop(self) -> None:
        """Ends every connection now. Counts in the log as stopped whatever was in flight."""
        if self._timer is not None:
            self._timer.cancel()
        for connection in tuple(self.connections):
            connection.abort()
        self.shadows.stop()
        self.state.close()

    def _tick(self) -> None:
        """Gives every connection its turn, once in a period."""
        now = monotonic()
        turns = self._turns
        if not turns:
            turns.extend(self.connections)
            turns.extend(self.shadows.under_way)
            period = min(_MAX_TICK_SECONDS, max(_MIN_TICK_SECONDS, self.state.table.shortest_seconds / 4))
            self._pause = period / max(1, -(-len(turns) // _AT_ONCE))
            for engine in self.state.engines:
                engine.pool.trim(now, engine.routing.engines.idle_seconds)
            self.log.flush()
        for connection in turns[-_AT_ONCE:]:
            try:
                connection.tick(now)
            except Exception:
                self.failed("a connection could not be looked after")
        del turns[-_AT_ONCE:]
        self._timer = asyncio.get_running_loop().call_later(self._pause, self._tick)
