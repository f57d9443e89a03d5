"""An engine's response as whoever asked for it sees it: its head, where its body goes, what can go wrong.

What stands between a connection to an engine and the exchange that uses it; neither knows more of the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from pointsman_router.engines.upstream import Connection


class Fault(NamedTuple):
    """What is wrong with a connection or with what came on it."""

    reason: str
    """For the metric: closed, malformed, excess."""
    words: str
    limit: str = ""
    """The setting whose bound was passed, if one was."""


CLOSED = Fault("closed", "the engine closed the connection before its answer was complete")


class Receiver(Protocol):
    """Where the body of a response goes."""

    def relay(self, data: bytes) -> None:
        """Bytes of it, in order, as they come."""

    def chunk(self, data: bytes, size: int) -> bool:
        """One whole chunk that is framed just as we would, `size` bytes of body that end where an event ends.
        False: it can't be taken so, and comes through `relay`."""


class Taker(Protocol):
    """Whoever sent a request and takes its response: an exchange."""

    def connected(self, connection: Connection) -> None:
        """A new connection is there for it (it may just have stopped waiting)."""

    def unreachable(self, error: Exception) -> None:
        """No connection could be made."""

    def answered(self, response: Response) -> Receiver | None:
        """The head is complete. Says where its body goes; None: it wants nothing more of it."""

    def completed(self, data: bytes) -> None:
        """The response is complete with these last bytes of its body."""

    def broken(self, fault: Fault, untouched: bool) -> None:
        """The response can't be completed; `untouched`: not one byte of it came, on a reused connection."""


class Response:
    """The head of an engine's response."""

    __slots__ = ("content_type", "length", "lines", "status")

    def __init__(self) -> None:
        self.status = 0
        self.lines: list[bytes] = []
        """Fields to pass on, as `name: value`."""
        self.length: int | None = None
        """Bytes of body; None when only its framing or the connection's end tells."""
        self.content_type = b""
        """In lower case."""
