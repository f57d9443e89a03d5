"""The real `openai` client: what its users see beyond the table of behaviours in `sdk`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI

from tests.router.engine import reply
from tests.router.stack import Stack, configuration, eventually, service, tagged, variant

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


@asynccontextmanager
async def client_of(stack: Stack, **options: Any) -> AsyncIterator[AsyncOpenAI]:
    url = f"http://127.0.0.1:{stack.port}/v1"
    async with AsyncOpenAI(base_url=url, api_key="sk-secret", **{"max_retries": 0, **options}) as client:
        yield client


async def test_the_request_id_of_an_answer_is_the_one_the_engine_got_with_its_tag(stack: Stack) -> None:
    engine = await stack.engine(reply(COMPLETION))
    await stack.start()
    async with client_of(stack) as client:
        answer = await client.chat.completions.create(model="chat", messages=MESSAGES)
    assert tagged(answer._request_id or "") == engine.requests[0].field("x-request-id")


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


async def test_default_retries_hide_a_moment_without_engines(stack: Stack) -> None:
    engine = await stack.engine(reply(COMPLETION))
    await stack.start(configuration(service("chat", variant("v"))))
    async with client_of(stack, max_retries=2) as client:
        asking = asyncio.ensure_future(client.chat.completions.create(model="chat", messages=MESSAGES))
        await eventually(lambda: stack.metric("requests_total", service="chat", variant="", code="503") == 1)
        stack.router.state.apply_config(configuration(service("chat", variant("v", engine))))
        assert (await asking).choices[0].message.content == "pong"


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
