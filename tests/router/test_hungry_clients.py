"""Clients that send much, read little or leave in the middle: memory stays bounded, and comes back."""

import asyncio
from typing import cast

import pytest

from tests.router.engine import Turn, hang, raw, reply
from tests.router.stack import CHAT, RawClient, Stack, eventually, get, post

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n"
MIB = 1024 * 1024


def upload(size: int) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % size


def _read_nothing(client: RawClient) -> None:
    cast(asyncio.Transport, client.writer.transport).pause_reading()


async def _sent_half(stack: Stack, size: int) -> RawClient:
    client = await stack.client()
    await client.send(upload(size) + b" " * (size // 2))
    return client


async def test_half_a_body_counts_and_comes_back_when_its_client_leaves(stack: Stack) -> None:
    await stack.engine()
    await stack.start()
    client = await _sent_half(stack, 2 * MIB)
    await eventually(lambda: stack.router.buffered_bytes == MIB)
    client.close()
    await eventually(lambda: stack.router.buffered_bytes == 0)


async def test_chunks_count_and_come_back_when_their_client_leaves(stack: Stack) -> None:
    await stack.engine()
    await stack.start()
    client = await stack.client()
    await client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"64\r\n" + b" " * 100 + b"\r\n64\r\n")
    await eventually(lambda: stack.router.buffered_bytes == 100)
    client.close()
    await eventually(lambda: stack.router.buffered_bytes == 0)


async def test_a_whole_body_counts_until_its_answer_begins(stack: Stack) -> None:
    answer = asyncio.Event()

    async def held(turn: Turn) -> None:
        await answer.wait()
        await reply({"ok": True})(turn)

    engine = await stack.engine(held)
    await stack.start()
    client = await stack.client()
    body = b'{"model":"chat"}'.ljust(MIB)
    await client.send(post("/v1/chat/completions", body))
    await eventually(lambda: engine.requests)
    assert stack.router.buffered_bytes == MIB
    answer.set()
    assert (await client.answer()).status == 200
    assert stack.router.buffered_bytes == 0


async def test_a_body_comes_back_when_its_client_leaves_while_the_engine_thinks(stack: Stack) -> None:
    engine = await stack.engine(hang)
    await stack.start()
    client = await stack.client()
    await client.send(post("/v1/chat/completions", b'{"model":"chat"}'.ljust(MIB)) + CHAT)
    await eventually(lambda: engine.requests)
    client.close()
    await eventually(lambda: stack.router.buffered_bytes == 0)


async def test_a_body_that_is_given_up_comes_back_at_once(stack: Stack) -> None:
    await stack.engine()
    await stack.start(bodyIdleSeconds=0.1)
    client = await _sent_half(stack, 2 * MIB)
    assert (await client.answer()).status == 408
    assert stack.router.buffered_bytes == 0


async def test_others_are_told_to_wait_while_one_holds_all_memory(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start(maxBufferedBytes=MIB)
    greedy = await _sent_half(stack, MIB - 10)
    await eventually(lambda: stack.router.buffered_bytes >= MIB // 2 - 5)
    client = await stack.client()
    refused = await client.ask(post("/v1/chat/completions", b'{"model":"chat"}'.ljust(MIB * 3 // 4)))
    assert (refused.status, refused.error["code"]) == (503, "overloaded")
    assert int(refused.field("retry-after") or 0) >= 1
    assert engine.requests == []
    assert (await client.ask(CHAT)).status == 200, "small ones still fit, and the connection goes on"
    greedy.close()
    await eventually(lambda: stack.router.buffered_bytes == 0)
    fits = await client.ask(post("/v1/chat/completions", b'{"model":"chat"}'.ljust(MIB * 3 // 4)))
    assert fits.status == 200


@pytest.mark.parametrize("kind", ["one byte a chunk", "one byte a packet"])
async def test_a_body_in_tiny_pieces_takes_no_more_than_its_content(stack: Stack, kind: str) -> None:
    await stack.engine()
    await stack.start(maxBufferedBytes=2000)
    client = await stack.client()
    body = b'{"model":"chat"}'.ljust(1000)
    if kind == "one byte a chunk":
        pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
        await client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n")
    else:
        await client.send(HEAD + b"Content-Length: 1000\r\n\r\n")
        for byte in body:
            await client.send(bytes((byte,)))
    assert (await client.answer()).status == 200


async def test_a_client_that_reads_nothing_of_a_huge_answer_stops_its_engine(stack: Stack) -> None:
    sent = 0

    async def endless(turn: Turn) -> None:
        nonlocal sent
        await turn.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500000000\r\n\r\n")
        while sent < 500_000_000:
            await turn.write(b"a" * 100_000)
            sent += 100_000

    await stack.engine(endless)
    await stack.start(idleStreamSeconds=0.5)
    client = await stack.client()
    _read_nothing(client)
    await client.send(CHAT)
    await eventually(lambda: not stack.router.connections, 10)
    assert sent < 60_000_000, "what sockets on the way take, and no more"


async def test_a_client_that_reads_no_answers_is_left(stack: Stack) -> None:
    limits = {"keepAliveSeconds": 0.3, "maxRequestsPerConnection": 1_000_000}
    await stack.start({"name": "t", "format": 1, "limits": limits})
    client = await stack.client()
    _read_nothing(client)
    asking = asyncio.ensure_future(client.send(get("/v1/models") * 300_000))
    await eventually(lambda: stack.router.connections)
    await eventually(lambda: not stack.router.connections, 10)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert stack.router.stats.limits_hit["keep_alive_seconds"] == 1


async def test_an_idle_client_that_left_its_last_answers_unread_gives_its_place_back(stack: Stack) -> None:
    limits = {"keepAliveSeconds": 0.3, "maxRequestsPerConnection": 1_000_000}
    await stack.start({"name": "t", "format": 1, "limits": limits})
    client = await stack.client()
    _read_nothing(client)
    await eventually(lambda: stack.router.connections)
    (connection,) = stack.router.connections
    transport = connection._transport
    assert transport is not None
    while not transport.get_write_buffer_size():
        await client.send(get("/v1/models") * 50)
        await asyncio.sleep(0)
    assert not connection.paused, "so little is unread that the router could go on"
    await eventually(lambda: not stack.router.connections, 10)
    assert stack.router.stats.limits_hit == {"keep_alive_seconds": 1}


async def test_an_answer_still_under_way_to_a_slow_reader_outlives_the_last_request(stack: Stack) -> None:
    body = b"a" * 3_000_000
    await stack.engine(raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body))
    await stack.start(keepAliveSeconds=30)
    client = await stack.client()
    await client.send(post("/v1/chat/completions", {"model": "chat"}, "Connection: close"))
    await asyncio.sleep(0.2)
    assert (await client.answer()).body == body


async def test_connections_beyond_the_limit_are_told_and_make_room_again(stack: Stack) -> None:
    await stack.engine()
    await stack.start(maxConnections=3)
    clients = [await stack.client() for _ in range(3)]
    await eventually(lambda: len(stack.router.connections) == 3)
    for _ in range(5):
        refused = await (await stack.client()).answer()
        assert (refused.status, refused.error["code"]) == (503, "too_many_connections")
        assert refused.field("retry-after")
    assert [(await client.ask(CHAT)).status for client in clients] == [200, 200, 200]
    clients[0].close()
    await eventually(lambda: len(stack.router.connections) == 2)
    assert (await stack.ask(CHAT)).status == 200
    assert stack.router.stats.limits_hit == {"max_connections": 5}
