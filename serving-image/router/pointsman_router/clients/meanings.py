"""What single fields of a request's head mean to the router, beyond its framing.

Each function reads one field's value (of several fields of that name, their values joined by commas) into the
request. Nothing here may raise: what is wrong with these fields concerns their request, not its connection.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from random import getrandbits
from typing import Final, Protocol

from pointsman_router import headers, refusals
from pointsman_router.clients.request import Request

BLANK: Final = b" \t"
"""Optional white space around a field's value."""

is_request_id: Final = re.compile(rb"[A-Za-z0-9._:/+=@\-]{1,128}").fullmatch
_BEARER: Final = re.compile(rb"bearer +([!-~]+)", re.IGNORECASE)
_KEY: Final = re.compile(rb"[!-+\--~]+")
_ORIGIN: Final = re.compile(rb"[!-+\--~]{1,256}")
_SECONDS: Final = re.compile(rb"[0-9]{1,7}(?:\.[0-9]{1,9})?")
is_trace_parent: Final = re.compile(
    rb"(?:00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    rb"|(?!00|ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]{1,128})?)"
).fullmatch
is_trace_state: Final = re.compile(rb"[!-~](?:[ -~]{0,1022}[!-~])?").fullmatch


class Trust(Protocol):
    """What is believed of a proxy in front."""

    def client(self, chain: bytes) -> bytes:
        """The address of the client behind it, by its X-Forwarded-For."""


def new_id() -> bytes:
    """An id for a request that brought none."""
    return b"%032x" % getrandbits(128)


def trace(request: Request, parent: bytes, state: bytes | None) -> None:
    """Passes a W3C trace context on, if it is one: a tracer would have to begin anew at anything else."""
    if is_trace_parent(parent) is None:
        return
    request.lines.append(b"traceparent: " + parent)
    if state is not None and is_trace_state(state) is not None:
        request.lines.append(b"tracestate: " + state)


def _content_type(request: Request, value: bytes) -> None:
    request.content_type = value
    request.lines.append(b"content-type: " + value)


def _content_encoding(request: Request, value: bytes) -> None:
    request.encoding = value


def _request_id(request: Request, value: bytes) -> None:
    if is_request_id(value) is not None:
        request.id = value


def _authorization(request: Request, value: bytes) -> None:
    bearer = _BEARER.fullmatch(value)
    if bearer is not None:
        _credential(request, bearer[1])


def _api_key(request: Request, value: bytes) -> None:
    if _KEY.fullmatch(value) is not None:
        _credential(request, value)
    elif value:
        request.problem = refusals.bad_header("X-Api-Key", "must be one key")


def _credential(request: Request, value: bytes) -> None:
    if request.credential and request.credential != value:
        request.problem = refusals.bad_header(
            "Authorization", "differs from the key in X-Api-Key; send only one of them"
        )
    request.credential = value


def _timeout(request: Request, value: bytes) -> None:
    seconds = float(value) if _SECONDS.fullmatch(value) is not None else 0.0
    if not seconds:
        request.problem = refusals.bad_header("X-Pointsman-Timeout", "must be a number of seconds above 0")
    request.timeout = seconds


def _origin(request: Request, value: bytes) -> None:
    if _ORIGIN.fullmatch(value) is not None:
        request.origin = value


def _asked_method(request: Request, value: bytes) -> None:
    if request.method == b"OPTIONS":
        request.preflight = value


MEANINGS: Final[dict[int, Callable[[Request, bytes], None]]] = {
    headers.CONTENT_TYPE: _content_type,
    headers.CONTENT_ENCODING: _content_encoding,
    headers.REQUEST_ID: _request_id,
    headers.AUTHORIZATION: _authorization,
    headers.API_KEY: _api_key,
    headers.TIMEOUT: _timeout,
    headers.ORIGIN: _origin,
    headers.ASKED_METHOD: _asked_method,
}
"""By what `headers` calls them; framing and what concerns the hop is `head`'s."""
