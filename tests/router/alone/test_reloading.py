"""The file changes under a running router, in all the ways files do; a bad one changes nothing."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.router.alone.certificates import Volume, anyone, pair
from tests.router.alone.running import Running, running, started, write
from tests.router.stack import CHAT, RawClient, Stack, configuration, get, service, variant


def document(stack: Stack, name: str = "chat") -> dict[str, Any]:
    return configuration(service(name, variant("v", *stack.engines)))


def in_place(file: Path, stack: Stack) -> None:
    write(file, document(stack, "renamed"))


def renamed_over(file: Path, stack: Stack) -> None:
    write(file.with_suffix(".new"), document(stack, "renamed"))
    os.replace(file.with_suffix(".new"), file)


def removed_and_written(file: Path, stack: Stack) -> None:
    file.unlink()
    write(file, document(stack, "renamed"))


@pytest.mark.parametrize("way", [in_place, renamed_over, removed_and_written], ids=lambda way: way.__name__)
async def test_a_change_of_the_file_is_noticed(
    stack: Stack, file: Path, way: Callable[[Path, Stack], None]
) -> None:
    await stack.engine()
    write(file, document(stack))
    async with running(f"--config={file}") as router:
        client = await router.client()
        assert (await client.ask(CHAT)).status == 200
        way(file, stack)
        await router.until("running configuration")
        assert (await client.ask(CHAT)).status == 404, "on the same connection, from its next request on"
        assert b'"renamed"' in (await client.ask(get("/v1/models"))).body
        client.close()


async def test_a_swap_of_links_as_a_kubelet_does_it_is_noticed(stack: Stack, tmp_path: Path) -> None:
    await stack.engine()
    for generation, name in (("..1", "chat"), ("..2", "renamed")):
        (tmp_path / generation).mkdir()
        write(tmp_path / generation / "router.yaml", document(stack, name))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "router.yaml").symlink_to("..data/router.yaml")
    async with running(f"--config={tmp_path / 'router.yaml'}") as router:
        assert (await router.ask(CHAT)).status == 200
        (tmp_path / "..data_tmp").symlink_to("..2")
        os.replace(tmp_path / "..data_tmp", tmp_path / "..data")
        await router.until("running configuration")
        assert (await router.ask(CHAT)).status == 404


async def test_a_bad_file_changes_nothing_and_is_told_of(stack: Stack, file: Path) -> None:
    await stack.engine()
    write(file, document(stack))
    async with running(f"--config={file}") as router:
        good = (await router.admin("/signals")).document["config"]
        write(file, {**document(stack, "other"), "surprise": 1})
        line = await router.until("configuration refused")
        assert "surprise: unknown field" in line
        signals = (await router.admin("/signals")).document
        assert (signals["config"], "surprise: unknown field" in signals["configError"]) == (good, True)
        metrics = (await router.admin("/metrics")).body
        assert b"pointsman_router_config_error 1.0" in metrics
        assert b"pointsman_router_config_refusals_total 1.0" in metrics
        assert await router.status("/readyz") == 200
        assert (await router.ask(CHAT)).status == 200
        file.unlink()
        assert "No such file" in await router.until("configuration refused")
        write(file, document(stack))
        await router.until("running configuration")
        assert (await router.admin("/signals")).document["configError"] == ""


async def test_sighup_reads_it_now_changed_or_not(stack: Stack, file: Path) -> None:
    await stack.engine()
    write(file, document(stack))
    async with running(f"--config={file}") as router:
        for _ in range(3):
            router.process.send_signal(signal.SIGHUP)
            await router.until("running configuration")
        router.process.send_signal(signal.SIGTERM)
        assert await router.ended() == 0


async def test_what_takes_a_restart_is_said(stack: Stack, file: Path) -> None:
    await stack.engine()
    write(file, document(stack))
    async with running(f"--config={file}") as router:
        write(
            file, document(stack), listen={"host": "127.0.0.1", "port": 1}, admin={"host": "::1", "port": 0}
        )
        said = await router.until("listen: changes only with a restart")
        assert "it is still 127.0.0.1, port 0" in said
        await router.until("admin: changes only with a restart")
        assert (await router.ask(CHAT)).status == 200


async def test_logs_and_times_change_while_it_runs(stack: Stack, file: Path) -> None:
    await stack.engine()
    write(file, document(stack), accessLog=False, drainSeconds=3600, logLevel="info")
    async with running(f"--config={file}") as router:
        await router.ask(CHAT)
        write(file, document(stack), accessLog=True, drainSeconds=0.1, logLevel="warning")
        idle = await router.client()
        await idle.send(b"GET ")  # would hold the drain up for an hour
        while not await logged(router):
            await router.ask(CHAT)
        router.process.send_signal(signal.SIGTERM)
        assert await router.ended() == 0
        assert not any("draining" in line for line in router.log), "nothing below a warning"
        idle.close()


async def logged(router: Running) -> bool:
    assert router.process.stdout is not None
    try:
        return b'"status":200' in await asyncio.wait_for(router.process.stdout.readline(), 0.2)
    except TimeoutError:
        return False


async def test_tls_is_turned_on_by_the_file_and_renewed(stack: Stack, file: Path, volume: Volume) -> None:
    await stack.engine()
    write(file, document(stack))
    async with running(f"--config={file}") as router:
        write(file, {**document(stack), "tls": volume.section})
        await router.until("configuration refused")
        assert (await router.ask(CHAT)).status == 200, "the last good one is in plain text"
        volume.put(*pair("first"))
        router.process.send_signal(signal.SIGHUP)
        await router.until("serving the certificate")
        volume.put(*pair("second"))
        await router.until("serving the certificate")
        streams = await asyncio.open_connection("127.0.0.1", router.port, ssl=anyone())
        client = RawClient(*streams)
        assert (await client.ask(CHAT)).status == 200
        client.close()


async def test_a_certificate_that_went_bad_holds_no_other_change_up(
    stack: Stack, file: Path, volume: Volume
) -> None:
    await stack.engine()
    volume.put(*pair("first"))
    write(file, {**document(stack), "tls": volume.section})
    async with running(f"--config={file}") as router:
        volume.put(b"", b"")
        await router.until("certificate refused")
        write(file, {**document(stack, "renamed"), "tls": volume.section})
        await router.until("running configuration")
        signals = (await router.admin("/signals")).document
        assert ("renamed" in signals["services"], signals["configError"]) == (True, "")
        assert "holds no certificate in PEM" in signals["tlsError"]


async def test_a_start_without_a_certificate_is_none(file: Path, volume: Volume) -> None:
    write(file, {"name": "x", "tls": volume.section})
    async with started(f"--config={file}") as router:
        assert await router.ended() == 2
        assert f"tls.certFile: {volume.tls.cert_file}: No such file" in router.log[-1]
