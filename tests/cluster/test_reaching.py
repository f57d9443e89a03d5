"""Ways in from outside: port names, the relay, and the other ways when a machine cannot run a node."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from e2e.cluster import preflight, relay
from e2e.cluster.bare import port_number
from e2e.cluster.instance import ClusterError

PORTS: list[dict[str, object]] = [{"name": "http", "port": 80}, {"name": "admin", "port": 9000}]


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        pytest.param(8080, 8080, id="a number stands for itself"),
        pytest.param("8080", 8080, id="also as text"),
        pytest.param("admin", 9000, id="a name is looked up"),
    ],
)
def test_ports_are_numbers_or_names(asked: int | str, number: int) -> None:
    assert port_number(PORTS, asked, "port") == number


def test_an_unknown_port_name_is_refused() -> None:
    with pytest.raises(ClusterError, match="no port called 'metrics'"):
        port_number(PORTS, "metrics", "port")


async def started_relay(far_port: int) -> tuple[int, asyncio.Task[None]]:
    listener = relay.listen(0)
    port = int(listener.getsockname()[1])
    serving = asyncio.create_task(relay.serve([(listener, "127.0.0.1", far_port)], attached=False))
    await asyncio.sleep(0)
    return port, serving


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def ended(serving: asyncio.Task[None]) -> None:
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


async def test_the_relay_carries_both_ways_and_keeps_half_closed_ends_apart() -> None:
    async def answer_after_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        everything = await reader.read()
        writer.write(everything.upper())
        await closed(writer)

    server = await asyncio.start_server(answer_after_the_end, "127.0.0.1", 0)
    port, serving = await started_relay(server.sockets[0].getsockname()[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"x" * 300_000)
    writer.write_eof()
    assert await reader.read() == b"X" * 300_000
    await closed(writer)
    await ended(serving)
    server.close()


async def test_the_relay_passes_a_refusal_on() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port, serving = await started_relay(unused.getsockname()[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await closed(writer)
        await ended(serving)


def test_packages_are_named_for_the_commands_that_are_missing() -> None:
    assert preflight.absent({"sh": "dash", "no-such-command": "some-package"}) == ["some-package"]


def test_who_cannot_install_is_told_what_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(ClusterError, match=r"missing: some-package .*apt-get install some-package"):
        preflight.ensure_programs({"no-such-command": "some-package"})


def test_who_is_not_root_is_told_the_other_ways(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(ClusterError, match=r"needs root.*CONTEXT=name.*kind"):
        preflight.check_node(tmp_path)


def test_available_memory_is_what_the_kernel_says() -> None:
    assert preflight.available_memory_gib("MemTotal: 9 kB\nMemAvailable:    4194304 kB\n") == 4
    assert preflight.available_memory_gib("") == 0
