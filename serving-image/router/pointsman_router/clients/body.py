"""Takes a request's body off the wire: by its length, or in chunks as llhttp frames them.

What a body takes in memory is accounted for from its first byte on. llhttp also gives its opinion of the head
before, since it has to follow the framing from there. Knows neither connections nor what bodies hold.
"""

from __future__ import annotations

from typing import Final

import httptools

from pointsman_router import errors, refusals
from pointsman_router.clients.head import Head
from pointsman_router.clients.request import Budget, Request
from pointsman_router.errors import Problem
from pointsman_router.settings import Limits

_END: Final = b"\r\n\r\n"
_FRAMING_PER_BYTE: Final = 8
"""Framing a chunked body may cost for each byte of content, beside what a head may be: one-byte chunks do."""
_NONE: Final = Request()


class Body:
    """The body in progress on a connection. It's used again for each that follows."""

    __slots__ = (
        "_budget",
        "_chunked",
        "_content",
        "_left",
        "_parser",
        "_size",
        "_tail",
        "_wire",
        "limits",
        "problem",
        "request",
        "whole",
    )

    def __init__(self, limits: Limits, budget: Budget) -> None:
        self.limits = limits
        self.request = _NONE
        """Whose body it is."""
        self.whole = False
        self.problem: Problem | None = None
        """Why nothing more can be read on this connection."""
        self._budget = budget
        self._parser: httptools.HttpRequestParser | None = None
        """Of a chunked body, and of the head before it."""
        self._chunked = False
        self._content: bytes | bytearray = b""
        self._left = 0
        """Bytes to come of a body with a length."""
        self._size = 0
        self._wire = 0
        """Bytes of a chunked body's content, and of all of it with its framing."""
        self._tail = b""
        """The last bytes llhttp was given, in which an empty line may have begun."""

    def doubt(self, raw: bytes, found: Head) -> str:
        """What llhttp has against a head that our own grammar takes; empty if it agrees, framing included."""
        parser = self._parser = httptools.HttpRequestParser(self)
        self.whole = False
        try:
            parser.feed_data(raw)
        except httptools.HttpParserUpgrade:
            doubt = "" if found.upgrade else "an upgrade where there is none"
        except httptools.HttpParserError as error:
            doubt = str(error)
        else:
            framed = found.chunked or found.length > 0
            doubt = "" if self.whole is not framed else "its end is in doubt"
        if doubt or not found.chunked:
            self._parser = None
        return doubt

    def begin(self, request: Request, length: int, piece: bytes) -> None:
        """A body of that many bytes begins, of which `piece` is there (and accounted for)."""
        self.request = request
        self.problem = None
        self._chunked = False
        self._content = piece
        self._left = length - len(piece)
        self.whole = not self._left

    def begin_chunked(self, request: Request) -> None:
        """A chunked body follows the head that llhttp was asked about last."""
        self.request = request
        self.problem = None
        self._chunked = True
        self._content = b""
        self._size = self._wire = 0
        self._tail = b""
        self.whole = False

    def take(self, data: bytes, at: int) -> int:
        """Takes what is the body's of `data` from `at` on; gives back where it stopped. Then it may be whole,
        or have a problem, or more of it may be to come."""
        if self._chunked:
            return self._take_chunked(data, at)
        end = min(len(data), at + self._left)
        self._left -= end - at
        self._add(data[at:end])
        self.whole = not self._left
        return end

    def complete(self) -> Request:
        """The request with its body, which is whole."""
        request, content = self.request, self._content
        request.body = content if type(content) is bytes else bytes(content)
        self._content = b""
        self._parser = None
        self.request = _NONE
        return request

    def drop(self) -> None:
        """Gives back what is there of a body that nobody will read."""
        self._content = b""
        self._parser = None
        self.request.release()
        self.request = _NONE

    def _take_chunked(self, data: bytes, at: int) -> int:
        """Gives llhttp what it may see: a message ends where an empty line does, so no more than to one."""
        parser, tail = self._parser, self._tail
        if parser is None:
            return len(data)
        seam = (tail + data[at : at + 3]).find(_END)
        if seam >= 0:
            end = at + seam + 4 - len(tail)
        else:
            end = data.find(_END, at) + 4
            if end < 4:
                end = len(data)
        try:
            parser.feed_data(memoryview(data)[at:end])
        except httptools.HttpParserError as error:
            self.problem = errors.malformed(f"Malformed HTTP request: {error}")
            return len(data)
        self._tail = (tail + data[max(at, end - 3) : end])[-3:]
        self._wire += end - at
        if self._size > self.limits.max_body_bytes:
            self.problem = refusals.body_too_large(self.limits)
        elif not self.whole and self._wire > self.limits.max_head_bytes + _FRAMING_PER_BYTE * self._size:
            self.problem = refusals.too_much_framing()
        return end

    # llhttp's callbacks.

    def on_body(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self.limits.max_body_bytes:
            self._add(data)

    def on_message_complete(self) -> None:
        self.whole = True

    # The rest.

    def _add(self, piece: bytes) -> None:
        request, budget = self.request, self._budget
        if request.problem is not None:
            return  # it's answered when its body is over, which nobody needs
        budget.used += len(piece)
        request.buffered += len(piece)
        if budget.used > self.limits.max_buffered_bytes:
            request.problem = refusals.too_much_buffered()
            self._content = b""
            request.release()
        elif not self._content:
            self._content = piece
        else:
            # Not a list of pieces: one of single bytes would take forty times its content.
            if type(self._content) is bytes:
                self._content = bytearray(self._content)
            self._content += piece
