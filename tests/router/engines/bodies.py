"""Engines whose bodies and streams break their framing, and those that only say that they failed."""

from tests.router.engines.case import Case, Seen, cut, ends, passes
from tests.router.engines.rough import (
    CHUNKED,
    EVENTS,
    Line,
    answer,
    chunk,
    event,
    head,
    pours,
    rightly,
    says,
)
from tests.router.stack import STREAM

ONE = event(b'{"n":1}')
_HUGE = b"data: " + b"x" * 300_000
_ODD = event(b'{"text":"\xff\xfe\xc3"}')
_GOOD = chunk(b"1234")
_ADORNED = b"2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n"
_ERROR = b'{"error":{"message":"mine","type":"x","param":null,"code":500}}'


def failing(words: str, reply: bytes, status: int, code: str = "engine_error", body: bytes = b"") -> Case:
    """An engine's own word for its failure: counted against it from 500 on, but for what it needn't know."""
    reason = "status" if status >= 500 and status != 501 else ""
    seen = Seen(status, "" if body else code, body, reason=reason)
    return Case(words, rightly(reply), (seen,), kept=bool(body))


CASES: list[Case] = [
    cut("a chunk's size is no number", says(CHUNKED + _GOOD + b"zz\r\n"), b"1234", "malformed"),
    cut("a chunk's size is negative", says(CHUNKED + _GOOD + b"-1\r\n"), b"1234", "malformed"),
    cut(
        "a chunk's size is beyond all numbers",
        says(CHUNKED + _GOOD + b"f" * 40 + b"\r\n"),
        b"1234",
        "malformed",
    ),
    cut("a chunk's size has white space", says(CHUNKED + _GOOD + b"4 \r\n1234\r\n"), b"1234", "malformed"),
    cut("a chunk doesn't end", says(CHUNKED + _GOOD + b"4\r\n12345\r\n"), b"12341234", "malformed"),
    cut(
        "a chunk's extension never ends",
        pours(CHUNKED + _GOOD + b"4;x=", b"y" * 999),
        b"1234",
        "excess",
        limit="maxHeadBytes",
    ),
    cut(
        "its trailers never end",
        pours(CHUNKED + _GOOD + b"0\r\n", b"x: y\r\n" * 99),
        b"1234",
        "excess",
        limit="maxHeadBytes",
    ),
    ends("a chunk's size is no number in a stream", says(EVENTS + chunk(ONE) + b"zz\r\n"), ONE, "malformed"),
    ends(
        "a chunk's extension never ends in a stream",
        pours(EVENTS + chunk(ONE) + b"4;x=", b"y" * 999),
        ONE,
        "excess",
        "maxHeadBytes",
    ),
    ends(
        "a stream is shorter than its length",
        says(head("content-type: text/event-stream", "content-length: 99") + ONE, Line.close),
        ONE,
        "closed",
    ),
    ends("a stream isn't UTF-8, and breaks", says(EVENTS + chunk(_ODD), Line.close), _ODD, "closed"),
    Case(
        "a stream isn't UTF-8",
        rightly(EVENTS + chunk(_ODD) + b"0\r\n\r\n"),
        (Seen(200, body=_ODD),),
        STREAM,
        kept=True,
    ),
    Case(
        "an event is huge",
        rightly(EVENTS + chunk(_HUGE) + chunk(b"\n\n") + b"0\r\n\r\n"),
        (Seen(200, body=_HUGE + b"\n\n"),),
        STREAM,
        kept=True,
    ),
    ends(
        "it breaks after a huge event",
        says(EVENTS + chunk(_HUGE) + chunk(b"\n\n"), Line.close),
        _HUGE + b"\n\n",
        "closed",
    ),
    Case(
        "it breaks in a huge event",
        says(EVENTS + chunk(_HUGE), Line.close),
        (Seen(200, body=_HUGE, cut=True, counted=502, reason="closed"),),
        STREAM,
    ),
    Case(
        "it ends its stream in the middle of an event",
        rightly(EVENTS + chunk(ONE + b"data: tail") + b"0\r\n\r\n"),
        (Seen(200, body=ONE + b"data: tail"),),
        STREAM,
        kept=True,
    ),
    passes(
        "chunks carry extensions and a trailer",
        rightly(CHUNKED + b"2;a=b\r\n{}\r\n0\r\nX: y\r\n\r\n"),
        b"{}",
        kept=True,
    ),
    failing("it fails, and says so in JSON", answer(_ERROR, "500 Broken"), 500, body=_ERROR),
    failing("it fails, and says so in plain text", answer(b"Traceback", "500 Broken", "text/plain"), 500),
    failing("it fails, and says so in HTML", answer(b"<html>", "502 Bad Gateway", "text/html"), 502),
    failing("it fails without a word", answer(b"", "500 Broken", "text/plain"), 500),
    failing("it's overloaded", answer(b"busy", "503 Busy", "text/plain"), 503),
    failing("it refuses, and says so in plain text", answer(b"no", "418 Teapot", "text/plain"), 418),
    failing("it refuses, and says so in JSON", answer(_ERROR, "400 Bad"), 400, body=_ERROR),
    failing("it knows no such thing", answer(b"?", "501 What", "text/plain"), 501),
]
