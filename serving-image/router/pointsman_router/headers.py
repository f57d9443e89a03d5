"""Which of a client's header fields are passed on, which are dropped, and which mean something to the router.

The head is rebuilt on its way: hop-by-hop fields end here (RFC 9110, 7.6.1), a client's credentials and
addresses never reach an engine, nor does anything that could talk an engine into a role that is the router's.
Knows names only, no connections.
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
AUTHORIZATION: Final = 11
API_KEY: Final = 12
TIMEOUT: Final = 13
FORWARDED_FOR: Final = 14
ORIGIN: Final = 15
ASKED_METHOD: Final = 16
TRACE_PARENT: Final = 17
TRACE_STATE: Final = 18

_MEANT = {
    b"host": HOST,
    b"content-length": CONTENT_LENGTH,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
    b"content-type": CONTENT_TYPE,
    b"x-request-id": REQUEST_ID,
    b"expect": EXPECT,
    b"upgrade": UPGRADE,
    b"content-encoding": CONTENT_ENCODING,
    b"authorization": AUTHORIZATION,
    b"x-api-key": API_KEY,
    b"api-key": API_KEY,
    b"x-pointsman-timeout": TIMEOUT,
    b"x-forwarded-for": FORWARDED_FOR,
    b"origin": ORIGIN,
    b"access-control-request-method": ASKED_METHOD,
    b"traceparent": TRACE_PARENT,
    b"tracestate": TRACE_STATE,
}
HOP_BY_HOP: Final = (
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"http2-settings",
)
CREDENTIALS: Final = (
    b"cookie",
    b"cookie2",
    b"ocp-apim-subscription-key",
    b"remote-user",
    b"x-access-token",
    b"x-auth-token",
    b"x-csrf-token",
    b"x-goog-api-key",
    b"x-remote-user",
    b"x-xsrf-token",
)
"""Of other APIs, and of what authenticates in front; the router's own are read."""
ADDRESSES: Final = (
    b"cf-connecting-ip",
    b"forwarded",
    b"true-client-ip",
    b"via",
    b"x-client-ip",
    b"x-cluster-client-ip",
    b"x-real-ip",
)
OVERRIDES: Final = (
    b"x-data-parallel-rank",
    b"x-host",
    b"x-http-method",
    b"x-http-method-override",
    b"x-method-override",
    b"x-original-host",
    b"x-original-url",
    b"x-rewrite-url",
)
"""They tell a server to take a request for another one, or (vLLM's rank) where to run it."""
DIGESTS: Final = (b"content-digest", b"content-md5", b"digest", b"repr-digest")
"""Of the body as it was sent: the engine may get another model name in it."""
BROWSERS: Final = (b"access-control-request-headers", b"access-control-request-private-network")
DROPPED_PREFIXES: Final = (
    b"x-pointsman-",
    b"x-forwarded-",
    b"x-envoy-",
    # What proxies that authenticate add for the server behind them.
    b"cf-access-",
    b"ssl-client-",
    b"x-amz-security-",
    b"x-amzn-oidc-",
    b"x-auth-request-",
    b"x-goog-authenticated-",
    b"x-goog-iap-",
    b"x-ms-client-principal",
    b"x-ssl-client-",
)
USUAL: Final = (
    b"accept",
    b"accept-language",
    b"anthropic-beta",
    b"anthropic-version",
    b"user-agent",
    *(b"x-stainless-" + what for what in (b"lang", b"package-version", b"os", b"arch", b"runtime", b"async")),
    *(b"x-stainless-" + what for what in (b"runtime-version", b"retry-count", b"read-timeout", b"timeout")),
)

_REQUEST: dict[bytes, int] = {
    **_MEANT,
    # Answers must be readable by the router, so engines are asked for plain ones.
    b"accept-encoding": DROP,
    **dict.fromkeys((*HOP_BY_HOP, *CREDENTIALS, *ADDRESSES, *OVERRIDES, *DIGESTS, *BROWSERS), DROP),
    **dict.fromkeys(USUAL, FORWARD),
}
PROTECTED: Final = frozenset(_MEANT) - {b"connection", b"upgrade"}
"""Fields that Connection can't take away from a request: what the router or an engine relies on."""


def _spellings(table: dict[bytes, int]) -> dict[bytes, int]:
    return {spelling: action for name, action in table.items() for spelling in (name, name.title())}


REQUEST_ACTIONS: Final = _spellings(_REQUEST)
"""What to do with a request's field, by its name in the two usual spellings; others: `classify_request`."""


def classify_request(name: bytes) -> int:
    """What to do with a request's field whose spelling isn't in REQUEST_ACTIONS."""
    lower = name.lower()
    action = _REQUEST.get(lower)
    if action is not None:
        return action
    return DROP if lower.startswith(DROPPED_PREFIXES) else FORWARD


def without_nominated(lines: list[bytes], connection: bytes) -> list[bytes]:
    """The lines that the Connection header doesn't name as meant for this hop only."""
    nominated = {token.strip().lower() for token in connection.split(b",")} - PROTECTED
    return [line for line in lines if line.partition(b":")[0].strip().lower() not in nominated]


PLAIN_CONNECTION: Final = frozenset({b"", b"keep-alive", b"close", b"Keep-Alive", b"Close"})
"""Values of Connection that nominate nothing, so that the common case costs one lookup."""
