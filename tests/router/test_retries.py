"""When a request is tried again, where, and how often."""

import asyncio
import time

import pytest

from tests.router.engine import Turn, close, events, raw, reply, reset
from tests.router.stack import (
    CHAT,
    STREAM,
    Stack,
    configuration,
    eventually,
    post,
    refused_address,
    service,
    tagged,
    variant,
)

UNAVAILABLE = reply({"error": {"message": "draining"}}, 503)


def chat_on(*addresses: object, **limits: float) -> dict[str, object]:
    return configuration(service("chat", variant("v", *addresses)), **limits)  # type: ignore[arg-type]


async def test_an_engine_that_cannot_be_reached_is_passed_over(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start(chat_on(await refused_address(), engine))
    for _ in range(20):
        assert (await stack.ask(CHAT)).status == 200
    assert len(engine.requests) == 20
    retries = stack.metric("retries_total", service="chat", variant="v", reason="connect")
    assert 1 <= retries <= 3, "it's set aside after a failure, and not asked each time"


async def test_an_engine_that_comes_back_is_used_again(stack: Stack) -> None:
    back, other = await stack.engine(), await stack.engine()
    await back.stop()
    await stack.start(chat_on(back, other))
    for _ in range(10):
        assert (await stack.ask(CHAT)).status == 200
    await back.start()
    deadline = time.monotonic() + 5
    while not back.requests:
        assert time.monotonic() < deadline
        await stack.ask(CHAT)
        await asyncio.sleep(0.05)


async def test_an_only_engine_is_tried_until_the_attempts_are_used_up(stack: Stack) -> None:
    engine = await stack.engine()
    await engine.stop()
    await stack.start(chat_on(engine, maxAttempts=3))
    answer = await stack.ask(CHAT)
    assert (answer.status, answer.error["code"]) == (503, "engine_unreachable")
    assert answer.field("retry-after") == "2"
    assert stack.metric("retries_total", service="chat", variant="v", reason="connect") == 2
    await engine.start()
    assert (await stack.ask(CHAT)).status == 200, "aside or not, there is nothing else"


async def test_an_engine_that_returns_between_attempts_answers(stack: Stack) -> None:
    engine = await stack.engine()
    await engine.stop()
    await stack.start(chat_on(engine, maxAttempts=8))
    asking = asyncio.ensure_future(stack.ask(CHAT))
    await asyncio.sleep(0.05)
    await engine.start()
    assert (await asking).status == 200


async def test_a_connect_that_hangs_is_given_up_after_its_time(stack: Stack) -> None:
    engine = await stack.engine()
    # TEST-NET-1 is routed nowhere, or refused: in both cases the other engine answers soon.
    await stack.start(chat_on("192.0.2.1:9", engine, connectSeconds=0.2))
    began = time.monotonic()
    for _ in range(6):
        assert (await stack.ask(CHAT)).status == 200
    assert time.monotonic() - began < 3


async def test_a_name_that_no_host_can_have_cannot_be_reached(stack: Stack) -> None:
    await stack.start(chat_on("a-host:8000"))
    (engine,) = stack.router.state.engines
    engine.pool.host = "no..host"
    answer = await stack.ask(CHAT)
    assert (answer.status, answer.error["code"]) == (503, "engine_unreachable")


@pytest.mark.parametrize("death", [close, reset], ids=["closed", "reset"])
async def test_a_reused_connection_that_died_is_no_failure(stack: Stack, death: object) -> None:
    engine = await stack.engine(reply({"first": True}), death, reply({"third": True}))  # type: ignore[arg-type]
    await stack.start()
    assert (await stack.ask(CHAT)).document == {"first": True}
    assert (await stack.ask(CHAT)).document == {"third": True}
    assert engine.connections == 2
    assert stack.metric("retries_total", service="chat", variant="stable", reason="stale") == 1


async def test_an_engine_that_closed_its_idle_connections_costs_nothing(stack: Stack) -> None:
    async def slow(turn: Turn) -> None:
        await asyncio.sleep(0.03)
        await reply({})(turn)

    engine = await stack.engine(always=slow)
    await stack.start()
    await asyncio.gather(*(stack.ask(CHAT) for _ in range(10)))
    for _ in range(5):
        engine.close_idle()
        answers = await asyncio.gather(*(stack.ask(CHAT) for _ in range(10)))
        assert {answer.status for answer in answers} == {200}


@pytest.mark.parametrize("death", [close, reset], ids=["closed", "reset"])
async def test_a_fresh_connection_that_dies_takes_no_second_engine_with_it(
    stack: Stack, death: object
) -> None:
    first, second = await stack.engine(always=death), await stack.engine(always=death)  # type: ignore[arg-type]
    await stack.start()
    answer = await stack.ask(CHAT)
    assert (answer.status, answer.error["code"]) == (502, "engine_failed")
    assert len(first.requests) + len(second.requests) == 1


async def test_a_reused_connection_that_dies_late_may_have_died_of_the_request(stack: Stack) -> None:
    async def crash(turn: Turn) -> None:
        await asyncio.sleep(1.1)
        turn.reset()

    engine = await stack.engine(reply({}), crash)
    await stack.start()
    await stack.ask(CHAT)
    assert (await stack.ask(CHAT)).status == 502
    assert len(engine.requests) == 2


async def test_an_engine_that_drains_sends_its_request_on_to_another(stack: Stack) -> None:
    draining, other = await stack.engine(always=UNAVAILABLE), await stack.engine()
    await stack.start()
    for _ in range(20):
        assert (await stack.ask(CHAT)).status == 200
    assert draining.requests
    assert len(other.requests) == 20
    retries = stack.metric("retries_total", service="chat", variant="stable", reason="draining")
    assert retries == len(draining.requests)


async def test_503_of_every_engine_passes_with_its_body(stack: Stack) -> None:
    engines = [await stack.engine(always=UNAVAILABLE) for _ in range(2)]
    await stack.start()
    answer = await stack.ask(CHAT)
    assert (answer.status, answer.document) == (503, {"error": {"message": "draining"}})
    assert [len(engine.requests) for engine in engines] == [1, 1]


async def test_503_of_an_only_engine_is_not_repeated(stack: Stack) -> None:
    engine = await stack.engine(always=UNAVAILABLE)
    await stack.start()
    assert (await stack.ask(CHAT)).status == 503
    assert len(engine.requests) == 1


async def test_503_leads_to_no_variant_without_weight(stack: Stack) -> None:
    stable, candidate = await stack.engine(always=UNAVAILABLE), await stack.engine()
    variants = (variant("stable", stable), variant("candidate", candidate, weight=0))
    await stack.start(configuration(service("chat", *variants)))
    assert (await stack.ask(CHAT)).status == 503
    assert candidate.requests == []


async def test_attempts_are_bounded_whatever_their_reasons(stack: Stack) -> None:
    engines = [await stack.engine(always=UNAVAILABLE) for _ in range(5)]
    await stack.start(maxAttempts=2)
    assert (await stack.ask(CHAT)).status == 503
    assert sum(len(engine.requests) for engine in engines) == 2


async def test_a_retry_sends_the_same_request_again(stack: Stack) -> None:
    engines = [await stack.engine(UNAVAILABLE), await stack.engine(UNAVAILABLE)]
    await stack.start(maxAttempts=2)
    body = b'{"model":"chat","n":1.50}'
    await stack.ask(post("/v1/chat/completions", body, "X-Request-Id: same"))
    first, second = (engine.requests[0] for engine in engines)
    assert first.body == second.body == body
    assert first.field("x-request-id") == second.field("x-request-id") == tagged("same")


@pytest.mark.parametrize(
    "script",
    [
        raw(b"HTTP/1.1 500 Broken\r\nContent-Length: 2\r\n\r\n{}"),
        raw(b"HTTP/1.1 429 Busy\r\nContent-Length: 2\r\n\r\n{}"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", then_close=True),
        events({"n": 1}, end=False),
    ],
    ids=["500", "429", "cut in its body", "cut in its stream"],
)
async def test_nothing_is_retried_once_an_engine_has_answered(stack: Stack, script: object) -> None:
    engines = [await stack.engine(always=script) for _ in range(3)]  # type: ignore[arg-type]
    await stack.start()
    client = await stack.client()
    await client.send(STREAM)
    await client.head()
    await eventually(lambda: stack.router.state.table.services["chat"].variants[0].stats.codes)
    assert sum(len(engine.requests) for engine in engines) == 1


async def test_no_ready_engine_is_a_503_that_says_when_to_come_back(stack: Stack) -> None:
    await stack.start(configuration(service("chat", variant("v"))))
    client = await stack.client()
    answer = await client.ask(CHAT)
    assert (answer.status, answer.error["code"], answer.field("retry-after")) == (
        503,
        "no_ready_endpoint",
        "2",
    )
    assert answer.error["type"] == "server_error"
    assert stack.metric("requests_total", service="chat", variant="", code="503") == 1
    assert (await client.ask(CHAT)).status == 503, "the connection goes on"


async def test_retries_go_by_the_newest_endpoints(stack: Stack) -> None:
    dead, fresh = await refused_address(), await stack.engine()
    await stack.start(chat_on(dead, maxAttempts=8))
    asking = asyncio.ensure_future(stack.ask(CHAT))
    await asyncio.sleep(0.02)
    assert stack.router.state.apply_config(chat_on(fresh, maxAttempts=8))
    assert (await asking).status == 200
