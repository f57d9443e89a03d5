"""What a client is told when a request can't be answered, in the shape of the API it called.

One table of problems and three shapes, so that the official SDKs raise the exception their users expect:
they map the status to a class and read `message`, `type`, `param` and `code` from the body. Nothing here
knows of connections.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import orjson

_INVALID = "invalid_request_error"
_SERVER = "server_error"
_QUOTED_MAX = 128


class Shape(Enum):
    """How an API words its errors."""

    OPENAI = "openai"
    """`{"error": {message, type, param, code}}`; in a stream, the same as one `data:` event."""
    RESPONSES = "responses"
    """OpenAI's body; in a stream, an event named `error` with the fields at its top."""
    ANTHROPIC = "anthropic"
    """`{"type": "error", "error": {type, message}}`; in a stream, an event named `error`."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a request isn't answered. `fatal`: the connection can't carry another request either."""

    status: int
    message: str
    type: str = _INVALID
    code: str | None = None
    param: str | None = None
    allow: str = ""
    """Value of the Allow header, with 405."""
    retry_after: int = 0
    """Seconds for Retry-After; 0 leaves it out."""
    fatal: bool = False
    limit: str = ""
    """The setting whose bound was passed, by its name in `settings`; hits are counted by it."""


class RefusedError(Exception):
    """Raised by a stage that refuses a request; carries what the client is told."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


_ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def render(problem: Problem, shape: Shape, request_id: str) -> bytes:
    """The body of an error response."""
    if shape is Shape.ANTHROPIC:
        return orjson.dumps({**_anthropic(problem), "request_id": request_id})
    return orjson.dumps({"error": _fields(problem)})


def render_event(problem: Problem, shape: Shape) -> bytes:
    """One whole server-sent event that tells a client in the middle of a stream what went wrong."""
    if shape is Shape.ANTHROPIC:
        return b"event: error\ndata: " + orjson.dumps(_anthropic(problem)) + b"\n\n"
    if shape is Shape.RESPONSES:
        event = {"type": "error", **_fields(problem), "sequence_number": 0}
        event["code"] = problem.code or problem.type
        return b"event: error\ndata: " + orjson.dumps(event | {"type": "error"}) + b"\n\n"
    return b"data: " + orjson.dumps({"error": _fields(problem)}) + b"\n\n"


def _fields(problem: Problem) -> dict[str, Any]:
    return {
        "message": problem.message,
        "type": problem.type,
        "param": problem.param,
        "code": problem.code,
    }


def _anthropic(problem: Problem) -> dict[str, Any]:
    default = "api_error" if problem.status >= 500 else "invalid_request_error"
    kind = _ANTHROPIC_TYPES.get(problem.status, default)
    return {"type": "error", "error": {"type": kind, "message": problem.message}}


def quote(text: str) -> str:
    """A client's own word for a message: printable and short, whatever was sent."""
    shown = text if len(text) <= _QUOTED_MAX else text[:_QUOTED_MAX] + "…"
    return "".join(character if character.isprintable() else "�" for character in shown)


def unknown_route(method: str, path: str) -> Problem:
    return Problem(404, f"Invalid URL ({method} {quote(path)})", code="unknown_url")


def wrong_method(method: str, path: str, allowed: str) -> Problem:
    return Problem(
        405,
        f"Not allowed to {method} on {quote(path)} (it takes {allowed})",
        code="method_not_allowed",
        allow=allowed,
    )


def malformed(message: str, status: int = 400, code: str = "bad_request") -> Problem:
    """The message's framing can't be trusted; so nothing that follows on the connection can."""
    return Problem(status, message, code=code, fatal=True)


def bad_body(message: str) -> Problem:
    return Problem(400, message, code="invalid_body")


def encoded_body(encoding: str) -> Problem:
    message = f"Content-Encoding {quote(encoding)} is not accepted; send the body as it is"
    return Problem(415, message, code="unsupported_encoding")


def body_too_large(limit: int) -> Problem:
    message = f"The request body is larger than {limit} bytes"
    return Problem(413, message, code="request_too_large", fatal=True)


def missing_model() -> Problem:
    message = "you must provide a model parameter"
    return Problem(400, message, code="missing_required_parameter", param="model")


def ill_typed_model() -> Problem:
    return Problem(400, "model must be a string", code="invalid_type", param="model")


def unknown_model(model: str) -> Problem:
    return Problem(
        404,
        f"The model `{quote(model)}` does not exist or you do not have access to it.",
        code="model_not_found",
        param="model",
    )


def stored_response() -> Problem:
    return Problem(
        400,
        "previous_response_id is not supported: a response is kept only in the engine replica that made it, "
        "and this request may reach another one. Send the whole conversation in `input` instead.",
        code="unsupported_parameter",
        param="previous_response_id",
    )


def ill_typed(name: str, wanted: str) -> Problem:
    return Problem(400, f"{name} must be {wanted}", code="invalid_type", param=name)


def wrong_parameter(message: str, code: str, param: str) -> Problem:
    """A parameter that is missing, unknown or not what it must be; the message names it."""
    return Problem(400, message, code=code, param=quote(param))


def prompt_too_large(limit: int, param: str) -> Problem:
    message = f"With these values the prompt is larger than {limit} bytes"
    return Problem(400, message, code="invalid_value", param=param)


def no_prompt(param: str) -> Problem:
    message = f"{param} can't be filled in: what answers this model now has no prompt"
    return Problem(400, message, code="unknown_parameter", param=param)


def prompt_does_not_apply(path: str) -> Problem:
    message = f"The model answers by a prompt, which {path} has no place for; use /v1/chat/completions"
    return Problem(400, message, code="unsupported_endpoint")


def no_ready_endpoint(service: str, retry_after: int) -> Problem:
    return Problem(
        503,
        f"No engine of {service!r} is ready to answer now; try again shortly",
        type=_SERVER,
        code="no_ready_endpoint",
        retry_after=retry_after,
    )


def queue_full(service: str, retry_after: int, limit: str) -> Problem:
    """All engines are busy, and too many wait or one waited too long."""
    return Problem(
        503,
        f"All engines of {service!r} are busy; try again in {retry_after} s",
        type=_SERVER,
        code="engines_busy",
        retry_after=retry_after,
        limit=limit,
    )


def unreachable(service: str, retry_after: int) -> Problem:
    return Problem(
        503,
        f"No engine of {service!r} could be reached; try again shortly",
        type=_SERVER,
        code="engine_unreachable",
        retry_after=retry_after,
    )


def engine_broke(message: str) -> Problem:
    return Problem(502, message, type=_SERVER, code="engine_failed")


def engine_stopped() -> Problem:
    message = "The engine was stopped before its answer was complete; ask again"
    return Problem(503, message, type=_SERVER, code="engine_stopped", retry_after=1)


def router_stopped() -> Problem:
    message = "The router was stopped before the answer was complete; ask again"
    return Problem(503, message, type=_SERVER, code="router_stopped", retry_after=1)


def engine_silent(seconds: float, limit: str) -> Problem:
    message = f"The engine sent nothing for {seconds:g} seconds"
    return Problem(504, message, type=_SERVER, code="engine_timeout", limit=limit)


def too_late(seconds: float, limit: str) -> Problem:
    message = f"The request took longer than {seconds:g} seconds"
    return Problem(504, message, type=_SERVER, code="deadline_exceeded", limit=limit)


def engine_status(status: int, retry_after: int) -> Problem:
    """An engine's error in words that no API has; what it said instead stays here."""
    kind = _SERVER if status >= 500 else _INVALID
    message = f"The engine answered with status {status}"
    return Problem(status, message, type=kind, code="engine_error", retry_after=retry_after)


def of_engine(status: int, body: bytes) -> Problem:
    """An engine's own answer, to be told in a stream that has begun."""
    if status < 400:
        return engine_broke("Engine failure: its answer is no stream of events, though one was asked for")
    problem = engine_status(status, 0)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return problem
    inner = document.get("error") if isinstance(document, dict) else None
    told = inner if isinstance(inner, dict) else document if isinstance(document, dict) else {}
    if not isinstance(told.get("message"), str):
        return problem
    return replace(
        problem,
        message=told["message"],
        type=_text(told.get("type")) or problem.type,
        code=_text(told.get("code")),
        param=_text(told.get("param")),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def internal_error() -> Problem:
    message = "The router failed to handle this request; its log says why"
    return Problem(500, message, type=_SERVER, code="internal_error", fatal=True)
