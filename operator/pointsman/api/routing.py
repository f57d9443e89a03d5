"""How a service's requests reach its engines: times, retries, ejection, bounds, picking, stickiness.

The same settings as a router that runs alone reads from its file, by the same names and within the same
bounds; a test compares. What is unset is the router's own default and is never written here. All of it is
live: a change restarts nothing and makes no new revision.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from pointsman.api.clients import HeaderName
from pointsman.api.common import Base, Bool, Int
from pointsman.api.schema import Rule


class Timeouts(Base):
    """How long a service's requests may take in their parts."""

    connect_seconds: Annotated[Int, Field(ge=1, le=60)] | None = None
    """Until an engine accepts a connection. Unset: 2. Beyond: another engine is tried; 503 when none is
    left."""
    first_byte_seconds: Annotated[Int, Field(ge=1, le=86_400)] | None = None
    """Until an engine's answer begins; a long prompt in a full queue takes long. Unset: 600. Beyond: 504 (an
    error event once comments were sent)."""
    idle_stream_seconds: Annotated[Int, Field(ge=1, le=86_400)] | None = None
    """Pause of an engine within its answer, or of a client that doesn't read it. Unset: 300. Beyond: an error
    event, or the answer is cut."""
    request_seconds: Annotated[Int, Field(ge=1, le=86_400)] | None = None
    """A whole request, from its last byte to its answer's. A client may ask for less by the header
    X-Pointsman-Timeout. Unset: 3,600. Beyond: 504, an error event, or the answer is cut."""
    comment_seconds: Annotated[Int, Field(ge=1, le=3600)] | None = None
    """Silence in a stream after which clients are sent a comment; the first one begins the answer. Unset: 15.
    Beyond: a comment line, so that nothing between cuts it."""


class Retries(Base):
    """When a request that failed before its answer began is tried again."""

    max_attempts: Annotated[Int, Field(ge=1, le=10)] | None = None
    """Tries of one request, the first included. Unset: 3. Beyond: the failure is told."""
    budget_percent: Annotated[Int, Field(ge=0, le=100)] | None = None
    """Retries in the last ten seconds, in percent of requests; a few are always allowed. Unset: 20. Beyond:
    the failure is told."""


class Ejection(Base):
    """When an engine that fails is left out for a while."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.seconds) || !has(self.maxSeconds) || self.seconds <= self.maxSeconds",
            holds=lambda it: it.seconds is None or it.max_seconds is None or it.seconds <= it.max_seconds,
            message="ejection.seconds must not exceed ejection.maxSeconds",
            field="seconds",
        ),
    )

    failures: Annotated[Int, Field(ge=1, le=1000)] | None = None
    """Failures in a row: no connection, a broken answer, or a status of 500 and above. Unset: 5. Beyond: the
    engine is left out, then probed."""
    seconds: Annotated[Int, Field(ge=1, le=3600)] | None = None
    """How long it stays out the first time; each further time in a row twice as long. Unset: 10. Beyond: the
    engine is probed, and comes back or stays out longer."""
    max_seconds: Annotated[Int, Field(ge=1, le=86_400)] | None = None
    """The longest that it stays out at a time. Unset: 300. Beyond: it stays out no longer than this."""
    max_percent: Annotated[Int, Field(ge=0, le=100)] | None = None
    """Share of a revision's engines that may be out at once; always fewer than all of them. Unset: 50.
    Beyond: no further engine is left out."""


class Engines(Base):
    """How much one router process gives to each engine."""

    max_requests: Annotated[Int, Field(ge=1, le=100_000)] | None = None
    """Requests in flight at one engine. Unset: 1,024. Beyond: another engine is taken, else the request
    waits."""
    max_queued: Annotated[Int, Field(ge=0, le=100_000)] | None = None
    """Requests that wait for any engine of a revision to have room. Unset: 1,024. Beyond: 503 with
    Retry-After."""
    queue_seconds: Annotated[Int, Field(ge=1, le=3600)] | None = None
    """How long a request may wait so. Unset: 30. Beyond: 503 with Retry-After."""
    idle_seconds: Annotated[Int, Field(ge=1, le=3600)] | None = None
    """How long an idle engine connection is kept; shorter than vLLM keeps its own (5 s). Unset: 4. Beyond:
    the connection is closed."""
    slow_start_seconds: Annotated[Int, Field(ge=0, le=3600)] | None = None
    """How long a new engine's share of requests grows until it is like the others'; 0: at once full.
    Unset: 10. Beyond: it gets its full share."""


class Policy(StrEnum):
    """How an engine is chosen."""

    PREFIX_AFFINITY = "PrefixAffinity"
    LEAST_LOADED = "LeastLoaded"
    ROUND_ROBIN = "RoundRobin"


class Picking(Base):
    """Which engine a request goes to."""

    policy: Policy | None = None
    """PrefixAffinity: the engine that answered the longest beginning of this prompt, unless it's busier than
    others. LeastLoaded: the less busy of two at random. RoundRobin: one after the other.
    Unset: PrefixAffinity."""
    load_percent: Annotated[Int, Field(ge=100, le=1000)] | None = None
    """How busy an affine engine may be, in percent of the revision's mean. Unset: 150. Beyond: the next
    engine in order is taken."""
    block_bytes: Annotated[Int, Field(ge=16, le=65_536)] | None = None
    """Size of the blocks in which prompts are compared. Unset: 256."""
    max_blocks: Annotated[Int, Field(ge=1, le=4096)] | None = None
    """Blocks of a prompt that are compared. Unset: 128. Beyond: what follows isn't compared."""


class Stickiness(Base):
    """Which requests belong together and stay with one engine while it is there and has room."""

    header: HeaderName | None = None
    """Request header whose value names a session. Unset: none."""
    conversation: Bool | None = None
    """Whether the body's `conversation`, `prompt_cache_key` or `user` names a session. Unset: no."""


class Routing(Base):
    """How a service's requests reach its engines."""

    timeouts: Timeouts | None = None
    """How long requests may take in their parts."""
    retries: Retries | None = None
    """When a request that failed before its answer began is tried again."""
    ejection: Ejection | None = None
    """When an engine that fails is left out for a while."""
    engines: Engines | None = None
    """How much one router process gives to each engine."""
    picking: Picking | None = None
    """Which engine a request goes to."""
    stickiness: Stickiness | None = None
    """Which requests belong together and stay with one engine while it is there and has room."""
