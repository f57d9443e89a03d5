"""Engines that fail are left out and come back; retries have a budget; and both show."""

import asyncio
from time import monotonic

from pointsman_router.engines.endpoints import Endpoint, Slice
from pointsman_router.engines.engine import Engine
from tests.router.engine import FakeEngine, Turn, close, hang, reply
from tests.router.stack import CHAT, Stack, configuration, eventually, refused_address, service, variant

BROKEN = reply({"error": {"message": "broken"}}, 500)
BUSY = reply({"error": {"message": "busy"}}, 503)


def _engines(stack: Stack) -> tuple[Engine, ...]:
    return stack.router.state.table.services["chat"].variants[0].engines


async def _statuses(stack: Stack, count: int) -> list[int]:
    return [(await stack.ask(CHAT)).status for _ in range(count)]


async def test_an_engine_that_always_fails_gets_a_few_requests_and_then_none(stack: Stack) -> None:
    bad, good = await stack.engine(always=BROKEN), await stack.engine()
    await stack.start(failures=3, seconds=60)
    statuses = await _statuses(stack, 40)
    assert statuses.count(500) == len(bad.requests) == 3
    assert len(good.requests) == 37
    assert stack.metric("ejections_total", service="chat", variant="stable") == 1
    document = (await stack.admin("GET", "/signals")).document
    shown = document["services"]["chat"]["variants"]["stable"]
    assert shown["ejected"] == 1
    assert [engine["ejected"] for engine in shown["engines"]] == [True, False]


async def test_an_engine_that_recovers_comes_back_by_one_request(stack: Stack) -> None:
    ill, well = await stack.engine(BROKEN, BROKEN, always=reply({})), await stack.engine()
    await stack.start(failures=2, seconds=0.3)
    while len(ill.requests) < 2:
        await stack.ask(CHAT)
    assert _engines(stack)[0].ejected
    assert await _statuses(stack, 10) == [200] * 10
    assert len(ill.requests) == 2
    await asyncio.sleep(0.35)
    await _until_asked(stack, ill, 3)
    assert not _engines(stack)[0].ejected
    await _until_asked(stack, ill, 6)
    assert well.requests


async def _until_asked(stack: Stack, engine: FakeEngine, times: int) -> None:
    for _ in range(60):
        if len(engine.requests) >= times:
            return
        assert (await stack.ask(CHAT)).status == 200
    raise AssertionError("it wasn't asked again")


async def test_an_engine_that_is_still_ill_stays_out_longer(stack: Stack) -> None:
    ill, _ = await stack.engine(always=BROKEN), await stack.engine()
    await stack.start(failures=2, seconds=0.2)
    while len(ill.requests) < 2:
        await stack.ask(CHAT)
    await asyncio.sleep(0.25)
    while len(ill.requests) < 3:
        await stack.ask(CHAT)
    engine = _engines(stack)[0]
    assert (engine.ejected, engine.ejections) == (True, 2)
    assert (await _statuses(stack, 10)) == [200] * 10, "one request alone had to find out"


async def test_the_last_engines_are_never_left_out(stack: Stack) -> None:
    engines = [await stack.engine(always=BROKEN) for _ in range(2)]
    await stack.start(failures=1, seconds=60, maxPercent=100)
    assert await _statuses(stack, 20) == [500] * 20
    assert sum(engine.ejected for engine in _engines(stack)) == 1
    assert sum(len(engine.requests) for engine in engines) == 20


async def test_breaks_in_the_body_count_though_the_head_was_well(stack: Stack) -> None:
    async def cut(turn: Turn) -> None:
        await turn.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}")
        await close(turn)

    bad, _ = await stack.engine(always=cut), await stack.engine()
    await stack.start(failures=2, seconds=60)
    for _ in range(30):
        client = await stack.client()
        await client.send(CHAT)
        await client.head()
        await asyncio.sleep(0.002)
        client.close()
    await eventually(lambda: _engines(stack)[0].ejected)
    assert len(bad.requests) <= 4


async def test_a_busy_engine_is_spared_for_a_moment(stack: Stack) -> None:
    busy, other = await stack.engine(always=BUSY), await stack.engine()
    await stack.start()
    assert await _statuses(stack, 30) == [200] * 30
    assert len(busy.requests) <= 2, "not asked with every request"
    assert len(other.requests) == 30


async def test_a_draining_engine_is_no_failed_one(stack: Stack) -> None:
    draining, _ = await stack.engine(always=BUSY), await stack.engine()
    await stack.start(failures=1, seconds=60)
    _engines(stack)[0].phase.phase = "Draining"
    while not draining.requests:
        await stack.ask(CHAT)
    assert not _engines(stack)[0].ejected
    assert stack.metric("engine_failures_total", service="chat", variant="stable", reason="status") == 0


async def test_retries_stop_when_their_budget_is_spent(stack: Stack) -> None:
    await stack.start(
        configuration(service("chat", variant("v", await refused_address())), maxAttempts=2, budgetPercent=0)
    )
    assert await _statuses(stack, 25) == [503] * 25
    assert stack.metric("retries_total", service="chat", variant="v", reason="connect") == 10
    assert stack.metric("limits_hit_total", limit="budgetPercent") == 15


async def test_retry_after_knows_when_an_engine_is_asked_again(stack: Stack) -> None:
    dead = await refused_address()
    await stack.start(configuration(service("chat", variant("v", dead)), maxAttempts=1))
    _engines(stack)[0].failures = 3
    answer = await stack.ask(CHAT)
    assert (answer.status, answer.field("retry-after")) == (503, "4")


async def test_retry_after_knows_how_long_an_engine_will_load(stack: Stack) -> None:
    document = service("chat")
    document["variants"] = [{"name": "v", "upstream": {"service": "chat-engines"}}]
    await stack.start(configuration(document))
    loading = Endpoint("127.0.0.1", "chat-0", False)
    stack.router.state.replace_slices({"s": Slice("chat-engines", (loading,))})
    phase = _engines(stack)[0].phase
    phase.bytes_loaded, phase.bytes_total, phase.bytes_per_second = 100, 1000, 50.0
    phase.answered_at = monotonic()
    answer = await stack.ask(CHAT)
    assert (answer.status, answer.error["code"]) == (503, "no_ready_endpoint")
    assert 17 <= int(answer.field("retry-after") or 0) <= 18


async def test_an_engine_that_joins_others_starts_slowly(stack: Stack) -> None:
    old, new = await stack.engine(), await stack.engine()
    await stack.start(configuration(service("chat", variant("v", old))))
    now = monotonic()
    assert _engines(stack)[0].full_at <= now, "at the router's own start nobody is new"
    assert stack.router.state.apply_config(configuration(service("chat", variant("v", old, new))))
    first, second = _engines(stack)
    assert first.full_at <= now
    assert now + 9 < second.full_at < now + 11


async def test_who_waits_goes_to_an_engine_that_need_no_longer_be_spared(stack: Stack) -> None:
    full, spared = await stack.engine(always=hang), await stack.engine()
    chat = service("chat", variant("stable", full, spared))
    await stack.start(configuration(chat, maxRequests=1, queueSeconds=30, firstByteSeconds=30))
    first, second = _engines(stack)
    second.aside_until = monotonic() + 5
    client = await stack.client()
    await client.send(CHAT)
    await eventually(lambda: full.requests)
    waiting = [asyncio.ensure_future(stack.ask(CHAT)) for _ in range(2)]
    await eventually(lambda: first.wanted)
    second.aside_until = 0.0
    assert [(await answer).status for answer in waiting] == [200, 200]
    assert len(spared.requests) == 2
