"""One request as it was read, and the account of what bodies take in memory.

Made by the reader, used by everything between a client's connection and an engine's. Knows no sockets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pointsman_router.errors import Problem
from pointsman_router.routes import Route

if TYPE_CHECKING:
    from pointsman_router.clients.keys import KeyState


class Budget:
    """How many bytes of request bodies a process holds."""

    __slots__ = ("used",)

    def __init__(self) -> None:
        self.used = 0


class Request:
    """One request: framing checked, hop-by-hop fields and credentials already left out of its lines."""

    __slots__ = (
        "body",
        "budget",
        "buffered",
        "client",
        "content_type",
        "credential",
        "encoding",
        "head",
        "http10",
        "id",
        "keep_alive",
        "key",
        "lines",
        "method",
        "origin",
        "path",
        "preflight",
        "problem",
        "query",
        "route",
        "timeout",
    )

    def __init__(self) -> None:
        self.method = b""
        self.path = b""
        """Normalised; of a known route its own spelling."""
        self.query = b""
        """With its question mark, or empty."""
        self.lines: list[bytes] = []
        """Fields to pass on, as `name: value`. Shared by requests of one connection: never changed."""
        self.head = b""
        """The same fields in one piece, each with its line break."""
        self.content_type = b""
        self.encoding = b""
        self.credential = b""
        """The client's own, without a scheme; it never goes to an engine."""
        self.key: KeyState | None = None
        """Whose credential it is, where the router has keys."""
        self.client = b""
        """The client's address as a trusted proxy tells it; empty where the connection's own counts."""
        self.origin = b""
        """The web page that asks, as the browser says."""
        self.preflight = b""
        """The method a browser asks leave for, in an OPTIONS request that does."""
        self.timeout = 0.0
        """Seconds the client gives the request; 0 for no limit of its own."""
        self.id = b""
        self.body = b""
        self.buffered = 0
        """Bytes of body that stand in `budget`."""
        self.budget: Budget | None = None
        self.http10 = False
        self.keep_alive = True
        self.route: Route | None = None
        self.problem: Problem | None = None
        """Why the owner refused it when it saw the head; the body was then read and dropped."""

    def like(self) -> Request:
        """Another request with the same head; its body is the caller's to set."""
        other = _new(Request)
        other.method = self.method
        other.path = self.path
        other.query = self.query
        other.lines = self.lines
        other.head = self.head
        other.content_type = self.content_type
        other.encoding = self.encoding
        other.credential = self.credential
        other.key = self.key
        other.client = self.client
        other.origin = self.origin
        other.preflight = self.preflight
        other.timeout = self.timeout
        other.http10 = self.http10
        other.keep_alive = self.keep_alive
        other.route = self.route
        other.problem = self.problem
        other.id = self.id
        other.body = b""
        other.buffered = 0
        other.budget = self.budget
        return other

    def value(self, name: bytes) -> bytes | None:
        """The value of the first field of that name (lower case) among those passed on; None without one."""
        for line in self.lines:
            key, _, value = line.partition(b": ")
            if key.lower() == name:
                return value
        return None

    def release(self) -> None:
        """The body isn't needed any more: gives its memory back."""
        self.body = b""
        if self.buffered and self.budget is not None:
            self.budget.used -= self.buffered
            self.buffered = 0


_new = Request.__new__
