"""The router as a process: how it starts, reloads and stops."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pointsman_router.records.accesslog import AccessLog, Entry
from tests.router.alone.running import running, write
from tests.router.apiserver import FakeApiServer
from tests.router.engine import SSE_HEAD, Turn, chunk, event, gated, reply
from tests.router.stack import (
    CHAT,
    STREAM,
    Stack,
    configuration,
    get,
    refused_address,
    service,
    variant,
)
from tests.router.test_cluster import MAPS, SLICES, config_map, endpoint, slice_of


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "router.yaml"


async def test_sigterm_lets_streams_finish_and_takes_new_requests_for_a_while(
    stack: Stack, file: Path
) -> None:
    gate = asyncio.Event()
    engine = await stack.engine(gated(gate), always=reply({"ok": True}))
    write(file, configuration(service("chat", variant("v", engine))), acceptSeconds=0.5, drainSeconds=5)
    async with running(f"--config={file}") as router:
        assert await router.status("/readyz") == 200
        streaming, idle, fresh = await router.client(), await router.client(), await router.client()
        await streaming.send(STREAM)
        await streaming.head()
        await streaming.chunk()
        assert (await idle.ask(CHAT)).field("connection") is None
        router.process.send_signal(signal.SIGTERM)
        await router.until("draining: 1 requests in flight")
        assert await router.status("/readyz") == 503
        assert await router.status("/healthz") == 200
        answer = await fresh.ask(CHAT)
        assert (answer.status, answer.field("connection")) == (200, "close")
        late = await router.client()
        assert (await late.ask(CHAT)).status == 200, "endpoints lag: new connections are taken"
        assert await idle.closed()
        with pytest.raises(OSError):  # noqa: PT012
            while True:
                (await router.client()).close()
                await asyncio.sleep(0.02)
        assert router.process.returncode is None, "the stream is still open"
        gate.set()
        assert await streaming.chunk() == event(b"[DONE]")
        assert await streaming.chunk() == b""
        assert await router.ended() == 0
        assert "0 requests were cut" in router.log[-1]
        for client in (streaming, idle, fresh, late):
            client.close()


async def test_what_does_not_finish_in_time_is_cut_and_counted(stack: Stack, file: Path) -> None:
    async def endless(turn: Turn) -> None:
        await turn.write(SSE_HEAD + chunk(event({"n": 1})))
        await turn.until_left()

    engine = await stack.engine(always=endless)
    write(file, configuration(service("chat", variant("v", engine))), acceptSeconds=0.1, drainSeconds=0.4)
    async with running(f"--config={file}") as router:
        client = await router.client()
        await client.send(STREAM)
        await client.head()
        assert await client.chunk() == event({"n": 1})
        began = time.monotonic()
        router.process.send_signal(signal.SIGTERM)
        told = await client.chunk()
        assert told.startswith(b'data: {"error":')
        assert told.endswith(b"\n\n")
        assert b'"code":"router_stopped"' in told
        assert await client.chunk() == b"", "the body has its proper end"
        assert await client.closed()
        assert await router.ended() == 0
        assert 0.4 <= time.monotonic() - began < 2
        assert "1 requests were cut" in router.log[-1]
        assert router.process.stdout is not None
        entry = json.loads(await router.process.stdout.readline())
        assert (entry["ending"], entry["status"]) == ("stopped", 503)
        client.close()


async def test_a_client_that_does_not_listen_holds_up_no_stop(stack: Stack, file: Path) -> None:
    async def flood(turn: Turn) -> None:
        await turn.write(SSE_HEAD)
        while True:
            await turn.write(chunk(event({"text": "x" * 60_000})))

    engine = await stack.engine(always=flood)
    write(file, configuration(service("chat", variant("v", engine))), drainSeconds=0.2)
    async with running(f"--config={file}") as router:
        client = await router.client()
        await client.send(STREAM)
        await asyncio.sleep(0.3)
        began = time.monotonic()
        router.process.send_signal(signal.SIGTERM)
        assert await router.ended() == 0
        assert 2 <= time.monotonic() - began < 5
        assert "1 requests were cut" in router.log[-1]
        client.close()


async def test_a_file_is_read_again_on_sighup_and_a_bad_one_refused(stack: Stack, file: Path) -> None:
    engine = await stack.engine()
    write(file, configuration(service("chat", variant("v", engine))))
    async with running(f"--config={file}") as router:
        client = await router.client()
        write(file, configuration(service("renamed", variant("v", engine), generation=2)))
        router.process.send_signal(signal.SIGHUP)
        await router.until("running configuration")
        assert (await client.ask(CHAT)).status == 404
        file.write_text("services: [\n")
        router.process.send_signal(signal.SIGHUP)
        await router.until("configuration refused")
        assert b'"renamed"' in (await client.ask(get("/v1/models"))).body
        client.close()
        router.process.send_signal(signal.SIGTERM)
        assert await router.ended() == 0


async def test_requests_are_logged_on_standard_output_unless_that_is_off(stack: Stack, file: Path) -> None:
    engine = await stack.engine()
    for choice in (True, False):
        write(file, configuration(service("chat", variant("v", engine))), accessLog=choice)
        async with running(f"--config={file}") as router:
            client = await router.client()
            assert (await client.ask(CHAT)).status == 200
            client.close()
            router.process.send_signal(signal.SIGTERM)
            await router.ended()
            assert router.process.stdout is not None
            lines = (await router.process.stdout.read()).splitlines()
            assert [json.loads(line)["status"] for line in lines] == ([200] if choice else [])


async def test_in_a_cluster_it_follows_the_api_server(stack: Stack) -> None:
    engine = await stack.engine()
    server = await FakeApiServer().start()
    document = service("chat")
    upstream = {"service": "chat-engines", "port": engine.port, "statusPort": 1}
    document["variants"] = [{"name": "r1", "upstream": upstream}]
    async with running(
        *("cluster", "--config-map=default-router", "--namespace=team-a", "--accept-seconds=0"),
        *("--port=0", "--admin-port=0"),
        f"--api-server=http://127.0.0.1:{server.port}",
    ) as router:
        assert await router.status("/readyz") == 503
        await server.put(SLICES, slice_of("chat-1", endpoint("chat-r1-a", "127.0.0.1", ready=True)))
        await server.put(MAPS, config_map(configuration(document)))
        await router.until("running configuration")
        await router.becomes("/readyz", 200)
        await server.stop()
        client = await router.client()
        assert (await client.ask(CHAT)).status == 200, "without an API server too"
        client.close()
        router.process.send_signal(signal.SIGTERM)
        assert await router.ended() == 0


async def test_in_a_cluster_the_configuration_may_give_what_is_in_flight_longer(stack: Stack) -> None:
    gate = asyncio.Event()
    engine = await stack.engine(gated(gate))
    server = await FakeApiServer().start()
    document = configuration(service("chat", variant("v", engine)))
    async with running(
        *("cluster", "--config-map=default-router", "--namespace=team-a", "--accept-seconds=0"),
        *("--port=0", "--admin-port=0", "--drain-seconds=0.2"),
        f"--api-server=http://127.0.0.1:{server.port}",
    ) as router:
        await server.put(MAPS, config_map({**document, "drainSeconds": 20}))
        await router.until("running configuration")
        await router.becomes("/readyz", 200)
        client = await router.client()
        await client.send(STREAM)
        await client.head()
        await client.chunk()
        router.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.6)
        gate.set()
        assert await client.chunk() == event(b"[DONE]")
        assert await client.chunk() == b""
        assert await router.ended() == 0
        assert "0 requests were cut" in router.log[-1]
        client.close()
    await server.stop()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KUBERNETES_")}
    return subprocess.run(
        [sys.executable, "-m", "pointsman_router", *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        env=environment,
    )


def test_a_start_that_cannot_work_says_why_and_fails(file: Path) -> None:
    missing = run(f"--config={file}")
    assert (missing.returncode, "No such file" in missing.stderr) == (2, True)
    write(file, {"name": "x", "surprise": 1})
    refused = run(f"--config={file}")
    assert (refused.returncode, "surprise: unknown field" in refused.stderr) == (2, True)
    outside = run("cluster", "--config-map=x", "--namespace=y")
    assert (outside.returncode, "not in a pod" in outside.stderr) == (1, True)
    nothing = run()
    assert (nothing.returncode, "give --config FILE" in nothing.stderr) == (2, True)


def test_it_tells_its_version() -> None:
    shown = run("--version")
    assert shown.returncode == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", shown.stdout)


async def test_a_port_that_is_taken_is_a_failure(file: Path) -> None:
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for field in ("listen", "admin"):
        write(file, configuration(), **{field: {"host": "127.0.0.1", "port": port}})
        taken = await asyncio.to_thread(run, f"--config={file}")
        assert (taken.returncode, f"can't listen on port {port}: " in taken.stderr) == (1, True)
    server.close()


def _entry(number: int) -> Entry:
    return Entry(0.0, b"%d" % number, b"-", 200, b"", b'""', 1, 0.0, 0.0, 0, 0, b"", b'""', b"ok" * 500)


async def test_a_log_nobody_reads_stalls_nothing_and_is_cut() -> None:
    reading, writing = os.pipe()
    log = AccessLog(writing)
    began = time.monotonic()
    for number in range(100_000):
        log.add(_entry(number))
    assert time.monotonic() - began < 5
    assert log.dropped > 0
    os.close(reading)
    await asyncio.to_thread(log.close)
    os.close(writing)


async def test_a_drain_needs_nobody_to_answer(file: Path) -> None:
    document = configuration(service("chat", variant("v", await refused_address())))
    write(file, document, acceptSeconds=0.1, drainSeconds=20)
    async with running(f"--config={file}") as router:
        began = time.monotonic()
        router.process.send_signal(signal.SIGTERM)
        assert await router.ended() == 0
        assert time.monotonic() - began < 5
