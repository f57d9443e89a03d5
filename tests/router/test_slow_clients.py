"""Clients that stall, drip, idle or leave: each has its time, and takes nobody else with it."""

import asyncio
from typing import Any

import pytest

from tests.router.engine import Turn, hang, reply
from tests.router.stack import CHAT, Stack, eventually, get

LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"


@pytest.mark.parametrize(
    ("name", "sent", "limit"),
    [
        ("a head that doesn't end", b"GET /v1/models HTTP/1.1\r\nHo", "headSeconds"),
        ("a body that doesn't come", LINE + b"Host: a\r\nContent-Length: 9\r\n\r\n{", "bodyIdleSeconds"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_client_that_stalls_gets_408(stack: Stack, name: str, sent: bytes, limit: str) -> None:
    await stack.engine()
    limits: dict[str, Any] = {limit: 0.1}
    await stack.start(**limits)
    client = await stack.client()
    await client.send(sent)
    answer = await client.answer()
    assert (answer.status, answer.error["code"], answer.field("connection")) == (
        408,
        "request_timeout",
        "close",
    )
    assert await client.closed()


async def test_a_head_that_drips_has_no_more_time_than_one_that_stalls(stack: Stack) -> None:
    await stack.start({"name": "t", "format": 1, "limits": {"headSeconds": 0.2}})
    client = await stack.client()
    began = asyncio.get_running_loop().time()
    await client.send(b"GET /v1/models HTTP/1.1\r\nHost: ")
    reading = asyncio.ensure_future(client.answer())
    while not reading.done():
        client.writer.write(b"a")
        await asyncio.sleep(0.01)
    assert reading.result().status == 408
    assert asyncio.get_running_loop().time() - began < 1.5


async def test_an_idle_connection_is_closed_without_a_word(stack: Stack) -> None:
    await stack.start({"name": "t", "format": 1, "limits": {"keepAliveSeconds": 0.1}})
    client = await stack.client()
    await client.ask(get("/v1/models"))
    assert await client.closed()
    await eventually(lambda: not stack.router.connections)


async def test_a_busy_connection_is_not_idle(stack: Stack) -> None:
    async def slow(turn: Turn) -> None:
        await asyncio.sleep(0.4)
        await reply({"slow": True})(turn)

    await stack.engine(slow)
    await stack.start(keepAliveSeconds=0.1, headSeconds=0.1)
    assert (await stack.ask(CHAT)).document == {"slow": True}


async def test_a_client_that_leaves_while_others_wait_takes_only_its_own_with_it(stack: Stack) -> None:
    engine = await stack.engine(hang, always=reply({"ok": True}))
    await stack.start()
    leaver, other = await stack.client(), await stack.client()
    await leaver.send(CHAT + CHAT)
    await eventually(lambda: engine.requests)
    leaver.close()
    await eventually(lambda: engine.left == 1)
    assert (await other.ask(CHAT)).status == 200
    assert len(engine.requests) == 2, "what the leaver had pipelined is not asked"
