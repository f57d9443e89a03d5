"""The real `anthropic` client on the Messages route, with a scripted engine behind it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic

from tests.router.engine import SSE_HEAD, Script, Turn, chunk, event, hang, reply
from tests.router.stack import Stack, configuration, eventually, service, variant

ASKED: dict[str, Any] = {
    "model": "chat",
    "max_tokens": 8,
    "messages": [{"role": "user", "content": "ping"}],
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "chat",
    "content": [{"type": "text", "text": "pong"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}


@asynccontextmanager
async def client_of(stack: Stack, **options: Any) -> AsyncIterator[AsyncAnthropic]:
    url = f"http://127.0.0.1:{stack.port}"
    settings: dict[str, Any] = {"max_retries": 0, "timeout": 10.0, **options}
    async with AsyncAnthropic(base_url=url, api_key="sk-secret", **settings) as client:
        yield client


def spoken(*texts: str, end: bool = True) -> Script:
    """A streamed message; without `end` the engine goes away in the middle."""
    start = {**MESSAGE, "content": [], "stop_reason": None}
    said: list[dict[str, Any]] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
            for text in texts
        ),
    ]
    last: list[dict[str, Any]] = [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]

    async def script(turn: Turn) -> None:
        await turn.write(SSE_HEAD)
        for document in [*said, *(last if end else [])]:
            await turn.write(chunk(b"event: " + document["type"].encode() + b"\n" + event(document)))
        if end:
            await turn.write(b"0\r\n\r\n")
        else:
            turn.writer.close()

    return script


async def test_a_message(stack: Stack) -> None:
    engine = await stack.engine(reply(MESSAGE))
    await stack.start()
    async with client_of(stack) as client:
        answer = await client.messages.create(**ASKED)
    assert answer.content[0].type == "text"
    assert answer.content[0].text == "pong"
    assert engine.requests[0].path == "/v1/messages"
    assert engine.requests[0].field("x-api-key") is None


async def test_a_streamed_message(stack: Stack) -> None:
    await stack.engine(spoken("po", "ng"))
    await stack.start()
    async with client_of(stack) as client, client.messages.stream(**ASKED) as stream:
        assert [text async for text in stream.text_stream] == ["po", "ng"]
        assert (await stream.get_final_message()).stop_reason == "end_turn"


async def test_comments_keep_the_line_open(stack: Stack) -> None:
    async def late(turn: Turn) -> None:
        await asyncio.sleep(0.4)
        await spoken("pong")(turn)

    await stack.engine(late)
    await stack.start(commentSeconds=0.1)
    async with client_of(stack) as client, client.messages.stream(**ASKED) as stream:
        assert [text async for text in stream.text_stream] == ["pong"]


@pytest.mark.parametrize(
    ("model", "script", "raised", "kind"),
    [
        pytest.param("nope", None, anthropic.NotFoundError, "not_found_error", id="an unknown model"),
        pytest.param("", None, anthropic.BadRequestError, "invalid_request_error", id="no model"),
        pytest.param("idle", None, anthropic.InternalServerError, "overloaded_error", id="nothing ready"),
        pytest.param("chat", hang, anthropic.InternalServerError, "api_error", id="silence"),
        pytest.param(
            "chat",
            reply({"type": "error", "error": {"type": "rate_limit_error", "message": "no"}}, 429),
            anthropic.RateLimitError,
            "rate_limit_error",
            id="the engine's 429",
        ),
    ],
)
async def test_errors_are_the_exceptions_their_users_expect(
    stack: Stack, model: str, script: Script | None, raised: type[anthropic.APIStatusError], kind: str
) -> None:
    engine = await stack.engine(*([script] if script else []))
    services = (service("chat", variant("v", engine)), service("idle", variant("v")))
    await stack.start(configuration(*services, firstByteSeconds=0.2))
    async with client_of(stack) as client:
        with pytest.raises(raised) as refused:
            await client.messages.create(**{**ASKED, "model": model})
    body: Any = refused.value.body
    assert body["error"]["type"] == kind


async def test_a_stream_that_breaks_raises_with_the_reason(stack: Stack) -> None:
    await stack.engine(spoken("po", end=False))
    await stack.start()
    async with client_of(stack) as client, client.messages.stream(**ASKED) as stream:
        with pytest.raises(anthropic.APIStatusError, match="Engine failure"):
            [text async for text in stream.text_stream]


async def test_a_client_that_times_out_frees_the_engine(stack: Stack) -> None:
    engine = await stack.engine(hang)
    await stack.start()
    async with client_of(stack, timeout=0.3) as client:
        with pytest.raises(anthropic.APITimeoutError):
            await client.messages.create(**ASKED)
    await eventually(lambda: engine.left == 1, 1.0)
