"""What a window makes of clients who leave before their answer has come."""

import asyncio

import pytest

from tests.router.stack import CHAT, STREAM, Stack, eventually
from tests.router.test_windows import counted, middles, one_engine, slow


@pytest.mark.parametrize(("request_", "whole"), [(STREAM, False), (CHAT, True)], ids=["stream", "whole"])
async def test_who_gives_up_has_waited_for_a_first_token_that_long(
    stack: Stack, request_: bytes, whole: bool
) -> None:
    await one_engine(stack, slow(first=30.0, gap=0.0, count=1))
    client = await stack.client()
    await client.send(request_)
    await eventually(lambda: stack.router.in_flight)
    await asyncio.sleep(0.3)
    client.close()
    await eventually(lambda: not stack.router.in_flight)
    found = await counted(stack)
    assert (found["requests"], found["errors"]) == (0, 0)
    (waited,) = middles(found["histograms"]["timeToFirstToken"])
    assert 0.25 < waited < 5.0
    assert bool(found["whole"]["timeToFirstToken"]) is whole
    assert not found["histograms"]["timePerOutputToken"]


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
