"""The real `openai` client: what its users see."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from tests.router.engine import SSE_HEAD, Turn, chunk, event, events, hang, raw, reply
from tests.router.stack import Stack, configuration, eventually, service, variant

MESSAGES: Any = [{"role": "user", "content": "ping"}]
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
COMPLETION = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "chat",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "pong"},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ],
    "usage": USAGE,
}


def delta(text: str | None, **fields: Any) -> dict[str, Any]:
    choices = [] if text is None else [{"index": 0, "delta": {"content": text}, "finish_reason": None}]
    return {
        "id": "c-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "chat",
        "choices": choices,
        **fields,
    }


@asynccontextmanager
async def client_of(stack: Stack, **options: Any) -> AsyncIterator[AsyncOpenAI]:
    url = f"http://127.0.0.1:{stack.port}/v1"
    async with AsyncOpenAI(base_url=url, api_key="sk-secret", **{"max_retries": 0, **options}) as client:
        yield client


async def test_chat(stack: Stack) -> None:
    engine = await stack.engine(reply(COMPLETION))
    await stack.start()
    async with client_of(stack) as client:
        answer = await client.chat.completions.create(model="chat", messages=MESSAGES)
    assert answer.choices[0].message.content == "pong"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 5
    assert answer._request_id == engine.requests[0].field("x-request-id")
    assert engine.requests[0].field("authorization") is None


async def test_a_streamed_chat_with_usage(stack: Stack) -> None:
    await stack.engine(events(delta("po"), delta("ng"), delta(None, usage=USAGE), gap=0.01))
    await stack.start()
    async with client_of(stack) as client:
        stream = await client.chat.completions.create(
            model="chat", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        chunks = [part async for part in stream]
    assert "".join(part.choices[0].delta.content or "" for part in chunks if part.choices) == "pong"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 5


async def test_a_streamed_chat_with_tools(stack: Stack) -> None:
    call = {
        "index": 0,
        "id": "call-1",
        "type": "function",
        "function": {"name": "look", "arguments": '{"x":1}'},
    }
    part = delta(None)
    part["choices"] = [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]
    engine = await stack.engine(events(part))
    await stack.start()
    tools: Any = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    async with client_of(stack) as client:
        stream = await client.chat.completions.create(
            model="chat", messages=MESSAGES, tools=tools, stream=True
        )
        parts = [part async for part in stream]
    assert parts[0].choices[0].delta.tool_calls is not None
    assert engine.requests[0].document["tools"] == tools


async def test_embeddings(stack: Stack) -> None:
    document = {
        "object": "list",
        "model": "chat",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    }
    await stack.engine(reply(document))
    await stack.start()
    async with client_of(stack) as client:
        answer = await client.embeddings.create(model="chat", input="ping", encoding_format="float")
    assert answer.data[0].embedding == [0.5, 0.25]


async def test_models(stack: Stack) -> None:
    await stack.start(configuration(service("chat", names=["chat", "org/model"])))
    async with client_of(stack) as client:
        assert [model.id async for model in client.models.list()] == ["chat", "org/model"]
        assert (await client.models.retrieve("org/model")).owned_by == "team-a"
        with pytest.raises(openai.NotFoundError):
            await client.models.retrieve("nope")


async def test_a_transcription(stack: Stack) -> None:
    engine = await stack.engine(reply({"text": "ping"}))
    await stack.start(
        configuration(service("s", variant("v", engine), names=["whisper-1"], engine_model="tiny"))
    )
    async with client_of(stack) as client:
        answer = await client.audio.transcriptions.create(
            model="whisper-1", file=("a.wav", b"RIFF\r\n--x\xff")
        )
    assert answer.text == "ping"
    body = engine.requests[0].body
    assert b"tiny" in body
    assert b"whisper-1" not in body
    assert b"RIFF\r\n--x\xff" in body


async def test_a_response_and_its_stream(stack: Stack) -> None:
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "chat",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
    created = {"type": "response.created", "sequence_number": 0, "response": response}

    async def streamed(turn: Turn) -> None:
        named = b"event: response.created\n" + event(created)
        await turn.write(SSE_HEAD + chunk(named) + b"0\r\n\r\n")

    await stack.engine(reply(response), streamed)
    await stack.start()
    async with client_of(stack) as client:
        assert (await client.responses.create(model="chat", input="ping")).id == "resp_1"
        stream = await client.responses.create(model="chat", input="ping", stream=True)
        assert [part.type async for part in stream] == ["response.created"]
        with pytest.raises(openai.BadRequestError) as refused:
            await client.responses.create(model="chat", input="ping", previous_response_id="resp_1")
    assert refused.value.param == "previous_response_id"


@pytest.mark.parametrize(
    ("model", "script", "raised", "code", "kind"),
    [
        ("gpt-4", None, openai.NotFoundError, "model_not_found", "invalid_request_error"),
        ("", None, openai.BadRequestError, "missing_required_parameter", "invalid_request_error"),
        ("idle", None, openai.InternalServerError, "no_ready_endpoint", "server_error"),
        ("chat", raw(b"nonsense\r\n\r\n"), openai.InternalServerError, "engine_failed", "server_error"),
        ("chat", hang, openai.InternalServerError, "engine_timeout", "server_error"),
        (
            "chat",
            reply(
                {"error": {"message": "long", "type": "BadRequestError", "param": "max_tokens", "code": 400}},
                400,
            ),
            openai.BadRequestError,
            "400",
            "BadRequestError",
        ),
        (
            "chat",
            reply({"error": {"message": "busy", "type": "rate_limit", "param": None, "code": "slow"}}, 429),
            openai.RateLimitError,
            "slow",
            "rate_limit",
        ),
        (
            "chat",
            reply({"error": {"message": "no", "type": "auth", "param": None, "code": None}}, 401),
            openai.AuthenticationError,
            None,
            "auth",
        ),
        (
            "chat",
            reply({"error": {"message": "odd", "type": "t", "param": None, "code": "c"}}, 422),
            openai.UnprocessableEntityError,
            "c",
            "t",
        ),
        (
            "chat",
            reply({"error": {"message": "dead", "type": "t", "param": None, "code": "c"}}, 500),
            openai.InternalServerError,
            "c",
            "t",
        ),
    ],
    ids=[
        "unknown model",
        "no model",
        "nothing ready",
        "garbage",
        "silence",
        "400",
        "429",
        "401",
        "422",
        "500",
    ],
)
async def test_errors_are_the_exceptions_their_users_expect(
    stack: Stack, model: str, script: Any, raised: type[openai.APIStatusError], code: Any, kind: str
) -> None:
    engine = await stack.engine(*([script] if script else []))
    services = (service("chat", variant("v", engine)), service("idle", variant("v")))
    await stack.start(configuration(*services, firstByteSeconds=0.2))
    async with client_of(stack) as client:
        with pytest.raises(raised) as refused:
            await client.chat.completions.create(model=model, messages=MESSAGES)
    assert (refused.value.code, refused.value.type) == (code, kind)
    assert refused.value.request_id


async def test_a_body_too_large_is_a_status_error_the_client_can_read(stack: Stack) -> None:
    await stack.engine()
    await stack.start(maxBodyBytes=1000)
    async with client_of(stack) as client:
        messages: Any = [{"role": "user", "content": "x" * 3_000_000}]
        with pytest.raises(openai.APIStatusError) as refused:
            await client.chat.completions.create(model="chat", messages=messages)
    assert (refused.value.status_code, refused.value.code) == (413, "request_too_large")


async def test_a_stream_that_breaks_raises_with_the_reason(stack: Stack) -> None:
    await stack.engine(events(delta("po"), end=False))
    await stack.start()
    got = []
    async with client_of(stack) as client:
        stream = await client.chat.completions.create(model="chat", messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError) as broke:
            got += [part.choices[0].delta.content async for part in stream]
    assert broke.value.code == "engine_failed"
    assert "Engine failure" in broke.value.message


async def test_an_answer_cut_short_is_a_connection_error(stack: Stack) -> None:
    await stack.engine(
        always=raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{", True)
    )
    await stack.start()
    async with client_of(stack) as client:
        with pytest.raises((openai.APIConnectionError, httpx2.RemoteProtocolError)):
            await client.chat.completions.create(model="chat", messages=MESSAGES)


async def test_default_retries_hide_a_moment_without_engines(stack: Stack) -> None:
    engine = await stack.engine(reply(COMPLETION))
    await stack.start(configuration(service("chat", variant("v"))))
    async with client_of(stack, max_retries=2) as client:
        asking = asyncio.ensure_future(client.chat.completions.create(model="chat", messages=MESSAGES))
        await eventually(lambda: stack.metric("requests_total", service="chat", variant="", code="503") == 1)
        stack.router.state.apply_config(configuration(service("chat", variant("v", engine))))
        assert (await asking).choices[0].message.content == "pong"


async def test_a_client_that_times_out_frees_the_engine(stack: Stack) -> None:
    engine = await stack.engine(hang)
    await stack.start()
    async with client_of(stack, timeout=0.2) as client:
        with pytest.raises(openai.APITimeoutError):
            await client.chat.completions.create(model="chat", messages=MESSAGES)
        await eventually(lambda: engine.left == 1)


async def test_a_stream_closed_early_frees_the_engine(stack: Stack) -> None:
    engine = await stack.engine(events(*[delta("x")] * 1000, gap=0.005))
    await stack.start()
    async with client_of(stack) as client:
        stream = await client.chat.completions.create(model="chat", messages=MESSAGES, stream=True)
        await anext(aiter(stream))
        await stream.close()
        await eventually(lambda: engine.left == 1)


async def test_many_at_once_share_connections(stack: Stack) -> None:
    engine = await stack.engine(always=reply(COMPLETION))
    await stack.start()
    async with client_of(stack) as client:
        for _ in range(3):
            answers = await asyncio.gather(
                *(client.chat.completions.create(model="chat", messages=MESSAGES) for _ in range(20))
            )
            assert {answer.choices[0].message.content for answer in answers} == {"pong"}
    assert engine.connections <= 20
