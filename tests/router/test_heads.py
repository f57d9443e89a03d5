"""What becomes of header fields in both directions."""

import re

import pytest

from tests.router.engine import raw
from tests.router.stack import CHAT, Stack, get, post

PATH = "/v1/chat/completions"


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer sk-secret",
        "authorization: Bearer sk-secret",
        "AUTHORIZATION: Bearer sk-secret",
        "X-Api-Key: sk-secret",
        "api-key: sk-secret",
        "Cookie: session=1",
        "Proxy-Authorization: Basic eA==",
        "X-Forwarded-For: 1.2.3.4",
        "Forwarded: for=1.2.3.4",
        "X-Real-IP: 1.2.3.4",
        "X-Pointsman-Tenant: admin",
        "Keep-Alive: timeout=5",
        "Proxy-Connection: keep-alive",
        "TE: trailers",
        "Trailer: X-Sum",
        "Accept-Encoding: gzip, br",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    ],
)
async def test_a_field_that_is_not_the_engines_business_stays_here(stack: Stack, line: str) -> None:
    engine = await stack.engine()
    await stack.start()
    assert (await stack.ask(post(PATH, {"model": "chat"}, line))).status == 200
    assert engine.requests[0].field(line.partition(":")[0].lower()) is None


@pytest.mark.parametrize(
    "line",
    [
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "User-Agent: OpenAI/Python 2.0",
        "x-stainless-retry-count: 0",
        "anthropic-version: 2023-06-01",
        "X-Anything-Else: some, list; q=1",
        "Accept: text/event-stream",
    ],
)
async def test_a_field_for_the_engine_goes_along(stack: Stack, line: str) -> None:
    engine = await stack.engine()
    await stack.start()
    await stack.ask(post(PATH, {"model": "chat"}, line))
    name, _, value = line.partition(": ")
    assert engine.requests[0].field(name.lower()) == value


async def test_the_host_is_the_engines_own_and_the_length_is_ours(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start()
    await stack.ask(CHAT)
    request = engine.requests[0]
    assert request.field("host") == engine.address
    assert request.field("content-length") == str(len(request.body))
    assert request.field("connection") is None


async def test_what_connection_nominates_is_hop_by_hop_too(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start()
    await stack.ask(post(PATH, {"model": "chat"}, "Connection: keep-alive, X-Hop", "X-Hop: 1", "X-Stay: 2"))
    assert engine.requests[0].field("x-hop") is None
    assert engine.requests[0].field("x-stay") == "2"


@pytest.mark.parametrize("given", ["abc-123", "req_01H:/+=@.x", "a" * 128])
async def test_a_sane_request_id_is_kept(stack: Stack, given: str) -> None:
    engine = await stack.engine()
    await stack.start()
    answer = await stack.ask(post(PATH, {"model": "chat"}, f"X-Request-Id: {given}"))
    assert engine.requests[0].field("x-request-id") == given
    assert answer.field("x-request-id") == given


@pytest.mark.parametrize("given", [None, "", 'a"b', "a b", "ä", "a" * 129])
async def test_any_other_request_id_is_replaced(stack: Stack, given: str | None) -> None:
    engine = await stack.engine()
    await stack.start()
    lines = [] if given is None else [f"X-Request-Id: {given}"]
    answer = await stack.ask(post(PATH, {"model": "chat"}, *lines))
    made = answer.field("x-request-id")
    assert made is not None
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert engine.requests[0].field("x-request-id") == made


async def test_errors_and_local_answers_carry_a_request_id(stack: Stack) -> None:
    await stack.engine()
    await stack.start()
    for request in (get("/v1/models"), get("/nowhere"), b"nonsense\r\n\r\n"):
        assert (await stack.ask(request)).field("x-request-id")


@pytest.mark.parametrize(
    "line",
    [
        b"Server: uvicorn",
        b"Set-Cookie: a=b",
        b"Keep-Alive: timeout=5",
        b"Upgrade: h2c",
        b"Trailer: X",
        b"X-Pointsman-Inner: 1",
        b"Access-Control-Allow-Origin: *",
        b"Proxy-Authenticate: Basic",
    ],
)
async def test_what_clients_need_not_know_stays_here(stack: Stack, line: bytes) -> None:
    kept = b"\r\nX-Ratelimit-Left: 1\r\nContent-Length: 2\r\n\r\n{}"
    await stack.engine(raw(b"HTTP/1.1 200 OK\r\n" + line + kept))
    await stack.start()
    answer = await stack.ask(CHAT)
    assert answer.field(line.partition(b":")[0].decode().lower()) is None
    assert answer.field("x-ratelimit-left") == "1"
    assert (answer.status, answer.body) == (200, b"{}")


async def test_the_engines_request_id_gives_way_to_the_requests(stack: Stack) -> None:
    await stack.engine(raw(b"HTTP/1.1 200 OK\r\nX-Request-Id: theirs\r\nContent-Length: 2\r\n\r\n{}"))
    await stack.start()
    answer = await stack.ask(post(PATH, {"model": "chat"}, "X-Request-Id: ours"))
    assert answer.field("x-request-id") == "ours"


async def test_what_the_engines_connection_field_nominates_stays_here(stack: Stack) -> None:
    await stack.engine(
        raw(b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\n{}")
    )
    await stack.start()
    assert (await stack.ask(CHAT)).field("x-hop") is None
