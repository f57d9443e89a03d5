"""`POST /ask/<service>?variant=`: one question for one variant, whatever its weight, as a trial asks it.

The body is what a client would send, but for the model, which is the service's. The members of it that
`&override=` names stand, whatever the variant's prompt fixes. What comes back is the engine's answer, with
its status. Nothing of it is measured or counted: a trial is no traffic.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import orjson

from pointsman_router.errors import Problem, Shape, render
from pointsman_router.prompts import FIXED
from pointsman_router.router import Router
from pointsman_router.telling import internal

TIMEOUT_SECONDS: Final = 300.0
_PATHS: Final[Mapping[str, bytes]] = {
    "messages": b"/v1/chat/completions",
    "prompt_variables": b"/v1/chat/completions",
    "prompt": b"/v1/completions",
    "input": b"/v1/embeddings",
}
"""Where a body is asked, by the member that holds its question."""


async def ask(
    router: Router, name: str, only: str, body: bytes, override: frozenset[str] = frozenset()
) -> tuple[int, bytes]:
    """Status and body of the answer, as JSON. `only`: the variant to ask; empty: whichever a draw gives.
    `override`: members of the body that stand, whatever a prompt fixes."""
    service = router.state.table.services.get(name)
    if service is None:
        return _refused(404, f"there is no service {name!r}", "unknown_service")
    if only and service.variant(only) is None:
        return _refused(404, f"{name!r} has no variant {only!r}", "unknown_variant")
    if not service.model_names:
        return _refused(503, f"{name!r} has no name clients could ask for", "no_model_name")
    document = _document(body)
    path = None if document is None else next((_PATHS[key] for key in _PATHS if key in document), None)
    if document is None or path is None:
        return _refused(
            400, f"the body must be a JSON object with one of {', '.join(_PATHS)}", "invalid_body"
        )
    if document.get("stream"):
        return _refused(400, "an answer is given whole; leave `stream` out", "invalid_body")
    if not override.issubset(FIXED):
        return _refused(400, f"override names what a prompt may fix: {', '.join(FIXED)}", "invalid_override")
    question = orjson.dumps({**document, "model": service.model_names[0]})
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            _, sink = await internal.ask(router, path, b"application/json", question, only, override=override)
    except TimeoutError:
        return _refused(504, f"no answer within {TIMEOUT_SECONDS:g} seconds", "deadline_exceeded")
    if sink.cut_short:
        return _refused(502, "the answer broke off, or is too long to be passed on", "engine_failed")
    return sink.status, bytes(sink.content)


def _document(body: bytes) -> dict[str, Any] | None:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _refused(status: int, message: str, code: str) -> tuple[int, bytes]:
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return status, render(Problem(status, message, type=kind, code=code), Shape.OPENAI, "")
