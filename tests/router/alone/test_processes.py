"""Several router processes on one port: started, told and stopped as one."""

import asyncio
import json
import os
import signal
import socket
import threading
from contextlib import closing
from pathlib import Path

import pytest

from pointsman_router.records.accesslog import AccessLog, Entry, label_of
from tests.router.alone.running import Running, running, started, write
from tests.router.engine import event, gated
from tests.router.stack import CHAT, STREAM, Stack, configuration, get, service, variant


def free_ports(count: int) -> int:
    """The first of so many ports in a row that nobody has."""
    while True:
        with closing(socket.socket()) as first:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            others = [socket.socket() for _ in range(1, count)]
            try:
                for offset, other in enumerate(others, 1):
                    other.bind(("127.0.0.1", port + offset))
                return port
            except (OSError, OverflowError):
                continue
            finally:
                for other in others:
                    other.close()


async def several(router: Running, count: int) -> None:
    for _ in range(count):
        await router.until("admin port")


@pytest.fixture
async def places(stack: Stack, file: Path) -> tuple[int, int]:
    """A file for three processes with one engine: its public port, and the first admin port."""
    await stack.engine()
    public = free_ports(4)
    document = configuration(service("chat", variant("v", *stack.engines)))
    write(
        file,
        document,
        listen={"host": "127.0.0.1", "port": public},
        admin={"port": public + 1},
        drainSeconds=5,
    )
    return public, public + 1


async def test_connections_spread_over_them(stack: Stack, file: Path, places: tuple[int, int]) -> None:
    public, admin = places
    async with started(f"--config={file}", "--processes=3") as router:
        await several(router, 3)
        router.port = public
        for _ in range(60):
            assert (await router.ask(CHAT)).status == 200
        counts = [await served(router, admin + index) for index in range(3)]
        assert sum(counts) == 60
        assert all(counts), counts
        router.process.send_signal(signal.SIGHUP)
        for _ in range(3):
            await router.until("running configuration")
        router.process.send_signal(signal.SIGTERM)
        assert await router.ended() == 0
        assert router.process.stdout is not None
        lines = (await router.process.stdout.read()).splitlines()
        assert [json.loads(line)["status"] for line in lines] == [200] * 60


async def served(router: Running, admin_port: int) -> int:
    client = await router.client(admin_port)
    body = (await client.ask(get("/metrics"))).body.decode()
    client.close()
    name = 'pointsman_router_requests_total{code="200",service="chat",variant="v"} '
    return sum(int(float(line.removeprefix(name))) for line in body.splitlines() if line.startswith(name))


async def test_sigterm_lets_the_streams_of_all_finish(
    stack: Stack, file: Path, places: tuple[int, int]
) -> None:
    gate = asyncio.Event()
    stack.engines[0].script = gated(gate)
    async with started(f"--config={file}", "--processes=3") as router:
        await several(router, 3)
        clients = [await router.client(places[0]) for _ in range(12)]
        for client in clients:
            await client.send(STREAM)
            await client.head()
            await client.chunk()
        router.process.send_signal(signal.SIGTERM)
        for _ in range(3):
            await router.until("draining")
        assert router.process.returncode is None
        gate.set()
        for client in clients:
            assert await client.chunk() == event(b"[DONE]")
            client.close()
        assert await router.ended() == 0


async def test_one_that_dies_takes_the_others_down_in_order(file: Path, places: tuple[int, int]) -> None:
    async with started(f"--config={file}", "--processes=2") as router:
        await several(router, 2)
        os.kill(children(router.process.pid)[0], signal.SIGKILL)
        await router.until("ended by itself with status -9; the others stop")
        assert await router.ended() == 1
        assert any("requests were cut" in line for line in router.log), "drained, not killed"


async def test_when_their_parent_is_killed_they_drain_and_end(file: Path, places: tuple[int, int]) -> None:
    async with started(f"--config={file}", "--processes=2") as router:
        await several(router, 2)
        router.process.kill()
        await router.ended()
        assert sum("requests were cut" in line for line in router.log) == 2


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_a_port_that_is_taken_ends_them_all(file: Path, places: tuple[int, int]) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", places[1] + 1))
        taken.listen()
        async with started(f"--config={file}", "--processes=2") as router:
            assert await router.ended() == 1
            assert any(f"can't listen on port {places[1] + 1}" in line for line in router.log)


async def test_they_need_a_port_that_is_known(file: Path) -> None:
    write(file, configuration())
    async with started(f"--config={file}", "--processes=2") as router:
        assert await router.ended() == 2
        assert "listen.port: several processes need one port" in router.log[-1]


@pytest.mark.parametrize("count", ["0", "65"])
async def test_their_number_is_bounded(file: Path, count: str) -> None:
    write(file, configuration())
    async with started(f"--config={file}", f"--processes={count}") as router:
        assert await router.ended() == 2
        assert "is no number from 1 to 64" in router.log[-1]


async def test_several_are_started_by_hand_where_the_port_is_shared(
    stack: Stack, file: Path, places: tuple[int, int]
) -> None:
    public, _ = places
    document = configuration(service("chat", variant("v", *stack.engines)))
    shared = {"host": "127.0.0.1", "port": public, "reusePort": True}
    write(file, document, listen=shared)
    async with running(f"--config={file}") as first, running(f"--config={file}") as second:
        assert first.port == second.port == public
        assert (await second.ask(CHAT)).status == 200
        first.process.send_signal(signal.SIGTERM)
        assert await first.ended() == 0
        for _ in range(5):
            assert (await second.ask(CHAT)).status == 200


def test_lines_of_several_that_share_a_pipe_stay_whole() -> None:
    reading, writing = os.pipe()
    logs = [AccessLog(writing) for _ in range(3)]
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.extend(iter(lambda: os.read(reading, 65536), b"")))
    reader.start()
    for number in range(3000):
        for index, log in enumerate(logs):
            label = label_of(f"service-{index}", "x" * (number % 900))
            log.add(Entry(0, b"", b"", 200, label, b'""', 1, 0, 0, number, 0, b"", b'""', b"ok"))
    for log in logs:
        log.close()
    os.close(writing)
    reader.join(5)
    os.close(reading)
    lines = [json.loads(line) for line in b"".join(read).splitlines()]
    assert len(lines) + sum(log.dropped for log in logs) == 9000
    assert len(lines) > 1000
