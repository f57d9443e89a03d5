"""What a client is told that passed a bound of its connection, in the words of the setting it passed.

Each problem names the setting, by which passed bounds are counted. Knows no connections; `errors` words them.
"""

from __future__ import annotations

from typing import Final

from pointsman_router.errors import Problem
from pointsman_router.settings import Limits

_SERVER: Final = "server_error"
_BUSY_SECONDS: Final = 5
"""When to come again where only the load of others stands in the way."""


def too_many_connections() -> Problem:
    return Problem(
        503,
        "Too many connections are open; try again shortly",
        type=_SERVER,
        code="too_many_connections",
        retry_after=_BUSY_SECONDS,
        fatal=True,
        limit="max_connections",
    )


def too_much_buffered() -> Problem:
    return Problem(
        503,
        "Too many request bodies are held in memory now; try again shortly",
        type=_SERVER,
        code="overloaded",
        retry_after=_BUSY_SECONDS,
        limit="max_buffered_bytes",
    )


def head_too_large(limits: Limits) -> Problem:
    return _fatal(
        431,
        f"The request's head is larger than {limits.max_head_bytes} bytes",
        "head_too_large",
        "max_head_bytes",
    )


def too_many_headers(limits: Limits) -> Problem:
    return _fatal(
        431, f"The request has more than {limits.max_headers} headers", "head_too_large", "max_headers"
    )


def target_too_long(limits: Limits) -> Problem:
    return _fatal(
        414,
        f"The request's target is longer than {limits.max_target_bytes} bytes",
        "target_too_long",
        "max_target_bytes",
    )


def body_too_large(limits: Limits) -> Problem:
    return _fatal(
        413,
        f"The request body is larger than {limits.max_body_bytes} bytes",
        "request_too_large",
        "max_body_bytes",
    )


def too_much_framing() -> Problem:
    message = "The body's chunk extensions and trailers take more room than is accepted"
    return _fatal(400, message, "bad_request", "max_head_bytes")


def too_deep(limits: Limits) -> Problem:
    message = f"The request body's JSON is nested deeper than {limits.max_json_depth}"
    return Problem(400, message, code="invalid_body", limit="max_json_depth")


def too_many_digits(limits: Limits) -> Problem:
    message = f"A number in the request body has more than {limits.max_number_digits} characters"
    return Problem(400, message, code="invalid_body", limit="max_number_digits")


def slow(what: str, setting: str) -> Problem:
    return _fatal(408, f"Gave up waiting for {what}", "request_timeout", setting)


def unknown_origin() -> Problem:
    return Problem(403, "Pages of this origin may not call the router", code="origin_not_allowed")


def bad_path(message: str) -> Problem:
    return Problem(400, f"The request's path {message}", code="invalid_path")


def bad_header(name: str, message: str) -> Problem:
    """A header means nothing; the request's framing is fine, so its connection goes on."""
    return Problem(400, f"{name}: {message}", code="invalid_header", param=name)


def _fatal(status: int, message: str, code: str, limit: str) -> Problem:
    return Problem(status, message, code=code, fatal=True, limit=limit)
