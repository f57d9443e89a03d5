"""What the scenario of long streams takes for whole, for cut, and for a defect."""

from __future__ import annotations

import pytest

from e2e.streams_uncut.ending import ended

TOKEN = b'data: {"choices": []}\n\n'
USAGE = b'data: {"choices": [], "usage": {"completion_tokens": 3}}\n\n'
ERROR = b'data: {"error": {"code": "engine_stopped"}}\n\n'
DONE = b"data: [DONE]\n\n"

ENDINGS: dict[str, tuple[bytes, str]] = {
    "all tokens and the end": (TOKEN + USAGE + DONE, "whole"),
    "comments in between": (b": waiting\n\n" + TOKEN + b": waiting\n\n" + USAGE + DONE, "whole"),
    "an error event": (TOKEN + ERROR, "cut"),
    "an error event and nothing before": (ERROR, "cut"),
    "an error that is called the end of a whole answer": (TOKEN + ERROR + DONE, "odd"),
    "half an error event": (TOKEN + ERROR[:-1], "odd"),
    "half an event": (TOKEN + TOKEN[:9], "odd"),
    "something after the error": (ERROR + TOKEN, "odd"),
    "no end": (TOKEN + USAGE, "odd"),
    "tokens that are missing": (TOKEN + USAGE.replace(b"3", b"2") + DONE, "odd"),
    "an end alone": (DONE, "odd"),
    "no JSON": (TOKEN + b"data: nonsense\n\n", "odd"),
    "an error response": (b'{"error": {"code": "engine_stopped"}}', "odd"),
    "nothing": (b"", "odd"),
}


@pytest.mark.parametrize(("body", "end"), ENDINGS.values(), ids=ENDINGS)
def test_a_stream_is_known_by_its_end(body: bytes, end: str) -> None:
    assert ended(body, tokens=3) == end
