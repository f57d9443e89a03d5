"""Through a running router: each request reaches the engine that was chosen for it."""

from collections import Counter
from typing import Any

import pytest

from tests.router.choosing import chat, text
from tests.router.engine import FakeEngine, reset
from tests.router.stack import Stack, configuration, get, post, service, variant

CHAT = "/v1/chat/completions"
DOCUMENT = text("The document", 8)


async def _started(stack: Stack, engines: int = 3, **parts: Any) -> list[FakeEngine]:
    started = [await stack.engine() for _ in range(engines)]
    await stack.start(configuration(service("chat", variant("v", *started)) | parts))
    return started


async def _asked(stack: Stack, document: dict[str, Any], *fields: str, path: str = CHAT) -> FakeEngine:
    """The engine that a request reached."""
    before = [len(engine.requests) for engine in stack.engines]
    answer = await stack.ask(post(path, {"model": "chat"} | document, *fields))
    assert answer.status == 200, answer.body
    (reached,) = [
        engine
        for engine, count in zip(stack.engines, before, strict=True)
        if len(engine.requests) > count and engine.requests[-1].document.get("model")
    ]
    return reached


ALIKE: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "chat": (CHAT, [chat(f"question {n}?", system=DOCUMENT) for n in range(4)]),
    "completions": ("/v1/completions", [{"prompt": f"{DOCUMENT} {n}"} for n in range(4)]),
    "token ids": ("/v1/completions", [{"prompt": [*range(2000), n]} for n in range(4)]),
    "embeddings": ("/v1/embeddings", [{"input": f"{DOCUMENT} {n}"} for n in range(4)]),
    "responses": ("/v1/responses", [{"instructions": DOCUMENT, "input": str(n)} for n in range(4)]),
    "Anthropic": ("/v1/messages", [chat(f"{n}?") | {"system": DOCUMENT} for n in range(4)]),
}


@pytest.mark.parametrize(("path", "documents"), ALIKE.values(), ids=ALIKE)
async def test_what_begins_alike_reaches_one_engine(
    stack: Stack, path: str, documents: list[dict[str, Any]]
) -> None:
    await _started(stack)
    assert len({id(await _asked(stack, document, path=path)) for document in documents}) == 1


async def test_a_body_is_passed_on_as_it_came(stack: Stack) -> None:
    await _started(stack)
    body = b'{"messages" :[{"role":"user","content":"%b"}], "model":"chat","x":1.0e2}' % DOCUMENT.encode()
    await stack.ask(post(CHAT, body))
    assert [request.body for engine in stack.engines for request in engine.requests] == [body]


async def test_what_an_engine_failed_at_is_known_where_it_went_then(stack: Stack) -> None:
    await _started(stack)
    first = await _asked(stack, chat("one?", system=DOCUMENT))
    first.close_idle()
    await first.stop()
    second = await _asked(stack, chat("two?", system=DOCUMENT))
    assert second is not first
    assert await _asked(stack, chat("three?", system=DOCUMENT)) is second


async def test_an_engine_that_breaks_a_request_does_not_get_it_again(stack: Stack) -> None:
    engines = await _started(stack, routing={"ejection": {"failures": 1, "maxPercent": 100}})
    for engine in engines[:-1]:
        engine.script = reset
    for n in range(4):
        await stack.ask(post(CHAT, {"model": "chat"} | chat(f"{n}?", system=DOCUMENT)))
    assert await _asked(stack, chat("now?", system=DOCUMENT)) is engines[-1]


async def test_a_session_stays_by_its_header(stack: Stack) -> None:
    await _started(stack, routing={"stickiness": {"header": "X-Session-Id"}})
    found = Counter[int]()
    for session in range(12):
        fields = [f"{name}: s{session}" for name in ("X-Session-Id", "x-session-id", "X-SESSION-ID")]
        reached = {id(await _asked(stack, chat("hi"), field)) for field in fields}
        assert len(reached) == 1
        found.update(reached)
    assert len(found) > 1
    assert stack.engines[0].requests[-1].field("x-session-id"), "it's passed on as well"


async def test_variants_keep_their_shares_and_their_own_prompts(stack: Stack) -> None:
    old, new = [await stack.engine() for _ in range(2)], [await stack.engine() for _ in range(2)]
    variants = (variant("old", *old, weight=50), variant("new", *new, weight=50))
    await stack.start(configuration(service("chat", *variants)))
    for n in range(60):
        await _asked(stack, chat(f"question {n}?", system=DOCUMENT))
    asked = [len(engine.requests) for engine in (*old, *new)]
    assert sorted(asked)[:2] == [0, 0], "one engine of each variant has the document"
    assert min(sum(asked[:2]), sum(asked[2:])) > 15, asked


@pytest.mark.parametrize("each", [1, 2])
async def test_a_session_stays_with_a_variant_too(stack: Stack, each: int) -> None:
    engines = [await stack.engine() for _ in range(2 * each)]
    sticky = {"routing": {"stickiness": {"conversation": True}}}

    def weighted(old: int) -> dict[str, Any]:
        variants = (
            variant("old", *engines[:each], weight=old),
            variant("new", *engines[each:], weight=100 - old),
        )
        return configuration(service("chat", *variants) | sticky)

    async def sessions() -> list[FakeEngine]:
        return [await _asked(stack, chat("hi") | {"user": f"user {n}"}) for n in range(40)]

    await stack.start(weighted(90))
    first = await sessions()
    assert await sessions() == first
    assert 1 <= sum(one in engines[each:] for one in first) <= 10, "the weight is the share of sessions"
    assert stack.router.state.apply_config(weighted(50))
    moved = [now for was, now in zip(first, await sessions(), strict=True) if now is not was]
    assert moved
    assert all(one in engines[each:] for one in moved), "only to where weight has grown"


# Adapters.


async def test_an_adapters_name_goes_on_as_it_is(stack: Stack) -> None:
    await _started(stack, engineModel="engine-name", adapters=["team/lora"])
    for model, passed in (("chat", "engine-name"), ("team/lora", "team/lora")):
        reached = await _asked(stack, chat("hi") | {"model": model})
        assert reached.requests[-1].document["model"] == passed


async def test_adapters_are_listed_with_what_they_are_made_for(stack: Stack) -> None:
    await _started(stack, adapters=["lora-1", "lora-2"])
    listed = (await stack.ask(get("/v1/models"))).document["data"]
    assert [(model["id"], model.get("parent")) for model in listed] == [
        ("chat", None),
        ("lora-1", "chat"),
        ("lora-2", "chat"),
    ]
    assert (await stack.ask(get("/v1/models/lora-2"))).document["parent"] == "chat"


async def test_an_adapter_nobody_configured_is_an_unknown_model(stack: Stack) -> None:
    await _started(stack, adapters=["lora-1"])
    answer = await stack.ask(post(CHAT, {"model": "lora-3"} | chat("hi")))
    assert answer.status == 404
    assert answer.error["code"] == "model_not_found"
