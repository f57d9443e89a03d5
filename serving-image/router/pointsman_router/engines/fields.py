"""Which header fields of an engine's response a client may see: a list of what passes.

Engines and what runs beside them say more than clients need to know: server software, internal addresses,
cookies, challenges for credentials, policies for a web site that isn't theirs. So nothing passes that isn't
named here; a field that's new to the router is dropped until someone wants it. Knows names only.
"""

from __future__ import annotations

from typing import Final

DROP: Final = 0
FORWARD: Final = 1
ONCE: Final = 2
"""Passed on, and only the first of several."""
CONTENT_TYPE: Final = 3
CONTENT_LENGTH: Final = 4
TRANSFER_ENCODING: Final = 5
CONNECTION: Final = 6
CONTENT_ENCODING: Final = 7

_MEANT = {
    b"content-type": CONTENT_TYPE,
    b"content-length": CONTENT_LENGTH,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
    b"content-encoding": CONTENT_ENCODING,
}
_ONCE = (b"date", b"retry-after", b"retry-after-ms")
_PASSED = (
    b"cache-control",
    b"content-disposition",
    b"content-language",
    b"deprecation",
    b"openai-model",
    b"openai-processing-ms",
    b"openai-version",
    b"sunset",
    b"x-should-retry",
)
_PASSED_PREFIXES = (b"x-ratelimit-", b"ratelimit-", b"anthropic-ratelimit-")

_ACTIONS: dict[bytes, int] = {
    **_MEANT,
    **dict.fromkeys(_ONCE, ONCE),
    **dict.fromkeys(_PASSED, FORWARD),
    # Seen with every answer of the engines we know, so that they cost one lookup.
    **dict.fromkeys((b"server", b"keep-alive", b"x-request-id"), DROP),
}

ACTIONS: Final = {spelling: action for name, action in _ACTIONS.items() for spelling in (name, name.title())}
"""What to do with a field, by its name in the two usual spellings; others through `classify`."""


def classify(name: bytes) -> int:
    """What to do with a field whose spelling isn't in ACTIONS."""
    lower = name.lower()
    if lower.startswith(_PASSED_PREFIXES):
        return FORWARD
    return _ACTIONS.get(lower, DROP)
