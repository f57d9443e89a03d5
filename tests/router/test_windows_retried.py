"""What a window counts of requests that took more than one attempt: whose fault, and whose time."""

import asyncio
from collections.abc import Callable

import pytest

from pointsman_router.engines.engine import Engine
from tests.router.engine import FakeEngine, Script, Turn, close, events, gated, reply
from tests.router.stack import STREAM, Stack, configuration, eventually, refused_address, variant
from tests.router.test_windows import WHOLE, counted, measured, middles

UNAVAILABLE = reply({"error": {"message": "overloaded"}}, 503)
LATE = 0.3


async def beside(stack: Stack, candidate: Script, stable: Script | None = None) -> FakeEngine:
    """A stable variant and a candidate that share the requests; gives the candidate's engine."""
    steady, tried = await stack.engine(always=stable or reply(WHOLE)), await stack.engine(always=candidate)
    await stack.start(measured(variant("stable", steady, weight=50), variant("next", tried, weight=50)))
    return tried


def known(stack: Stack) -> Engine:
    """The candidate's engine, as the router knows it."""
    (engine,) = stack.router.state.table.services["chat"].variants[1].engines
    return engine


async def both(stack: Stack) -> tuple[tuple[int, int], tuple[int, int]]:
    """Requests and errors of the stable variant, and of the candidate."""
    stable, candidate = await counted(stack, "stable"), await counted(stack, "next")
    return (stable["requests"], stable["errors"]), (candidate["requests"], candidate["errors"])


async def test_who_cannot_be_reached_has_failed_though_another_variant_answered(stack: Stack) -> None:
    address, engine = await refused_address(), await stack.engine(always=reply(WHOLE))
    await stack.start(measured(variant("stable", address, weight=50), variant("next", engine, weight=50)))
    for _ in range(10):
        assert (await stack.chat()).status == 200
    failed = int(stack.metric("retries_total", service="chat", variant="stable", reason="connect"))
    assert failed
    assert await both(stack) == ((failed, failed), (10, 0))


async def test_a_503_counts_though_another_variant_answered(stack: Stack) -> None:
    tried = await beside(stack, UNAVAILABLE)
    for _ in range(10):
        known(stack).aside_until = 0.0
        assert (await stack.chat()).status == 200
    asked = len(tried.requests)
    assert asked > 1
    assert await both(stack) == ((10, 0), (asked, asked))


async def test_a_candidate_that_says_503_half_of_the_time_has_an_error_rate_of_a_half(stack: Stack) -> None:
    answers = iter([UNAVAILABLE, reply(WHOLE)] * 10)

    async def by_turns(turn: Turn) -> None:
        await next(answers)(turn)

    tried = await beside(stack, by_turns)
    while len(tried.requests) < 10:
        known(stack).aside_until = 0.0
        assert (await stack.chat()).status == 200
    (_, stable_errors), candidate = await both(stack)
    assert (stable_errors, candidate) == (0, (10, 5))


async def test_time_lost_at_one_variant_is_not_anothers(stack: Stack) -> None:
    async def late(turn: Turn) -> None:
        await asyncio.sleep(LATE)
        await UNAVAILABLE(turn)

    tried = await beside(stack, late, events({"n": 1}))
    while not tried.requests:
        await stack.ask(STREAM)
    found = middles((await counted(stack, "stable"))["histograms"]["timeToFirstToken"])
    assert found
    assert max(found) < LATE / 2


async def test_who_leaves_has_waited_for_the_variant_it_was_at(stack: Stack) -> None:
    async def late(turn: Turn) -> None:
        await asyncio.sleep(LATE)
        await UNAVAILABLE(turn)

    gate = asyncio.Event()
    tried = await beside(stack, late, gated(gate))
    while not tried.requests:
        client = await stack.client()
        await client.send(STREAM)
        await asyncio.sleep(0.02)
        if not tried.requests:
            client.close()
    await client.head()
    client.close()
    await eventually(lambda: not stack.router.in_flight)
    found = middles((await counted(stack, "stable"))["histograms"]["timeToFirstToken"])
    assert max(found) < LATE / 2


async def test_another_try_within_a_variant_stays_one_request(stack: Stack) -> None:
    one, other = await stack.engine(always=UNAVAILABLE), await stack.engine(always=reply(WHOLE))
    dead = await refused_address()
    await stack.start(measured(variant("next", one, dead, other)))
    while not one.requests or not stack.metric(
        "retries_total", service="chat", variant="next", reason="connect"
    ):
        assert (await stack.chat()).status == 200
    found = await counted(stack)
    assert (found["requests"], found["errors"]) == (len(other.requests), 0)


async def test_who_fails_last_has_failed_once_and_so_has_who_failed_between(stack: Stack) -> None:
    dead = [await refused_address(), await refused_address()]
    document = measured(variant("stable", dead[0], weight=50), variant("next", dead[1], weight=50))
    await stack.start(configuration(document["services"][0], maxAttempts=3))
    assert (await stack.chat()).status == 503
    retries = [
        stack.metric("retries_total", service="chat", variant=name, reason="connect")
        for name in ("stable", "next")
    ]
    assert retries == [1, 1], "it went there and back"
    assert await both(stack) == ((1, 1), (1, 1))


async def test_a_connection_that_died_is_nobodys_fault(stack: Stack) -> None:
    tried = await beside(stack, reply(WHOLE))
    while len(tried.requests) < 1:
        await stack.chat()
    tried.scripts.append(close)
    while len(tried.requests) < 3:
        assert (await stack.chat()).status == 200
    (_, stable_errors), (requests, errors) = await both(stack)
    assert (stable_errors, requests, errors) == (0, 2, 0)


def drains(engine: Engine) -> None:
    engine.phase.phase = "Draining"


def leaves(engine: Engine) -> None:
    engine.leaving = True


@pytest.mark.parametrize("goes", [drains, leaves])
async def test_an_engine_that_goes_counts_against_nobody(
    stack: Stack, goes: Callable[[Engine], None]
) -> None:
    tried = await beside(stack, UNAVAILABLE)
    goes(known(stack))
    while not tried.requests:
        assert (await stack.chat()).status == 200
    _, candidate = await both(stack)
    assert candidate == (0, 0)


async def test_an_engine_of_which_it_is_learnt_late_that_it_goes_counts_against_nobody(stack: Stack) -> None:
    gate = asyncio.Event()
    tried = await beside(stack, UNAVAILABLE, gated(gate))
    clients = []
    while not tried.requests:
        clients.append(await stack.client())
        await clients[-1].send(STREAM)
        await clients[-1].head()
    leaves(known(stack))
    gate.set()
    await eventually(lambda: not stack.router.in_flight)
    _, candidate = await both(stack)
    assert candidate == (0, 0)
