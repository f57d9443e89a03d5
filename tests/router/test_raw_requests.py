"""Requests byte by byte: what is refused, what connections survive, and what the engine got to see."""

import asyncio

import pytest

from pointsman_router.clients import keys
from tests.router.engine import Turn, echo, reply
from tests.router.stack import CHAT, Stack, configuration, get, post, service, variant

BODY = b'{"model":"chat","messages":[]}'
LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"


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


async def test_nothing_after_connection_close_is_answered(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start()
    client = await stack.client()
    closing = post("/v1/chat/completions", {"model": "chat"}, "Connection: close")
    answer = await client.ask(closing + CHAT)
    assert (answer.status, answer.field("connection")) == (200, "close")
    assert await client.closed()
    assert len(engine.requests) == 1


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


async def test_a_limit_that_changes_holds_for_connections_there_are(stack: Stack) -> None:
    await stack.engine()
    await stack.start(maxBodyBytes=1000, headSeconds=0.2)
    client = await stack.client()
    assert (await client.ask(CHAT)).status == 200
    stack.router.state.apply_config(configuration(service("chat"), maxBodyBytes=10, headSeconds=0.2))
    await asyncio.sleep(0.2)
    assert (await client.ask(CHAT)).status == 413


async def test_413_reaches_a_client_that_goes_on_sending(stack: Stack) -> None:
    await stack.engine()
    await stack.start(maxBodyBytes=1000)
    client = await stack.client()
    await client.send(LINE + b"Host: a\r\nContent-Length: 20000000\r\n\r\n")
    client.writer.write(b" " * 20_000_000)
    assert (await client.answer()).status == 413


async def test_what_changes_holds_for_a_head_that_was_seen_before(stack: Stack) -> None:
    engine = await stack.engine()
    chat = service("chat", variant("v", engine))
    key = {"name": "team", "sha256": keys.digest("sk-1")}
    other = {"name": "other", "sha256": keys.digest("sk-2")}
    request = post("/v1/chat/completions", {"model": "chat"}, "Authorization: Bearer sk-1")
    await stack.start(configuration(chat) | {"keys": [key]})
    client = await stack.client()
    for document, status in (
        ({"keys": [key]}, 200),
        ({"keys": [other]}, 401),
        ({"keys": [key, other]}, 200),
        ({"keys": [key], "limits": {"maxTargetBytes": 64}}, 200),
        ({"keys": [{**key, "models": ["embed"]}]}, 404),
    ):
        assert stack.router.state.apply_config(configuration(chat) | document)
        assert [(await client.ask(request)).status for _ in range(3)] == [status] * 3
    assert stack.router.state.apply_config(configuration(chat) | {"limits": {"maxHeadBytes": 1024}})
    assert (await client.ask(request)).status == 200
    await stack.engine()
    stack.router.state.replace_slices({})
    assert (await client.ask(request)).status == 200, "other endpoints change nothing"
