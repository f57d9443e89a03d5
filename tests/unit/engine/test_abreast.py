"""LISTs never show less than was seen or done: by versions where they are known, else consistently."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pointsman.api.names import CONFIGMAP, SERVICE
from pointsman.engine.abreast import Abreast
from pointsman.kube.protocol import Conflict, Kube, Object, Objects, Retryable
from pointsman.kube.twin import MemoryKube
from tests.simulation.faults.proxy import Carry, Proxied, Request

NS = "team-a"


def config_map(name: str = "a", **data: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NS},
        "data": data,
    }


@pytest.fixture
def twin() -> MemoryKube:
    return MemoryKube()


@pytest.fixture
def kube(twin: MemoryKube) -> Abreast:
    return Abreast(twin)


async def known(kube: Abreast) -> int:
    """After one consistent LIST."""
    await kube.list(CONFIGMAP, NS)
    since = kube.since(CONFIGMAP)
    assert since is not None
    return since


async def test_nothing_is_known_before_a_consistent_list(kube: Abreast) -> None:
    written = await kube.create(config_map())
    assert kube.since(CONFIGMAP) is None
    assert await known(kube) == int(written["metadata"]["resourceVersion"])


async def test_own_writes_are_seen(kube: Abreast) -> None:
    await kube.create(config_map())
    await known(kube)
    for write in (
        kube.apply(config_map(k="1"), manager="pointsman"),
        kube.overwrite(config_map(k="2")),
        kube.create(config_map("b")),
    ):
        changed = await write
        assert kube.since(CONFIGMAP) == int(changed["metadata"]["resourceVersion"])


async def test_what_watches_and_reads_show_is_seen_and_never_gets_less(
    kube: Abreast, twin: MemoryKube
) -> None:
    await kube.create(config_map())
    before = await known(kube)
    theirs = await twin.edit(CONFIGMAP, NS, "a", {"data": {"k": "theirs"}})
    kube.saw(theirs)
    seen = int(theirs["metadata"]["resourceVersion"])
    kube.saw({**theirs, "metadata": {**theirs["metadata"], "resourceVersion": str(before)}})
    assert kube.since(CONFIGMAP) == seen
    later = await twin.edit(CONFIGMAP, NS, "a", {"data": {"k": "later"}})
    await kube.get(CONFIGMAP, NS, "a")
    assert kube.since(CONFIGMAP) == int(later["metadata"]["resourceVersion"])


async def test_a_version_that_is_no_number_is_passed_over(kube: Abreast) -> None:
    before = await known_after_one(kube)
    kube.saw({"kind": "ConfigMap", "metadata": {"name": "a", "resourceVersion": "v7"}})
    kube.saw({"kind": "ConfigMap", "metadata": {"name": "a"}})
    assert kube.since(CONFIGMAP) == before


async def known_after_one(kube: Abreast) -> int:
    await kube.create(config_map())
    return await known(kube)


async def test_kinds_are_told_apart(kube: Abreast) -> None:
    await known_after_one(kube)
    assert kube.since(SERVICE) is None


async def test_after_a_deletion_only_a_consistent_list_will_do(kube: Abreast) -> None:
    made = await kube.create(config_map())
    await known(kube)
    await kube.delete(CONFIGMAP, NS, "a", uid=made["metadata"]["uid"])
    assert kube.since(CONFIGMAP) is None
    kube.saw(config_map() | {"metadata": {"name": "a", "namespace": NS, "resourceVersion": "9"}})
    assert kube.since(CONFIGMAP) is None, "that event may be older than the deletion"
    await known(kube)


@pytest.mark.parametrize("error", [Retryable("timed out"), Conflict("modified"), asyncio.CancelledError()])
async def test_after_a_write_that_left_something_open_only_a_consistent_list_will_do(
    twin: MemoryKube, error: BaseException
) -> None:
    fail = False

    async def happening(request: Request, kube: Kube, carry: Carry) -> Any:
        answer = await carry(kube)
        if fail:
            raise error
        return answer

    kube = Abreast(Proxied(twin, happening))
    await known_after_one(kube)
    fail = True
    with pytest.raises(type(error)):
        await kube.apply(config_map(k="v"), manager="pointsman")
    fail = False
    assert kube.since(CONFIGMAP) is None
    await known(kube)


async def test_a_consistent_list_that_began_before_the_doubt_does_not_settle_it(twin: MemoryKube) -> None:
    answered = asyncio.Event()

    async def happening(request: Request, kube: Kube, carry: Carry) -> Any:
        answer = await carry(kube)
        if request.verb == "list":
            await answered.wait()
        return answer

    kube = Abreast(Proxied(twin, happening))
    made = await kube.create(config_map())
    early = asyncio.create_task(kube.list(CONFIGMAP, NS))
    await asyncio.sleep(0)
    await kube.delete(CONFIGMAP, NS, "a", uid=made["metadata"]["uid"])
    answered.set()
    assert len(await early) == 1
    assert kube.since(CONFIGMAP) is None


async def test_a_list_by_version_settles_no_doubt(kube: Abreast) -> None:
    made = await kube.create(config_map())
    since = await known(kube)
    await kube.delete(CONFIGMAP, NS, "a", uid=made["metadata"]["uid"])
    await kube.list(CONFIGMAP, NS, since=since)
    assert kube.since(CONFIGMAP) is None


async def test_a_server_that_lost_what_it_had_is_asked_what_it_has(kube: Abreast, twin: MemoryKube) -> None:
    await known_after_one(kube)
    kube.saw(config_map() | {"metadata": {"name": "a", "namespace": NS, "resourceVersion": "900"}})
    with pytest.raises(Retryable):
        await kube.list(CONFIGMAP, NS, since=kube.since(CONFIGMAP))
    assert kube.since(CONFIGMAP) is None
    assert await known(kube) == twin.store.version


async def test_an_empty_list_tells_its_version_too(kube: Abreast) -> None:
    await kube.create(config_map())
    await kube.list(SERVICE, NS)
    assert kube.since(SERVICE) == 1


def test_a_list_is_a_list() -> None:
    assert Objects([{"kind": "ConfigMap"}], 3) == [{"kind": "ConfigMap"}]
