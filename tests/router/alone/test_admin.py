"""The admin port holds against who shouldn't reach it in the first place."""

import asyncio
import time

import pytest

from pointsman_router.telling import admin
from tests.router.engine import Turn, reply
from tests.router.stack import RawClient, Stack, get


async def connect(stack: Stack) -> RawClient:
    return RawClient(*await asyncio.open_connection("127.0.0.1", stack.admin_port))


HOSTILE = {
    "no request": b"\r\n\r\nhello\r\n\r\n",
    "a length and chunks": b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n",
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "a head without end": b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X-A: b\r\n" * 20_000,
    "a body that is too large": b"POST /probe/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 999999\r\n\r\n",
    "an unknown path": get("/signals/../secrets"),
    "a method it doesn't take": b"DELETE /signals HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("sent", HOSTILE.values(), ids=HOSTILE.keys())
async def test_what_is_not_for_it_is_refused_and_ended(stack: Stack, sent: bytes) -> None:
    await stack.engine()
    await stack.start()
    client = await connect(stack)
    client.writer.write(sent)
    try:
        assert 400 <= (await client.answer()).status < 500
        assert await client.closed()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass  # more came than it read: the reset may overtake the answer
    client.close()
    assert (await stack.admin("GET", "/healthz")).status == 200


SLOW = {
    "nothing": b"",
    "a head's beginning": b"GET /met",
    "no body": b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW.keys())
async def test_who_sends_too_slowly_is_ended(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(admin, "_PATIENCE_SECONDS", 0.2)
    await stack.start({"name": "x"})
    client = await connect(stack)
    began = time.monotonic()
    await client.send(sent)
    assert await client.closed()
    assert 0.1 < time.monotonic() - began < 2
    client.close()


async def test_a_probe_may_take_longer_than_its_request(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "_PATIENCE_SECONDS", 0.1)

    async def slow(turn: Turn) -> None:
        await asyncio.sleep(0.4)
        await reply({"choices": [{}]})(turn)

    await stack.engine(always=slow)
    await stack.start()
    assert (await stack.admin("POST", "/probe/chat")).document["ok"]


async def test_so_many_connections_at_once_and_no_more(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "_MAX_CONNECTIONS", 3)
    await stack.start({"name": "x"})
    held = [await connect(stack) for _ in range(3)]
    await asyncio.sleep(0.02)
    beyond = await connect(stack)
    assert await beyond.closed()
    held.pop().close()
    await asyncio.sleep(0.02)
    assert (await stack.admin("GET", "/healthz")).status == 200
    for client in (*held, beyond):
        client.close()


async def test_two_requests_in_one_are_one(stack: Stack) -> None:
    await stack.start({"name": "x"})
    client = await connect(stack)
    answer = await client.ask(get("/healthz") + get("/healthz"))
    assert (answer.status, answer.field("connection")) == (200, "close")
    assert await client.closed()
    client.close()
