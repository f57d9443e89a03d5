"""What users of the OpenAI SDKs see when things go wrong.

An exception's class follows from the status, its `code` and `type` from the body: the engine's own words
where it was the engine that refused, else the router's.
"""

from __future__ import annotations

from tests.router.engine import close, hang, raw, reset
from tests.router.sdk import scripts
from tests.router.sdk.behaviours import RESPONSES, Behaviour, Call, call, chat, error, idle, keyed

SERVER = "server_error"
INVALID = "invalid_request_error"
TRUNCATED = raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{", True)
RETRY_AT_ONCE = {"retry-after": "0"}


def _of_engine(status: int, class_: str) -> Behaviour:
    """The engine's own refusal, passed on as it is."""
    sees = error(class_, status, "c", "t") | {"error.requestId": str}
    return Behaviour(f"the engine's {status}", chat(), sees, engine=(scripts.refusal(status),) * 3)


ENGINE_REFUSALS = [
    _of_engine(status, class_)
    for status, class_ in (
        (400, "BadRequestError"),
        (401, "AuthenticationError"),
        (403, "PermissionDeniedError"),
        (404, "NotFoundError"),
        (408, "APIStatusError"),
        (409, "ConflictError"),
        (413, "APIStatusError"),
        (422, "UnprocessableEntityError"),
        (429, "RateLimitError"),
        (500, "InternalServerError"),
        (501, "InternalServerError"),
    )
]

ROUTER_REFUSALS = [
    Behaviour(
        "a model that isn't there",
        chat(model="gpt-4"),
        error("NotFoundError", 404, "model_not_found", INVALID) | {"error.param": "model"},
    ),
    Behaviour(
        "no model", chat(model=""), error("BadRequestError", 400, "missing_required_parameter", INVALID)
    ),
    Behaviour(
        "a retrieved model that isn't there",
        call("models.retrieve", "nope"),
        error("NotFoundError", 404, "model_not_found", INVALID),
    ),
    Behaviour(
        "a conversation kept by the engine",
        call(RESPONSES, model="chat", input="ping", previous_response_id="resp_1"),
        error("BadRequestError", 400, "unsupported_parameter", INVALID)
        | {"error.param": "previous_response_id"},
    ),
    Behaviour(
        "a key that nobody has",
        Call(key="sk-wrong"),
        error("AuthenticationError", 401, "invalid_api_key", INVALID),
        configure=keyed,
    ),
    Behaviour(
        "a model that the key may not use",
        chat(model="draw"),
        error("NotFoundError", 404, "model_not_found", INVALID),
        configure=keyed,
    ),
    Behaviour("a wrong path", Call(base="/v2"), error("NotFoundError", 404, "unknown_url", INVALID)),
    Behaviour(
        "a body that is too large",
        chat(messages=[{"role": "user", "content": "x" * 3_000_000}]),
        error("APIStatusError", 413, "request_too_large", INVALID),
        settings={"maxBodyBytes": 1000},
    ),
    Behaviour(
        "no engine ready",
        chat(),
        error("InternalServerError", 503, "no_ready_endpoint", SERVER),
        configure=idle,
    ),
]

BROKEN_ENGINES = [
    Behaviour(
        "garbage",
        chat(),
        error("InternalServerError", 502, "engine_failed", SERVER),
        engine=(raw(b"nonsense\r\n\r\n"),) * 3,
    ),
    Behaviour(
        "connections reset",
        chat(),
        error("InternalServerError", 502, "engine_failed", SERVER),
        engine=(reset,) * 5,
    ),
    Behaviour(
        "silence",
        chat(),
        error("InternalServerError", 504, "engine_timeout", SERVER),
        engine=(hang,),
        settings={"firstByteSeconds": 0.2},
    ),
    Behaviour(
        "silence beyond the deadline in a header",
        Call(headers={"X-Pointsman-Timeout": "0.2"}),
        error("InternalServerError", 504, str, SERVER),
        engine=(hang,),
    ),
    Behaviour("an answer cut short", chat(), error("APIConnectionError", None), engine=(TRUNCATED,) * 3),
]

BROKEN_STREAMS = [
    Behaviour(
        "a stream that breaks",
        chat(stream=True),
        {"text": "po"} | error("APIError", None, "engine_failed", SERVER),
        engine=(scripts.streamed("po", end=False),),
    ),
    Behaviour(
        "a streamed response that breaks",
        call(RESPONSES, model="chat", input="ping", stream=True),
        {"items.0.type": "response.created", "items.1.type": "error", "items.1.code": "engine_failed"},
        sees_in_node={"items.0.type": "response.created"} | error("APIError", None, "engine_failed", str),
        engine=(scripts.streamed_response(end=False),),
    ),
    Behaviour(
        "the engine's refusal after comments were sent",
        chat(stream=True),
        {"text": ""} | error("APIError", None, "c", "t"),
        engine=(scripts.late(0.3, scripts.refusal(400)),),
        settings={"commentSeconds": 0.1},
    ),
    Behaviour(
        "silence after comments were sent",
        chat(stream=True),
        {"text": ""} | error("APIError", None, "engine_timeout", SERVER),
        engine=(hang,),
        settings={"commentSeconds": 0.1, "firstByteSeconds": 0.4},
    ),
    Behaviour(
        "an engine that goes after comments were sent",
        chat(stream=True),
        {"text": ""} | error("APIError", None, str, SERVER),
        engine=(scripts.late(0.3, reset),) * 5,
        settings={"commentSeconds": 0.1},
    ),
]

CLIENTS_THAT_LEAVE = [
    Behaviour(
        "a client's timeout frees the engine",
        Call(timeout=0.3),
        error("APITimeoutError", None),
        engine=(hang,),
        engine_left=True,
    ),
    Behaviour(
        "a cancelled call frees the engine",
        Call(cancel_after=0.3),
        {"cancelled": True},
        engine=(hang,),
        engine_left=True,
    ),
    Behaviour(
        "a stream that is left frees the engine",
        Call(arguments=chat(stream=True).arguments, leave_after=1),
        {"text": "x", "error": None},
        engine=(scripts.streamed(*"x" * 1000, gap=0.005),),
        engine_left=True,
    ),
    Behaviour(
        "a stream that is left while comments come frees the engine",
        Call(arguments=chat(stream=True).arguments, timeout=0.5),
        error("APITimeoutError", None),
        engine=(hang,),
        engine_left=True,
    ),
]

RETRIES = [
    Behaviour(
        "a client that may try again comes through a 429",
        Call(retries=2),
        {"value.choices.0.message.content": "pong", "error": None},
        engine=(scripts.refusal(429, **RETRY_AT_ONCE), scripts.chat("pong")),
    ),
    Behaviour(
        "a client that may try again comes through a 500",
        Call(retries=2),
        {"value.choices.0.message.content": "pong", "error": None},
        engine=(scripts.refusal(500), scripts.chat("pong")),
    ),
    Behaviour(
        "a client that may try again comes through an engine that closed on it",
        Call(retries=2),
        {"value.choices.0.message.content": "pong", "error": None},
        engine=(close, scripts.chat("pong")),
    ),
    Behaviour(
        "a client that may try again doesn't after a 400",
        Call(retries=2),
        error("BadRequestError", 400, "c", "t"),
        engine=(scripts.refusal(400), scripts.chat("pong")),
    ),
]
