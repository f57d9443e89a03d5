"""Requests that wait: for room at an engine, for a first token, until a deadline."""

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pytest

from tests.router.engine import SSE_HEAD, FakeEngine, Script, Turn, chunk, close, event, events, hang, reply
from tests.router.stack import (
    CHAT,
    STREAM,
    Answer,
    RawClient,
    Stack,
    configuration,
    eventually,
    post,
    refused_address,
    service,
    variant,
)

COMMENT = b": waiting\n\n"


def gated(gate: asyncio.Semaphore) -> Script:
    """Answers when it's let."""

    async def script(turn: Turn) -> None:
        await gate.acquire()
        await reply({"n": len(turn.engine.requests)})(turn)

    return script


def late(seconds: float, then: Script) -> Script:
    async def script(turn: Turn) -> None:
        await asyncio.sleep(seconds)
        await then(turn)

    return script


async def _asking(stack: Stack, count: int, engine: FakeEngine, queued: int) -> list[asyncio.Task[Answer]]:
    """Asks so many times, one after the other; waits until so many of them are queued."""
    tasks: list[asyncio.Task[Answer]] = []
    for n in range(count):
        request = post("/v1/chat/completions", {"model": "chat", "n": n})
        tasks.append(asyncio.ensure_future(stack.ask(request)))
        await _until(engine, n + 1, stack)
    assert _queued(stack) == queued
    return tasks


async def _until(engine: FakeEngine, asked: int, stack: Stack | None = None) -> None:
    """Until it was asked so often, or (with a stack) so many were asked or wait."""
    await eventually(lambda: len(engine.requests) + (_queued(stack) if stack else 0) == asked)


def _queued(stack: Stack) -> int:
    return len(stack.router.state.table.services["chat"].variants[0].queue.waiting)


async def test_what_an_engine_has_no_room_for_waits_its_turn(stack: Stack) -> None:
    gate = asyncio.Semaphore(0)
    engine = await stack.engine(always=gated(gate))
    await stack.start(maxRequests=2)
    tasks = await _asking(stack, 5, engine, queued=3)
    assert stack.metric("queued", service="chat", variant="stable") == 3
    document = (await stack.admin("GET", "/signals")).document
    shown = document["services"]["chat"]["variants"]["stable"]
    assert (shown["queued"], shown["inFlight"]) == (3, 2)
    for n in range(5):
        gate.release()
        await _until(engine, min(5, n + 3))
    assert {answer.status for answer in await asyncio.gather(*tasks)} == {200}
    assert [request.document["n"] for request in engine.requests] == [0, 1, 2, 3, 4], "in their order"
    assert stack.metric("queued", service="chat", variant="stable") == 0


async def test_a_full_queue_says_when_to_come_back(stack: Stack) -> None:
    engine = await stack.engine(always=hang)
    await stack.start(maxRequests=1, maxQueued=1)
    tasks = await _asking(stack, 2, engine, queued=1)
    answer = await stack.ask(CHAT)
    assert (answer.status, answer.error["code"]) == (503, "engines_busy")
    assert int(answer.field("retry-after") or 0) >= 1
    assert stack.metric("limits_hit_total", limit="maxQueued") == 1
    for task in tasks:
        task.cancel()


async def test_who_waits_too_long_is_told(stack: Stack) -> None:
    engine = await stack.engine(always=hang)
    await stack.start(maxRequests=1, queueSeconds=0.15)
    task = asyncio.ensure_future(stack.ask(CHAT))
    await eventually(lambda: engine.requests)
    began = time.monotonic()
    answer = await stack.ask(CHAT)
    assert (answer.status, answer.error["code"]) == (503, "engines_busy")
    assert 0.1 < time.monotonic() - began < 1
    assert stack.metric("limits_hit_total", limit="queueSeconds") == 1
    assert _queued(stack) == 0
    task.cancel()


async def test_a_client_that_leaves_the_queue_leaves_its_place(stack: Stack) -> None:
    gate = asyncio.Semaphore(0)
    engine = await stack.engine(always=gated(gate))
    await stack.start(maxRequests=1)
    first = asyncio.ensure_future(stack.ask(CHAT))
    await eventually(lambda: engine.requests)
    leaving = await stack.client()
    await leaving.send(CHAT)
    await eventually(lambda: _queued(stack) == 1)
    leaving.close()
    await eventually(lambda: _queued(stack) == 0)
    gate.release()
    assert (await first).status == 200
    await asyncio.sleep(0.05)
    assert len(engine.requests) == 1
    stats = stack.router.state.table.services["chat"].variants[0].stats
    assert (stats.in_flight, stats.queued) == (0, 0)


async def test_who_waits_goes_to_an_engine_that_comes(stack: Stack) -> None:
    busy, fresh = await stack.engine(always=hang), await stack.engine()
    await stack.start(configuration(service("chat", variant("v", busy)), maxRequests=1))
    held = asyncio.ensure_future(stack.ask(CHAT))
    await eventually(lambda: busy.requests)
    waiting = asyncio.ensure_future(stack.ask(CHAT))
    await eventually(lambda: _queued(stack) == 1)
    assert stack.router.state.apply_config(
        configuration(service("chat", variant("v", busy, fresh)), maxRequests=1)
    )
    assert (await waiting).status == 200
    held.cancel()


async def test_who_waits_for_a_variant_that_goes_is_sent_elsewhere(stack: Stack) -> None:
    old, new = await stack.engine(always=hang), await stack.engine()
    await stack.start(configuration(service("chat", variant("v1", old)), maxRequests=1))
    held = asyncio.ensure_future(stack.ask(CHAT))
    await eventually(lambda: old.requests)
    waiting = asyncio.ensure_future(stack.ask(CHAT))
    await eventually(lambda: _queued(stack) == 1)
    assert stack.router.state.apply_config(configuration(service("chat", variant("v2", new)), maxRequests=1))
    assert (await waiting).status == 200
    held.cancel()


async def test_probes_dont_wait(stack: Stack) -> None:
    engine = await stack.engine(hang, always=reply({"choices": [{}]}))
    await stack.start(maxRequests=1)
    held = asyncio.ensure_future(stack.ask(CHAT))
    await eventually(lambda: engine.requests)
    assert (await stack.admin("POST", "/probe/chat")).status == 200
    held.cancel()


# Comments.


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
async def test_a_stream_that_waits_is_kept_alive_by_comments(stack: Stack, path: str) -> None:
    await stack.engine(late(0.35, events({"n": 1})))
    await stack.start(commentSeconds=0.1)
    client = await stack.client()
    answer = await client.ask(post(path, {"model": "chat", "stream": True}))
    assert answer.status == 200
    assert answer.field("content-type") == "text/event-stream"
    assert answer.field("cache-control") == "no-cache"
    assert answer.field("x-request-id")
    comments = answer.chunks.count(COMMENT)
    assert 2 <= comments <= 4
    assert answer.body == comments * COMMENT + event({"n": 1}) + event(b"[DONE]")
    assert (await client.ask(CHAT)).status == 200, "the connection goes on"
    stats = stack.router.state.table.services["chat"].variants[0].stats
    assert stats.first_byte.total > 0.3, "a comment is nobody's first byte"


async def test_only_a_request_for_a_stream_gets_comments(stack: Stack) -> None:
    await stack.engine(always=late(0.3, reply({"n": 1})))
    await stack.start(commentSeconds=0.05)
    for request in (
        CHAT,
        post("/v1/chat/completions", {"model": "chat", "stream": "true"}),
        post("/v1/embeddings", {"model": "chat", "stream": True}),
    ):
        answer = await stack.ask(request)
        assert answer.document == {"n": 1}
        assert answer.field("content-length")


async def test_comments_come_between_events_and_never_within_one(stack: Stack) -> None:
    async def pausing(turn: Turn) -> None:
        await turn.write(SSE_HEAD + chunk(event({"n": 1})))
        await asyncio.sleep(0.25)
        await turn.write(chunk(b"data: 2"))
        await asyncio.sleep(0.25)
        await turn.write(chunk(b"\n\n") + b"0\r\n\r\n")

    await stack.engine(pausing)
    await stack.start(commentSeconds=0.1)
    answer = await stack.ask(STREAM)
    assert answer.body.startswith(event({"n": 1}) + COMMENT)
    assert answer.body.endswith(COMMENT + b"data: 2\n\n")


async def test_a_stream_that_flows_needs_no_comments(stack: Stack) -> None:
    await stack.engine(events(*range(10), gap=0.04))
    await stack.start(commentSeconds=0.15)
    assert COMMENT not in (await stack.ask(STREAM)).body


async def test_an_http_1_0_client_gets_comments_too(stack: Stack) -> None:
    await stack.engine(late(0.2, events({"n": 1})))
    await stack.start(commentSeconds=0.1)
    answer = await stack.ask(STREAM.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert answer.body.startswith(COMMENT)
    assert answer.body.endswith(event({"n": 1}) + event(b"[DONE]"))


MINE = {"error": {"message": "too long", "type": "BadRequestError", "param": "messages", "code": 400}}


@pytest.mark.parametrize(
    ("script", "code", "message"),
    [
        (reply(MINE, 400), "400", "too long"),
        (reply({"object": "error", "message": "flat", "code": 422}, 422), "422", "flat"),
        (reply({"detail": "Not Found"}, 404), "engine_error", "The engine answered with status 404"),
        (reply([], 500), "engine_error", "The engine answered with status 500"),
        (reply({"choices": []}), "engine_failed", "no stream of events"),
        (close, "engine_failed", "closed the connection"),
    ],
    ids=["an error", "a flat error", "no API's error", "nonsense", "a whole answer", "a break"],
)
async def test_what_comes_after_comments_comes_as_an_event(
    stack: Stack, script: Script, code: str, message: str
) -> None:
    engine = await stack.engine(late(0.2, script))
    await stack.start(commentSeconds=0.1)
    client = await stack.client()
    answer = await client.ask(STREAM)
    assert answer.status == 200
    error = answer.body.replace(COMMENT, b"")
    assert error.startswith(b"data: ")
    assert error.endswith(b"\n\n")
    told = json.loads(error.removeprefix(b"data: "))["error"]
    assert told["code"] == code
    assert message in told["message"]
    assert (await client.ask(CHAT)).status == 200, "the connection goes on"
    await eventually(lambda: engine.open <= 1)


async def test_an_error_after_comments_has_the_shape_of_its_api(stack: Stack) -> None:
    await stack.engine(always=late(0.2, reply(MINE, 400)))
    await stack.start(commentSeconds=0.1)
    for path, kind in (("/v1/messages", "invalid_request_error"), ("/v1/responses", "")):
        answer = await stack.ask(post(path, {"model": "chat", "stream": True}))
        name, data = answer.body.replace(COMMENT, b"").strip().split(b"\n")
        assert name == b"event: error"
        told = json.loads(data.removeprefix(b"data: "))
        assert told["type"] == "error"
        assert (
            (told["error"]["type"], told["error"]["message"]) == (kind, "too long")
            if kind
            else (told["message"] == "too long")
        )


async def test_a_retry_is_still_possible_after_comments(stack: Stack) -> None:
    dead = await refused_address()
    engine = await stack.engine(always=late(0.1, events({"n": 1})))
    busy = late(0.2, reply({"error": {"message": "draining"}}, 503))
    draining = await stack.engine(always=busy)
    await stack.start(
        configuration(service("chat", variant("v", dead, draining, engine)), commentSeconds=0.05)
    )
    for _ in range(4):
        answer = await stack.ask(STREAM)
        assert answer.body.replace(COMMENT, b"") == event({"n": 1}) + event(b"[DONE]")


async def test_comments_come_while_a_request_is_queued(stack: Stack) -> None:
    gate = asyncio.Semaphore(0)
    engine = await stack.engine(gated(gate), always=events({"n": 1}))
    await stack.start(maxRequests=1, commentSeconds=0.1)
    first = asyncio.ensure_future(stack.ask(CHAT))
    await eventually(lambda: engine.requests)
    client = await stack.client()
    await client.send(STREAM)
    assert (await client.head()).status == 200
    assert await client.chunk() == COMMENT
    gate.release()
    assert (await first).status == 200
    received = [data async for data in _chunks(client)]
    assert received[-2:] == [event({"n": 1}), event(b"[DONE]")]


async def _chunks(client: RawClient) -> AsyncIterator[bytes]:
    while data := await client.chunk():
        yield data


# Deadlines.


async def test_the_client_says_how_long_it_waits(stack: Stack) -> None:
    engine = await stack.engine(always=hang)
    await stack.start()
    client = await stack.client()
    began = time.monotonic()
    answer = await client.ask(post("/v1/chat/completions", {"model": "chat"}, "X-Pointsman-Timeout: 0.15"))
    assert (answer.status, answer.error["code"]) == (504, "deadline_exceeded")
    assert 0.1 < time.monotonic() - began < 0.5
    assert engine.requests[0].field("x-pointsman-timeout") is None
    await eventually(lambda: engine.open == 0)
    assert stack.metric("engine_failures_total", service="chat", variant="stable", reason="timeout") == 0
    assert stack.metric("requests_total", service="chat", variant="stable", code="504") == 1


async def test_a_deadline_that_is_kept_is_forgotten(stack: Stack) -> None:
    await stack.engine()
    await stack.start()
    client = await stack.client()
    request = post("/v1/chat/completions", {"model": "chat"}, "X-Pointsman-Timeout: 0.1")
    assert (await client.ask(request)).status == 200
    await asyncio.sleep(0.2)
    assert (await client.ask(request)).status == 200


async def test_a_stream_that_takes_too_long_ends_with_an_error_event(stack: Stack) -> None:
    engine = await stack.engine(events(*range(100), gap=0.02))
    await stack.start(requestSeconds=0.3)
    answer = await stack.ask(STREAM)
    assert answer.body.startswith(event(0) + event(1))
    assert b'"code":"deadline_exceeded"' in answer.body.rsplit(b"data: ", 1)[1]
    assert stack.metric("limits_hit_total", limit="requestSeconds") == 1
    await eventually(lambda: engine.open == 0)


async def test_a_deadline_holds_in_the_queue_too(stack: Stack) -> None:
    engine = await stack.engine(always=hang)
    await stack.start(maxRequests=1)
    held = asyncio.ensure_future(stack.ask(CHAT))
    await eventually(lambda: engine.requests)
    answer = await stack.ask(post("/v1/chat/completions", {"model": "chat"}, "X-Pointsman-Timeout: 0.1"))
    assert (answer.status, answer.error["code"]) == (504, "deadline_exceeded")
    assert _queued(stack) == 0
    held.cancel()
