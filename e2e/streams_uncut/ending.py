"""How a stream ended, by all that came of it over a connection that ended as it should."""

from __future__ import annotations

import json
from typing import Any


def ended(body: bytes, tokens: int) -> str:
    """`whole`: all tokens that were asked for and `[DONE]`. `cut`: an error event is the last that is said,
    since `[DONE]` after it would call the answer whole. Anything else is `odd`."""
    *blocks, half = body.split(b"\n\n")
    events = [block.removeprefix(b"data: ") for block in blocks if block.startswith(b"data: ")]
    if half or not events:
        return "odd"
    *before, last = events
    if last == b"[DONE]":
        usage = _document(before[-1]).get("usage") if before else None
        return "whole" if isinstance(usage, dict) and usage.get("completion_tokens") == tokens else "odd"
    return "cut" if isinstance(_document(last).get("error"), dict) else "odd"


def _document(event: bytes) -> dict[str, Any]:
    try:
        found = json.loads(event)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
