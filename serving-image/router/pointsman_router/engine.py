"""One engine as the router knows it: its connections, what it has in flight, how it fares.

It outlives tables and configurations, since requests in flight hold it. Knows nothing of services.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import orjson

from pointsman_router.endpoints import Endpoint
from pointsman_router.settings import Routing
from pointsman_router.upstream import Pool

READY = "Ready"
"""The phase of an engine that answers."""

_numbers = count(1)


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


class Engine:
    """One endpoint of a variant: its connections and what is known of it."""

    __slots__ = (
        "address",
        "aside_until",
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
        "ready",
        "routing",
        "status_port",
    )

    def __init__(self, endpoint: Endpoint, port: int, status_port: int) -> None:
        host = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        self.address = f"{host}:{port}"
        self.pod = endpoint.pod
        self.label = orjson.dumps(self.name)
        """Its name in the access log."""
        self.ready = endpoint.ready
        self.leaving = endpoint.leaving
        self.held = False
        """Whether it's ready by its own word alone."""
        self.status_port = status_port
        """0 when the engine has no entrypoint of ours."""
        self.host_line = f" HTTP/1.1\r\nhost: {self.address}\r\n".encode()
        self.pool = Pool(endpoint.address, port)
        self.in_flight = 0
        self.failures = 0
        """Connections that failed in a row."""
        self.aside_until = 0.0
        """Until then (monotonic) it's taken only where there is nothing else."""
        self.full_at = 0.0
        """From then on (monotonic) it takes its full share of requests; before, a growing part of it."""
        self.identity = f"{self.pod} {self.address}".encode()
        """What every router calls it, so that all of them choose alike."""
        self.number = next(_numbers)
        """Its own in this process, never given again."""
        self.phase = Phase()
        self.routing = Routing()
        """Settings of the service it answers for."""
        self.max_requests = self.routing.engines.max_requests
        """In flight at once; of `routing`, where every choice reads it."""

    @property
    def name(self) -> str:
        return self.pod or self.address
