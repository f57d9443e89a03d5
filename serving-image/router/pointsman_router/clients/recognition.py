"""Recognises a connection's head when it comes again, with other values where values change by nature.

Clients repeat their heads byte by byte but for the body's length, and traced ones but for ids. Such a head
needs no second judgement: every byte outside those values is one that was judged, and the values are held to
the same patterns. Whatever isn't recognised is judged as if it were the first. Knows no connections.
"""

from __future__ import annotations

from typing import Final

from pointsman_router.clients.meanings import is_request_id, is_trace_parent, is_trace_state, new_id
from pointsman_router.clients.request import Request

_LENGTH: Final = 0
_ID: Final = 1
_PARENT: Final = 2
_STATE: Final = 3
_NAMES: Final = {
    _LENGTH: b"content-length",
    _ID: b"x-request-id",
    _PARENT: b"traceparent",
    _STATE: b"tracestate",
}
_ROOM: Final = {_LENGTH: 19, _ID: 129, _PARENT: 185, _STATE: 1025}
"""Within how many bytes a value's line break must come."""
_MAX_BYTES: Final = 4096
"""Of a head that is kept to recognise it."""


class Repeated:
    """A head that was judged, with places where another value may stand."""

    __slots__ = ("_after", "_places", "_request")

    def __init__(self, request: Request, places: list[tuple[bytes, int, int, int]], after: bytes) -> None:
        self._request = request
        self._places = places
        """For each: the bytes before it, their number, what stands there, and its room."""
        self._after = after

    def match(self, data: bytes) -> tuple[Request, int, int] | None:
        """The request whose head `data` begins with, where that ends, and its body's length."""
        at = length = 0
        given = parent = state = b""
        for before, size, what, room in self._places:
            if not data.startswith(before, at):
                return None
            at += size
            end = data.find(b"\r", at, at + room)
            if end < 0:
                return None
            value = data[at:end]
            at = end
            if what == _LENGTH:
                if not value.isdigit():
                    return None
                length = int(value)
            elif what == _ID:
                given = value
            elif what == _PARENT:
                parent = value
            else:
                state = value
        if not data.startswith(self._after, at):
            return None
        request = self._request.like()
        if given or parent or state:
            if not _carry(request, given, parent, state):
                return None
        elif not request.id:
            request.id = new_id()
        return request, at + len(self._after), length


def _carry(request: Request, given: bytes, parent: bytes, state: bytes) -> bool:
    """Gives a request the ids it came with; False where they aren't what they should be."""
    if given and is_request_id(given) is None:
        return False
    request.id = given or request.id or new_id()
    if parent or state:
        if is_trace_parent(parent) is None or (state and is_trace_state(state) is None):
            return False
        lines = [b"traceparent: " + parent, b"tracestate: " + state] if state else [b"traceparent: " + parent]
        request.lines = [*request.lines, *lines]
        request.head += b"\r\n".join(lines) + b"\r\n"
    return True


def recognisable(raw: bytes, request: Request) -> Repeated | None:
    """What the head is recognised by; None for one that can't be, or that is too long to keep."""
    if len(raw) > _MAX_BYTES:
        return None
    found = {what: span for what in _NAMES if (span := _value(raw, _NAMES[what])) is not None}
    if _LENGTH not in found:
        return None
    template = request.like()
    traced = _PARENT in found and (_STATE in found or b"\r\ntracestate:" not in raw.lower())
    if traced:
        template.lines = [
            line for line in request.lines if not line.startswith((b"traceparent: ", b"tracestate: "))
        ]
        template.head = b"".join(line + b"\r\n" for line in template.lines)
    else:
        found.pop(_PARENT, None)
        found.pop(_STATE, None)
    if _ID in found:
        template.id = b""
    places, at = [], 0
    for what, (start, end) in sorted(found.items(), key=lambda item: item[1]):
        places.append((raw[at:start], start - at, what, _ROOM[what]))
        at = end
    return Repeated(template, places, raw[at:])


def _value(raw: bytes, name: bytes) -> tuple[int, int] | None:
    """Where the value of a field stands, if it comes once and in the usual way."""
    lower = raw.lower()
    field = b"\r\n" + name + b": "
    start = lower.find(field) + len(field)
    if start < len(field) or lower.count(field[:-1]) != 1:
        return None
    end = raw.find(b"\r", start)
    return None if end == start else (start, end)
