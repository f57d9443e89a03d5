"""What a router's clients may do: how much and how slowly, from which web pages, over TLS.

The same settings as a router that runs alone reads from its file, by the same names and within the same
bounds; a test compares. What is unset is the router's own default and is never written here. All of it is
live: a change restarts nothing.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from pointsman.api.common import Base, Bool, Int, LocalRef
from pointsman.api.reserved import HEADER_PATTERN
from pointsman.api.schema import ListSet, Matches, Rule

HeaderName = Annotated[
    str,
    Field(min_length=1, max_length=64),
    Matches(
        r"[A-Za-z0-9]([-_A-Za-z0-9]*[A-Za-z0-9])?",
        "must be a header's name: letters, digits, '-' and '_' between them",
    ),
    Matches(
        HEADER_PATTERN,
        "must not be a header that holds credentials, frames a message, or belongs to connections, to "
        "proxies or to Pointsman; docs/reference/api.md lists them",
        avoid=True,
    ),
]
Origin = Annotated[
    str,
    Field(min_length=1, max_length=300),
    Matches(
        r"[*]|[a-z][-+.a-z0-9]*://([-._a-z0-9]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?",
        "must be an origin as browsers send it, such as https://app.example.com or http://localhost:3000: "
        "in lower case and without a path; or * for all",
    ),
]


class Limits(Base):
    """How much and how slowly clients of one router process may send and take."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=(
                "!has(self.maxBodyBytes) || !has(self.maxBufferedBytes) || "
                "self.maxBodyBytes <= self.maxBufferedBytes"
            ),
            holds=lambda it: (
                it.max_body_bytes is None
                or it.max_buffered_bytes is None
                or it.max_body_bytes <= it.max_buffered_bytes
            ),
            message="maxBodyBytes must not exceed maxBufferedBytes: such a body would never be taken",
            field="max_body_bytes",
        ),
    )

    max_connections: Annotated[Int, Field(ge=1, le=1_000_000)] | None = None
    """Client connections open at once. Unset: 10,000. Beyond: 503, and the connection is closed."""
    max_requests_per_connection: Annotated[Int, Field(ge=1, le=1_000_000_000)] | None = None
    """Requests answered on one connection, so that long-lived ones spread over new routers. Unset: 10,000.
    Beyond: `Connection: close` with the last answer."""
    max_pipelined: Annotated[Int, Field(ge=1, le=1024)] | None = None
    """Requests a client may have sent on one connection without waiting for their answers. Unset: 64.
    Beyond: nothing more is read until answers have gone out."""
    max_head_bytes: Annotated[Int, Field(ge=1024, le=1_048_576)] | None = None
    """Request line and headers; also trailers, and chunk framing without content (then 400). Unset: 65,536.
    Beyond: 431 (from an engine: 502)."""
    max_headers: Annotated[Int, Field(ge=8, le=1000)] | None = None
    """Header fields of one message. Unset: 100. Beyond: 431 (from an engine: 502)."""
    max_target_bytes: Annotated[Int, Field(ge=64, le=65_536)] | None = None
    """The request's path with its query. Unset: 8,192. Beyond: 414."""
    max_body_bytes: Annotated[Int, Field(ge=1, le=1_073_741_824)] | None = None
    """Body of one request. Unset: 67,108,864. Beyond: 413."""
    max_buffered_bytes: (
        Annotated[Int, Field(ge=1, le=68_719_476_736, json_schema_extra={"format": "int64"})] | None
    ) = None
    """Request bodies held in memory at once, over all connections of the process; leave room for them in
    spec.resources. Unset: 536,870,912. Beyond: 503 with Retry-After."""
    max_json_depth: Annotated[Int, Field(ge=4, le=512)] | None = None
    """Objects and arrays within each other in a JSON body. Unset: 64. Beyond: 400."""
    max_number_digits: Annotated[Int, Field(ge=16, le=1000)] | None = None
    """Characters of one number in a JSON body. Unset: 64. Beyond: 400."""
    head_seconds: Annotated[Int, Field(ge=1, le=3600)] | None = None
    """Time for a request's head, from its first byte. Unset: 30. Beyond: 408."""
    body_idle_seconds: Annotated[Int, Field(ge=1, le=3600)] | None = None
    """Pause of a client within a request's body. Unset: 60. Beyond: 408."""
    body_seconds: Annotated[Int, Field(ge=1, le=86_400)] | None = None
    """Time for a request's whole body. Unset: 600. Beyond: 408."""
    keep_alive_seconds: Annotated[Int, Field(ge=1, le=86_400)] | None = None
    """How long an idle client connection is kept; longer than load balancers in front keep theirs.
    Unset: 180. Beyond: the connection is closed."""
    tls_handshake_seconds: Annotated[Int, Field(ge=1, le=300)] | None = None
    """Time for a TLS handshake. Unset: 10. Beyond: the connection is closed."""


class Cors(Base):
    """Which web pages may call the router from a browser."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=(
                "!has(self.allowedOrigins) || !('*' in self.allowedOrigins) || "
                "self.allowedOrigins.size() == 1"
            ),
            holds=lambda it: "*" not in (it.allowed_origins or ()) or len(it.allowed_origins) == 1,
            message="allowedOrigins must list origins, or hold * alone, which is all of them",
            field="allowed_origins",
        ),
        Rule(
            cel=(
                "!has(self.allowCredentials) || !self.allowCredentials || "
                "!has(self.allowedOrigins) || !('*' in self.allowedOrigins)"
            ),
            holds=lambda it: not it.allow_credentials or "*" not in (it.allowed_origins or ()),
            message="allowCredentials must not be true for the origin *: list the origins",
            field="allow_credentials",
        ),
    )

    allowed_origins: Annotated[tuple[Origin, ...], Field(min_length=1, max_length=64), ListSet()] | None = (
        None
    )
    """Origins such as https://app.example.com, or * alone for all. Unset: none. Beyond: the browser shows the
    page no answer."""
    allowed_headers: (
        Annotated[tuple[HeaderName, ...], Field(min_length=1, max_length=64), ListSet()] | None
    ) = None
    """Request headers a page may send beside the usual ones of an API client. Unset: none. Beyond: the
    browser doesn't send the request."""
    allow_credentials: Bool | None = None
    """Whether a page may have cookies sent along; not with *. Unset: no."""
    max_age_seconds: Annotated[Int, Field(ge=0, le=86_400)] | None = None
    """How long a browser may remember the permission. Unset: 600. Beyond: a browser asks again."""


class Tls(Base):
    """The certificate that the router's public port is served with."""

    secret_ref: LocalRef | None = None
    """Secret with the certificate as `tls.crt` and its key as `tls.key`, as cert-manager writes them.
    Unset: `<name>-router-tls`, which may be written out too. What the Secret holds may change at any time;
    naming another one is the one change that replaces the router's pods, each new one before an old one
    goes."""
