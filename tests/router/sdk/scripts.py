"""What the engine says in the behaviours: documents as vLLM words them, whole and streamed."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.router.engine import SSE_HEAD, Script, Turn, chunk, event, events, reply

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
TOOL_CALL = {"id": "call-1", "type": "function", "function": {"name": "look", "arguments": '{"x":1}'}}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "chat",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}


def _document(kind: str, choice: dict[str, Any] | None, **fields: Any) -> dict[str, Any]:
    choices = [] if choice is None else [{"index": 0, "logprobs": None, **choice}]
    return {"id": "c-1", "object": kind, "created": 1, "model": "chat", "choices": choices, **fields}


def chat(text: str) -> Script:
    message = {"role": "assistant", "content": text}
    return reply(_document("chat.completion", {"message": message, "finish_reason": "stop"}, usage=USAGE))


def tool_call() -> Script:
    message = {"role": "assistant", "content": None, "tool_calls": [TOOL_CALL]}
    return reply(_document("chat.completion", {"message": message, "finish_reason": "tool_calls"}))


def completion(text: str) -> Script:
    return reply(_document("text_completion", {"text": text, "finish_reason": "stop"}, usage=USAGE))


def embedding(values: list[float] | str) -> Script:
    data = [{"object": "embedding", "index": 0, "embedding": values}]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return reply({"object": "list", "model": "chat", "data": data, "usage": usage})


def response() -> Script:
    return reply(RESPONSE)


def delta(**fields: Any) -> dict[str, Any]:
    return _document("chat.completion.chunk", {"delta": fields, "finish_reason": None})


def streamed(*texts: str, usage: bool = False, gap: float = 0.0, end: bool = True) -> Script:
    """A streamed chat; without `end` the engine goes away in the middle."""
    parts = [delta(content=text) for text in texts]
    last = [_document("chat.completion.chunk", None, usage=USAGE)] if usage else []
    return events(*parts, *last, gap=gap, end=end)


def streamed_tool_call() -> Script:
    return events(delta(tool_calls=[{"index": 0, **TOOL_CALL}]))


def _named(type_: str, number: int) -> bytes:
    document = {"type": type_, "sequence_number": number, "response": RESPONSE}
    return b"event: " + type_.encode() + b"\n" + event(document)


def streamed_response(*, end: bool = True) -> Script:
    """A streamed response; without `end` the engine goes away in the middle."""

    async def script(turn: Turn) -> None:
        await turn.write(SSE_HEAD + chunk(_named("response.created", 0)))
        if end:
            await turn.write(chunk(_named("response.completed", 1)) + b"0\r\n\r\n")
        else:
            turn.writer.close()

    return script


def late(seconds: float, then: Script) -> Script:
    """The same after a silence."""

    async def script(turn: Turn) -> None:
        await asyncio.sleep(seconds)
        await then(turn)

    return script


def refusal(status: int, code: str | int | None = "c", **fields: str) -> Script:
    """An error in OpenAI's shape, as the engine words it."""
    document = {"message": "no", "type": "t", "param": None, "code": code}
    return reply({"error": document}, status, dict(fields))
