"""The certificate changes, comes late, goes bad, or TLS is turned on and off: while clients are there."""

import asyncio
import os
from collections.abc import Callable

import orjson
import pytest

from pointsman_router.telling.admin import Admin
from tests.router.alone.certificates import Volume, pair
from tests.router.alone.serving import Serving
from tests.router.engine import event, gated
from tests.router.stack import CHAT, STREAM, Stack, eventually

FIRST, SECOND = pair("first"), pair("second")


def swap(volume: Volume) -> None:
    volume.put(*SECOND)


def rename(volume: Volume) -> None:
    for name, content in zip(("tls.crt", "tls.key"), SECOND, strict=True):
        new = volume.folder / "new"
        new.write_bytes(content)
        os.replace(new, volume.folder / name)


def overwrite(volume: Volume) -> None:
    """In place, and as clients of ACME do it: one file after the other."""
    for name, content in zip(("tls.crt", "tls.key"), SECOND, strict=True):
        (volume.folder / name).write_bytes(content)


@pytest.mark.parametrize("way", [swap, rename, overwrite], ids=lambda way: way.__name__)
async def test_a_new_certificate_is_shown_to_new_connections(
    serving: Serving, volume: Volume, way: Callable[[Volume], None]
) -> None:
    volume.put(*FIRST)
    await serving.start(tls=volume.section)
    before = await serving.client()
    assert await serving.certificate() == "first"
    way(volume)
    await serving.becomes("second")
    assert (await before.ask(CHAT)).status == 200, "connections that were there stay"
    assert serving.router.tls_error == ""


async def test_a_stream_outlives_the_change_of_its_certificate(
    serving: Serving, stack: Stack, volume: Volume
) -> None:
    gate = asyncio.Event()
    stack.engines[0].script = gated(gate)
    volume.put(*FIRST)
    await serving.start(tls=volume.section)
    client = await serving.client()
    await client.send(STREAM)
    await client.head()
    await client.chunk()
    volume.put(*SECOND)
    await serving.becomes("second")
    serving.apply()
    await eventually(lambda: serving.router.tls_error == "")
    gate.set()
    assert await client.chunk() == event(b"[DONE]")


async def test_a_bad_pair_changes_nothing_and_is_told_of(serving: Serving, volume: Volume) -> None:
    volume.put(*FIRST)
    await serving.start(tls=volume.section)
    volume.put(SECOND[0], FIRST[1])
    await eventually(lambda: "isn't the key of the certificate" in serving.router.tls_error)
    assert serving.router.ready
    assert await serving.certificate() == "first"
    volume.put(*SECOND)
    await serving.becomes("second")
    await eventually(lambda: not serving.router.tls_error)


async def test_files_that_vanish_change_nothing_and_are_told_of(serving: Serving, volume: Volume) -> None:
    volume.put(*FIRST)
    await serving.start(tls=volume.section)
    volume.empty()
    await eventually(lambda: serving.router.tls_error)
    assert serving.router.tls_error == f"tls.certFile: {volume.tls.cert_file}: No such file or directory"
    assert await serving.certificate() == "first"
    volume.put(*SECOND)
    await serving.becomes("second")


async def test_other_files_that_are_bad_do_not_take_the_good_certificate_away(
    serving: Serving, volume: Volume
) -> None:
    volume.put(*FIRST)
    await serving.start(tls=volume.section)
    serving.apply(tls={"certFile": "/nowhere/a", "keyFile": "/nowhere/b"})
    await eventually(lambda: serving.router.tls_error)
    assert await serving.certificate() == "first"


async def test_without_a_certificate_nothing_is_answered_until_there_is_one(
    serving: Serving, stack: Stack, volume: Volume
) -> None:
    await serving.start(tls=volume.section)
    why = f"tls.certFile: {volume.tls.cert_file}: No such file or directory"
    assert (serving.router.ready, serving.router.closed_because) == (False, why)
    with pytest.raises(ConnectionRefusedError):
        await serving.plain()
    volume.put(*FIRST)
    await eventually(lambda: serving.router.ready)
    assert await serving.certificate() == "first"


async def test_tls_is_asked_for_where_there_is_no_certificate(serving: Serving, volume: Volume) -> None:
    await serving.start()
    before = await serving.plain()
    assert (await before.ask(CHAT)).status == 200
    serving.apply(tls=volume.section)
    assert await before.closed(), "nothing more in plain text"
    assert not serving.router.ready
    with pytest.raises(ConnectionRefusedError):
        await serving.plain()
    serving.apply()
    await eventually(lambda: serving.router.ready)
    assert (await (await serving.plain()).ask(CHAT)).status == 200


async def test_tls_is_turned_on_and_off_and_the_port_never_refuses(
    serving: Serving, stack: Stack, volume: Volume
) -> None:
    volume.put(*FIRST)
    await serving.start()
    refused = []

    async def knock() -> None:
        while True:
            try:
                (await serving.plain()).close()
            except OSError as error:
                refused.append(error)
            await asyncio.sleep(0)

    knocking = asyncio.create_task(knock())
    for _ in range(3):
        old = await serving.plain()
        assert (await old.ask(CHAT)).status == 200
        serving.apply(tls=volume.section)
        assert await old.closed(), "what is idle in plain text ends"
        secured = await serving.client()
        assert (await secured.ask(CHAT)).status == 200
        serving.apply()
        assert await secured.closed(), "and what is idle over TLS"
    knocking.cancel()
    assert refused == []


async def test_signals_metrics_and_readiness_say_what_is_wrong(
    serving: Serving, stack: Stack, volume: Volume
) -> None:
    await serving.start(tls=volume.section)
    why = f"tls.certFile: {volume.tls.cert_file}: No such file or directory"
    assert await asked(stack, "/readyz") == (503, why.encode() + b"\n")
    assert orjson.loads((await asked(stack, "/signals"))[1])["tlsError"] == why
    assert b"pointsman_router_tls_error 1.0" in (await asked(stack, "/metrics"))[1]
    volume.put(*FIRST)
    await eventually(lambda: serving.router.ready)
    assert await asked(stack, "/readyz") == (200, b"ready\n")
    assert orjson.loads((await asked(stack, "/signals"))[1])["tlsError"] == ""
    assert b"pointsman_router_tls_error 0.0" in (await asked(stack, "/metrics"))[1]


async def asked(stack: Stack, path: str) -> tuple[int, bytes]:
    """What the admin port answers."""
    status, _, body = await Admin(stack.router, dict).answer("GET", path, "")
    return status, body
