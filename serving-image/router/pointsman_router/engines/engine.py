"""One engine as the router knows it: its connections, what it has in flight, how it fares.

It outlives tables and configurations, since requests in flight hold it. Knows nothing of services.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import orjson

from pointsman_router.engines.admission import Queue
from pointsman_router.engines.endpoints import Endpoint
from pointsman_router.engines.pool import Pool
from pointsman_router.settings import Routing

READY = "Ready"
"""The phase of an engine that answers."""
DRAINING = "Draining"
"""The phase of one that is about to end."""
STARTING = frozenset({"Preflight", "Downloading", "Loading", "Proving"})
"""Those before one answers."""

_numbers = count(1)
"""Each engine's own in this process, never given again."""


@dataclass(slots=True)
class Phase:
    """What an engine's entrypoint last said on its status port; empty until it was asked."""

    phase: str = ""
    bytes_loaded: int = 0
    bytes_total: int = 0
    timings: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    message: str = ""
    asked_at: float = float("-inf")
    """When (monotonic) it was asked last."""
    asking: bool = False
    missed: int = 0
    """Questions in a row that got no answer."""
    answered_at: float = 0.0
    """When (monotonic) an answer last showed how much is loaded."""
    bytes_per_second: float = 0.0
    """How fast it loads, by its last two answers; 0 when that isn't known."""
    elapsed: float = 0.0
    """Seconds its start has gone on for; 0 when it doesn't say."""
    told_at: float = 0.0
    """When (monotonic) it said so."""

    def seconds_left(self, now: float, whole: int = 0) -> float | None:
        """How long its start will go on, or None when that isn't known.

        `whole`: seconds a start takes as measured, 0 for unknown. Where its weights load so slowly that they
        alone take longer, that counts; so it does once a start takes longer than the one before.
        """
        left = [seconds for seconds in (self._rest(now, whole), self._loading(now)) if seconds is not None]
        return max(left, default=None)

    def _rest(self, now: float, whole: int) -> float | None:
        if not whole or not self.elapsed or self.phase not in STARTING:
            return None
        left = whole - self.elapsed - (now - self.told_at)
        return left if left > 0 else None

    def _loading(self, now: float) -> float | None:
        if not self.bytes_per_second:
            return None
        left = (self.bytes_total - self.bytes_loaded) / self.bytes_per_second
        return max(left - (now - self.answered_at), 0.0)


class Engine:
    """One endpoint of a variant: its connections and what is known of it."""

    __slots__ = (
        "address",
        "aside_until",
        "called_ready",
        "ejected",
        "ejected_at",
        "ejections",
        "failures",
        "full_at",
        "held",
        "host_line",
        "identity",
        "in_flight",
        "label",
        "leaving",
        "max_requests",
        "number",
        "phase",
        "pod",
        "pool",
        "probed",
        "ready",
        "routing",
        "status_port",
        "wanted",
    )

    def __init__(self, endpoint: Endpoint, port: int, status_port: int) -> None:
        host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        self.address = f"{host}:{port}"
        self.pod = endpoint.pod
        self.label = orjson.dumps(self.name)
        """Its name in the access log."""
        self.called_ready = endpoint.ready
        """By the cluster, or by the configuration."""
        self.ready = False
        self.leaving = endpoint.leaving
        self.held = False
        """Whether it's ready by its own word alone."""
        self.status_port = status_port
        """0 when the engine has no entrypoint of ours."""
        self.host_line = f" HTTP/1.1\r\nhost: {self.address}\r\n".encode()
        self.pool = Pool(endpoint.address, port)
        self.in_flight = 0
        self.failures = 0
        """In a row, of any kind; `health` keeps this and what follows from it."""
        self.aside_until = 0.0
        """Until then (monotonic) it's taken only where there is nothing else."""
        self.ejected = False
        """Whether it's left out until a request shows that it's well."""
        self.ejected_at = 0.0
        self.ejections = 0
        """In a row, without an answer that was right in between."""
        self.probed = False
        """Whether the request is under way that decides if it comes back."""
        self.wanted: tuple[Queue, ...] = ()
        """Queues of requests that wait for it to have room."""
        self.full_at = 0.0
        """From then on (monotonic) it takes its full share of requests; before, a growing part of it."""
        self.identity = f"{self.pod} {self.address}".encode()
        """What every router calls it, so that all of them choose alike."""
        self.number = next(_numbers)
        self.phase = Phase()
        self.routing = Routing()
        """Settings of the service it answers for."""
        self.max_requests = self.routing.engines.max_requests
        """In flight at once; of `routing`, where every choice reads it."""

    @property
    def name(self) -> str:
        return self.pod or self.address

    @property
    def expected(self) -> bool:
        """Whether it ought to answer: it's ready, and as far as is known neither drains nor leaves."""
        return self.ready and not self.leaving and self.phase.phase != DRAINING

    def turn(self, ready: bool, now: float, slow_start: float) -> None:
        """It takes requests from now on, or nothing new. `slow_start`: seconds until its share is full."""
        if ready and not self.ready:
            self.failures = self.ejections = 0
            self.ejected = self.probed = False
            self.aside_until = 0.0
            self.full_at = now + slow_start
        self.ready = ready
        self.pool.open_to(ready)
