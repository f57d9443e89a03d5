"""Answers on their way back: streams as they come, breaks told properly, nothing gathered up in memory."""

import asyncio
import json
import resource
import socket
import time

import pytest

from pointsman_router.answering.events import EventBuffer
from tests.router.engine import SSE_HEAD, Turn, chunk, event, events, hang, raw, reply
from tests.router.stack import (
    CHAT,
    STREAM,
    Stack,
    configuration,
    eventually,
    post,
    service,
    variant,
)


async def test_events_arrive_one_by_one_as_the_engine_sends_them(stack: Stack) -> None:
    gate = asyncio.Semaphore(0)

    async def paced(turn: Turn) -> None:
        await turn.write(SSE_HEAD)
        for n in range(3):
            await gate.acquire()
            await turn.write(chunk(event({"n": n})))
        await gate.acquire()
        await turn.write(chunk(event(b"[DONE]")) + b"0\r\n\r\n")

    await stack.engine(paced)
    await stack.start()
    client = await stack.client()
    await client.send(STREAM)
    head = await client.head()
    assert head.field("content-type") == "text/event-stream; charset=utf-8"
    assert head.field("transfer-encoding") == "chunked"
    for n in range(3):
        gate.release()
        assert await client.chunk() == event({"n": n})
    gate.release()
    assert await client.chunk() == event(b"[DONE]")
    assert await client.chunk() == b""


async def test_usage_and_options_pass_untouched(stack: Stack) -> None:
    usage = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
    engine = await stack.engine(events({"n": 1}, usage))
    await stack.start()
    options = {"include_usage": True, "continuous_usage_stats": False}
    answer = await stack.chat(stream=True, stream_options=options)
    assert engine.requests[0].document["stream_options"] == options
    assert answer.body == event({"n": 1}) + event(usage) + event(b"[DONE]")


async def test_an_http_1_0_client_gets_the_stream_without_chunks(stack: Stack) -> None:
    await stack.engine(events({"n": 1}, {"n": 2}))
    await stack.start()
    answer = await stack.ask(STREAM.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert answer.field("transfer-encoding") is None
    assert answer.body == event({"n": 1}) + event({"n": 2}) + event(b"[DONE]")


@pytest.mark.parametrize("when", ["before the head", "in the middle"])
async def test_a_client_that_leaves_ends_the_engines_work_at_once(stack: Stack, when: str) -> None:
    async def endless(turn: Turn) -> None:
        await turn.write(SSE_HEAD)
        while True:
            await turn.write(chunk(event({"n": 0})))
            await asyncio.sleep(0.002)

    engine = await stack.engine(hang if when == "before the head" else endless)
    await stack.start()
    client = await stack.client()
    await client.send(STREAM)
    if when == "before the head":
        await eventually(lambda: engine.requests)
    else:
        await client.head()
        await client.chunk()
    began = time.monotonic()
    client.close()
    await eventually(lambda: engine.left == 1)
    assert time.monotonic() - began < 0.5
    await eventually(lambda: engine.open == 0)
    stats = stack.router.state.table.services["chat"].variants[0].stats
    assert (stats.in_flight, stats.codes) == (0, {499: 1})
    assert stack.router.state.table.services["chat"].variants[0].engines[0].in_flight == 0


async def test_a_client_that_leaves_while_connecting_leaves_nothing_behind(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start()
    client = await stack.client()
    await client.send(CHAT)
    client.close()
    await eventually(lambda: not stack.router.connections)
    await asyncio.sleep(0.05)
    assert stack.router.state.table.services["chat"].variants[0].engines[0].in_flight == 0
    assert (await stack.ask(CHAT)).status == 200
    assert engine.open <= 1


async def test_clients_that_leave_while_connecting_end_what_was_begun_for_them(stack: Stack) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        address = deaf.getsockname()
        held = [socket.socket() for _ in range(3)]
        for one in held:  # nobody accepts, so that the next ones hang
            one.setblocking(False)
            one.connect_ex(address)
        await stack.start(
            configuration(service("chat", variant("v", f"127.0.0.1:{address[1]}")), connectSeconds=30)
        )
        pool = stack.router.state.table.services["chat"].variants[0].engines[0].pool
        clients = [await stack.client() for _ in range(5)]
        for client in clients:
            await client.send(CHAT)
        await eventually(lambda: len(pool.connecting) == 5)
        for client in clients:
            client.close()
        await eventually(lambda: not pool.connecting)
        for one in held:
            one.close()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (
            "/v1/chat/completions",
            lambda data: data["error"]["type"] == "server_error" and data["error"]["code"] == "engine_failed",
        ),
        ("/v1/responses", lambda data: data["type"] == "error" and data["code"] == "engine_failed"),
        ("/v1/messages", lambda data: data["type"] == "error" and data["error"]["type"] == "api_error"),
    ],
    ids=["chat", "responses", "messages"],
)
async def test_a_stream_that_breaks_ends_with_an_error_event(
    stack: Stack, path: str, expected: object
) -> None:
    await stack.engine(events({"n": 1}, {"n": 2}, end=False))
    await stack.start()
    client = await stack.client()
    answer = await client.ask(post(path, {"model": "chat", "stream": True}))
    assert answer.body.startswith(event({"n": 1}) + event({"n": 2}))
    last = answer.body.removeprefix(event({"n": 1}) + event({"n": 2}))
    assert last.endswith(b"\n\n")
    *named, data = last.strip().split(b"\n")
    assert named == ([] if path == "/v1/chat/completions" else [b"event: error"])
    assert expected(json.loads(data.removeprefix(b"data: ")))  # type: ignore[operator]
    assert b"[DONE]" not in answer.body
    assert stack.metric("requests_total", service="chat", variant="stable", code="502") == 1
    assert (await client.ask(CHAT)).status == 200, "the connection goes on"


async def test_half_an_event_is_never_passed_on(stack: Stack) -> None:
    whole, half = event({"n": 1}), b'data: {"n": '
    await stack.engine(raw(SSE_HEAD + chunk(whole + half), then_close=True))
    await stack.start()
    answer = await stack.ask(STREAM)
    assert answer.body.startswith(whole + b'data: {"error"')
    assert answer.body.count(b"data: ") == 2


@pytest.mark.parametrize(
    ("fed", "passed"),
    [
        ([b"data: 1\n\n"], [b"data: 1\n\n"]),
        ([b"data: 1\n", b"\ndata: 2\n\n"], [b"", b"data: 1\n\ndata: 2\n\n"]),
        ([b"data: 1\n\ndata: 2", b"\n\n"], [b"data: 1\n\n", b"data: 2\n\n"]),
        ([b"data: 1\r\n\r\ndata: 2\r\n", b"\r\n"], [b"data: 1\r\n\r\n", b"data: 2\r\n\r\n"]),
        ([b": ping\n\n", b"data: x"], [b": ping\n\n", b""]),
        ([b"d" * 70_000, b"d\n\n"], [b"d" * 70_000, b"d\n\n"]),
    ],
)
def test_events_are_held_back_until_they_are_whole(fed: list[bytes], passed: list[bytes]) -> None:
    buffer = EventBuffer()
    assert [buffer.feed(data) for data in fed] == passed


async def test_the_rest_of_a_stream_is_passed_on_at_its_end(stack: Stack) -> None:
    await stack.engine(raw(SSE_HEAD + chunk(b"data: 1\n\ndata: 2") + b"0\r\n\r\n"))
    await stack.start()
    assert (await stack.ask(STREAM)).body == b"data: 1\n\ndata: 2"


@pytest.mark.parametrize(
    "broken",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\nzz\r\n",
    ],
    ids=["length", "chunks", "garbage"],
)
async def test_an_answer_cut_short_looks_cut_short_to_the_client(stack: Stack, broken: bytes) -> None:
    await stack.engine(raw(broken, then_close=True))
    await stack.start()
    client = await stack.client()
    await client.send(CHAT)
    with pytest.raises(asyncio.IncompleteReadError):
        await client.answer()


async def test_an_answer_cut_short_is_a_reset_for_http_1_0(stack: Stack) -> None:
    await stack.engine(
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n", then_close=True)
    )
    await stack.start()
    client = await stack.client()
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await client.ask(CHAT.replace(b"HTTP/1.1", b"HTTP/1.0"))


async def test_an_engine_that_says_nothing_is_a_504(stack: Stack) -> None:
    engine = await stack.engine(hang)
    await stack.start(firstByteSeconds=0.1)
    answer = await stack.ask(CHAT)
    assert (answer.status, answer.error["code"]) == (504, "engine_timeout")
    await eventually(lambda: engine.open == 0)
    assert len(engine.requests) == 1, "a slow engine isn't asked twice"


async def test_a_stream_that_stalls_ends_with_an_error_event(stack: Stack) -> None:
    async def stalling(turn: Turn) -> None:
        await turn.write(SSE_HEAD + chunk(event({"n": 1})))
        await turn.until_left()

    engine = await stack.engine(stalling)
    await stack.start(idleStreamSeconds=0.1)
    answer = await stack.ask(STREAM)
    assert answer.body.startswith(event({"n": 1}))
    assert b'"code":"engine_timeout"' in answer.body
    await eventually(lambda: engine.open == 0)


async def test_a_slow_stream_is_not_a_stalled_one(stack: Stack) -> None:
    await stack.engine(events(*range(8), gap=0.06))
    await stack.start(idleStreamSeconds=0.2)
    answer = await stack.ask(STREAM)
    assert answer.body.endswith(event(b"[DONE]"))


_HUGE = 256 * 1024 * 1024


def _rss() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_a_slow_reader_of_a_huge_answer_costs_no_memory(stack: Stack, framing: str) -> None:
    piece = bytes(64 * 1024)
    sent = 0

    async def flood(turn: Turn) -> None:
        nonlocal sent
        if framing == "length":
            await turn.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % _HUGE)
        else:
            await turn.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(_HUGE // len(piece)):
            await turn.write(piece if framing == "length" else chunk(piece))
            sent += len(piece)

    await stack.engine(flood)
    await stack.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.port, limit=4096)
    before = _rss()
    writer.write(CHAT)
    await asyncio.sleep(0.4)
    held = sent
    await asyncio.sleep(0.2)
    assert sent == held, "the engine is held up"
    assert sent < 32 * 1024 * 1024
    assert _rss() - before < 32 * 1024 * 1024
    await reader.readexactly(4 * 1024 * 1024)
    await eventually(lambda: sent > held)
    writer.transport.abort()


async def test_a_client_that_reads_nothing_for_too_long_is_left(stack: Stack) -> None:
    async def flood(turn: Turn) -> None:
        await turn.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await turn.write(chunk(bytes(64 * 1024)))

    engine = await stack.engine(flood)
    await stack.start(idleStreamSeconds=0.2)
    _, writer = await asyncio.open_connection("127.0.0.1", stack.port, limit=4096)
    writer.write(CHAT)
    await eventually(lambda: engine.left == 1)
    await eventually(
        lambda: stack.metric("requests_total", service="chat", variant="stable", code="499") == 1
    )
    writer.transport.abort()


async def test_a_pipelining_client_that_reads_nothing_is_not_served_further(stack: Stack) -> None:
    engine = await stack.engine(always=reply({"x": "y" * 200_000}))
    await stack.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.port, limit=4096)
    writer.write(CHAT * 200)
    await asyncio.sleep(0.5)
    served = len(engine.requests)
    assert served < 150
    await reader.readexactly(40 * 1024 * 1024 // 10)
    await eventually(lambda: len(engine.requests) > served)
    writer.transport.abort()


async def test_a_large_upload_arrives_whole(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start()
    body = json.dumps({"model": "chat", "image": "x" * 20_000_000}).encode()
    assert (await stack.ask(post("/v1/chat/completions", body))).status == 200
    assert engine.requests[0].body == body
