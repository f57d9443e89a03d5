"""Engines that leave or fall silent, at each stage of a request."""

import asyncio

from tests.router.engines.case import Case, Seen, broken, cut, ends, passes, silent
from tests.router.engines.rough import (
    CHUNKED,
    EVENTS,
    RIGHT,
    Line,
    answer,
    chunk,
    drips,
    event,
    head,
    rightly,
    says,
)
from tests.router.stack import post

LARGE = post("/v1/chat/completions", {"model": "chat", "x": "y" * 8_000_000})
ONE = event(b'{"n":1}')
_HALF_HEAD = b"HTTP/1.1 200 OK\r\ncontent-ty"
_SHORT = head("content-type: application/json", "content-length: 10") + b"12345"
_LAST = head("content-length: 2", "connection: close") + b"{}"
_UNREACHABLE = Seen(503, "engine_unreachable", reason="connect", failures=2, retried="connect")
_LEFT = Seen(502, "engine_failed", reason="closed")


async def nothing(line: Line) -> None:
    """Never called: it doesn't listen."""


async def closes_at_once(line: Line) -> None:
    line.close()


async def resets_at_once(line: Line) -> None:
    line.reset()


async def resets_in_the_body(line: Line) -> None:
    await line.reader.readuntil(b"\r\n\r\n")
    line.reset()


async def stops_reading(line: Line) -> None:
    await line.reader.readuntil(b"\r\n\r\n")
    line.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await asyncio.sleep(0.6)


async def speaks_first(line: Line) -> None:
    await line.send(answer(RIGHT))
    await line.left()


async def never_reads(line: Line) -> None:
    await asyncio.sleep(0.6)


CASES = [
    Case("nothing listens", nothing, (_UNREACHABLE,), listening=False),
    Case("it resets the connection as it's accepted", resets_at_once, (_UNREACHABLE, _LEFT)),
    Case("it closes the connection as it's accepted", closes_at_once, (_UNREACHABLE, _LEFT)),
    Case(
        "it answers before the request was sent",
        speaks_first,
        (_UNREACHABLE, Seen(200, body=RIGHT)),
        settings={"idleSeconds": 0.05},
    ),
    silent("it accepts and never reads", never_reads),
    Case("it resets in the middle of the request", resets_in_the_body, (_LEFT,), LARGE),
    silent("it stops reading in the middle of the request", stops_reading, request=LARGE),
    broken("it resets once it has the request", says(b"", Line.reset), reason="closed"),
    broken("it closes once it has the request", says(b"", Line.close), reason="closed"),
    broken("it closes its sending half and waits", says(b"", Line.half_close), reason="closed"),
    silent("it has the request and says nothing", says(b"")),
    broken("it resets in the middle of its head", says(_HALF_HEAD, Line.reset), reason="closed"),
    broken("it closes in the middle of its head", says(_HALF_HEAD, Line.close), reason="closed"),
    silent("it falls silent in the middle of its head", says(_HALF_HEAD)),
    silent("it drips its head, byte by byte", drips(answer(RIGHT))),
    cut("it resets after its head", says(_SHORT[:-5], Line.reset), b"", "closed"),
    cut("it closes after its head", says(CHUNKED, Line.close), b"", "closed"),
    cut("it falls silent after its head", says(CHUNKED), b"", "timeout", limit="idleStreamSeconds"),
    cut("it resets in its body", says(_SHORT, Line.reset), b"12345", "closed"),
    cut("it closes in its body", says(_SHORT, Line.close), b"12345", "closed"),
    cut("it closes its sending half in its body", says(_SHORT, Line.half_close), b"12345", "closed"),
    cut("it falls silent in its body", says(_SHORT), b"12345", "timeout", limit="idleStreamSeconds"),
    cut("it resets in a chunk", says(CHUNKED + b"9\r\n1234", Line.reset), b"1234", "closed"),
    cut("it falls silent in a chunk", says(CHUNKED + b"9\r\n1234"), b"1234", "timeout"),
    cut("it closes before the last chunk", says(CHUNKED + chunk(b"1234"), Line.close), b"1234", "closed"),
    ends("it resets in an event", says(EVENTS + chunk(ONE + b'data: {"n'), Line.reset), ONE, "closed"),
    ends("it closes between two events", says(EVENTS + chunk(ONE), Line.close), ONE, "closed"),
    ends("it closes before the first event", says(EVENTS, Line.close), b"", "closed"),
    ends(
        "it falls silent in an event",
        says(EVENTS + chunk(ONE + b"data:")),
        ONE,
        "timeout",
        "idleStreamSeconds",
    ),
    ends("it falls silent in the frame of a chunk", says(EVENTS + chunk(ONE) + b"5"), ONE, "timeout"),
    passes("it resets right after its answer", says(answer(RIGHT), Line.reset), RIGHT, kept=False),
    passes(
        "it closes its sending half after its answer", says(answer(RIGHT), Line.half_close), RIGHT, kept=False
    ),
    passes(
        "it says Connection: close, and doesn't",
        rightly(head("content-length: 2", "connection: close") + b"{}"),
        b"{}",
        kept=False,
    ),
]
