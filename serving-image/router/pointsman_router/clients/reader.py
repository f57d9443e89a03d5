"""Reads requests off a client's connection: where each head and body ends, and how much of either is taken.

A head is looked for as a whole, judged by `head`'s grammar and then by llhttp: both must take it. Bodies of a
length are cut here, chunked ones by llhttp, which is given no byte beyond its message. A connection mostly
repeats one head with another length; that is recognised, and nothing that was checked is checked again. Knows
nothing of routes, models or engines: its owner is asked when a head is complete and told when a request is.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from pointsman_router import errors, refusals
from pointsman_router.clients import head
from pointsman_router.clients.body import Body
from pointsman_router.clients.head import Head
from pointsman_router.clients.meanings import Trust, new_id
from pointsman_router.clients.recognition import Repeated, recognisable
from pointsman_router.clients.request import Budget, Request
from pointsman_router.errors import Problem, RefusedError
from pointsman_router.settings import Limits

_END: Final = b"\r\n\r\n"
_MAX_CHANGES: Final = 16
"""Heads that were kept in vain before a connection is taken for one that repeats none."""
_BREAKS: Final = b"\r\n"
_BEGINNING: Final = re.compile(rb"[A-Z-]{1,24}(?: |\Z)")
_BARE_BREAK: Final = re.compile(rb"(?<!\r)\n")


class Owner(Protocol):
    """Whoever reads requests: the public connection or the admin connection."""

    def admit(self, request: Request) -> Problem | None:
        """A head is complete. May refuse it, by nothing but the head and the configuration."""

    def proceed(self) -> None:
        """The client waits for `100 Continue` before it sends the body."""

    def received(self, request: Request) -> None:
        """A request is complete."""

    def surplus(self) -> None:
        """More came than the owner wanted for now."""

    def refused(self, problem: Problem, request: Request) -> None:
        """Framing can't be trusted, or a bound was passed: nothing more will be read."""


class _Nobody:
    """The owner of a reader that is closed: so neither keeps the other alive until the collector comes."""

    def admit(self, request: Request) -> Problem | None:
        return None

    def proceed(self) -> None:
        pass

    def received(self, request: Request) -> None:
        pass

    def surplus(self) -> None:
        pass

    def refused(self, problem: Problem, request: Request) -> None:
        pass


_NOBODY: Final = _Nobody()


class Reader:
    """What was read of the request in progress, and where in it the connection is."""

    __slots__ = (
        "_blank",
        "_body",
        "_budget",
        "_changes",
        "_held",
        "_last",
        "_limits",
        "_owner",
        "_partial",
        "_paused",
        "_repeated",
        "_trust",
        "in_body",
        "in_message",
        "messages",
        "stopped",
    )

    def __init__(self, owner: Owner, limits: Limits, budget: Budget, trust: Trust | None = None) -> None:
        self._owner = owner
        self._limits = limits
        self._budget = budget
        self._trust = trust
        self._body = Body(limits, budget)
        self._repeated: Repeated | None = None
        self._changes = 0
        self._partial = bytearray()
        """A head that isn't complete yet."""
        self._held = b""
        """What came while the owner wanted nothing more."""
        self._blank = b""
        """What came of an empty line in front of a request."""
        self._paused = False
        self._last = False
        """Whether a request was read after which the client wants no more answers."""
        self.in_message = False
        self.in_body = False
        self.messages = 0
        """Requests completed."""
        self.stopped = False
        """Whether bytes may have come, or may still come, that nobody will read."""

    def close(self) -> None:
        """Reads nothing more, and keeps nothing."""
        self.stopped = True
        self._owner = _NOBODY
        if self.in_body:  # else it's the owner's already
            self._body.drop()
        self._repeated = None
        self._held = b""
        self._partial.clear()

    def follow(self, limits: Limits, trust: Trust | None) -> None:
        """Another configuration holds from here on."""
        self._limits = self._body.limits = limits
        self._trust = trust
        self._repeated = None

    def give_up(self, problem: Problem) -> None:
        """Refuses the request in progress: its owner waited long enough."""
        self._refuse(problem)

    def pause(self) -> None:
        """After the request that is being told of, no other is for now."""
        self._paused = True

    def resume(self) -> None:
        """Goes on with what came meanwhile."""
        if self._paused:
            self._paused = False
            held, self._held = self._held, b""
            if held:
                self._read(held)

    def feed(self, data: bytes) -> None:
        """Takes bytes off the wire. Calls the owner; never raises for what a client sent."""
        known = self._repeated
        if known is None or self.in_message or self._paused:
            self._read(data)
            return
        # By far the most requests: the head of the one before, with its body or with the body still to come.
        found = known.match(data)
        if found is None:
            self._read(data)
            return
        request, at, length = found
        have = len(data) - at
        limits, budget = self._limits, self._budget
        if not have <= length <= limits.max_body_bytes or not length:
            self._read(data)
            return
        if budget.used + length > limits.max_buffered_bytes:
            self._read(data)
            return
        request.budget = budget
        request.buffered = have
        budget.used += have
        if have == length:
            request.body = data[at:]
            self._finish(request)
        else:
            self.in_message = self.in_body = True
            self._body.begin(request, length, data[at:])

    # Everything that isn't so simple.

    def _read(self, data: bytes) -> None:
        if self._paused:
            self._held += data
            self._owner.surplus()
            return
        at, end = 0, len(data)
        while at < end and not self.stopped:
            if self._paused:
                self._held = data[at:]
                self._owner.surplus()
                return
            if self._last:
                self.close()  # the client said that nothing more would come
            elif not self.in_body:
                at = self._read_head(data, at)
            else:
                at = self._body.take(data, at)
                if self._body.problem is not None:
                    self._refuse(self._body.problem)
                elif self._body.whole:
                    self._complete()

    def _read_head(self, data: bytes, at: int) -> int:
        """Each of these three gives back how far it came."""
        partial = self._partial
        if partial:
            seen = len(partial)
            partial += data[at:]
            end = partial.find(_END, max(0, seen - 3))
            if end < 0:
                self._check_partial(seen)
                return len(data)
            raw = bytes(partial[: end + 4])
            partial.clear()
            self._take_head(raw)
            return at + len(raw) - seen
        if data[at] in _BREAKS or self._blank == b"\r":
            return self._skip_blank(data, at)
        end = data.find(_END, at)
        if end < 0:
            self.in_message = True
            partial += data[at:]
            self._check_partial(0)
            return len(data)
        self._take_head(data[at : end + 4])
        return end + 4

    def _skip_blank(self, data: bytes, at: int) -> int:
        """One empty line in front of a request is forgiven, as RFC 9112 (2.2) asks."""
        self._blank += data[at : at + 1]
        if self._blank not in (b"\r", b"\r\n"):
            self._refuse(errors.malformed("More than an empty line stands in front of the request"))
        self.in_message = self._blank == b"\r"
        return at + 1

    def _check_partial(self, seen: int) -> None:
        """What can be told of a head before it's complete, so that nobody waits for its end in vain."""
        partial = self._partial
        if _BEGINNING.match(partial) is None or _BARE_BREAK.search(partial, max(0, seen - 1)) is not None:
            self._refuse(errors.malformed("This isn't the head of an HTTP/1.1 request"))
            return
        problem = head.excess(partial, self._limits)
        if problem is not None:
            self._refuse(problem)

    def _take_head(self, raw: bytes) -> None:
        self.in_message = True
        try:
            found = head.read(raw, self._limits, self._trust)
        except RefusedError as refusal:
            self._refuse(refusal.problem)
            return
        doubt = self._body.doubt(raw, found)
        if doubt:
            self._refuse(errors.malformed(f"Malformed HTTP request: {doubt}"))
            return
        request = self._body.request = found.request
        self.in_body = True
        if found.length > self._limits.max_body_bytes:
            self._refuse(refusals.body_too_large(self._limits))
            return
        request.problem = self._owner.admit(request) or request.problem
        if request.problem is None and self._budget.used + found.length > self._limits.max_buffered_bytes:
            request.problem = refusals.too_much_buffered()
        if request.problem is not None and (request.problem.fatal or found.expects):
            self._refuse(request.problem)
            return
        request.budget = self._budget
        self._remember(raw, found)
        if not request.id:
            request.id = new_id()
        if found.expects:
            self._owner.proceed()
        if found.chunked:
            self._body.begin_chunked(request)
        else:
            self._body.begin(request, found.length, b"")
            if not found.length:
                self._complete()

    def _remember(self, raw: bytes, found: Head) -> None:
        """Keeps a head to recognise it by, if it's one that is likely to come again."""
        request = found.request
        plain = found.length and request.keep_alive and not (found.expects or found.upgrade)
        if not plain or request.problem is not None or self._changes >= _MAX_CHANGES:
            return
        known = self._repeated
        if known is None or known.match(raw) is None:
            self._changes += 1
            self._repeated = recognisable(raw, request)

    def _complete(self) -> None:
        self.in_message = self.in_body = False
        self._finish(self._body.complete())

    def _finish(self, request: Request) -> None:
        self._blank = b""
        self.messages += 1
        if self.messages >= self._limits.max_requests_per_connection:
            request.keep_alive = False
        if not request.keep_alive:
            self._last = True
            self._repeated = None
        self._owner.received(request)

    def _refuse(self, problem: Problem) -> None:
        if self.stopped:
            return
        owner = self._owner
        request = self._body.request if self.in_body else Request()
        self.close()
        self.in_message = self.in_body = False
        if not request.id:
            request.id = new_id()
        owner.refused(problem, request)
