"""What the operator asks of routers: what they see, a probe, and the way in.

Answers cross this boundary as raw JSON with the address they came from; `core.observed` gives them their
types. That a router doesn't answer is a value, not an exception: the loop decides what silence means.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypedDict


class RawAnswer(TypedDict):
    """One router's answer, or its absence."""

    address: str
    """`host:port` that was asked."""
    reachable: bool
    """False when no well-formed JSON answer came within the time limit; `body` is then empty."""
    body: dict[str, Any]
    """The JSON object it answered, whatever the HTTP status (a refused probe is an answer too)."""


class Signals(Protocol):
    """The routers' admin ports. No method raises."""

    async def read(self, addresses: Sequence[str]) -> list[RawAnswer]:
        """`GET /signals` of each address (`ip:port`), at the same time; one answer per address, in order."""

    async def probe(self, address: str, service: str, variant: str | None = None) -> RawAnswer:
        """`POST /probe/<service>`: one token through the router's own stages, as an internal tenant."""

    async def models(self, address: str, *, tls: bool = False) -> RawAnswer:
        """`GET /v1/models` of a router's public address (`host:port`): is the way in open? With `tls` no
        certificate is verified: it's the way that is proven, and its names are for clients to judge."""
