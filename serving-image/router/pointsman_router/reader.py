"""Reads requests off a client's connection: llhttp finds the framing, this module decides what to trust.

llhttp takes more than a proxy may pass on (no or two Host fields, `gzip, chunked`, absolute targets, heads
without bound, Upgrade requests whose body it skips), so each such case is refused here, once, for the public
and the admin port alike. It knows nothing of routes, models or engines: its owner is asked when a head is
complete and told when a request is.
"""

from __future__ import annotations

import re
from random import getrandbits
from typing import Protocol

import httptools

from pointsman_router import errors
from pointsman_router.errors import Problem
from pointsman_router.headers import (
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    DROP,
    EXPECT,
    FORWARD,
    HOST,
    PLAIN_CONNECTION,
    REQUEST_ACTIONS,
    REQUEST_ID,
    TRANSFER_ENCODING,
    UPGRADE,
    classify_request,
    without_nominated,
)
from pointsman_router.routes import Route

_HOST = re.compile(rb"[A-Za-z0-9.\-_]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@\-]{1,128}")
_MAX_FIELDS = 200
_action_of = REQUEST_ACTIONS.get


class Request:
    """One request as it was read: framing checked, hop-by-hop fields and credentials already left out."""

    __slots__ = (
        "body",
        "content_type",
        "encoding",
        "http10",
        "id",
        "keep_alive",
        "lines",
        "method",
        "path",
        "problem",
        "query",
        "route",
    )

    def __init__(self) -> None:
        self.method = b""
        self.path = b""
        self.query = b""
        """With its question mark, or empty."""
        self.lines: list[bytes] = []
        """Fields to pass on, as `name: value`."""
        self.content_type = b""
        self.encoding = b""
        self.id = b""
        self.body = b""
        self.http10 = False
        self.keep_alive = True
        self.route: Route | None = None
        self.problem: Problem | None = None
        """Why the owner refused it when it saw the head; the body was then read and dropped."""


class Owner(Protocol):
    """Whoever reads requests: the public connection or the admin connection."""

    def admit(self, request: Request, length: int | None) -> Problem | None:
        """The head is complete and the body announces `length` bytes (None: chunked). May refuse it."""

    def proceed(self) -> None:
        """The client waits for `100 Continue` before it sends the body."""

    def received(self, request: Request) -> None:
        """A request is complete."""

    def refused(self, problem: Problem, request: Request) -> None:
        """Framing can't be trusted, or a bound was passed: nothing more will be read."""


class _StopParsingError(Exception):
    """Leaves llhttp's callbacks once nothing more is to be read."""


class Reader:
    """The parser's callbacks and what they have gathered for the request in progress."""

    __slots__ = (
        "_chunks",
        "_connection",
        "_dropped",
        "_expect",
        "_fed",
        "_host",
        "_hosts",
        "_length",
        "_max_body",
        "_max_head",
        "_owner",
        "_parser",
        "_raw_left",
        "_request",
        "_size",
        "_target",
        "_transfer",
        "_upgrade",
        "in_body",
        "in_message",
        "messages",
        "stopped",
    )

    def __init__(self, owner: Owner, max_head: int, max_body: int) -> None:
        self._owner = owner
        self._max_head = max_head
        self._max_body = max_body
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._fed = 0
        self._host: bytes | None = None
        self._raw_left = 0
        self.in_message = False
        self.in_body = False
        self.messages = 0
        """Requests completed."""
        self.stopped = False
        self._reset()

    def _reset(self) -> None:
        self._request = Request()
        self._target = b""
        self._hosts = 0
        self._length: int | None = None
        self._transfer: bytes | None = None
        self._connection = b""
        self._expect = b""
        self._upgrade = False
        self._size = 0
        self._dropped = 0
        self._chunks: list[bytes] = []

    def close(self) -> None:
        """Reads nothing more; breaks the cycle between parser and callbacks."""
        self.stopped = True
        self._parser = None

    def limit(self, max_head: int, max_body: int) -> None:
        """Sets the bounds, in bytes, of what is read from here on."""
        self._max_head = max_head
        self._max_body = max_body

    def give_up(self, problem: Problem) -> None:
        """Refuses the request in progress: its owner waited long enough."""
        self._refuse(problem)

    def feed(self, data: bytes) -> None:
        """Takes bytes off the wire. Calls the owner; never raises for what a client sent."""
        self._fed += len(data)
        while data and not self.stopped:
            data = self._take_raw(data) if self._raw_left else self._parse(data)
        if self._fed > self._max_head and self.in_message:
            self._refuse_excess()

    def _parse(self, data: bytes) -> bytes:
        """Gives bytes to llhttp; gives back those it must not see."""
        parser = self._parser
        if parser is None:
            return b""
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as stop:
            skipped: int = stop.args[0]
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, _StopParsingError):
                self.close()
                raise
            return b""
        except httptools.HttpParserError as error:
            self._refuse(errors.malformed(f"Malformed HTTP request: {error}"))
            return b""
        else:
            return b""
        # An Upgrade isn't taken up: its request is answered as a plain one, body included. JDK clients
        # offer h2c on every first request, with the body behind the head as usual.
        self._raw_left = self._length or 0
        if not self._raw_left:
            self._complete()
        return data[skipped:]

    # llhttp's callbacks, in the order they come.

    def on_message_begin(self) -> None:
        if self.stopped:
            raise _StopParsingError
        self.in_message = True

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_body:
            return  # a trailer: no stage reads them, and merging them into a head is a known attack
        action = _action_of(name)
        if action is None:
            action = classify_request(name)
        if action == FORWARD:
            self._request.lines.append(name + b": " + value)
        elif action == DROP:
            self._dropped += len(name) + len(value)
        else:
            self._note(action, name, value)

    def on_headers_complete(self) -> None:
        request = self._request
        problem = self._check_head(request)
        if problem is not None:
            self._stop(problem)
        self.in_body = True
        length = 0 if self._length is None and self._transfer is None else self._length
        if length is not None and length > self._max_body:
            self._stop(errors.body_too_large(self._max_body))
        problem = self._owner.admit(request, length)
        request.problem = problem
        if problem is not None and (problem.fatal or self._expect):
            self._stop(problem)
        if self._expect and not request.http10:
            self._owner.proceed()

    def on_body(self, data: bytes) -> None:
        self._fed = 0
        self._size += len(data)
        if self._size > self._max_body:
            self._stop(errors.body_too_large(self._max_body))
        if self._request.problem is None:
            self._chunks.append(data)

    def on_message_complete(self) -> None:
        if self._upgrade:
            return  # llhttp skipped the body; the request is complete when that was taken
        self._complete()
        if self.stopped:
            raise _StopParsingError

    # What they lead to.

    def _note(self, action: int, name: bytes, value: bytes) -> None:
        """Keeps what a field means to the router."""
        request = self._request
        if action == HOST:
            self._hosts += 1
            if value != self._host:
                self._check_host(value)
        elif action == CONTENT_LENGTH:
            self._length = int(value)
        elif action == CONTENT_TYPE:
            if request.content_type:
                self._stop(errors.malformed("A request carries one Content-Type header at most"))
            request.content_type = value
            request.lines.append(name + b": " + value)
        elif action == CONNECTION:
            self._connection = self._connection + b"," + value if self._connection else value
        elif action == REQUEST_ID:
            request.id = value
        elif action == TRANSFER_ENCODING:
            self._transfer = value if self._transfer is None else self._transfer + b"," + value
        elif action == CONTENT_ENCODING:
            request.encoding = value
        elif action == EXPECT:
            self._expect = value
        elif action == UPGRADE:
            self._upgrade = True

    def _check_host(self, value: bytes) -> None:
        if _HOST.fullmatch(value) is None:
            self._stop(errors.malformed("The Host header is not a host"))
        self._host = value

    def _check_head(self, request: Request) -> Problem | None:
        parser = self._parser
        assert parser is not None
        version = parser.get_http_version()
        if version != "1.1":
            if version != "1.0":
                return errors.malformed("Only HTTP/1.1 and HTTP/1.0 are spoken here", 505, "http_version")
            request.http10 = True
        if self._hosts != 1 and (self._hosts or not request.http10):
            return errors.malformed("A request carries exactly one Host header")
        if self._transfer is not None and (request.http10 or self._transfer.strip().lower() != b"chunked"):
            return self._bad_transfer(request.http10)
        target = self._target
        if target[:1] != b"/":
            return errors.malformed("The request target must be a path (origin form)")
        if self._fed > self._max_head and self._head_size() > self._max_head:
            return self._head_too_large()
        if len(request.lines) > _MAX_FIELDS:
            return self._head_too_large()
        request.method = parser.get_method()
        mark = target.find(b"?")
        request.path, request.query = (target, b"") if mark < 0 else (target[:mark], target[mark:])
        request.keep_alive = not request.http10 and parser.should_keep_alive()
        if self._connection not in PLAIN_CONNECTION:
            request.lines = without_nominated(request.lines, self._connection)
        if not request.id or _REQUEST_ID.fullmatch(request.id) is None:
            request.id = _new_id()
        return self._check_rare(request)

    def _check_rare(self, request: Request) -> Problem | None:
        if self._expect and self._expect.lower() != b"100-continue":
            return errors.malformed("Only 100-continue can be expected", 417, "expectation_failed")
        if self._upgrade:
            parser = self._parser
            # Without `Connection: upgrade` llhttp reads the body as usual.
            self._upgrade = parser is not None and parser.should_upgrade()
            if self._upgrade and self._transfer is not None:
                return errors.malformed("An upgrade with a chunked body is not accepted")
        if request.method == b"CONNECT":
            return errors.malformed("CONNECT is not spoken here", 405, "method_not_allowed")
        return None

    def _bad_transfer(self, http10: bool) -> Problem:
        if http10:
            return errors.malformed("HTTP/1.0 has no Transfer-Encoding")
        return errors.malformed("The only Transfer-Encoding accepted is chunked", 501, "transfer_encoding")

    def _head_size(self) -> int:
        """Lower bound of the head's size; only asked when one read was larger than a head may be."""
        return len(self._target) + self._dropped + sum(len(line) + 2 for line in self._request.lines)

    def _head_too_large(self) -> Problem:
        message = f"The request's head is larger than {self._max_head} bytes or {_MAX_FIELDS} fields"
        return errors.malformed(message, 431, "head_too_large")

    def _refuse_excess(self) -> None:
        """More framing came than is allowed without any content: an endless head, trailer or extension."""
        if self.in_body:
            self._refuse(errors.malformed("The body's framing takes more room than is accepted"))
        else:
            self._refuse(self._head_too_large())

    def _complete(self) -> None:
        request = self._request
        chunks = self._chunks
        if chunks:
            request.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._fed = 0
        self.in_message = self.in_body = False
        self.messages += 1
        self._reset()
        self._owner.received(request)

    def _take_raw(self, data: bytes) -> bytes:
        """Takes the body of a request whose offer to upgrade was ignored; gives back what follows it."""
        taken, rest = data[: self._raw_left], data[self._raw_left :]
        self._raw_left -= len(taken)
        try:
            self.on_body(taken)
            if not self._raw_left:
                self._complete()
        except _StopParsingError:
            return b""
        return rest

    def _stop(self, problem: Problem) -> None:
        self._refuse(problem)
        raise _StopParsingError

    def _refuse(self, problem: Problem) -> None:
        if not self.stopped:
            self.stopped = True
            request = self._request
            if not self.in_body:  # the head wasn't checked to its end
                request.id = _new_id()
            self._owner.refused(problem, request)


def _new_id() -> bytes:
    return b"%032x" % getrandbits(128)
