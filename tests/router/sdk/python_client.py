"""Does with the Python SDK what a behaviour calls for, and tells what came of it as plain data."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
from openai import AsyncOpenAI

from tests.router.sdk.behaviours import Call


async def perform(call: Call, port: int) -> dict[str, Any]:
    """The outcome: `value` and `requestId`, or `items` of a stream; `error`; `cancelled`."""
    outcome: dict[str, Any] = {}
    url = f"http://127.0.0.1:{port}{call.base}"
    async with AsyncOpenAI(
        base_url=url, api_key=call.key, timeout=call.timeout, max_retries=call.retries
    ) as client:
        asking = asyncio.ensure_future(_ask(client, call, outcome))
        if call.cancel_after:
            await asyncio.sleep(call.cancel_after)
            asking.cancel()
        try:
            await asking
        except asyncio.CancelledError:
            outcome["cancelled"] = True
        except openai.OpenAIError as error:
            outcome["error"] = _described(error)
    return outcome


async def _ask(client: AsyncOpenAI, call: Call, outcome: dict[str, Any]) -> None:
    method: Any = client
    for name in call.api.split("."):
        method = getattr(method, name)
    answer = await method(*call.positional, **call.arguments, extra_headers=dict(call.headers))
    if not call.arguments.get("stream"):
        outcome["value"] = answer.model_dump(mode="json", warnings=False)
        outcome["requestId"] = getattr(answer, "_request_id", None)
        return
    items: list[Any] = outcome.setdefault("items", [])
    async for part in answer:
        items.append(part.model_dump(mode="json", warnings=False))
        if len(items) == call.leave_after:
            await answer.close()
            return


def _described(error: openai.OpenAIError) -> dict[str, Any]:
    told = {name: getattr(error, name, None) for name in ("code", "type", "param")}
    status, request_id = getattr(error, "status_code", None), getattr(error, "request_id", None)
    return {"class": type(error).__name__, "status": status, "requestId": request_id, **told}
