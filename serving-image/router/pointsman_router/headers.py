"""Which header fields are passed on, which are dropped, and which mean something to the router itself.

Both directions rebuild the head: hop-by-hop fields end here (RFC 9110, 7.6.1), a client's credentials and
addresses never reach an engine, an engine's internals never a client. Knows names only, no connections.
"""

from __future__ import annotations

from typing import Final

FORWARD: Final = 0
DROP: Final = 1
HOST: Final = 2
CONTENT_LENGTH: Final = 3
TRANSFER_ENCODING: Final = 4
CONNECTION: Final = 5
CONTENT_TYPE: Final = 6
REQUEST_ID: Final = 7
EXPECT: Final = 8
UPGRADE: Final = 9
CONTENT_ENCODING: Final = 10

_FRAMING = {
    b"content-length": CONTENT_LENGTH,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
    b"content-type": CONTENT_TYPE,
}
_HOP_BY_HOP = (
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"http2-settings",
)
_CREDENTIALS = (b"authorization", b"x-api-key", b"api-key", b"cookie")
_ADDRESSES = (
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-proto",
    b"x-real-ip",
)
_USUAL = (
    b"accept",
    b"accept-language",
    b"anthropic-version",
    b"traceparent",
    b"tracestate",
    b"user-agent",
    *(b"x-stainless-" + what for what in (b"lang", b"package-version", b"os", b"arch", b"runtime", b"async")),
    *(b"x-stainless-" + what for what in (b"runtime-version", b"retry-count", b"read-timeout", b"timeout")),
)

_REQUEST: dict[bytes, int] = {
    **_FRAMING,
    b"host": HOST,
    b"x-request-id": REQUEST_ID,
    b"expect": EXPECT,
    b"upgrade": UPGRADE,
    b"content-encoding": CONTENT_ENCODING,
    # Answers must be readable by the stages, so engines are asked for plain ones.
    b"accept-encoding": DROP,
    **dict.fromkeys((*_HOP_BY_HOP, *_CREDENTIALS, *_ADDRESSES), DROP),
    **dict.fromkeys(_USUAL, FORWARD),
}
_RESPONSE: dict[bytes, int] = {
    **_FRAMING,
    b"upgrade": DROP,
    b"x-request-id": DROP,
    b"server": DROP,
    b"set-cookie": DROP,
    **dict.fromkeys(_HOP_BY_HOP, DROP),
    **dict.fromkeys((b"date", b"cache-control", b"retry-after"), FORWARD),
}


def _spellings(table: dict[bytes, int]) -> dict[bytes, int]:
    spelled = dict(table)
    for name, action in table.items():
        spelled[name.title()] = action
    spelled.pop(b"", None)
    return spelled


REQUEST_ACTIONS: Final = _spellings(_REQUEST)
"""What to do with a request's field, by its name in the two usual spellings; others through `classify_*`."""
RESPONSE_ACTIONS: Final = _spellings(_RESPONSE)


def classify_request(name: bytes) -> int:
    """What to do with a request's field whose spelling isn't in REQUEST_ACTIONS."""
    lower = name.lower()
    if lower.startswith(b"x-pointsman-"):
        return DROP
    return _REQUEST.get(lower, FORWARD)


def classify_response(name: bytes) -> int:
    """What to do with a response's field whose spelling isn't in RESPONSE_ACTIONS."""
    lower = name.lower()
    if lower.startswith((b"x-pointsman-", b"access-control-")):
        return DROP
    return _RESPONSE.get(lower, FORWARD)


def without_nominated(lines: list[bytes], connection: bytes) -> list[bytes]:
    """The lines that the Connection header doesn't name as meant for this hop only."""
    nominated = {token.strip().lower() for token in connection.split(b",")}
    return [line for line in lines if line.partition(b":")[0].strip().lower() not in nominated]


PLAIN_CONNECTION: Final = frozenset({b"", b"keep-alive", b"close", b"Keep-Alive", b"Close"})
"""Values of Connection that nominate nothing, so that the common case costs one lookup."""
