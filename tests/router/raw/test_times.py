"""Clients that stall or drip, and connections beyond what one process takes."""

import pytest

from tests.router.raw.case import BODY, HOST, LINE, NEXT, Case, Got, Told, check, post
from tests.router.raw.test_chunks import chunked
from tests.router.stack import Stack

SLOW = (Told(408, "request_timeout"),)
HEAD = LINE + HOST + b"Content-Length: 16\r\n\r\n"


def drip(data: bytes, seconds: float) -> tuple[bytes | float, ...]:
    """One byte at a time, with this pause after each."""
    return tuple(part for byte in data for part in (bytes((byte,)), seconds))


CASES: tuple[Case, ...] = (
    Case(
        "a head that stalls",
        (LINE + b"Ho",),
        SLOW,
        goes_on=False,
        settings={"headSeconds": 0.1},
        hits="head_seconds",
    ),
    Case(
        "a line break that stalls",
        (b"\r",),
        SLOW,
        goes_on=False,
        settings={"headSeconds": 0.1},
        hits="head_seconds",
    ),
    Case(
        "a head that drips has no more time",
        drip(LINE[:30], 0.02),
        SLOW,
        goes_on=False,
        settings={"headSeconds": 0.2},
        hits="head_seconds",
    ),
    Case(
        "a slow head that is in time",
        (LINE, 0.2, HOST + b"Content-Length: 16\r\n\r\n" + BODY),
        (Told(200),),
        (Got(),),
    ),
    Case(
        "a body that doesn't come",
        (HEAD,),
        SLOW,
        goes_on=False,
        settings={"bodyIdleSeconds": 0.1},
        hits="body_idle_seconds",
    ),
    Case(
        "a body that stalls",
        (HEAD + BODY[:5],),
        SLOW,
        goes_on=False,
        settings={"bodyIdleSeconds": 0.1},
        hits="body_idle_seconds",
    ),
    Case(
        "chunks that stall",
        (chunked(b"10\r\n" + BODY),),
        SLOW,
        goes_on=False,
        settings={"bodyIdleSeconds": 0.1},
        hits="body_idle_seconds",
    ),
    Case(
        "a body that drips without a pause, beyond all time",
        (HEAD, *drip(BODY[:15], 0.04)),
        SLOW,
        goes_on=False,
        settings={"bodyIdleSeconds": 0.2, "bodySeconds": 0.3},
        hits="body_seconds",
    ),
    Case(
        "a body that drips within its time",
        (HEAD, *drip(BODY, 0.01)),
        (Told(200),),
        (Got(),),
        settings={"bodyIdleSeconds": 0.2, "bodySeconds": 2},
    ),
    Case(
        "a body that stalls behind another request",
        (post(body=NEXT) + HEAD + BODY[:5],),
        (Told(200), *SLOW),
        (Got(body=NEXT),),
        goes_on=False,
        settings={"bodyIdleSeconds": 0.1},
        hits="body_idle_seconds",
    ),
    Case(
        "100-continue, and then nothing",
        (LINE + HOST + b"Expect: 100-continue\r\nContent-Length: 16\r\n\r\n",),
        (Told(100), *SLOW),
        goes_on=False,
        settings={"bodyIdleSeconds": 0.1},
        hits="body_idle_seconds",
    ),
    Case(
        "one connection too many",
        b"",
        (Told(503, "too_many_connections", {"retry-after": "5"}),),
        goes_on=False,
        settings={"maxConnections": 1},
        hits="max_connections",
    ),
    Case(
        "the last request a connection may carry, and one more behind it",
        (post(body=NEXT) + post() + post(body=NEXT) * 2,),
        (Told(200), Told(200)),
        (Got(body=NEXT), Got()),
        goes_on=False,
        settings={"maxRequestsPerConnection": 2},
        hits="max_requests_per_connection",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_times(case: Case, stack: Stack) -> None:
    await check(case, stack)
