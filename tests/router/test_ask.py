"""Questions of a trial: asked on the admin port, through the router's own stages, of one variant."""

import asyncio
from typing import Any

import pytest

from pointsman_router.telling import ask, internal
from tests.router.engine import Turn, close, hang, raw, reply
from tests.router.stack import Answer, RawClient, Stack, configuration, eventually, post, service, variant

CHAT = {"messages": [{"role": "user", "content": "2+2?"}], "temperature": 0, "seed": 7, "max_tokens": 8}


async def asked(stack: Stack, path: str, document: Any) -> Answer:
    client = RawClient(*await asyncio.open_connection("127.0.0.1", stack.admin_port))
    try:
        return await client.ask(post(path, document))
    finally:
        client.close()


async def two(stack: Stack) -> None:
    """A stable variant, and a candidate without weight."""
    stable, candidate = (
        await stack.engine(always=reply({"by": 1})),
        await stack.engine(always=reply({"by": 2})),
    )
    one = service(
        "chat",
        variant("stable", stable),
        variant("next", candidate, weight=0),
        names=["alias"],
        engine_model="m",
    )
    await stack.start(configuration(one | {"analysis": {"window": "next/0"}}))


async def test_a_variant_without_weight_is_asked_as_a_client_would_ask(stack: Stack) -> None:
    await two(stack)
    answer = await asked(stack, "/ask/chat?variant=next", CHAT)
    assert (answer.status, answer.document) == (200, {"by": 2})
    (request,) = stack.engines[1].requests
    assert request.path == "/v1/chat/completions"
    assert request.document == CHAT | {"model": "m"}
    assert (await asked(stack, "/ask/chat?variant=stable", CHAT)).document == {"by": 1}
    assert (await asked(stack, "/ask/chat", CHAT)).document == {"by": 1}


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"prompt": "2+2?"}, "/v1/completions"),
        ({"input": ["a", "b"]}, "/v1/embeddings"),
        (CHAT | {"model": "whatever"}, "/v1/chat/completions"),
    ],
)
async def test_a_question_goes_where_its_body_belongs(stack: Stack, document: Any, path: str) -> None:
    await two(stack)
    await asked(stack, "/ask/chat?variant=next", document)
    (request,) = stack.engines[1].requests
    assert (request.path, request.document) == (path, document | {"model": "m"})


async def test_a_question_is_neither_counted_nor_measured_nor_logged(stack: Stack) -> None:
    await two(stack)
    await asked(stack, "/ask/chat?variant=next", CHAT)
    state = stack.router.state.table.services["chat"]
    assert state.variants[1].stats.requests == state.variants[1].stats.in_flight == 0
    assert state.window is not None
    assert state.window.variants["next"].requests == 0
    assert stack.entries() == []


async def test_an_engines_refusal_comes_with_its_status(stack: Stack) -> None:
    error = {"error": {"message": "too long", "code": 400}}
    engine = await stack.engine(reply(error, 400), raw(b"HTTP/1.1 529 X\r\nContent-Length: 0\r\n\r\n"), close)
    await stack.start(configuration(service("chat", variant("stable", engine))))
    answer = await asked(stack, "/ask/chat", CHAT)
    assert (answer.status, answer.document) == (400, error)
    assert (await asked(stack, "/ask/chat", CHAT)).status == 529
    broken = await asked(stack, "/ask/chat", CHAT)
    assert (broken.status, broken.error["code"]) == (502, "engine_failed")


WRONG: dict[str, tuple[str, Any, int, str]] = {
    "service": ("/ask/nobody", CHAT, 404, "there is no service 'nobody'"),
    "variant": ("/ask/chat?variant=gone", CHAT, 404, "has no variant 'gone'"),
    "no question": ("/ask/chat", {"n": 1}, 400, "messages, prompt_variables, prompt, input"),
    "no object": ("/ask/chat", [], 400, "messages, prompt_variables, prompt, input"),
    "no JSON": ("/ask/chat", b"{", 400, "messages, prompt_variables, prompt, input"),
    "what no prompt fixes": ("/ask/chat?override=n", CHAT, 400, "temperature, top_p"),
    "a stream": ("/ask/chat", CHAT | {"stream": True}, 400, "leave `stream` out"),
}


@pytest.mark.parametrize(("path", "document", "status", "words"), WRONG.values(), ids=WRONG)
async def test_what_cannot_be_asked_says_why(
    stack: Stack, path: str, document: Any, status: int, words: str
) -> None:
    await two(stack)
    answer = await asked(stack, path, document)
    assert answer.status == status
    assert words in answer.error["message"]


async def test_a_question_is_posted_and_of_64_kib_at_most(stack: Stack) -> None:
    await two(stack)
    assert (await stack.admin("GET", "/ask/chat")).status == 405
    large = CHAT | {"user": "x" * 70_000}
    assert (await asked(stack, "/ask/chat", large)).status == 413


async def test_no_engine_and_no_name_are_told(stack: Stack) -> None:
    nameless = service("nameless", variant("v", "10.0.0.1:80")) | {"modelNames": []}
    await stack.start(configuration(service("chat", variant("stable")), nameless))
    assert (await asked(stack, "/ask/chat", CHAT)).error["code"] == "no_ready_endpoint"
    assert (await asked(stack, "/ask/nameless", CHAT)).error["code"] == "no_model_name"


async def test_an_answer_has_its_time_and_its_size(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ask, "TIMEOUT_SECONDS", 0.1)
    monkeypatch.setattr(internal, "MAX_ANSWER_BYTES", 1000)
    half = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"x":'
    engine = await stack.engine(hang, reply({"x": "y" * 100_000}), raw(half, then_close=True))
    await stack.start(configuration(service("chat", variant("stable", engine))))
    late = await asked(stack, "/ask/chat", CHAT)
    assert (late.status, late.error["code"]) == (504, "deadline_exceeded")
    await eventually(lambda: engine.left == 1)
    for _ in range(2):
        assert (await asked(stack, "/ask/chat", CHAT)).error["code"] == "engine_failed"


async def test_a_question_nobody_waits_for_is_given_up(stack: Stack) -> None:
    async def slow(turn: Turn) -> None:
        await hang(turn)

    engine = await stack.engine(always=slow)
    await stack.start(configuration(service("chat", variant("stable", engine))))
    _, writer = await asyncio.open_connection("127.0.0.1", stack.admin_port)
    writer.write(post("/ask/chat", CHAT))
    await eventually(lambda: engine.requests)
    writer.transport.abort()
    await eventually(lambda: engine.left == 1)


async def test_values_of_a_prompts_variables_are_question_enough(stack: Stack) -> None:
    engine = await stack.engine(always=reply({"choices": []}))
    prompt = {"name": "p", "messages": [{"role": "user", "content": "{{x}}?"}], "variables": [{"name": "x"}]}
    one = service("chat", variant("v1", engine) | {"prompt": "p"}) | {"prompts": [prompt]}
    await stack.start(configuration(one))
    answer = await asked(stack, "/ask/chat", {"prompt_variables": {"x": "Why"}, "temperature": 0})
    assert answer.status == 200
    assert engine.requests[0].document["messages"] == [{"role": "user", "content": "Why?"}]


async def test_what_a_question_overrides_stands_whatever_the_prompt_fixes(stack: Stack) -> None:
    engine = await stack.engine(always=reply({"choices": []}))
    fixed = {"temperature": "0.7", "seed": "1", "max_completion_tokens": "300"}
    prompt = {
        "name": "p",
        "messages": [{"role": "system", "content": "Be brief."}],
        "parameters": [{"name": name, "value": value} for name, value in fixed.items()],
    }
    one = service("chat", variant("v1", engine) | {"prompt": "p"}) | {"prompts": [prompt]}
    await stack.start(configuration(one))
    for query in ("", "?override=seed", "?variant=v1&override=temperature,seed,stop"):
        assert (await asked(stack, f"/ask/chat{query}", CHAT)).status == 200
    found = [(one.document["temperature"], one.document["seed"]) for one in engine.requests]
    assert found == [(0.7, 1), (0.7, 7), (0, 7)]
    assert all(one.document["max_completion_tokens"] == 300 for one in engine.requests)
    assert not any("stop" in one.document or "max_tokens" in one.document for one in engine.requests)
