"""Which web pages may call the router, in the words of the Fetch standard (CORS).

Compiled once a configuration, so that a request pays a lookup, and where no origins are configured nothing.
Knows neither connections nor what the pages ask for.
"""

from __future__ import annotations

from typing import Final

from pointsman_router.headers import USUAL
from pointsman_router.settings import Cors

_ANY: Final = "*"
_USUAL: Final = (
    *(name.decode() for name in USUAL),
    "anthropic-dangerous-direct-browser-access",
    "api-key",
    "authorization",
    "content-type",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "traceparent",
    "tracestate",
    "x-api-key",
    "x-pointsman-timeout",
    "x-request-id",
    "x-stainless-custom-poll-interval",
    "x-stainless-helper-method",
    "x-stainless-poll-helper",
)
"""What the browser builds of the OpenAI and Anthropic clients send."""
_EXPOSED: Final = (
    b"access-control-expose-headers: x-request-id, retry-after, x-pointsman-revision, x-pointsman-prompt"
)
_VARY: Final = b"vary: Origin"


class Pages:
    """What a page is told, by its origin."""

    __slots__ = ("_answers", "_any", "_headers", "_max_age")

    def __init__(self, cors: Cors) -> None:
        headers = sorted({*_USUAL, *(name.lower() for name in cors.allowed_headers)})
        self._headers = b"access-control-allow-headers: " + ", ".join(headers).encode()
        self._max_age = b"access-control-max-age: %d" % cors.max_age_seconds
        self._any = _lines(b"*", False) if _ANY in cors.allowed_origins else []
        self._answers = {
            origin.encode(): _lines(origin.encode(), cors.allow_credentials)
            for origin in cors.allowed_origins
            if origin != _ANY
        }

    def lines(self, origin: bytes) -> list[bytes]:
        """Fields of an answer to a page of this origin (empty: to no page)."""
        if self._any:
            return self._any
        return self._answers.get(origin) or [_VARY]

    def allows(self, origin: bytes) -> bool:
        """Whether pages of this origin may ask."""
        return bool(self._any) or origin in self._answers

    def leave(self, method: bytes) -> list[bytes]:
        """Fields of an answer to a preflight request, beside those of every answer. `method`: the route's."""
        return [b"access-control-allow-methods: " + method, self._headers, self._max_age]


def compile_pages(cors: Cors) -> Pages | None:
    """What they are told, or None where no page may ask."""
    return Pages(cors) if cors.allowed_origins else None


def _lines(origin: bytes, credentials: bool) -> list[bytes]:
    lines = [b"access-control-allow-origin: " + origin, _EXPOSED]
    if origin != b"*":
        lines.append(_VARY)  # caches must not give one page's answer to another
    if credentials:
        lines.append(b"access-control-allow-credentials: true")
    return lines
