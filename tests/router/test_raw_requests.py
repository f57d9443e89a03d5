"""Requests byte by byte: what is refused, what connections survive, and what the engine got to see."""

import asyncio

import pytest

from tests.router.engine import Turn, echo, reply
from tests.router.stack import CHAT, Stack, configuration, get, post, service

BODY = b'{"model":"chat","messages":[]}'
LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"


HEAD = LINE + b"Host: a\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"\r\n\r\n{}"
LAST = b"\r\n\r\n0\r\n\r\n"
MODELS = b"GET /v1/models HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("name", "request_bytes", "status"),
    [
        ("no Host", LINE + b"Content-Length: 2" + END, 400),
        ("two Hosts", HEAD + b"Host: b\r\nContent-Length: 2" + END, 400),
        ("the same Host twice", HEAD + b"Host: a\r\nContent-Length: 2" + END, 400),
        ("a list of Hosts", LINE + b"Host: a, b\r\nContent-Length: 2" + END, 400),
        ("a Host with a path", LINE + b"Host: a/b\r\nContent-Length: 2" + END, 400),
        ("an empty Host", LINE + b"Host: \r\nContent-Length: 2" + END, 400),
        ("CL and TE", HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked" + LAST, 400),
        ("TE and CL", HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 2" + LAST, 400),
        ("CL twice", HEAD + b"Content-Length: 2\r\nContent-Length: 2" + END, 400),
        ("CL as a list", HEAD + b"Content-Length: 2, 2" + END, 400),
        ("CL with a sign", HEAD + b"Content-Length: +2" + END, 400),
        ("CL in hex", HEAD + b"Content-Length: 0x2" + END, 400),
        ("CL that overflows", HEAD + b"Content-Length: 99999999999999999999999" + END, 400),
        ("gzip, chunked", HEAD + b"Transfer-Encoding: gzip, chunked" + LAST, 501),
        ("chunked, identity", HEAD + b"Transfer-Encoding: chunked, identity" + LAST, 400),
        ("chunked twice", HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked" + LAST, 400),
        ("gzip, then chunked", HEAD + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked" + LAST, 501),
        ("xchunked", HEAD + b"Transfer-Encoding: xchunked" + LAST, 501),
        ("TE after a vertical tab", HEAD + b"Transfer-Encoding:\x0bchunked" + LAST, 400),
        ("TE on HTTP/1.0", HEAD.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked" + LAST, 400),
        ("HTTP/0.9", MODELS.replace(b"1.1", b"0.9") + b"Host: a\r\n\r\n", 505),
        ("HTTP/2.0", MODELS.replace(b"1.1", b"2.0") + b"Host: a\r\n\r\n", 505),
        ("HTTP/1.2", MODELS.replace(b"1.1", b"1.2") + b"Host: a\r\n\r\n", 505),
        ("no version", b"GET /v1/models\r\n\r\n", 505),
        ("the HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("absolute form", b"GET http://evil/v1/models HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("authority form", b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("asterisk form", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("a space before the colon", HEAD + b"Content-Length : 2" + END, 400),
        ("a folded line", HEAD + b"X: b\r\n c\r\nContent-Length: 2" + END, 400),
        ("bare LF", b"GET /v1/models HTTP/1.1\nHost: a\n\n", 400),
        ("bare CR", MODELS + b"Host: a\rX: b\r\n\r\n", 400),
        ("NUL in a value", HEAD + b"X: \x00\r\nContent-Length: 2" + END, 400),
        ("NUL in the target", b"GET /v1/\x00models HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("a raw byte in the target", b"GET /v1/mod\xe9ls HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("an empty name", HEAD + b": x\r\nContent-Length: 2" + END, 400),
        ("an unknown method", b"BREW /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("a wrong chunk size", CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", 400),
        ("a chunk that is longer", CHUNKED + b"1\r\n{}\r\n0\r\n\r\n", 400),
        ("a signed chunk size", CHUNKED + b"-1\r\n", 400),
        ("a chunk size that overflows", CHUNKED + b"fffffffffffffffff\r\n", 400),
        ("a length as trailer", CHUNKED + b"0\r\nContent-Length: 9\r\n\r\n", 400),
        ("an expectation nobody knows", HEAD + b"Expect: magic\r\nContent-Length: 2" + END, 417),
        (
            "an upgrade with a chunked body",
            HEAD + b"Connection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked" + LAST,
            400,
        ),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_refused_with_its_connection_closed(
    stack: Stack, name: str, request_bytes: bytes, status: int
) -> None:
    engine = await stack.engine()
    await stack.start()
    client = await stack.client()
    answer = await client.ask(request_bytes + b"GET /v1/models HTTP/1.1\r\nHost: smuggled\r\n\r\n")
    assert answer.status == status
    assert answer.error["type"] == "invalid_request_error"
    assert answer.field("connection") == "close"
    assert await client.closed(), "nothing that follows is read"
    assert engine.requests == []
    assert (await stack.ask(CHAT)).status == 200, "other connections go on"


async def test_a_body_comes_in_chunks_with_extensions_and_trailers_and_leaves_plain(stack: Stack) -> None:
    engine = await stack.engine(always=echo)
    await stack.start()
    client = await stack.client()
    head = LINE + b"Host: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Model\r\n\r\n"
    chunks = b"A;name=value\r\n" + BODY[:10] + b"\r\n%x\r\n" % (len(BODY) - 10) + BODY[10:] + b"\r\n"
    answer = await client.ask(head + chunks + b"0\r\nX-Model: other\r\nHost: b\r\n\r\n")
    assert answer.status == 200
    assert engine.requests[0].body == BODY
    assert engine.requests[0].field("x-model") is None
    assert (await client.ask(CHAT)).status == 200


async def test_a_request_may_come_byte_by_byte(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start()
    client = await stack.client()
    for at in range(len(CHAT)):
        await client.send(CHAT[at : at + 1])
    assert (await client.answer()).status == 200
    assert engine.requests[0].document["model"] == "chat"


async def test_one_connection_carries_many_requests(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start()
    client = await stack.client()
    for _ in range(20):
        answer = await client.ask(CHAT)
        assert (answer.status, answer.field("connection")) == (200, None)
    assert (len(engine.requests), engine.connections) == (20, 1)


async def test_pipelined_requests_are_answered_in_order(stack: Stack) -> None:
    engine = await stack.engine(always=echo)
    await stack.start()
    client = await stack.client()
    asked = [post("/v1/chat/completions", {"model": "chat", "n": n}) for n in range(30)]
    await client.send(b"".join(asked) + get("/v1/models") + get("/nowhere"))
    for n in range(30):
        answer = await client.answer()
        assert answer.status == 200
        assert f'"n": {n}}}' in answer.document["body"]
    assert (await client.answer()).document["object"] == "list"
    assert (await client.answer()).status == 404
    assert engine.connections == 1


async def test_hundreds_of_pipelined_refusals_need_no_deep_stack(stack: Stack) -> None:
    await stack.start({"name": "t", "format": 1})
    client = await stack.client()
    await client.send(get("/nowhere") * 250)
    for _ in range(250):
        assert (await client.answer()).status == 404


async def test_a_malformed_request_behind_a_good_one_is_answered_after_it(stack: Stack) -> None:
    async def slow(turn: Turn) -> None:
        await asyncio.sleep(0.05)
        await reply({"slow": True})(turn)

    await stack.engine(slow)
    await stack.start()
    client = await stack.client()
    await client.send(CHAT + b"rubbish\r\n\r\n")
    assert (await client.answer()).document == {"slow": True}
    assert (await client.answer()).status == 400
    assert await client.closed()


async def test_nothing_after_connection_close_is_answered(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start()
    client = await stack.client()
    closing = post("/v1/chat/completions", {"model": "chat"}, "Connection: close")
    answer = await client.ask(closing + CHAT)
    assert (answer.status, answer.field("connection")) == (200, "close")
    assert await client.closed()
    assert len(engine.requests) == 1


async def test_head_gets_no_body(stack: Stack) -> None:
    await stack.engine()
    await stack.start()
    client = await stack.client()
    await client.send(b"HEAD /v1/models HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = await client.answer(to_head=True)
    assert answer.status == 405
    assert int(answer.field("content-length") or 0) > 0
    assert (await client.ask(get("/v1/models"))).status == 200, "no stray body is in the way"


async def test_http_1_0_gets_a_plain_body_and_the_connections_end(stack: Stack) -> None:
    await stack.engine(always=echo)
    await stack.start()
    client = await stack.client()
    await client.send(
        b"POST /v1/chat/completions HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: %d\r\n\r\n"
        % len(BODY)
        + BODY
    )
    answer = await client.answer()
    assert (answer.status, answer.field("connection")) == (200, "close")
    assert await client.closed()


async def test_a_client_that_waits_for_100_continue_gets_it(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start()
    client = await stack.client()
    head, _, body = post("/v1/chat/completions", {"model": "chat"}, "Expect: 100-continue").partition(
        b"\r\n\r\n"
    )
    await client.send(head + b"\r\n\r\n")
    assert (await client.head()).status == 100
    assert (await client.ask(body)).status == 200
    assert engine.requests[0].field("expect") is None


async def test_a_pipelined_100_continue_waits_for_its_turn(stack: Stack) -> None:
    async def slow(turn: Turn) -> None:
        await asyncio.sleep(0.05)
        await reply({"first": True})(turn)

    await stack.engine(slow)
    await stack.start()
    client = await stack.client()
    head, _, body = post("/v1/chat/completions", {"model": "chat"}, "Expect: 100-continue").partition(
        b"\r\n\r\n"
    )
    await client.send(CHAT + head + b"\r\n\r\n")
    assert (await client.answer()).document == {"first": True}
    assert (await client.head()).status == 100
    assert (await client.ask(body)).status == 200


async def test_a_refused_expectation_spares_the_client_its_body(stack: Stack) -> None:
    await stack.start({"name": "t", "format": 1})
    client = await stack.client()
    await client.send(
        b"POST /nowhere HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n"
    )
    answer = await client.answer()
    assert (answer.status, answer.field("connection")) == (404, "close")
    assert await client.closed()


@pytest.mark.parametrize("pieces", [1, 3, 1000])
async def test_an_offer_to_upgrade_is_ignored_and_its_body_read(stack: Stack, pieces: int) -> None:
    engine = await stack.engine(always=echo)
    await stack.start()
    client = await stack.client()
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")
    request = post("/v1/chat/completions", {"model": "chat"}, *upgrade) + CHAT + get("/v1/models", *upgrade)
    step = max(1, len(request) // pieces)
    for at in range(0, len(request), step):
        await client.send(request[at : at + step])
    assert (await client.answer()).status == 200
    assert (await client.answer()).status == 200
    assert (await client.answer()).document["object"] == "list"
    assert [received.document["model"] for received in engine.requests] == ["chat", "chat"]
    assert engine.requests[0].field("upgrade") is None


@pytest.mark.parametrize("announced", [True, False], ids=["by its length", "when it has come"])
async def test_a_body_above_the_limit_is_413(stack: Stack, announced: bool) -> None:
    engine = await stack.engine()
    await stack.start(maxBodyBytes=1000)
    client = await stack.client()
    if announced:
        await client.send(LINE + b"Host: a\r\nContent-Length: 1001\r\n\r\n")
    else:
        await client.send(
            LINE + b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"3e8\r\n" + b" " * 1000 + b"\r\n") * 2
        )
    answer = await client.answer()
    assert (answer.status, answer.error["code"], answer.field("connection")) == (
        413,
        "request_too_large",
        "close",
    )
    assert await client.closed()
    assert engine.requests == []
    fits = b'{"model":"chat"}'.ljust(1000)
    assert (await stack.ask(post("/v1/chat/completions", fits))).status == 200


async def test_a_limit_that_changes_holds_for_connections_there_are(stack: Stack) -> None:
    await stack.engine()
    await stack.start(maxBodyBytes=1000, headSeconds=0.2)
    client = await stack.client()
    assert (await client.ask(CHAT)).status == 200
    stack.router.state.apply_config(configuration(service("chat"), maxBodyBytes=10, headSeconds=0.2))
    await asyncio.sleep(0.2)
    assert (await client.ask(CHAT)).status == 413


async def test_two_content_types_are_refused(stack: Stack) -> None:
    await stack.engine()
    await stack.start()
    client = await stack.client()
    twice = post("/v1/chat/completions", {"model": "chat"}, "Content-Type: a/b", "Content-Type: c/d")
    assert (await client.ask(twice)).status == 400
    assert await client.closed()


async def test_413_reaches_a_client_that_goes_on_sending(stack: Stack) -> None:
    await stack.engine()
    await stack.start(maxBodyBytes=1000)
    client = await stack.client()
    await client.send(LINE + b"Host: a\r\nContent-Length: 20000000\r\n\r\n")
    client.writer.write(b" " * 20_000_000)
    assert (await client.answer()).status == 413


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("one endless field", b"X: " + b"a" * 100_000),
        ("many fields", b"X: a\r\n" * 250 + b"\r\n"),
        ("many dropped fields", b"Cookie: aaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" * 3000 + b"\r\n"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_excessive_head_is_431(stack: Stack, name: str, head: bytes) -> None:
    await stack.start({"name": "t", "format": 1})
    client = await stack.client()
    await client.send(b"GET /v1/models HTTP/1.1\r\nHost: a\r\n" + head)
    answer = await client.answer()
    assert (answer.status, answer.error["code"]) == (431, "head_too_large")
    assert await client.closed()


@pytest.mark.parametrize(
    ("name", "flood"),
    [
        ("an endless chunk extension", b"1;" + b"a" * 200_000),
        ("endless trailers", b"0\r\nX: " + b"a" * 200_000),
        ("endless zeros in a chunk size", b"0" * 200_000),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_framing_without_content_is_refused(stack: Stack, name: str, flood: bytes) -> None:
    await stack.engine()
    await stack.start()
    client = await stack.client()
    await client.send(LINE + b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\n" + flood)
    assert (await client.answer()).status == 400
    assert await client.closed()
