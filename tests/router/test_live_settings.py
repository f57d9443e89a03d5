"""Settings that change while the router runs: in force for the next request, and gone again with them.

One row a setting: what is seen with the defaults, with the setting, and once it has been taken back, all by
one process and, in a case of its own, on one connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.router.engine import Turn, echo, reply
from tests.router.stack import CHAT, Stack, configuration, get, post, service, variant

Look = Callable[[Stack], Awaitable[Any]]
PAGE = "https://app.example.com"


@dataclass(frozen=True, slots=True)
class Row:
    """A setting, and what a client sees of it."""

    setting: dict[str, Any]
    look: Look
    before: Any
    after: Any
    routing: bool = False
    """Whether the setting is the service's; else the router's."""


def status_of(data: bytes) -> Look:
    """The status that a request gets."""

    async def look(stack: Stack) -> int:
        return (await stack.ask(data)).status

    return look


def field_of(name: str, data: bytes = CHAT) -> Look:
    """A field of the answer to a request."""

    async def look(stack: Stack) -> str | None:
        return (await stack.ask(data)).field(name)

    return look


def against(script: Callable[[Turn], Awaitable[None]], data: bytes = CHAT) -> Look:
    """The status that a request gets while the engines do this to the first that comes."""

    async def look(stack: Stack) -> int:
        for engine in stack.engines:
            engine.scripts.append(script)
        try:
            return (await stack.ask(data)).status
        finally:
            for engine in stack.engines:
                engine.scripts.clear()

    return look


async def late(turn: Turn) -> None:
    """Answers after three tenths of a second."""
    await asyncio.sleep(0.3)
    await reply({"late": True})(turn)


async def kept(stack: Stack) -> bool:
    """Whether a connection is still there after a moment of silence."""
    client = await stack.client()
    assert (await client.ask(CHAT)).status == 200
    try:
        return await asyncio.wait_for(client.reader.read(1), 0.6) != b""
    except TimeoutError:
        return True
    finally:
        client.close()


async def used(stack: Stack) -> int:
    """How many engines the requests of one session come to."""
    before = [len(engine.requests) for engine in stack.engines]
    for _ in range(8):
        await stack.ask(post("/v1/chat/completions", {"model": "chat"}, "X-Session: seven"))
    return sum(len(e.requests) > n for e, n in zip(stack.engines, before, strict=True))


async def first_of_a_stream(stack: Stack) -> str:
    """What a stream begins with while the engine thinks."""
    for engine in stack.engines:
        engine.scripts.append(late)
    client = await stack.client()
    await client.send(post("/v1/chat/completions", {"model": "chat", "stream": True}))
    head = await client.head()
    client.close()
    for engine in stack.engines:
        engine.scripts.clear()
    return str(head.field("content-type")).partition(";")[0]


async def once_busy(stack: Stack) -> int:
    """The status of a request whose first engine sends it on, and whose second one answers."""
    busy = iter([reply({"error": "busy"}, 503)])

    async def script(turn: Turn) -> None:
        await next(busy, echo)(turn)

    status: int = await against(script)(stack)
    return status


async def crowded(stack: Stack) -> list[int]:
    """What three requests at once get, where there is one slow engine."""
    for engine in stack.engines:
        engine.scripts.extend([late] * 3)
    try:
        return sorted(await asyncio.gather(*(status_of(CHAT)(stack) for _ in range(3))))
    finally:
        for engine in stack.engines:
            engine.scripts.clear()


DEEP = post("/v1/chat/completions", {"model": "chat", "a": {"b": {"c": {"d": {}}}}})
LONG = post("/v1/chat/completions", {"model": "chat", "x": "x" * 2000})
DIGITS = post("/v1/chat/completions", b'{"model": "chat", "n": 12345678901234567890}')
TARGET = post("/v1/chat/completions?" + "q" * 100, {"model": "chat"})
FIELDS = post("/v1/chat/completions", {"model": "chat"}, *(f"X-{n}: y" for n in range(12)))
HEAD = post("/v1/chat/completions", {"model": "chat"}, "X-Long: " + "y" * 2000)
FROM_PAGE = get("/v1/models", f"Origin: {PAGE}")

ROWS = {
    "a longest body": Row({"limits": {"maxBodyBytes": 1000}}, status_of(LONG), 200, 413),
    "a deepest document": Row({"limits": {"maxJsonDepth": 4}}, status_of(DEEP), 200, 400),
    "a longest number": Row({"limits": {"maxNumberDigits": 16}}, status_of(DIGITS), 200, 400),
    "a longest target": Row({"limits": {"maxTargetBytes": 64}}, status_of(TARGET), 200, 414),
    "a most of headers": Row({"limits": {"maxHeaders": 8}}, status_of(FIELDS), 200, 431),
    "a longest head": Row({"limits": {"maxHeadBytes": 1024}}, status_of(HEAD), 200, 431),
    "a last request of a connection": Row(
        {"limits": {"maxRequestsPerConnection": 1}}, field_of("connection"), None, "close"
    ),
    "a patience with idle connections": Row({"limits": {"keepAliveSeconds": 0.1}}, kept, True, False),
    "an origin": Row(
        {"cors": {"allowedOrigins": [PAGE]}},
        field_of("access-control-allow-origin", FROM_PAGE),
        None,
        PAGE,
    ),
    "a time to the first byte": Row(
        {"timeouts": {"firstByteSeconds": 0.05}}, against(late), 200, 504, routing=True
    ),
    "a time for the whole request": Row(
        {"timeouts": {"requestSeconds": 0.05}}, against(late), 200, 504, routing=True
    ),
    "a silence after which clients are told": Row(
        {"timeouts": {"commentSeconds": 0.05}},
        first_of_a_stream,
        "application/json",
        "text/event-stream",
        routing=True,
    ),
    "a number of tries": Row({"retries": {"maxAttempts": 1}}, once_busy, 200, 503, routing=True),
    "a room at each engine, with nobody waiting": Row(
        {"engines": {"maxRequests": 1, "maxQueued": 0}},
        crowded,
        [200, 200, 200],
        [200, 200, 503],
        routing=True,
    ),
    "a header that names sessions": Row(
        {"stickiness": {"header": "X-Session"}, "picking": {"policy": "RoundRobin"}}, used, 2, 1, routing=True
    ),
}


def document(stack: Stack, row: Row | None) -> dict[str, Any]:
    """The configuration, with a row's setting or without."""
    chat = service("chat", variant("stable", *stack.engines))
    # A short time, so that the router looks at the others as often.
    limits = {"bodyIdleSeconds": 0.2}
    # In turn, so that what is seen doesn't hang on chance.
    routing: dict[str, Any] = {"picking": {"policy": "RoundRobin"}}
    if row is None:
        return configuration({**chat, "routing": routing}, **limits)
    if row.routing:
        return configuration({**chat, "routing": {**routing, **row.setting}}, **limits)
    plain = configuration({**chat, "routing": routing}, **limits)
    return {**plain, **row.setting, "limits": {**limits, **row.setting.get("limits", {})}}


@pytest.fixture
async def stack() -> AsyncIterator[Stack]:
    stack = Stack()
    for _ in range(2):
        await stack.engine(always=echo)
    await stack.start(document(stack, None))
    yield stack
    await stack.close()


def take(stack: Stack, row: Row | None) -> None:
    assert stack.router.state.apply_config(document(stack, row)), stack.router.state.error


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_a_setting_is_in_force_as_long_as_it_is_there(stack: Stack, row: Row) -> None:
    assert await row.look(stack) == row.before
    take(stack, row)
    assert await row.look(stack) == row.after
    take(stack, None)
    assert await row.look(stack) == row.before


async def test_a_connection_that_is_open_goes_by_what_is_new(stack: Stack) -> None:
    client = await stack.client()
    assert (await client.ask(DEEP)).status == 200
    take(stack, ROWS["a deepest document"])
    assert (await client.ask(DEEP)).status == 400
    take(stack, None)
    assert (await client.ask(DEEP)).status == 200


async def test_a_request_that_is_on_its_way_keeps_what_it_began_with(stack: Stack) -> None:
    for engine in stack.engines:
        engine.scripts.append(late)
    client = await stack.client()
    await client.send(CHAT)
    await asyncio.sleep(0.05)
    hasty = replace(ROWS["a time for the whole request"], setting={"timeouts": {"requestSeconds": 0.1}})
    take(stack, hasty)
    assert (await client.answer()).status == 200


async def test_what_is_refused_changes_nothing(stack: Stack) -> None:
    take(stack, ROWS["a longest body"])
    wrong = {**document(stack, None), "limits": {"maxBodyBytes": -1}}
    assert not stack.router.state.apply_config(wrong)
    assert await status_of(LONG)(stack) == 413
