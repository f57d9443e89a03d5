"""Copies of requests for a variant without weight: asked, measured, thrown away, and in nobody's way."""

import asyncio
import hashlib
from typing import Any

import pytest

from pointsman_router.answering import shadow
from tests.router.engine import FakeEngine, Script, events, hang, reply
from tests.router.stack import (
    STREAM,
    Stack,
    configuration,
    eventually,
    post,
    refused_address,
    service,
    variant,
)

WHOLE = {"object": "chat.completion", "usage": {"completion_tokens": 5}}


def document(stable: Any, candidate: Any, percent: int = 100, **settings: Any) -> dict[str, Any]:
    copied = variant("next", candidate, weight=0) | {"shadow": percent}
    window = {"analysis": {"window": "next/0", "warmUpRequests": 0}}
    return configuration(
        service("chat", variant("stable", stable), copied, engine_model="m") | window, **settings
    )


async def started(
    stack: Stack, *scripts: Script, always: Script | None = None, percent: int = 100
) -> FakeEngine:
    """A stable engine that is well, and a candidate's."""
    stable = await stack.engine(always=reply(WHOLE))
    candidate = await stack.engine(*scripts, always=always or reply(WHOLE))
    await stack.start(document(stable, candidate, percent))
    return candidate


async def done(stack: Stack) -> None:
    await eventually(lambda: not stack.router.shadows.under_way)


async def counted(stack: Stack, name: str = "next") -> dict[str, Any]:
    told = (await stack.admin("GET", "/signals")).document["services"]["chat"]["analysis"]["variants"]
    found: dict[str, Any] = told[name]
    return found


async def test_a_copy_is_what_the_client_sent(stack: Stack) -> None:
    candidate = await started(stack)
    body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}], "n": 1}
    answer = await stack.ask(post("/v1/chat/completions?x=1", body, "X-Request-Id: mine", "X-Trace: 7"))
    assert answer.field("x-pointsman-revision") == "stable"
    await done(stack)
    (copy,) = candidate.requests
    own = stack.engines[0].requests[0]
    assert (copy.line, copy.body, copy.field("x-trace")) == (own.line, own.body, "7")
    assert copy.document["model"] == "m"


async def test_of_a_hundred_requests_exactly_the_share_is_copied(stack: Stack) -> None:
    candidate = await started(stack, percent=20)
    for _ in range(100):
        await stack.chat()
        stack.router.state.replace_slices({})
    await done(stack)
    assert len(candidate.requests) == 20


async def test_copies_are_measured_and_counted_apart(stack: Stack) -> None:
    await started(stack)
    for _ in range(4):
        await stack.chat()
    await done(stack)
    found, stable = await counted(stack), await counted(stack, "stable")
    assert (found["requests"], found["errors"], found["shadowed"]) == (4, 0, 4)
    assert sum(found["histograms"]["timeToFirstToken"].values()) == 4
    assert sum(found["histograms"]["outputLength"].values()) == 4
    assert (stable["requests"], stable["shadowed"]) == (4, 0)
    assert stack.metric("shadowed_requests_total", service="chat", variant="next") == 4
    assert stack.metric("requests_total", service="chat", variant="next", code="200") == 0
    assert stack.metric("in_flight", service="chat", variant="next") == 0
    assert len(stack.entries()) == 4, "the access log tells of clients' requests alone"


async def test_a_copied_stream_is_measured_as_one(stack: Stack) -> None:
    await started(stack, events({"n": 1}, {"n": 2}, {"n": 3}))
    await stack.ask(STREAM)
    await done(stack)
    found = await counted(stack)
    assert (found["requests"], found["shadowed"]) == (1, 1)
    assert sum(found["histograms"]["timePerOutputToken"].values()) == 1


async def test_a_copy_that_fails_is_an_error_of_its_variant_alone(stack: Stack) -> None:
    await started(stack, always=reply({"error": {}}, 500))
    assert (await stack.chat()).status == 200
    await done(stack)
    assert ((await counted(stack))["errors"], (await counted(stack, "stable"))["errors"]) == (1, 0)


async def test_a_copy_that_hangs_delays_nobody(stack: Stack) -> None:
    candidate = await started(stack, always=hang)
    for _ in range(5):
        assert (await asyncio.wait_for(stack.chat(), 2)).status == 200
    await eventually(lambda: len(candidate.requests) == 5)
    assert len(stack.router.shadows.under_way) == 5


async def test_a_copy_that_takes_too_long_ends(stack: Stack) -> None:
    stable, candidate = await stack.engine(always=reply(WHOLE)), await stack.engine(always=hang)
    await stack.start(document(stable, candidate, firstByteSeconds=0.1))
    await stack.chat()
    await eventually(lambda: candidate.requests)
    await done(stack)
    assert ((await counted(stack))["errors"], candidate.left) == (1, 1)


async def test_a_copy_is_never_tried_again_and_spends_nobodys_budget(stack: Stack) -> None:
    stable = await stack.engine(always=reply(WHOLE))
    await stack.start(document(stable, await refused_address()))
    await stack.chat()
    await done(stack)
    found = await counted(stack)
    assert (found["requests"], found["errors"]) == (1, 1)
    assert stack.metric("retries_total", service="chat", variant="next", reason="connect") == 0
    assert stack.router.state.table.services["chat"].budget.requests == 1


async def test_a_copy_goes_on_when_its_client_leaves(stack: Stack) -> None:
    stable, candidate = await stack.engine(always=hang), await stack.engine(always=reply(WHOLE))
    await stack.start(document(stable, candidate))
    client = await stack.client()
    await client.send(STREAM)
    await eventually(lambda: stable.requests)
    client.close()
    await done(stack)
    assert ((await counted(stack))["requests"], (await counted(stack, "stable"))["requests"]) == (1, 0)


async def test_copies_in_flight_are_bounded(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "MAX_COPIES", 3)
    candidate = await started(stack, always=hang)
    for _ in range(5):
        assert (await stack.chat()).status == 200
    await eventually(lambda: len(candidate.requests) == 3)
    assert stack.metric("shadow_dropped_total", service="chat", variant="next") == 2


async def test_a_large_body_is_not_copied(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadow, "MAX_BODY_BYTES", 100)
    candidate = await started(stack)
    await stack.chat(user="x" * 100)
    await stack.chat()
    await done(stack)
    assert len(candidate.requests) == 1
    assert stack.metric("shadow_dropped_total", service="chat", variant="next") == 1


async def test_what_copies_hold_is_given_back(stack: Stack) -> None:
    candidate = await started(stack, hang)
    await stack.chat(user="x" * 1000)
    await eventually(lambda: candidate.requests)
    assert stack.router.buffered_bytes > 1000
    await stack.chat()
    stack.router.shadows.stop()
    await done(stack)
    assert stack.router.buffered_bytes == 0


async def test_where_there_is_no_room_copies_are_dropped(stack: Stack) -> None:
    stable, candidate = await stack.engine(always=reply(WHOLE)), await stack.engine(always=hang)
    await stack.start(document(stable, candidate, maxRequests=1))
    for _ in range(3):
        await stack.chat()
    await eventually(lambda: candidate.requests)
    await eventually(lambda: len(stack.router.shadows.under_way) == 1)
    assert stack.metric("shadow_dropped_total", service="chat", variant="next") == 2
    assert (await counted(stack))["requests"] == 0


async def test_without_an_engine_of_the_variant_nothing_happens(stack: Stack) -> None:
    stable = await stack.engine(always=reply(WHOLE))
    one = variant("next", weight=0) | {"shadow": 100}
    await stack.start(configuration(service("chat", variant("stable", stable), one)))
    assert (await stack.chat()).status == 200
    await done(stack)


async def test_probes_are_not_copied(stack: Stack) -> None:
    candidate = await started(stack)
    await stack.admin("POST", "/probe/chat?variant=stable")
    await asyncio.sleep(0.05)
    assert candidate.requests == []


async def test_a_keys_count_says_nothing_of_copies(stack: Stack) -> None:
    stable, candidate = await stack.engine(always=reply(WHOLE)), await stack.engine(always=reply(WHOLE))
    configured = document(stable, candidate)
    configured["keys"] = [{"name": "me", "sha256": hashlib.sha256(b"secret").hexdigest(), "models": ["chat"]}]
    await stack.start(configured)
    data = post("/v1/chat/completions", {"model": "chat"}, "Authorization: Bearer secret")
    assert (await stack.ask(data)).status == 200
    await done(stack)
    assert len(candidate.requests) == 1
    assert stack.metric("key_requests_total", key="me") == 1


async def test_a_router_that_stops_ends_its_copies(stack: Stack) -> None:
    candidate = await started(stack, always=hang)
    await stack.chat()
    await eventually(lambda: candidate.requests)
    stack.router.stop()
    await eventually(lambda: candidate.left == 1)
    assert not stack.router.shadows.under_way
