"""Which variant a request belongs to: shares that hold exactly, people who stay where they are."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_router.config import Assignment, AssignmentKey
from pointsman_router.picking.assigning import Assigner, Turns, seed_of
from pointsman_router.picking.prompts import Said
from tests.router.engine import FakeEngine
from tests.router.stack import Stack, configuration, post, service, variant

SPREAD = 4
"""Requests that a share may be ahead or behind, however many there were."""


def document(weights: dict[str, int], engines: dict[str, FakeEngine], **fields: Any) -> dict[str, Any]:
    variants = [variant(name, engines[name], weight=weight) for name, weight in weights.items()]
    return configuration(service("chat", *variants) | fields)


async def two(stack: Stack) -> dict[str, FakeEngine]:
    return {"stable": await stack.engine(), "candidate": await stack.engine()}


def asking(messages: Any = (), *fields: str, **members: Any) -> bytes:
    return post("/v1/chat/completions", {"model": "chat", "messages": list(messages)} | members, *fields)


async def where(stack: Stack, engines: dict[str, FakeEngine], data: bytes) -> str:
    """The variant that answers this request."""
    before = {name: len(engine.requests) for name, engine in engines.items()}
    assert (await stack.ask(data)).status == 200
    (name,) = (name for name, engine in engines.items() if len(engine.requests) > before[name])
    return name


# Shares.


@given(
    cuts=st.lists(st.integers(1, 99), min_size=1, max_size=3, unique=True).map(sorted),
    salt=st.sampled_from(["", "chat-1a2b3c4d", "another"]),
    skip=st.integers(0, 250),
    count=st.integers(1, 700),
)
def test_a_share_is_never_more_than_a_few_requests_off(
    cuts: list[int], salt: str, skip: int, count: int
) -> None:
    turns = Turns(seed_of(salt))
    for _ in range(skip):
        turns.draw()
    draws = [turns.draw() for _ in range(count)]
    bounds = [0, *cuts, 100]
    for low, high in pairwise(bounds):
        found = sum(low <= draw * 100 < high for draw in draws)
        assert abs(found - count * (high - low) / 100) <= SPREAD


@pytest.mark.parametrize("percent", range(1, 100))
def test_of_a_hundred_requests_exactly_the_share_goes_there(percent: int) -> None:
    turns = Turns(seed_of("salt"))
    for _ in range(5):
        draws = [turns.draw() for _ in range(100)]
        assert sum(draw >= 1 - percent / 100 for draw in draws) == percent


def test_a_small_share_sees_both_of_two_kinds_that_take_turns() -> None:
    turns = Turns(seed_of("salt"))
    draws = [turns.draw() for _ in range(20_000)]
    even = sum(draw >= 0.99 for draw in draws[::2])
    assert 60 < even < 140, even


async def test_weights_hold_exactly_from_end_to_end(stack: Stack) -> None:
    engines = await two(stack)
    await stack.start(document({"stable": 90, "candidate": 10}, engines))
    for _ in range(200):
        await stack.ask(asking())
    assert {name: len(engine.requests) for name, engine in engines.items()} == {
        "stable": 180,
        "candidate": 20,
    }


async def test_endpoints_that_come_and_go_take_no_turn_away(stack: Stack) -> None:
    engines = await two(stack)
    await stack.start(document({"stable": 90, "candidate": 10}, engines))
    for _ in range(100):
        await stack.ask(asking())
        stack.router.state.replace_slices({})
    assert len(engines["candidate"].requests) == 10


async def test_what_is_asked_of_one_variant_takes_no_turn(stack: Stack) -> None:
    engines = await two(stack)
    await stack.start(document({"stable": 50, "candidate": 50}, engines))
    for _ in range(100):
        await stack.ask(asking())
        await stack.admin("POST", "/probe/chat?variant=stable")
    assert len(engines["candidate"].requests) == 50


async def test_a_service_with_one_variant_in_use_draws_nothing(stack: Stack) -> None:
    engines = await two(stack)
    await stack.start(document({"stable": 100, "candidate": 0}, engines))
    assert stack.router.state.table.services["chat"].assigner is None


# Who stays.

BY_HEADER = {"routing": {"stickiness": {"header": "X-Session-Id"}}}


def session(name: str) -> bytes:
    return asking((), f"X-Session-Id: {name}")


async def test_a_session_stays_with_its_variant_and_another_salt_draws_anew(stack: Stack) -> None:
    engines = await two(stack)
    names = [f"s{n}" for n in range(60)]
    found: dict[str, dict[str, str]] = {}
    for salt in ("", "c1", "c1", "c2"):
        fields = BY_HEADER | {"assignment": {"key": "session", "salt": salt}}
        settled = document({"stable": 50, "candidate": 50}, engines, **fields)
        if not stack.port:
            await stack.start(settled)
        assert stack.router.state.apply_config(settled)
        now = {name: await where(stack, engines, session(name)) for name in names}
        if salt in found:
            assert found[salt] == now
        found[salt] = now
    assert 15 < Counter(found["c1"].values())["candidate"] < 45
    changed = sum(found["c1"][name] != found["c2"][name] for name in names)
    assert 10 < changed < 50, "the same people aren't the first ones each time"


async def test_rising_weights_take_nobody_away_from_the_candidate(stack: Stack) -> None:
    engines = await two(stack)
    names = [f"s{n}" for n in range(50)]
    there: set[str] = set()
    for weight in (5, 20, 50, 90):
        fields = BY_HEADER | {"assignment": {"key": "session", "salt": "c1"}}
        rising = document({"stable": 100 - weight, "candidate": weight}, engines, **fields)
        if not stack.port:
            await stack.start(rising)
        assert stack.router.state.apply_config(rising)
        now = {name for name in names if await where(stack, engines, session(name)) == "candidate"}
        assert there <= now
        there = now
    assert len(there) > 35


async def test_two_routers_agree_on_every_session(stack: Stack) -> None:
    engines = await two(stack)
    fields = BY_HEADER | {"assignment": {"key": "session", "salt": "c1"}}
    config = document({"stable": 70, "candidate": 30}, engines, **fields)
    await stack.start(config)
    other = Stack()
    await other.start(config)
    try:
        for n in range(30):
            data = session(f"s{n}")
            assert await where(stack, engines, data) == await where(other, engines, data)
    finally:
        await other.close()


def test_a_draw_is_the_same_in_every_release() -> None:
    """A hash that changed would move everybody during an upgrade of the routers."""
    assigner = Assigner(Assignment(AssignmentKey.CONVERSATION, "chat-1a2b3c4d"), Turns())
    assert round(assigner.draw(12345, Said({})), 6) == SESSION_DRAW
    messages = [{"role": "user", "content": "Hello"}]
    assert round(assigner.draw(0, Said({"messages": messages})), 6) == CONVERSATION_DRAW


SESSION_DRAW = 0.02021
CONVERSATION_DRAW = 0.238576


async def test_without_a_key_a_session_is_no_reason_to_stay(stack: Stack) -> None:
    engines = await two(stack)
    fields = BY_HEADER | {"assignment": {"key": "none", "salt": "c1"}}
    await stack.start(document({"stable": 50, "candidate": 50}, engines, **fields))
    for _ in range(100):
        await stack.ask(session("me"))
    assert len(engines["candidate"].requests) == 50


# Conversations.

SYSTEM = {"role": "system", "content": "You are kind."}


def turns(opening: str, count: int) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [SYSTEM, {"role": "user", "content": opening}]
    for n in range(count):
        messages += [
            {"role": "assistant", "content": f"answer {n}"},
            {"role": "user", "content": f"more {n}"},
        ]
    return messages


async def test_a_conversation_stays_with_its_variant_from_turn_to_turn(stack: Stack) -> None:
    engines = await two(stack)
    fields = {"assignment": {"key": "conversation", "salt": "c1"}}
    await stack.start(document({"stable": 50, "candidate": 50}, engines, **fields))
    found: list[str] = []
    for n in range(30):
        places = {await where(stack, engines, asking(turns(f"question {n}", count))) for count in range(3)}
        assert len(places) == 1
        found += places
    assert 5 < Counter(found)["candidate"] < 25


async def test_a_named_session_comes_before_the_conversation(stack: Stack) -> None:
    engines = await two(stack)
    fields = BY_HEADER | {"assignment": {"key": "conversation", "salt": "c1"}}
    await stack.start(document({"stable": 50, "candidate": 50}, engines, **fields))
    data = [asking(turns(f"question {n}", 0), "X-Session-Id: me") for n in range(12)]
    assert len({await where(stack, engines, one) for one in data}) == 1


OPENINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "chat": ({"messages": turns("hi", 0)}, {"messages": turns("hi", 3)}),
    "messages": (
        {"system": "Be kind.", "messages": turns("hi", 0)[1:]},
        {"system": "Be kind.", "messages": turns("hi", 2)[1:]},
    ),
    "responses": ({"input": turns("hi", 0)}, {"input": turns("hi", 1)}),
    "cached": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]},
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "x"}}]},
                {"role": "assistant", "content": "ho"},
            ]
        },
    ),
}


@pytest.mark.parametrize(("first", "later"), OPENINGS.values(), ids=OPENINGS)
def test_the_turns_of_a_conversation_have_their_opening_in_common(
    first: dict[str, Any], later: dict[str, Any]
) -> None:
    assert Said(first).opening() == Said(later).opening() != b""


@pytest.mark.parametrize(
    "other",
    [
        {"messages": turns("hello", 0)},
        {"messages": turns("hi", 0)[1:]},
        {"messages": [{"role": "system", "content": "You are rude."}, *turns("hi", 0)[1:]]},
        {"input": "hi"},
    ],
)
def test_conversations_that_begin_otherwise_are_others(other: dict[str, Any]) -> None:
    assert Said(other).opening() not in (b"", Said({"messages": turns("hi", 0)}).opening())


@pytest.mark.parametrize(
    "none", [{}, {"messages": []}, {"messages": [SYSTEM]}, {"messages": 7}, {"prompt": "hi"}]
)
def test_what_is_no_conversation_has_no_opening(none: dict[str, Any]) -> None:
    assert Said(none).opening() == b""
