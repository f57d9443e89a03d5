"""kopf's watches on a real API server: events become keys, objects are left alone, gaps are found."""

from __future__ import annotations

import asyncio
import base64
import gc
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from e2e.cluster import ControlPlane, control_plane
from pointsman.api.names import (
    CONFIGMAP,
    DEPLOYMENT,
    FINALIZER,
    LLMMODEL,
    LLMROUTER,
    LLMSERVICE,
    Key,
    Resource,
)
from pointsman.app.metrics import Metrics
from pointsman.app.resync import Resync
from pointsman.app.watching import Watches
from pointsman.engine.queue import Priority
from pointsman.engine.triggers import OWN_KINDS, Triggers
from pointsman.kube import config
from pointsman.kube.client import AioKube
from tests.conformance.conftest import install_kinds
from tests.conformance.relay import Relay
from tests.conformance.stage import CRD, NAMESPACE, deployment_spec, obj

pytestmark = [
    pytest.mark.apiserver,
    # kopf leaves its sockets to the garbage collector when its loop ends; ours ends with the process.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

SPEC = {"model": {"source": {"uri": "file:///models/tiny"}}}
SOON_S = 20.0
"""Within which an event must have become a key, though a thousand left objects come first."""


@dataclass
class Desk:
    """Watches with their triggers, and the keys they gave."""

    kube: AioKube
    ns: str
    added: list[Key] = field(default_factory=list)
    shown: set[tuple[str, str]] = field(default_factory=set)
    """(namespace, name) of every object that any watch brought."""
    triggers: Triggers = field(init=False)

    def __post_init__(self) -> None:
        self.triggers = Triggers(self._add)

    def _add(self, key: Key, priority: Priority = Priority.NORMAL, after: float = 0.0) -> None:
        self.added.append(key)

    def key(self, resource: Resource, name: str) -> Key:
        return Key(resource.kind, self.ns, name)

    def seen(self, resource: Resource, kind: str | None, found: Mapping[str, Any]) -> None:
        whole = {**found, "apiVersion": resource.api_version, "kind": resource.kind}
        self.shown.add((found["metadata"]["namespace"], found["metadata"]["name"]))
        if resource in OWN_KINDS:
            self.triggers.own_event(kind, whole)
        else:
            self.triggers.child_event(kind, whole)

    async def expect(self, *keys: Key, within: float = SOON_S) -> None:
        """All of them, soon; and forgets what came."""
        try:
            await until(lambda: set(keys) <= set(self.added), within)
        except AssertionError:
            raise AssertionError(f"wanted {keys}, got {self.added}") from None
        self.added.clear()


@asynccontextmanager
async def desk(plane: ControlPlane, *, through: Relay | None = None) -> AsyncIterator[Desk]:
    """Watches that have had their first lists, over a namespace of their own."""
    configuration = await config.load(str(plane.kubeconfig))

    async def login() -> config.Access:
        access = await config.access(await config.load(str(plane.kubeconfig)))
        if through is None:
            return access
        return config.Access(
            server=f"https://127.0.0.1:{through.port}",
            ca_path=access.ca_path,
            certificate_path=access.certificate_path,
            private_key_path=access.private_key_path,
            token=access.token,
            verify=access.verify,
            tls_server_name=access.tls_server_name,
        )

    kube = AioKube(configuration, resources=(NAMESPACE, CRD))
    it = Desk(kube, f"watch-{secrets.token_hex(4)}")
    await install_kinds(kube)
    await kube.create(obj(NAMESPACE, None, it.ns))
    watches = Watches(login, it.seen, namespaces=())
    watches.start()
    try:
        # An object of each kind of watch shows when its first list is done.
        await kube.create(obj(LLMMODEL, it.ns, "first", spec={"source": {"uri": "file:///models/tiny"}}))
        await kube.create(obj(DEPLOYMENT, it.ns, "first", labels=child("first"), spec=deployment_spec()))
        await it.expect(it.key(LLMMODEL, "first"), it.key(LLMSERVICE, "first"), within=20)
        yield it
    finally:
        await watches.stop(15)
        await kube.close()
        gc.collect()


def child(service: str) -> dict[str, str]:
    return {"app.kubernetes.io/managed-by": "pointsman", "pointsman.dev/service": service}


async def until(holds: Callable[[], bool], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not holds():
        assert loop.time() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.02)


async def test_events_become_keys(apiserver: ControlPlane) -> None:
    async with desk(apiserver) as it:
        made = await it.kube.create(obj(LLMSERVICE, it.ns, "chat", spec=SPEC))
        await it.expect(it.key(LLMSERVICE, "chat"), it.key(LLMROUTER, "default"))
        await it.kube.create(obj(LLMROUTER, it.ns, "own", spec={}))
        await it.expect(it.key(LLMROUTER, "own"))
        await it.kube.create(obj(DEPLOYMENT, it.ns, "d", labels=child("chat"), spec=deployment_spec()))
        await it.expect(it.key(LLMSERVICE, "chat"))
        await it.kube.create(obj(DEPLOYMENT, it.ns, "foreign", spec=deployment_spec()))
        labels = {"app.kubernetes.io/managed-by": "pointsman", "pointsman.dev/router": "own"}
        await it.kube.create(obj(CONFIGMAP, it.ns, "c", labels=labels))
        await it.expect(it.key(LLMROUTER, "own"))
        assert (it.ns, "c") in it.shown
        assert (it.ns, "foreign") not in it.shown, "the server sends us what isn't ours"
        await it.kube.delete(LLMSERVICE, it.ns, "chat", uid=made["metadata"]["uid"])
        await it.expect(it.key(LLMSERVICE, "chat"), it.key(LLMROUTER, "default"))
        assert not it.triggers.knows(it.key(LLMSERVICE, "chat"))


async def test_a_child_deleted_by_hand_brings_its_owner(apiserver: ControlPlane) -> None:
    async with desk(apiserver) as it:
        made = await it.kube.create(obj(CONFIGMAP, it.ns, "c", labels=child("chat")))
        await it.expect(it.key(LLMSERVICE, "chat"))
        await it.kube.delete(CONFIGMAP, it.ns, "c", uid=made["metadata"]["uid"])
        await it.expect(it.key(LLMSERVICE, "chat"))


async def test_watching_writes_nothing_and_leaves_our_finalizer_on(apiserver: ControlPlane) -> None:
    async with desk(apiserver) as it:
        await it.kube.create(obj(LLMSERVICE, it.ns, "held", spec=SPEC, finalizers=[FINALIZER]))
        await it.expect(it.key(LLMSERVICE, "held"))
        before = await it.kube.get(LLMSERVICE, it.ns, "held")
        await asyncio.sleep(1.0)
        assert await it.kube.get(LLMSERVICE, it.ns, "held") == before
        assert before["metadata"]["finalizers"] == [FINALIZER]
        assert "annotations" not in before["metadata"]


@pytest.fixture
def own_server() -> Iterator[ControlPlane]:
    """A control plane that this test may take down."""
    with control_plane() as plane:
        yield plane


async def test_a_deletion_in_a_gap_that_ended_in_410_is_found_by_the_relist(own_server: ControlPlane) -> None:
    relay = Relay(own_server.place.ports.api)
    await relay.start()
    async with desk(own_server, through=relay) as it:
        made = [await it.kube.create(obj(LLMSERVICE, it.ns, name, spec=SPEC)) for name in ("gone", "stays")]
        await it.expect(it.key(LLMSERVICE, "gone"), it.key(LLMSERVICE, "stays"))
        relay.cut()
        await it.kube.delete(LLMSERVICE, it.ns, "gone", uid=made[0]["metadata"]["uid"])
        # The watch's version must be older than anything the server still has.
        await forget_history(own_server)
        await asyncio.to_thread(own_server.stop_api_server)
        await asyncio.to_thread(own_server.start_api_server)
        relay.mend()
        await it.kube.create(obj(LLMSERVICE, it.ns, "later", spec=SPEC))
        await it.expect(it.key(LLMSERVICE, "later"), within=30)
        assert it.triggers.knows(it.key(LLMSERVICE, "gone")), "a watch told of it: the gap was none"
        resync = Resync(it.kube, it.triggers, Metrics(), namespaces=(), seconds=600)
        assert it.key(LLMSERVICE, "gone") in await resync.once()
        assert not it.triggers.knows(it.key(LLMSERVICE, "gone"))
        await it.expect(it.key(LLMSERVICE, "gone"))
    await relay.stop()


async def forget_history(plane: ControlPlane) -> None:
    """Compacts etcd at its present revision, by its own HTTP gateway."""
    url = f"http://127.0.0.1:{plane.place.ports.etcd}/v3/kv"
    async with aiohttp.ClientSession() as session:
        key = base64.b64encode(b"/").decode()
        async with session.post(f"{url}/range", json={"key": key, "keys_only": True}) as response:
            revision = (await response.json())["header"]["revision"]
        async with session.post(
            f"{url}/compaction", json={"revision": revision, "physical": True}
        ) as response:
            assert response.status == 200, await response.text()
