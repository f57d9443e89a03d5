"""What becomes of header fields in both directions."""

import pytest

from tests.router.engine import raw
from tests.router.stack import CHAT, Stack, get, post

PATH = "/v1/chat/completions"


async def test_the_host_is_the_engines_own_and_the_length_is_ours(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start()
    await stack.ask(CHAT)
    request = engine.requests[0]
    assert request.field("host") == engine.address
    assert request.field("content-length") == str(len(request.body))
    assert request.field("connection") is None


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
