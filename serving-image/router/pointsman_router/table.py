"""The table that requests run by: what configuration and endpoints were compiled to.

A whole new one replaces the old in a single assignment (`state`), and nothing in it changes but what engines,
counters and queues are by nature. A request keeps the parts it started with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from pointsman_router.clients.cors import Pages
from pointsman_router.clients.forwarded import Proxies
from pointsman_router.clients.keys import KeyState
from pointsman_router.engines.admission import Queue
from pointsman_router.engines.engine import Engine
from pointsman_router.engines.retries import Budget
from pointsman_router.picking.affinity import Placement
from pointsman_router.picking.assigning import Assigner, Copies
from pointsman_router.picking.wishes import Sessions, Wishes
from pointsman_router.records.metrics import VariantStats
from pointsman_router.records.windows import Measure, Window
from pointsman_router.rendering.renderer import Renderer
from pointsman_router.settings import Limits, Routing, Tls


@dataclass(frozen=True, slots=True)
class VariantState:
    """A variant with the engines it has now."""

    name: str
    weight: int
    engines: tuple[Engine, ...]
    ready: tuple[Engine, ...]
    start_seconds: int
    """How long its engines take to start; 0: not known."""
    stats: VariantStats
    label: bytes
    """Service and variant in the access log."""
    lines: list[bytes]
    """Fields of its answers that tell a client which it was."""
    tag: bytes
    """What the ids of its requests end in at engines, and so the ids of its answers."""
    measure: Measure | None
    """What measures its requests; None where no window is set."""
    placement: Placement
    """How engines are found that know a request."""
    turns: Iterator[int] | None
    """Counts on where engines are taken one after the other; else None."""
    queue: Queue
    """Of requests for which no engine has room."""
    renderer: Renderer | None
    """The prompt that it answers by."""


def shares(variants: Sequence[VariantState]) -> tuple[tuple[float, VariantState], ...]:
    """Variants by weight: each with the end of its part of [0, 1), into which draws fall."""
    total = sum(variant.weight for variant in variants)
    ends = accumulate(variant.weight for variant in variants)
    return tuple((end / total, variant) for end, variant in zip(ends, variants, strict=True))


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A service as the request path wants it."""

    name: str
    hash: str
    generation: int
    model_names: tuple[str, ...]
    engine_model: str
    adapters: frozenset[str]
    """Names clients use that engines know by themselves: passed on as they are."""
    variants: tuple[VariantState, ...]
    routed: tuple[VariantState, ...]
    """Those of `variants` that have weight; requests go to no others."""
    shares: tuple[tuple[float, VariantState], ...]
    """Of `routed`."""
    routing: Routing
    wishes: Wishes | None
    """What to choose an engine by; None where there is no choice."""
    sessions: Sessions | None
    """How requests name their session; None where none does, or nothing follows from it."""
    assigner: Assigner | None
    """How requests are given to variants; None where all go to one."""
    stats: VariantStats
    """Of requests that ended before they had a variant."""
    budget: Budget
    """What its requests may spend on retries."""
    label: bytes
    prompted: bool
    """Whether any of its variants has a prompt."""
    copies: Copies | None
    """To whom requests are copied, and how many; None where none are."""
    window: Window | None
    """What is measured of its variants; None: nothing."""

    @property
    def names(self) -> tuple[str, ...]:
        """All that clients may send as `model`."""
        return (*self.model_names, *self.adapters)

    def variant(self, name: str) -> VariantState | None:
        return next((variant for variant in self.variants if variant.name == name), None)


@dataclass(frozen=True, slots=True)
class Table:
    """One whole state of configuration and endpoints."""

    hash: str = ""
    """Hash of the configuration; empty before there is one."""
    limits: Limits = field(default_factory=Limits)
    drain_seconds: float = 0.0
    """How long requests in flight have to finish at least, when the process is told to stop."""
    tls: Tls = field(default_factory=Tls)
    cors: Pages | None = None
    """Which web pages may ask; None: none."""
    proxies: Proxies | None = None
    """Who may speak for clients; None: nobody."""
    keys: Mapping[bytes, KeyState] = field(default_factory=dict)
    """By the digest of what a client sends. Empty: nobody needs one."""
    services: Mapping[str, ServiceState] = field(default_factory=dict)
    models: Mapping[str, ServiceState] = field(default_factory=dict)
    """By the names clients use."""
    model_list: bytes = b'{"object":"list","data":[]}'
    """Body of GET /v1/models."""
    model_bodies: Mapping[str, bytes] = field(default_factory=dict)
    """Body of GET /v1/models/{id}, by id."""
    tags: Mapping[bytes, tuple[ServiceState, VariantState]] = field(default_factory=dict)
    """Whose answers' ids end in a tag."""
    shortest_seconds: float = float("inf")
    """The shortest of all times that the router's tick looks after."""
