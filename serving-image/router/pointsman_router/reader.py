"""Reads requests off a client's connection: where each head and body ends, and how much of either is taken.

A head is looked for as a whole, judged by `head`'s grammar and then by llhttp: both must take it. Bodies of a
length are cut here, chunked ones by llhttp, which is given no byte beyond its message. A connection mostly
repeats one head with another length; that is recognised, and nothing that was checked is checked again. Knows
nothing of routes, models or engines: its owner is asked when a head is complete and told when a request is.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

import httptools

from pointsman_router import errors, head, refusals
from pointsman_router.errors import Problem, RefusedError
from pointsman_router.head import Head
from pointsman_router.meanings import Trust, new_id
from pointsman_router.request import Budget
from pointsman_router.request import Request as Request
from pointsman_router.settings import Limits

_END: Final = b"\r\n\r\n"
_LENGTH_FIELDS: Final = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
_MAX_DIGITS: Final = 18
_MAX_REPEATED: Final = 4096
"""Bytes of a head that are kept to recognise it when it comes again."""
_FRAMING_PER_BYTE: Final = 8
"""Framing a chunked body may cost for each byte of content, beside what a head may be: one-byte chunks do."""
_LINE_ROOM: Final = 64
"""Bytes of a request line beside its target, generously."""
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


class _Repeated:
    """A head as it was sent and checked, but for its length: what came before that, and what after."""

    __slots__ = ("after", "at", "before", "request")

    def __init__(self, before: bytes, after: bytes, request: Request) -> None:
        self.before = before
        self.at = len(before)
        self.after = after
        self.request = request


class Reader:
    """What was read of the request in progress, and where in it the connection is."""

    __slots__ = (
        "_blank",
        "_body",
        "_budget",
        "_changes",
        "_chunked",
        "_ended",
        "_held",
        "_last",
        "_left",
        "_limits",
        "_owner",
        "_parser",
        "_partial",
        "_paused",
        "_repeated",
        "_request",
        "_size",
        "_tail",
        "_trust",
        "_wire",
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
        self._parser: httptools.HttpRequestParser | None = None
        """Of a chunked body."""
        self._repeated: _Repeated | None = None
        self._changes = 0
        self._partial = bytearray()
        """A head that isn't complete yet."""
        self._held = b""
        """What came while the owner wanted nothing more."""
        self._request = Request()
        self._body: bytes | bytearray = b""
        self._left = 0
        self._size = 0
        self._wire = 0
        """Bytes of a chunked body with its framing."""
        self._tail = b""
        self._blank = b""
        self._chunked = False
        self._ended = False
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
        """Reads nothing more."""
        self.stopped = True
        self._drop_body()
        self._parser = None
        self._repeated = None
        self._held = b""
        self._partial.clear()

    def follow(self, limits: Limits, trust: Trust | None) -> None:
        """Another configuration holds from here on."""
        self._limits = limits
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
        if known is None or self.in_message or self._paused or not data.startswith(known.before):
            self._read(data)
            return
        # By far the most requests: the head of the one before, with its body or with the body still to come.
        at = known.at
        end = data.find(b"\r", at, at + _MAX_DIGITS + 1)
        digits = data[at:end]
        if not (digits.isdigit() and data.startswith(known.after, end)):
            self._read(data)
            return
        at = end + len(known.after)
        length = int(digits)
        have = len(data) - at
        limits, budget = self._limits, self._budget
        room = min(limits.max_body_bytes, limits.max_buffered_bytes - budget.used)
        if not have <= length <= room or not length:
            self._read(data)
        else:
            request = known.request.like()
            if not request.id:
                request.id = new_id()
            request.budget = budget
            request.buffered = have
            budget.used += have
            if have == length:
                request.body = data[at:]
                self._finish(request)
            else:
                request.body = b""
                self._request = request
                self._begin_body(length, data[at:])

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
            elif self._chunked:
                at = self._read_chunked(data, at)
            else:
                at = self._read_length(data, at)

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
        partial, limits = self._partial, self._limits
        if _BEGINNING.match(partial) is None or _BARE_BREAK.search(partial, max(0, seen - 1)) is not None:
            self._refuse(errors.malformed("This isn't the head of an HTTP/1.1 request"))
            return
        room = limits.max_target_bytes + _LINE_ROOM
        if len(partial) > room and partial.find(b"\r\n", 0, room) < 0:
            self._refuse(refusals.target_too_long(limits))
        elif len(partial) > limits.max_head_bytes:
            self._refuse(refusals.head_too_large(limits))

    def _take_head(self, raw: bytes) -> None:
        self.in_message = True
        try:
            found = head.read(raw, self._limits, self._trust)
        except RefusedError as refusal:
            self._refuse(refusal.problem)
            return
        doubt = self._second_opinion(raw, found)
        if doubt:
            self._refuse(errors.malformed(f"Malformed HTTP request: {doubt}"))
            return
        request = self._request = found.request
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
            self._chunked = True
            self._size = self._wire = 0
            self._tail = b""
        else:
            self._begin_body(found.length, b"")

    def _second_opinion(self, raw: bytes, found: Head) -> str:
        """What llhttp has against a head that our own grammar takes; empty if it agrees, framing included."""
        parser = self._parser = httptools.HttpRequestParser(self)
        self._ended = False
        try:
            parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            return "" if found.upgrade else "an upgrade where there is none"
        except httptools.HttpParserError as error:
            return str(error)
        finally:
            if not found.chunked:
                self._parser = None
        return "" if self._ended is not (found.chunked or found.length > 0) else "it has no certain end"

    def _remember(self, raw: bytes, found: Head) -> None:
        """Keeps a head to recognise it by, if it's one that is likely to come again."""
        request = found.request
        plain = found.length and request.keep_alive and not (found.expects or found.upgrade)
        if (
            not plain
            or request.problem is not None
            or len(raw) > _MAX_REPEATED
            or self._changes > _MAX_CHANGES
        ):
            self._repeated = None
            return
        for field in _LENGTH_FIELDS:
            at = raw.find(field) + len(field)
            if at >= len(field):
                self._changes += 1
                self._repeated = _Repeated(raw[:at], raw[raw.find(b"\r", at) :], request.like())
                return

    def _begin_body(self, length: int, piece: bytes) -> None:
        """A body of that many bytes is to come, of which `piece` is there (and accounted for)."""
        self.in_message = self.in_body = True
        self._chunked = False
        self._body = piece
        self._left = length - len(piece)
        if not self._left:
            self._complete()

    def _read_length(self, data: bytes, at: int) -> int:
        end = min(len(data), at + self._left)
        self._left -= end - at
        self._add(data[at:end])
        if not self._left:
            self._complete()
        return end

    def _read_chunked(self, data: bytes, at: int) -> int:
        """Gives llhttp what it may see: a message ends where an empty line does, so no more than to one."""
        parser, tail = self._parser, self._tail
        assert parser is not None
        end = (tail + data[at : at + 3]).find(_END) + at + 4 - len(tail)
        if end < at + 4 - len(tail):
            end = data.find(_END, at) + 4
            if end < 4:
                end = len(data)
        try:
            parser.feed_data(memoryview(data)[at:end])
        except httptools.HttpParserError as error:
            self._refuse(errors.malformed(f"Malformed HTTP request: {error}"))
            return len(data)
        self._tail = (tail + data[max(at, end - 3) : end])[-3:]
        self._wire += end - at
        if self._size > self._limits.max_body_bytes:
            self._refuse(refusals.body_too_large(self._limits))
        elif self._ended:
            self._parser = None
            self._complete()
        elif self._wire > self._limits.max_head_bytes + _FRAMING_PER_BYTE * self._size:
            self._refuse(refusals.too_much_framing())
        return end

    # llhttp's callbacks.

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._limits.max_body_bytes:
            self._add(data)

    def on_message_complete(self) -> None:
        self._ended = True

    # What all that leads to.

    def _add(self, piece: bytes) -> None:
        request, budget = self._request, self._budget
        if request.problem is not None:
            return  # it's answered when its body is over, which nobody needs
        budget.used += len(piece)
        request.buffered += len(piece)
        if budget.used > self._limits.max_buffered_bytes:
            request.problem = refusals.too_much_buffered()
            self._drop_body()
        elif not self._body:
            self._body = piece
        else:
            # Not a list of pieces: one of single bytes would take forty times its content.
            if type(self._body) is bytes:
                self._body = bytearray(self._body)
            self._body += piece

    def _complete(self) -> None:
        request, body = self._request, self._body
        request.body = body if type(body) is bytes else bytes(body)
        self._body = b""
        self.in_message = self.in_body = self._chunked = False
        self._finish(request)

    def _finish(self, request: Request) -> None:
        self._blank = b""
        self.messages += 1
        if self.messages >= self._limits.max_requests_per_connection:
            request.keep_alive = False
        if not request.keep_alive:
            self._last = True
            self._repeated = None
        self._owner.received(request)

    def _drop_body(self) -> None:
        self._body = b""
        if self.in_body:  # else it's the owner's already
            self._request.release()

    def _refuse(self, problem: Problem) -> None:
        if self.stopped:
            return
        request = self._request if self.in_body else Request()
        self.close()
        self.in_message = self.in_body = False
        if not request.id:
            request.id = new_id()
        self._owner.refused(problem, request)
