"""TLS on the public port: who may come in how, and what a connection may not do to others."""

import asyncio
import gc
import ssl
import time
import warnings
from pathlib import Path

import openai
import pytest

from pointsman_router.config import ConfigError
from pointsman_router.running import tls
from pointsman_router.settings import Tls
from tests.router.alone.certificates import Volume, anyone, pair
from tests.router.alone.serving import Serving
from tests.router.engine import SSE_HEAD, Turn, chunk, event, reset
from tests.router.stack import CHAT, eventually, get, post

GREETINGS = pair("first")


@pytest.fixture
def secured(volume: Volume) -> Volume:
    """A volume that has a certificate."""
    volume.put(*GREETINGS)
    return volume


async def test_the_real_client_speaks_https(serving: Serving, secured: Volume) -> None:
    await serving.start(tls=secured.section)

    async def stream(turn: Turn) -> None:
        delta = {"choices": [{"index": 0, "delta": {"content": "hi"}}]}
        await turn.write(SSE_HEAD + chunk(event(delta)) + chunk(event(b"[DONE]")) + b"0\r\n\r\n")

    serving.stack.engines[0].script = stream
    context = ssl.create_default_context(cafile=secured.tls.cert_file)
    async with openai.AsyncOpenAI(
        base_url=f"https://127.0.0.1:{serving.port}/v1",
        api_key="none",
        http_client=openai.DefaultAsyncHttpxClient(verify=context),
    ) as client:
        asked = await client.chat.completions.create(model="chat", messages=[], stream=True)
        assert [part.choices[0].delta.content async for part in asked] == ["hi"]
        assert [model.id async for model in client.models.list()] == ["chat"]


@pytest.mark.parametrize(
    ("highest", "spoken"),
    [
        pytest.param(ssl.TLSVersion.TLSv1_1, None, id="TLS 1.1 is refused"),
        pytest.param(ssl.TLSVersion.TLSv1_2, "TLSv1.2", id="TLS 1.2 is spoken"),
        pytest.param(ssl.TLSVersion.TLSv1_3, "TLSv1.3", id="TLS 1.3 is spoken"),
    ],
)
async def test_versions(
    serving: Serving, secured: Volume, highest: ssl.TLSVersion, spoken: str | None
) -> None:
    await serving.start(tls=secured.section)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = anyone(highest)
    if spoken is None:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await serving.client(context)
        return
    client = await serving.client(context)
    assert client.writer.get_extra_info("ssl_object").version() == spoken
    assert (await client.ask(CHAT)).status == 200


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        pytest.param(["h2", "http/1.1"], "http/1.1", id="HTTP/1.1 is chosen where HTTP/2 is offered too"),
        pytest.param(["h2"], None, id="who offers only HTTP/2 is told of no protocol"),
        pytest.param([], None, id="who offers nothing gets HTTP/1.1 all the same"),
    ],
)
async def test_protocols(serving: Serving, secured: Volume, offered: list[str], chosen: str | None) -> None:
    await serving.start(tls=secured.section)
    context = anyone()
    if offered:
        context.set_alpn_protocols(offered)
    client = await serving.client(context)
    assert client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == chosen
    assert (await client.ask(CHAT)).status == 200


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(CHAT, id="a plain request"),
        pytest.param(b"\x16\x03\x01\xff\xff" + b"\x00" * 500, id="a handshake that is none"),
        pytest.param(b"\x00" * 70_000, id="zeros without end"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", id="another protocol"),
    ],
)
async def test_what_is_no_tls_ends_its_connection_and_nothing_else(
    serving: Serving, secured: Volume, sent: bytes
) -> None:
    await serving.start(tls=secured.section)
    neighbour = await serving.client()
    plain = await serving.plain()
    plain.writer.write(sent)
    try:
        answer = await asyncio.wait_for(plain.reader.read(), 5)
    except ConnectionError:
        answer = b""
    assert b"HTTP/" not in answer
    assert (await neighbour.ask(CHAT)).status == 200
    other = await serving.client()
    assert (await other.ask(CHAT)).status == 200
    assert len(serving.stack.engines[0].requests) == 2


async def test_a_handshake_that_takes_too_long_is_ended_and_holds_nobody_up(
    serving: Serving, secured: Volume
) -> None:
    await serving.start(tls=secured.section, limits={"tlsHandshakeSeconds": 0.3})
    began = time.monotonic()
    silent = [await serving.plain() for _ in range(20)]
    client = await serving.client()
    assert (await client.ask(CHAT)).status == 200
    assert time.monotonic() - began < 0.3
    for one in silent:
        assert await one.closed()
    assert 0.2 < time.monotonic() - began < 2


async def test_handshakes_are_bounded_and_what_comes_beyond_waits(serving: Serving, secured: Volume) -> None:
    limits = {"tlsHandshakeSeconds": 0.4, "maxConnections": 10}
    await serving.start(tls=secured.section, limits=limits)
    for _ in range(40):
        await serving.plain()
    assert serving.router.stats.limits_hit == {"max_connections": 1}
    patient = await serving.client()
    assert (await patient.ask(CHAT)).status == 200
    await eventually(lambda: serving.handshakes == 0)
    assert (await patient.ask(CHAT)).status == 200


@pytest.mark.parametrize("sent", [b"", CHAT, b"\x16\x03\x01"], ids=["silent", "plain", "cut off"])
async def test_a_handshake_that_fails_leaves_nothing_behind(
    serving: Serving, secured: Volume, sent: bytes
) -> None:
    await serving.start(tls=secured.section)
    gc.disable()
    try:
        for _ in range(20):
            client = await serving.plain()
            await client.send(sent)
            client.close()
        await eventually(lambda: serving.handshakes == 0)
        assert (await (await serving.client()).ask(CHAT)).status == 200
        assert serving.handshakes == 0
    finally:
        gc.enable()


async def test_an_answer_to_a_request_that_is_not_read_to_its_end_arrives_whole(
    serving: Serving, secured: Volume
) -> None:
    await serving.start(tls=secured.section, limits={"maxBodyBytes": 1000})
    client = await serving.client()
    client.writer.write(post("/v1/chat/completions", b"x" * 300_000))
    answer = await client.answer()
    assert (answer.status, answer.field("connection")) == (413, "close")
    assert await client.closed()


async def test_a_large_answer_over_tls_is_whole(serving: Serving, secured: Volume) -> None:
    await serving.start(tls=secured.section)
    size = 20_000_000

    async def huge(turn: Turn) -> None:
        await turn.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        await turn.write(b"x" * size)

    serving.stack.engines[0].script = huge
    client = await serving.client()
    await client.send(CHAT)
    await asyncio.sleep(0.1)
    assert len((await client.answer()).body) == size


async def test_a_reader_that_stops_stops_the_engine(serving: Serving, secured: Volume) -> None:
    await serving.start(tls=secured.section)
    sent = 0

    async def endless(turn: Turn) -> None:
        nonlocal sent
        await turn.write(SSE_HEAD)
        while True:
            await turn.write(chunk(event("x" * 100_000)))
            sent += 100_000

    serving.stack.engines[0].script = endless
    client = await serving.client()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await client.send(CHAT)
    before = -1
    while sent != before and sent < 40_000_000:
        before = sent
        await asyncio.sleep(0.5)
    assert sent < 40_000_000, "what sockets and buffers hold, and no more"
    neighbour = await serving.client()
    assert (await neighbour.ask(get("/v1/models"))).status == 200


async def test_an_answer_without_length_that_breaks_off_does_not_end_in_order(
    serving: Serving, secured: Volume
) -> None:
    await serving.start(tls=secured.section)

    async def broken(turn: Turn) -> None:
        await turn.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"begun"))
        await reset(turn)

    serving.stack.engines[0].script = broken
    client = await serving.client()
    await client.send(CHAT.replace(b"HTTP/1.1", b"HTTP/1.0"))
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await asyncio.wait_for(client.reader.read(), 5)


async def test_the_log_names_the_client_behind_tls(serving: Serving, secured: Volume) -> None:
    await serving.start(tls=secured.section)
    assert (await (await serving.client()).ask(CHAT)).status == 200
    assert [entry["client"] for entry in serving.stack.entries()] == ["127.0.0.1"]


LOCKED = pair("locked", password=b"secret")
REFUSED = {
    "a certificate that isn't there": ((None, GREETINGS[1]), "tls.certFile: .*tls.crt: No such file"),
    "a key that isn't there": ((GREETINGS[0], None), "tls.keyFile: .*tls.key: No such file"),
    "an empty certificate": ((b"", GREETINGS[1]), "tls.certFile: .* holds no certificate in PEM"),
    "key and certificate exchanged": (GREETINGS[::-1], "tls.certFile: .* holds no certificate in PEM"),
    "a certificate for a key": ((GREETINGS[0], GREETINGS[0]), "tls.keyFile: .* holds no private key in PEM"),
    "another's key": ((GREETINGS[0], pair("other")[1]), "tls.keyFile: .* isn't the key of the certificate"),
    "a key that needs a password": (LOCKED, "tls: .* can't be used: .*"),
    "a damaged certificate": (
        (GREETINGS[0].replace(b"M", b"!", 5), GREETINGS[1]),
        "tls: .* can't be used: .*",
    ),
}


@pytest.mark.parametrize(("files", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_pair_that_can_not_be_used_is_named(
    files: tuple[bytes | None, bytes | None], message: str, tmp_path: Path
) -> None:
    names = tmp_path / "tls.crt", tmp_path / "tls.key"
    for path, content in zip(names, files, strict=True):
        if content is not None:
            path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        tls.context_of(Tls(*map(str, names)))


def test_a_name_that_no_file_can_have_is_refused_like_any_other() -> None:
    with pytest.raises(ConfigError, match=r"tls\.certFile: embedded null byte"):
        tls.context_of(Tls("a\0b", "c"))
