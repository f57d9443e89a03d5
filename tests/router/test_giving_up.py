"""What a window makes of clients who leave before their answer has come."""

import asyncio

import pytest

from tests.router.engine import Script, hang, reply
from tests.router.stack import CHAT, STREAM, RawClient, Stack, eventually, variant
from tests.router.test_windows import WHOLE, counted, measured, middles, one_engine, slow

QUICK = 10
"""Answers that come at once, by which it's known what is usual."""
KINDS: dict[str, tuple[bytes, Script]] = {
    "stream": (STREAM, slow(first=0.05, gap=0.0, count=1)),
    "whole": (CHAT, reply(WHOLE)),
}


async def leaves(stack: Stack, request_: bytes, after: float) -> None:
    """A client that asks, and leaves after so many seconds."""
    client: RawClient = await stack.client()
    await client.send(request_)
    await asyncio.sleep(after)
    client.close()
    await eventually(lambda: not stack.router.in_flight)


@pytest.mark.parametrize("kind", KINDS)
async def test_who_waited_for_much_longer_than_is_usual_counts_with_that(stack: Stack, kind: str) -> None:
    request_, quick = KINDS[kind]
    await one_engine(stack, *[quick] * QUICK, hang)
    for _ in range(QUICK):
        await stack.ask(request_)
    await leaves(stack, request_, after=0.6)
    found = await counted(stack)
    assert (found["requests"], found["errors"]) == (QUICK, 0)
    waited = max(middles(found["histograms"]["timeToFirstToken"]))
    assert 0.5 < waited < 5.0
    assert sum(found["histograms"]["timeToFirstToken"].values()) == QUICK + 1
    assert bool(found["whole"]["timeToFirstToken"]) is (kind == "whole")


async def test_who_left_while_the_variant_was_busy_counts_too(stack: Stack) -> None:
    engine = await stack.engine(*[reply(WHOLE)] * QUICK, hang)
    document = measured(variant("next", engine))
    document["services"][0]["routing"] = {"engines": {"maxRequests": 1}}
    await stack.start(document)
    for _ in range(QUICK):
        await stack.ask(CHAT)
    first, second = await stack.client(), await stack.client()
    await first.send(CHAT)
    await eventually(lambda: len(engine.requests) == QUICK + 1)
    await second.send(CHAT)
    await asyncio.sleep(0.6)
    second.close()
    await eventually(lambda: stack.router.in_flight == 1)
    found = await counted(stack)
    assert (found["requests"], found["errors"]) == (QUICK, 0)
    assert sum(found["histograms"]["timeToFirstToken"].values()) == QUICK + 1
    assert max(middles(found["histograms"]["timeToFirstToken"])) > 0.5
    first.close()


async def test_who_left_sooner_says_nothing(stack: Stack) -> None:
    await one_engine(stack, *[slow(first=0.4, gap=0.0, count=1)] * QUICK, hang)
    await asyncio.gather(*(stack.ask(STREAM) for _ in range(QUICK)))
    await leaves(stack, STREAM, after=0.2)
    assert sum((await counted(stack))["histograms"]["timeToFirstToken"].values()) == QUICK


async def test_where_nothing_is_usual_yet_who_leaves_says_nothing(stack: Stack) -> None:
    await one_engine(stack, hang)
    await leaves(stack, STREAM, after=0.3)
    found = await counted(stack)
    assert (found["requests"], found["errors"]) == (0, 0)
    assert not any(found["histograms"].values())


async def test_who_leaves_a_stream_has_seen_its_first_token(stack: Stack) -> None:
    await one_engine(stack, slow(first=0.0, gap=30.0, count=2))
    client = await stack.client()
    await client.send(STREAM)
    await client.head()
    await asyncio.sleep(0.5)
    client.close()
    await eventually(lambda: not stack.router.in_flight)
    (first,) = middles((await counted(stack))["histograms"]["timeToFirstToken"])
    assert first < 0.4
