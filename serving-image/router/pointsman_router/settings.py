"""Every setting of the request path: its meaning, default and bounds, and what a client gets beyond it.

One table for the file the router runs alone from, for the operator's API (whose schema has the same bounds)
and for the documentation. Each setting has one home: what concerns a client's connection belongs to the
router, what concerns its engines to the service. Times are in seconds, sizes in bytes. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field
from enum import StrEnum
from typing import Any

HOUR = 3600
DAY = 24 * HOUR
KIB = 1024
MIB = 1024 * KIB


def bounded(default: Any, low: float, high: float, beyond: str) -> Any:
    """A number's field, with what `bounds_of` tells of it."""
    return field(default=default, metadata={"low": low, "high": high, "beyond": beyond})


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a numeric setting may be, both ends included, and what its excess means to a client."""

    low: float
    high: float
    beyond: str


def bounds_of(spec: Field[Any]) -> Bounds | None:
    """The bounds of a settings class's field; None where it isn't a number."""
    found: Mapping[str, Any] = spec.metadata
    return Bounds(found["low"], found["high"], found["beyond"]) if found else None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much and how slowly clients of one router process may send and take."""

    max_connections: int = bounded(10_000, 1, 1_000_000, "503, and the connection is closed")
    """Client connections open at once."""
    max_requests_per_connection: int = bounded(
        10_000, 1, 1_000_000_000, "`Connection: close` with the last answer"
    )
    """Requests answered on one connection, so that long-lived ones spread over new routers."""
    max_pipelined: int = bounded(64, 1, 1024, "nothing more is read until answers have gone out")
    """Requests a client may have sent on one connection without waiting for their answers."""
    max_head_bytes: int = bounded(64 * KIB, KIB, MIB, "431 (from an engine: 502)")
    """Request line and headers; also trailers, and chunk framing without content (then 400)."""
    max_headers: int = bounded(100, 8, 1000, "431 (from an engine: 502)")
    """Header fields of one message."""
    max_target_bytes: int = bounded(8 * KIB, 64, 64 * KIB, "414")
    """The request's path with its query."""
    max_body_bytes: int = bounded(64 * MIB, 1, 1024 * MIB, "413")
    """Body of one request."""
    max_buffered_bytes: int = bounded(512 * MIB, 1, 64 * 1024 * MIB, "503 with Retry-After")
    """Request bodies held in memory at once, over all connections of the process."""
    max_json_depth: int = bounded(64, 4, 512, "400")
    """Objects and arrays within each other in a JSON body."""
    max_number_digits: int = bounded(64, 16, 1000, "400")
    """Characters of one number in a JSON body."""
    head_seconds: float = bounded(30.0, 0.05, HOUR, "408")
    """Time for a request's head, from its first byte."""
    body_idle_seconds: float = bounded(60.0, 0.05, HOUR, "408")
    """Pause of a client within a request's body."""
    body_seconds: float = bounded(600.0, 0.05, DAY, "408")
    """Time for a request's whole body."""
    keep_alive_seconds: float = bounded(180.0, 0.05, DAY, "the connection is closed")
    """How long an idle client connection is kept; longer than load balancers in front keep theirs."""
    tls_handshake_seconds: float = bounded(10.0, 0.1, 300, "the connection is closed")
    """Time for a TLS handshake."""


@dataclass(frozen=True, slots=True)
class Cors:
    """Which web pages may call the router from a browser. Without origins none may."""

    allowed_origins: tuple[str, ...] = ()
    """Origins such as https://app.example.com, or `*` alone for all."""
    allowed_headers: tuple[str, ...] = ()
    """Request headers a page may send beside the usual ones of an API client."""
    allow_credentials: bool = False
    """Whether a page may have cookies sent along; not with `*`."""
    max_age_seconds: int = bounded(600, 0, DAY, "a browser asks again")
    """How long a browser may remember the permission."""


@dataclass(frozen=True, slots=True)
class Tls:
    """The certificate the public port is served with, as PEM files that are read again when they change.
    Without files it's served in plain text."""

    cert_file: str = ""
    key_file: str = ""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a service's requests may take in their parts."""

    connect_seconds: float = bounded(2.0, 0.05, 60, "another engine is tried; 503 when none is left")
    """Until an engine accepts a connection."""
    first_byte_seconds: float = bounded(600.0, 0.05, DAY, "504 (an error event once comments were sent)")
    """Until an engine's answer begins; a long prompt in a full queue takes long."""
    idle_stream_seconds: float = bounded(300.0, 0.05, DAY, "an error event, or the answer is cut")
    """Pause of an engine within its answer, or of a client that doesn't read it."""
    request_seconds: float = bounded(HOUR * 1.0, 0.05, DAY, "504, an error event, or the answer is cut")
    """A whole request, from its last byte to its answer's. A client may ask for less."""
    comment_seconds: float = bounded(15.0, 0.05, HOUR, "a comment line, so that nothing between cuts it")
    """Silence in a stream after which clients are sent a comment; the first one begins the answer."""


@dataclass(frozen=True, slots=True)
class Retries:
    """When a request that failed before its answer began is tried again."""

    max_attempts: int = bounded(3, 1, 10, "the failure is told")
    """Tries of one request, the first included."""
    budget_percent: int = bounded(20, 0, 100, "the failure is told")
    """Retries in the last ten seconds, in percent of requests; a few are always allowed."""


@dataclass(frozen=True, slots=True)
class Ejection:
    """When an engine that fails is left out for a while."""

    failures: int = bounded(5, 1, 1000, "the engine is left out, then probed")
    """Failures in a row: no connection, a broken answer, or a status of 500 and above."""
    seconds: float = bounded(10.0, 0.05, HOUR, "the engine is probed, and comes back or stays out longer")
    """How long it stays out the first time; each further time in a row twice as long."""
    max_seconds: float = bounded(300.0, 0.05, DAY, "it stays out no longer than this")
    """How long it stays out at most, however often in a row."""
    max_percent: int = bounded(50, 0, 100, "no further engine is left out")
    """Share of a variant's engines that may be out at once; always fewer than all of them."""


@dataclass(frozen=True, slots=True)
class Engines:
    """How much one router process gives to each engine."""

    max_requests: int = bounded(1024, 1, 100_000, "another engine is taken, else the request waits")
    """Requests in flight at one engine."""
    max_queued: int = bounded(1024, 0, 100_000, "503 with Retry-After")
    """Requests that wait for any engine of a variant to have room."""
    queue_seconds: float = bounded(30.0, 0.05, HOUR, "503 with Retry-After")
    """How long a request may wait so."""
    idle_seconds: float = bounded(4.0, 0.05, HOUR, "the connection is closed")
    """How long an idle engine connection is kept; shorter than vLLM keeps its own (5 s)."""
    slow_start_seconds: float = bounded(10.0, 0, HOUR, "it gets its full share")
    """How long a new engine's share of requests grows until it is like the others'; 0: at once full."""


class Policy(StrEnum):
    """How an engine is chosen."""

    PREFIX_AFFINITY = "PrefixAffinity"
    """The engine that answered the longest beginning of this prompt, unless it's busier than others."""
    LEAST_LOADED = "LeastLoaded"
    """The less busy of two at random."""
    ROUND_ROBIN = "RoundRobin"
    """One after the other."""


@dataclass(frozen=True, slots=True)
class Picking:
    """Which engine a request goes to."""

    policy: Policy = Policy.PREFIX_AFFINITY
    """How an engine is chosen; conversations keep to few engines by default, whose caches know them."""
    load_percent: int = bounded(150, 100, 1000, "the next engine in order is taken")
    """How busy an affine engine may be, in percent of the variant's mean."""
    block_bytes: int = bounded(256, 16, 64 * KIB, "")
    """Size of the blocks in which prompts are compared."""
    max_blocks: int = bounded(128, 1, 4096, "what follows isn't compared")
    """Blocks of a prompt that are compared."""


@dataclass(frozen=True, slots=True)
class Stickiness:
    """Which requests belong together and stay with one engine while it is there and has room."""

    header: str = ""
    """Request header whose value names a session; empty for none."""
    conversation: bool = False
    """Whether the body's `conversation`, `prompt_cache_key` or `user` names a session."""


@dataclass(frozen=True, slots=True)
class Routing:
    """How one service's requests reach its engines."""

    timeouts: Timeouts = field(default_factory=Timeouts)
    retries: Retries = field(default_factory=Retries)
    ejection: Ejection = field(default_factory=Ejection)
    engines: Engines = field(default_factory=Engines)
    picking: Picking = field(default_factory=Picking)
    stickiness: Stickiness = field(default_factory=Stickiness)
