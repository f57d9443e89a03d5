"""What the public port answers, and to what."""

import pytest

from pointsman_router import routes
from tests.router.engine import echo
from tests.router.stack import Stack, configuration, get, post, service, variant

_FORM = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\x00\xff\r\n'
    b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nchat\r\n--b--\r\n'
)


ASKED = [r for r in routes.ROUTES if r.method == b"POST" and r.model_in is not routes.ModelIn.ANSWER]


@pytest.mark.parametrize("route", ASKED, ids=lambda r: r.label)
async def test_every_allowed_route_reaches_the_engine_as_it_was_asked(
    stack: Stack, route: routes.Route
) -> None:
    engine = await stack.engine(always=echo)
    await stack.start()
    if route.model_in is routes.ModelIn.FORM:
        request = post(route.label, _FORM, "Content-Type: multipart/form-data; boundary=b")
    else:
        request = post(route.label, {"model": "chat", "input": "x"})
    answer = await stack.ask(request)
    assert answer.status == 200
    assert engine.requests[0].line == f"POST {route.label} HTTP/1.1"
    assert engine.requests[0].body == request.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/load_lora_adapter"),
        ("POST", "/v1/unload_lora_adapter"),
        ("POST", "/pause"),
        ("POST", "/v1/chat/completions/render"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/V1/chat/completions"),
        ("POST", "/inference/v1/generate"),
        ("GET", "/metrics"),
        ("GET", "/health"),
        ("GET", "/"),
        ("GET", "/v1/models/"),
        ("GET", "/v1/responses/resp_1"),
        ("OPTIONS", "/nowhere"),
    ],
)
async def test_everything_else_is_404_and_reaches_no_engine(stack: Stack, method: str, path: str) -> None:
    engine = await stack.engine()
    await stack.start()
    answer = await stack.ask(f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
    assert answer.status == 404
    assert answer.error == {
        "message": f"Invalid URL ({method} {path})",
        "type": "invalid_request_error",
        "param": None,
        "code": "unknown_url",
    }
    assert engine.requests == []


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/v1/chat/completions", "POST"),
        ("DELETE", "/v1/models/chat", "GET"),
        ("POST", "/v1/models", "GET"),
        ("PUT", "/tokenize", "POST"),
        ("OPTIONS", "/v1/chat/completions", "POST"),
    ],
)
async def test_a_wrong_method_is_405_and_names_the_right_one(
    stack: Stack, method: str, path: str, allow: str
) -> None:
    await stack.start(configuration())
    answer = await stack.ask(f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode())
    assert (answer.status, answer.field("allow")) == (405, allow)
    assert answer.error["code"] == "method_not_allowed"


async def test_a_query_goes_along(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start()
    await stack.ask(post("/v1/messages?beta=true", {"model": "chat"}))
    assert engine.requests[0].path == "/v1/messages?beta=true"


async def test_models_lists_every_name_of_every_service(stack: Stack) -> None:
    await stack.start(
        configuration(
            service("chat", names=["chat", "org/support bot"]), service("embed", variant("v", "127.0.0.1:1"))
        )
    )
    answer = await stack.ask(get("/v1/models"))
    assert answer.status == 200
    assert answer.document["object"] == "list"
    assert [model["id"] for model in answer.document["data"]] == ["chat", "org/support bot", "embed"]
    assert answer.document["data"][0] == {
        "id": "chat",
        "object": "model",
        "created": 1700000000,
        "owned_by": "team-a",
    }


@pytest.mark.parametrize("path", ["org/support%20bot", "org%2Fsupport%20bot"])
async def test_one_model_is_found_however_its_name_is_escaped(stack: Stack, path: str) -> None:
    await stack.start(configuration(service("chat", names=["org/support bot"])))
    answer = await stack.ask(get(f"/v1/models/{path}"))
    assert (answer.status, answer.document["id"]) == (200, "org/support bot")


async def test_an_unknown_model_is_404_by_path(stack: Stack) -> None:
    await stack.start(configuration(service("chat")))
    answer = await stack.ask(get("/v1/models/%FFgpt"))
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")


async def test_errors_of_the_messages_api_have_its_own_shape(stack: Stack) -> None:
    await stack.start(configuration(service("chat")))
    answer = await stack.ask(post("/v1/messages", {"model": "nope"}, "X-Request-Id: abc"))
    assert answer.status == 404
    assert answer.document["type"] == "error"
    assert answer.document["error"]["type"] == "not_found_error"
    assert answer.document["request_id"] == "abc"
    unready = await stack.ask(post("/v1/messages", {"model": "chat"}))
    assert (unready.status, unready.error["type"]) == (503, "overloaded_error")
