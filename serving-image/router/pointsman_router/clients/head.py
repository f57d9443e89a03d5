"""Reads the head of a request: whether it may be believed, and how its body is framed.

One strict grammar for the whole head, then what its fields mean together. What llhttp lets pass and a proxy
must not (two Hosts, `gzip, chunked`, absolute targets, several spaces, underscores that some servers take for
dashes) is refused here, once, for the public and the admin port alike. Pure: bytes in, a `Head` or a refusal
out; knows nothing of connections, routes or engines.
"""

from __future__ import annotations

import re
from typing import Final

from pointsman_router import headers, refusals
from pointsman_router.clients import meanings
from pointsman_router.clients.meanings import BLANK, Trust
from pointsman_router.clients.request import Request
from pointsman_router.errors import Problem, RefusedError, malformed
from pointsman_router.headers import DROP, FORWARD, HOST, REQUEST_ACTIONS, classify_request
from pointsman_router.settings import Limits

_NAME: Final = rb"[!#$%&'*+\-.^`|~0-9A-Za-z]++"
_GRAMMAR: Final = re.compile(
    rb"([A-Z-]{1,24}) ([!-~]++) HTTP/1\.([01])\r\n((?:" + _NAME + rb":[\t -~\x80-\xff]*+\r\n)*+)\r\n"
)
_METHOD: Final = re.compile(rb"[A-Z-]{1,24}")
_VERSION: Final = re.compile(rb"HTTP/[0-9](?:\.[0-9])?")
_BAD_BYTES: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n")
_VISIBLE: Final = re.compile(rb"[!-~]+")
_BAD_TARGET: Final = re.compile(rb"[#\\\"<>]")
# Their values are taken as they stand: white space that other servers might read otherwise isn't believed.
_BARE: Final = frozenset({headers.HOST, headers.CONTENT_LENGTH, headers.TRANSFER_ENCODING})
_HOST: Final = re.compile(rb" ?(?:[A-Za-z0-9.\-_]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_LENGTH: Final = re.compile(rb" ?([0-9]{1,18})")
_CODING: Final = re.compile(rb" ?[A-Za-z0-9_\-]+(?: ?, ?[A-Za-z0-9_\-]+)*")
_ONCE: Final = {
    headers.HOST: "Host",
    headers.CONTENT_LENGTH: "Content-Length",
    headers.CONTENT_TYPE: "Content-Type",
    headers.AUTHORIZATION: "Authorization",
    headers.ORIGIN: "Origin",
    headers.TIMEOUT: "X-Pointsman-Timeout",
}
"""Fields that would mean two things if they came twice."""
_LINE_ROOM: Final = 64
"""Bytes of a request line beside its target, generously."""
_MAX_NOMINATED: Final = 32

_USUAL_LINES: Final[dict[bytes, bytes]] = {}
"""Lines of usual fields, by how they were sent: what is passed on of them."""
_MAX_USUAL_LINES: Final = 512
_MAX_USUAL_BYTES: Final = 256

_action_of = REQUEST_ACTIONS.get
_meaning_of = meanings.MEANINGS.get


class Head:
    """A request whose body is still to come, and how that will be framed."""

    __slots__ = ("chunked", "expects", "length", "request", "upgrade")

    def __init__(self) -> None:
        self.request = Request()
        self.length = 0
        """Bytes of body, unless it's chunked."""
        self.chunked = False
        self.expects = False
        """The client waits for `100 Continue`."""
        self.upgrade = False
        """It offers another protocol, which is not taken up."""


def read(raw: bytes, limits: Limits, trust: Trust | None) -> Head:
    """The head that `raw` is, its empty line included. `trust`: how far the connection's other end may speak
    for clients. Raises RefusedError; such a connection can't be read any further."""
    match = None if len(raw) > limits.max_head_bytes else _GRAMMAR.fullmatch(raw)
    if match is None:
        raise RefusedError(excess(raw, limits) or _diagnosis(raw))
    method, target, minor, block = match.groups()
    if len(target) > limits.max_target_bytes:
        raise RefusedError(refusals.target_too_long(limits))
    fields = block.split(b"\r\n")
    if len(fields) > limits.max_headers + 1:  # what follows the last line break counts as one
        raise RefusedError(refusals.too_many_headers(limits))
    head = Head()
    request = head.request
    request.method = method
    request.http10 = minor == b"0"
    _read_target(request, target)
    fields.pop()
    given = _read_fields(request, fields)
    _check_framing(head, given)
    _check_connection(head, given)
    for action, value in given.items():
        meaning = _meaning_of(action)
        if meaning is not None:
            meaning(request, value)
    if trust is not None and headers.FORWARDED_FOR in given:
        request.client = trust.client(given[headers.FORWARDED_FOR])
    if headers.TRACE_PARENT in given:
        meanings.trace(request, given[headers.TRACE_PARENT], given.get(headers.TRACE_STATE))
    if request.lines:
        request.head = b"\r\n".join(request.lines) + b"\r\n"
    return head


def excess(raw: bytes | bytearray, limits: Limits) -> Problem | None:
    """What is too much of a head, or of the beginning of one that isn't complete."""
    room = limits.max_target_bytes + _LINE_ROOM
    if len(raw) > room and raw.find(b"\r\n", 0, room) < 0:
        return refusals.target_too_long(limits)
    return refusals.head_too_large(limits) if len(raw) > limits.max_head_bytes else None


def _refused(message: str, status: int = 400, code: str = "bad_request") -> RefusedError:
    return RefusedError(malformed(message, status, code))


def _read_target(request: Request, target: bytes) -> None:
    if target[:1] != b"/":
        raise _refused("The request target must be a path (origin form)")
    if _BAD_TARGET.search(target) is not None:
        raise _refused("The request target holds a character that has no place there")
    if request.method == b"CONNECT":
        raise _refused("CONNECT is not spoken here", 405, "method_not_allowed")
    mark = target.find(b"?")
    request.path, request.query = (target, b"") if mark < 0 else (target[:mark], target[mark:])


def _read_fields(request: Request, fields: list[bytes]) -> dict[int, bytes]:
    """Puts fields to pass on into the request's lines; gives back the values of those that mean something."""
    lines = request.lines
    given: dict[int, bytes] = {}
    for field in fields:
        usual = _USUAL_LINES.get(field)
        if usual is not None:
            lines.append(usual)
            continue
        name, _, value = field.partition(b":")
        action = _action_of(name)
        if action == FORWARD:
            lines.append(_usual(field, name + b": " + value.strip(BLANK)))
            continue
        if action is None:
            action = classify_request(name)
        if action == FORWARD:
            lines.append(name + b": " + value.strip(BLANK))
        elif action == DROP:
            continue
        elif action not in given:
            given[action] = value if action in _BARE else value.strip(BLANK)
        elif action in _ONCE:
            raise _refused(f"A request carries one {_ONCE[action]} header at most")
        else:
            given[action] += b"," + value.strip(BLANK)
    return given


def _usual(field: bytes, line: bytes) -> bytes:
    """Remembers a line of those that API clients send with every request, which have few values."""
    if len(field) <= _MAX_USUAL_BYTES:
        if len(_USUAL_LINES) >= _MAX_USUAL_LINES:
            _USUAL_LINES.clear()
        _USUAL_LINES[field] = line
    return line


def _check_framing(head: Head, given: dict[int, bytes]) -> None:
    """Whose request it is and how long: nothing may leave room for a second opinion."""
    http10 = head.request.http10
    host = given.get(HOST)
    if host is None:
        if not http10:
            raise _refused("A request carries a Host header")
    elif _HOST.fullmatch(host) is None:
        raise _refused("The Host header is not a host")
    transfer, length = given.get(headers.TRANSFER_ENCODING), given.get(headers.CONTENT_LENGTH)
    if length is not None:
        digits = _LENGTH.fullmatch(length)
        if digits is None:
            raise _refused("The Content-Length header is not a number of bytes")
        if transfer is not None:
            raise _refused("A request carries Content-Length or Transfer-Encoding, not both")
        head.length = int(digits[1])
    elif transfer is not None:
        if http10:
            raise _refused("HTTP/1.0 has no Transfer-Encoding")
        _check_coding(transfer)
        head.chunked = True


def _check_coding(value: bytes) -> None:
    if _CODING.fullmatch(value) is None:
        raise _refused("The Transfer-Encoding header is malformed")
    codings = [coding.strip() for coding in value.lower().split(b",")]
    if codings == [b"chunked"]:
        return
    if b"chunked" in codings[:-1]:
        raise _refused("Chunked is the last transfer coding, and comes once")
    raise _refused("The only Transfer-Encoding accepted is chunked", 501, "transfer_encoding")


def _check_connection(head: Head, given: dict[int, bytes]) -> None:
    """What is meant for this hop alone."""
    request = head.request
    request.keep_alive = not request.http10
    connection = given.get(headers.CONNECTION, b"")
    if connection:
        tokens = [token.strip(BLANK) for token in connection.lower().split(b",")]
        if len(tokens) > _MAX_NOMINATED:
            raise _refused("The Connection header names too many headers")
        if b"close" in tokens:
            request.keep_alive = False
        if connection not in headers.PLAIN_CONNECTION:
            request.lines = headers.without_nominated(request.lines, connection)
        # Without `Connection: upgrade` llhttp, like everyone, takes an Upgrade header for a remark.
        head.upgrade = headers.UPGRADE in given and b"upgrade" in tokens
    if head.upgrade and head.chunked:
        raise _refused("An upgrade with a chunked body is not accepted")
    expected = given.get(headers.EXPECT)
    if expected is not None:
        if expected.lower() != b"100-continue":
            raise _refused("Only 100-continue can be expected", 417, "expectation_failed")
        head.expects = not request.http10 and bool(head.length or head.chunked)


def _diagnosis(raw: bytes) -> Problem:
    """What is wrong with a head that the grammar doesn't know."""
    if _BAD_BYTES.search(raw) is not None:
        return malformed("The request's head holds a control character, or a line that doesn't end in CRLF")
    line, *fields = raw[:-4].split(b"\r\n")
    words = line.split(b" ")
    version = words[2] if len(words) == 3 else b""
    known = version in (b"HTTP/1.1", b"HTTP/1.0")
    named = _METHOD.fullmatch(words[0]) is not None
    old = len(words) == 2 and _VISIBLE.fullmatch(words[1]) is not None
    if named and (old or (not known and _VERSION.fullmatch(version) is not None)):
        return malformed("Only HTTP/1.1 and HTTP/1.0 are spoken here", 505, "http_version")
    if not (known and named):
        return malformed("The request line is not `METHOD /path HTTP/1.1`")
    for field in fields:
        if field[:1] in (b" ", b"\t"):
            return malformed("A header is folded over several lines")
        name, colon, _ = field.partition(b":")
        if colon and b"_" in name:
            return malformed("A header's name holds an underscore, which some servers take for a dash")
        if not colon or re.fullmatch(_NAME, name) is None:
            return malformed("A header is not `Name: value`")
    return malformed("The request line holds a character that has no place there")
