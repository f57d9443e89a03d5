"""What is meant for one hop ends here: Connection and what it names, Upgrade, TE, Expect."""

import pytest

from tests.router.raw.case import (
    BODY,
    HOST,
    LINE,
    MODELS,
    NEXT,
    Case,
    Got,
    Told,
    bare,
    check,
    passed,
    post,
    refused,
)
from tests.router.stack import Stack

EXPECTING = post(b"Expect: 100-continue")
JSON = ("content-type", "application/json")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

CONNECTION: tuple[Case, ...] = (
    passed("keep-alive, by word", post(b"Connection: keep-alive")),
    passed("keep-alive in capitals", post(b"CONNECTION: KEEP-ALIVE")),
    passed("Keep-Alive's own field", post(b"Connection: keep-alive", b"Keep-Alive: timeout=5, max=1000")),
    passed(
        "a nominated field is dropped", post(b"Connection: X-Hop", b"X-Hop: 1", b"X-Stay: 2"), ("x-stay", "2")
    ),
    passed("a field nominated after it came", post(b"X-Hop: 1", b"Connection: x-hop")),
    passed("two Connection fields", post(b"Connection: X-A", b"X-A: 1", b"Connection: X-B", b"X-B: 2")),
    passed("a list with empty places", post(b"Connection: ,, X-A ,", b"X-A: 1")),
    passed("a nominated field that isn't there", post(b"Connection: X-None")),
    passed("Content-Length can't be nominated away", post(b"Connection: Content-Length")),
    passed("Host can't be nominated away", post(b"Connection: Host")),
    passed(
        "Content-Type can't be nominated away",
        post(b"Connection: Content-Type", b"Content-Type: application/json"),
        JSON,
    ),
    passed(
        "X-Request-Id can't be nominated away",
        post(b"Connection: X-Request-Id", b"X-Request-Id: abc"),
        id="abc",
    ),
    passed(
        "traceparent can't be nominated away",
        post(b"Connection: traceparent", b"traceparent: " + TRACE.encode()),
        ("traceparent", TRACE),
    ),
    refused(
        "Transfer-Encoding can't be nominated away",
        post(b"Connection: Transfer-Encoding", b"Transfer-Encoding: chunked"),
    ),
    refused("more nominations than anyone needs", post(b"Connection: " + b"x," * 40)),
    Case("close", post(b"Connection: close"), (Told(200),), (Got(),), goes_on=False, whole_only=True),
    Case("close among others", post(b"Connection: foo, Close"), (Told(200),), (Got(),), goes_on=False),
    Case(
        "close and keep-alive", post(b"Connection: keep-alive, close"), (Told(200),), (Got(),), goes_on=False
    ),
    Case(
        "close in a field of its own",
        post(b"Connection: keep-alive", b"Connection: close"),
        (Told(200),),
        (Got(),),
        goes_on=False,
    ),
    passed("Proxy-Connection means nothing", post(b"Proxy-Connection: close")),
    passed("TE", post(b"TE: trailers, deflate;q=0.5")),
    passed("Trailer", post(b"Trailer: X-Sum")),
    passed("Proxy-Authorization", post(b"Proxy-Authorization: Basic eA==")),
)

UPGRADES: tuple[Case, ...] = (
    passed(
        "h2c, which is not taken up and its body read",
        post(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk"),
    ),
    passed(
        "a websocket",
        post(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
        ("sec-websocket-version", "13"),
    ),
    passed("Upgrade without Connection", post(b"Upgrade: h2c")),
    passed("Connection without Upgrade", post(b"Connection: upgrade")),
    Case(
        "an upgrade without a body",
        MODELS + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        (Told(200),),
    ),
    Case(
        "an upgrade and close",
        post(b"Connection: Upgrade, close", b"Upgrade: h2c"),
        (Told(200),),
        (Got(),),
        goes_on=False,
    ),
    refused(
        "an upgrade with a chunked body",
        bare(b"Connection: upgrade", b"Upgrade: h2c", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    ),
    refused(
        "an upgrade with two lengths",
        bare(b"Connection: upgrade", b"Upgrade: h2c", b"Content-Length: 16", b"Content-Length: 5", body=BODY),
    ),
)

EXPECTATIONS: tuple[Case, ...] = (
    Case("100-continue", EXPECTING, (Told(100), Told(200)), (Got(),)),
    Case("100-Continue, in capitals", post(b"EXPECT: 100-CONTINUE"), (Told(100), Told(200)), (Got(),)),
    Case(
        "100-continue of a chunked body",
        bare(
            b"Expect: 100-continue", b"Transfer-Encoding: chunked", body=b"10\r\n" + BODY + b"\r\n0\r\n\r\n"
        ),
        (Told(100), Told(200)),
        (Got(),),
    ),
    Case(
        "100-continue without a body gets none", MODELS + HOST + b"Expect: 100-continue\r\n\r\n", (Told(200),)
    ),
    Case(
        "100-continue on HTTP/1.0 gets none",
        LINE.replace(b"1.1", b"1.0") + HOST + b"Expect: 100-continue\r\nContent-Length: 16\r\n\r\n" + BODY,
        (Told(200),),
        (Got(),),
        goes_on=False,
    ),
    Case(
        "100-continue behind another request waits its turn",
        (post(body=NEXT) + EXPECTING.removesuffix(BODY), 0.05, BODY),
        (Told(200), Told(100), Told(200)),
        (Got(body=NEXT), Got()),
    ),
    refused("an expectation nobody knows", post(b"Expect: magic"), 417, "expectation_failed"),
    refused("an empty expectation", post(b"Expect:"), 417, "expectation_failed"),
    refused(
        "100-continue twice",
        post(b"Expect: 100-continue", b"Expect: 100-continue"),
        417,
        "expectation_failed",
    ),
    refused("100-continue and more", post(b"Expect: 100-continue, magic"), 417, "expectation_failed"),
    refused(
        "100-continue on a path that isn't there spares the body",
        b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n",
        404,
        "unknown_url",
    ),
)


@pytest.mark.parametrize("case", CONNECTION, ids=lambda case: f"connection: {case.name}")
async def test_connection(case: Case, stack: Stack) -> None:
    await check(case, stack)


@pytest.mark.parametrize("case", UPGRADES, ids=lambda case: f"upgrade: {case.name}")
async def test_upgrade(case: Case, stack: Stack) -> None:
    await check(case, stack)


@pytest.mark.parametrize("case", EXPECTATIONS, ids=lambda case: f"expect: {case.name}")
async def test_expect(case: Case, stack: Stack) -> None:
    await check(case, stack)
