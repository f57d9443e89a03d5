"""What engines may answer, and what becomes of connections whose state is in doubt."""

import asyncio

import pytest

from tests.router.engine import Turn, raw, reply
from tests.router.stack import CHAT, Stack, configuration, eventually, post, service, variant

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
OK_1_0 = OK.replace(b"1.1", b"1.0")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("status", [400, 401, 404, 422, 429, 500, 501, 529])
async def test_an_engines_error_passes_with_its_status_and_body(stack: Stack, status: int) -> None:
    error = {"error": {"message": "mine", "type": "BadRequestError", "param": None, "code": status}}
    engine = await stack.engine(reply(error, status, {"retry-after": "7"}))
    await stack.start()
    answer = await stack.ask(CHAT)
    assert (answer.status, answer.document) == (status, error)
    assert answer.field("retry-after") == "7"
    assert len(engine.requests) == 1
    assert stack.metric("requests_total", service="chat", variant="stable", code=str(status)) == 1


@pytest.mark.parametrize(
    ("name", "response", "body", "kept"),
    [
        ("a length", OK, b"{}", True),
        ("chunks", CHUNKED + b"1;x=y\r\n{\r\n1\r\n}\r\n0\r\nT: 1\r\n\r\n", b"{}", True),
        ("the connection's end", b"HTTP/1.1 200 OK\r\n\r\n{}", b"{}", False),
        ("HTTP/1.0", OK_1_0, b"{}", False),
        ("HTTP/1.0, kept", OK_1_0.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"), b"{}", True),
        ("Connection: close", OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), b"{}", False),
        ("no body", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"", True),
        ("204", b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
        ("100 first", b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"{}", True),
        ("103 first", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK, b"{}", True),
        ("no reason", b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}", b"{}", True),
        ("an odd status", b"HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\n{}", b"{}", True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_answer_framed_by(stack: Stack, name: str, response: bytes, body: bytes, kept: bool) -> None:
    engine = await stack.engine(raw(response, then_close=not kept))
    await stack.start()
    client = await stack.client()
    answer = await client.ask(CHAT)
    assert answer.status in (200, 204, 299)
    assert answer.body == body
    assert answer.field("link") is None
    assert (await client.ask(CHAT)).status == 200
    assert engine.connections == (1 if kept else 2)


@pytest.mark.parametrize(
    ("name", "response"),
    [
        ("garbage", b"SSH-2.0-OpenSSH_9.2\r\n"),
        ("empty lines, cut short", b"\r\n\r\n"),
        ("gzip, chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ("chunked on HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ("CL and TE", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n"),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
        ("HTTP/2", b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
        ("an upgrade", b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nwhatever"),
        ("an endless head", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000),
        ("a head cut short", b"HTTP/1.1 200 OK\r\nX: "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_broken_head_is_a_502_and_its_connection_is_given_up(
    stack: Stack, name: str, response: bytes
) -> None:
    engine = await stack.engine(raw(response, then_close=name.endswith("short")))
    await stack.start()
    client = await stack.client()
    answer = await client.ask(CHAT)
    assert (answer.status, answer.error["code"], answer.error["type"]) == (
        502,
        "engine_failed",
        "server_error",
    )
    assert answer.field("content-length") is not None
    assert (await client.ask(CHAT)).status == 200
    assert engine.connections == 2
    assert len(engine.requests) == 2, "a request an engine has seen isn't repeated"


@pytest.mark.parametrize("surplus", [OK, b"x", b"HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n"])
async def test_surplus_bytes_reach_nobody(stack: Stack, surplus: bytes) -> None:
    engine = await stack.engine(raw(OK + surplus), always=reply({"right": True}))
    await stack.start()
    client = await stack.client()
    assert (await client.ask(CHAT)).body == b"{}"
    assert (await client.ask(CHAT)).document == {"right": True}
    assert engine.connections == 2


async def test_words_from_an_idle_engine_reach_nobody(stack: Stack) -> None:
    async def talkative(turn: Turn) -> None:
        await turn.write(OK)
        await asyncio.sleep(0.02)
        await turn.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")

    engine = await stack.engine(talkative, always=reply({"right": True}))
    await stack.start()
    assert (await stack.ask(CHAT)).body == b"{}"
    await eventually(lambda: engine.open == 0)
    assert (await stack.ask(CHAT)).document == {"right": True}


async def test_an_answer_before_the_request_was_written_is_passed_and_its_connection_given_up(
    stack: Stack,
) -> None:
    async def impatient(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Big\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        await left.wait()
        writer.transport.abort()

    left = asyncio.Event()
    server = await asyncio.start_server(impatient, "127.0.0.1", 0, limit=1024)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    await stack.start(configuration(service("chat", variant("v", address))))
    answer = await stack.ask(post("/v1/chat/completions", {"model": "chat", "x": "y" * 30_000_000}))
    assert (answer.status, answer.body) == (413, b"{}")
    engine = stack.router.state.table.services["chat"].variants[0].engines[0]
    await eventually(lambda: engine.pool.open == 0)
    left.set()
    server.close()


async def test_idle_connections_are_closed_before_the_engine_would(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start(idleSeconds=0.1)
    await stack.ask(CHAT)
    assert engine.open == 1
    await eventually(lambda: engine.open == 0)


async def test_as_many_connections_as_requests_at_a_time(stack: Stack) -> None:
    async def slow(turn: Turn) -> None:
        await asyncio.sleep(0.05)
        await reply({})(turn)

    engine = await stack.engine(always=slow)
    await stack.start()
    for _ in range(3):
        answers = await asyncio.gather(*(stack.ask(CHAT) for _ in range(8)))
        assert {answer.status for answer in answers} == {200}
    assert engine.connections == 8


PASSES = (
    b"Cache-Control: no-store",
    b"Content-Disposition: inline",
    b"Retry-After: 7",
    b"x-should-retry: false",
    b"openai-processing-ms: 12",
    b"X-RateLimit-Remaining-Tokens: 5",
    b"anthropic-ratelimit-requests-limit: 5",
    b"DATE: Sun, 06 Nov 1994 08:49:37 GMT",
)
STAYS = (
    b"Server: uvicorn",
    b"Via: 1.1 sidecar",
    b"X-Powered-By: x",
    b"X-Internal-Pod: a",
    b"X-Envoy-Upstream-Service-Time: 1",
    b"Set-Cookie: a=b",
    b"WWW-Authenticate: Bearer",
    b"Proxy-Authenticate: Basic",
    b"Authorization: Bearer engine",
    b"Access-Control-Allow-Origin: *",
    b"Access-Control-Allow-Credentials: true",
    b"Alt-Svc: h3=:443",
    b"Strict-Transport-Security: max-age=1",
    b"Location: http://10.0.0.1/",
    b"Link: </x>; rel=preload",
    b"X-Request-Id: engines",
    b"X-Pointsman-Inner: 1",
    b"Keep-Alive: timeout=5",
    b"Trailer: X",
)


@pytest.mark.parametrize("line", [*PASSES, *STAYS], ids=lambda line: line.decode())
async def test_of_an_engines_fields_only_those_pass_that_clients_need(stack: Stack, line: bytes) -> None:
    await stack.engine(raw(b"HTTP/1.1 200 OK\r\n" + line + b"\r\nContent-Length: 2\r\n\r\n{}"))
    await stack.start()
    answer = await stack.ask(post("/v1/chat/completions", {"model": "chat"}, "X-Request-Id: mine"))
    name, _, value = line.decode().partition(": ")
    expected = value if line in PASSES else "mine" if name == "X-Request-Id" else None
    assert answer.field(name.lower()) == expected


async def test_a_date_is_passed_once(stack: Stack) -> None:
    twice = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\ndate: Mon, 07 Nov 1994 08:49:37 GMT\r\n"
    await stack.engine(raw(b"HTTP/1.1 200 OK\r\n" + twice + b"Content-Length: 2\r\n\r\n{}"))
    await stack.start()
    assert (await stack.ask(CHAT)).field("date") == "Sun, 06 Nov 1994 08:49:37 GMT"
