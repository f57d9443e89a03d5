"""How a variant is told apart outside: in the fields of its answers, and in the ids of its requests.

An engine makes its answer's id of the request's, so an id whose end says whose it is comes back with what
people report of that answer, to any router and after any restart. Pure: names in, bytes out.
"""

from __future__ import annotations

import re
from typing import Final

from xxhash import xxh3_64_intdigest as digest

_NAME: Final = re.compile(r"(?P<revision>[^.]+)(?:\.(?P<prompt>.+)\.[0-9a-f]{8})?")
"""A variant's: an engine revision, and after a point a prompt's name and the digest of what it says."""
_VISIBLE: Final = re.compile(r"[!-~]{1,128}")
_TAG: Final = re.compile(rb"-v[0-9a-f]{10}")
TAG_BYTES: Final = 12


def lines_of(variant: str) -> list[bytes]:
    """The fields of its answers; none where its name has no place in a header."""
    if _VISIBLE.fullmatch(variant) is None:
        return []
    match = _NAME.fullmatch(variant)
    if match is None or match["prompt"] is None:
        return [b"x-pointsman-revision: " + variant.encode()]
    return [
        b"x-pointsman-revision: " + match["revision"].encode(),
        b"x-pointsman-prompt: " + match["prompt"].encode(),
    ]


def tag_of(service: str, variant: str) -> bytes:
    """What the ids of its requests end in."""
    name = f"{service}/{variant}".encode("utf-8", "surrogatepass")
    return b"-v%010x" % (digest(name) >> 24)


def tag_in(answer: bytes) -> bytes:
    """The tag in an answer's id; empty where it has none."""
    tag = answer[-TAG_BYTES:]
    return tag if len(answer) > TAG_BYTES and _TAG.fullmatch(tag) is not None else b""
