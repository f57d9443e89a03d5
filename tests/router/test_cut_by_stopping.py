"""What a router's own end cuts: everybody is told in words, and it's counted."""

import asyncio

import pytest

from tests.router.engine import SSE_HEAD, Turn, chunk, event, hang, raw
from tests.router.stack import (
    CHAT,
    STREAM,
    RawClient,
    Stack,
    configuration,
    eventually,
    post,
    service,
    variant,
)
from tests.router.test_windows import counted, measured


async def endless(turn: Turn) -> None:
    await turn.write(SSE_HEAD + chunk(event({"n": 1})))
    await turn.until_left()


def cut(stack: Stack) -> float:
    return stack.metric("cut_requests_total", service="chat", variant="stable")


async def streaming(stack: Stack, request: bytes = STREAM) -> RawClient:
    client = await stack.client()
    await client.send(request)
    assert (await client.head()).status == 200
    assert await client.chunk() == event({"n": 1})
    return client


async def test_a_stream_ends_in_an_error_event_and_its_connection_is_closed(stack: Stack) -> None:
    engine = await stack.engine(always=endless)
    await stack.start()
    clients = [await streaming(stack) for _ in range(20)]
    stack.router.cut()
    for client in clients:
        assert b'"code":"router_stopped"' in await client.chunk()
        assert await client.chunk() == b""
        assert await client.closed()
    assert cut(stack) == 20
    assert {(entry["status"], entry["ending"]) for entry in stack.entries()} == {(503, "stopped")}
    await eventually(lambda: not engine.open)


async def test_a_stream_of_anthropics_api_ends_in_its_own_error_event(stack: Stack) -> None:
    await stack.engine(always=endless)
    await stack.start()
    client = await streaming(stack, post("/v1/messages", {"model": "chat", "messages": [], "stream": True}))
    stack.router.cut()
    assert (await client.chunk()).startswith(b'event: error\ndata: {"type":"error"')
    assert await client.chunk() == b""


async def test_what_has_not_begun_is_a_503_that_says_when_to_come_again(stack: Stack) -> None:
    engine = await stack.engine(always=hang)
    await stack.start()
    stack.router.draining = True
    asked = asyncio.ensure_future(stack.chat())
    await eventually(lambda: engine.requests)
    stack.router.cut()
    answer = await asked
    assert (answer.status, answer.error["code"]) == (503, "router_stopped")
    assert (answer.field("retry-after"), answer.field("connection")) == ("1", "close")
    assert cut(stack) == 1


async def test_what_waits_for_room_is_a_503_too(stack: Stack) -> None:
    engine = await stack.engine(always=hang)
    await stack.start(configuration(service("chat", variant("stable", engine)), maxRequests=1))
    asked = [asyncio.ensure_future(stack.chat()) for _ in range(2)]
    await eventually(lambda: stack.router.in_flight == 2)
    stack.router.cut()
    assert [(await one).status for one in asked] == [503, 503]
    assert cut(stack) == 2


async def test_a_request_that_is_still_being_sent_is_a_503_that_cuts_nothing(stack: Stack) -> None:
    await stack.engine()
    await stack.start()
    client = await stack.client()
    await client.send(CHAT[:-1])
    await eventually(lambda: any(one._reader.in_message for one in stack.router.connections))
    stack.router.cut()
    answer = await client.answer()
    assert (answer.status, answer.error["code"]) == (503, "router_stopped")
    assert await client.closed()
    assert cut(stack) == 0


async def test_requests_sent_ahead_go_to_no_engine_any_more(stack: Stack) -> None:
    engine = await stack.engine(always=endless)
    await stack.start()
    client = await streaming(stack)
    await client.send(CHAT)
    await eventually(lambda: any(one._queue for one in stack.router.connections))
    stack.router.cut()
    assert b"router_stopped" in await client.chunk()
    assert await client.chunk() == b""
    assert await client.closed()
    assert len(engine.requests) == 1


async def test_half_an_answer_that_is_no_stream_looks_like_none_that_is_whole(stack: Stack) -> None:
    half = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"
    await stack.engine(always=raw(half))
    await stack.start()
    client = await stack.client()
    await client.send(CHAT)
    await client.head()
    assert await client.reader.readexactly(1) == b"{"
    stack.router.cut()
    with pytest.raises(asyncio.IncompleteReadError):
        await client.reader.readexactly(1)
    assert cut(stack) == 1


async def test_an_idle_connection_is_just_closed_however_often_it_is_told(stack: Stack) -> None:
    await stack.engine()
    await stack.start()
    client = await stack.client()
    assert (await client.ask(CHAT)).status == 200
    stack.router.cut()
    stack.router.cut()
    assert await client.closed()
    assert cut(stack) == 0


async def test_it_says_nothing_of_a_variant_that_is_measured(stack: Stack) -> None:
    engine = await stack.engine(always=endless)
    await stack.start(measured(variant("next", engine)))
    await streaming(stack)
    stack.router.cut()
    found = await counted(stack)
    assert (found["requests"], found["errors"]) == (0, 0)
