"""From `kubectl apply` to what a client gets: the operator's passes, a real API server and a real router.

Pods don't run here, so an EndpointSlice of ours stands for the router's; its address leads to the process.
"""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from e2e.cluster import ControlPlane
from e2e.conditions import condition
from pointsman.api.names import DEPLOYMENT, ENDPOINTSLICE, LABEL_ROUTER, LLMROUTER, SERVICE, Key
from pointsman.engine.apply import Applier
from pointsman.engine.events import Recorder
from pointsman.engine.gather import Gatherer
from pointsman.engine.reconcile import Reconciler
from pointsman.kube.client import AioKube
from pointsman.kube.protocol import Conflict
from pointsman.signals.client import HttpSignals
from pointsman.signals.protocol import RawAnswer
from tests.conformance.conftest import install_kinds
from tests.conformance.stage import NAMESPACE, obj
from tests.conformance.test_operator import client, free_port
from tests.unit.core.build import SETTINGS

pytestmark = pytest.mark.apiserver

POD = "192.0.2.1"
"""An address that an EndpointSlice may hold; loopback is none."""


class Led(HttpSignals):
    """Asks the router's process where the pod is asked."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    async def read(self, addresses: Sequence[str]) -> list[RawAnswer]:
        return await super().read([f"127.0.0.1:{self._port}" for _ in addresses])


@dataclass
class World:
    """A namespace with an LLMRouter `front` and its one router."""

    kube: AioKube
    ns: str
    reconciler: Reconciler
    port: int

    async def declare(self, **spec: Any) -> None:
        """`kubectl apply` of the LLMRouter."""
        await self.kube.apply(obj(LLMROUTER, self.ns, "front", spec={"replicas": 1, **spec}), manager="user")

    async def told(self, reason: str, within: float = 20.0) -> str:
        """The message of Ready once it gives this reason, with passes meanwhile."""
        deadline = asyncio.get_running_loop().time() + within
        while True:
            try:
                await self.reconciler.reconcile(Key("LLMRouter", self.ns, "front"))
            except Conflict:  # the controller-manager was faster; the queue would come back too
                continue
            ready = condition(await self.kube.get(LLMROUTER, self.ns, "front"), "Ready")
            if ready.reason == reason:
                return ready.message
            assert asyncio.get_running_loop().time() < deadline, str(ready)
            await asyncio.sleep(0.1)

    async def post(self, size: int) -> int:
        """The status of a request with a body of this size."""
        url = f"http://127.0.0.1:{self.port}/v1/chat/completions"
        body = b'{"model": "none", "x": "%s"}' % (b"x" * size)
        async with aiohttp.ClientSession() as session, session.post(url, data=body) as response:
            return response.status

    async def template(self) -> Any:
        return (await self.kube.get(DEPLOYMENT, self.ns, "front-router"))["spec"]["template"]

    async def ports(self) -> list[tuple[str, int]]:
        service = await self.kube.get(SERVICE, self.ns, "front-router")
        return [(port["name"], port["port"]) for port in service["spec"]["ports"]]


@pytest.fixture
async def world(apiserver: ControlPlane, tmp_path: Path) -> AsyncIterator[World]:
    ns, public, admin = f"live-{secrets.token_hex(4)}", free_port(), free_port()
    async with client(apiserver) as kube:
        await install_kinds(kube)
        await kube.create(obj(NAMESPACE, None, ns))
        signals = Led(admin)
        reconciler = Reconciler(
            kube=kube,
            gatherer=Gatherer(kube, signals, SETTINGS),
            applier=Applier(kube),
            recorder=Recorder(kube, now=_now, instance="test"),
            now=_now,
        )
        world = World(kube, ns, reconciler, public)
        await world.declare()
        await world.told("RouterNotReady")
        await kube.create(_slice(ns, admin))
        router = _start(apiserver, ns, tmp_path, public, admin)
        try:
            yield world
        finally:
            router.kill()
            router.wait()
            await signals.close()


def _now() -> datetime:
    return datetime.now(UTC)


def _slice(ns: str, port: int) -> dict[str, Any]:
    return obj(
        ENDPOINTSLICE,
        ns,
        "by-hand",
        labels={"kubernetes.io/service-name": "front-router-admin", LABEL_ROUTER: "front"},
        addressType="IPv4",
        ports=[{"name": "admin", "port": port}],
        endpoints=[{"addresses": [POD], "conditions": {"ready": False}}],
    )


def _start(plane: ControlPlane, ns: str, folder: Path, public: int, admin: int) -> subprocess.Popen[bytes]:
    """The router, by the account and the permissions that the operator made for it."""
    token = folder / "token"
    token.write_text(plane.kubectl.run("create", "token", "front-router", f"--namespace={ns}"))
    command = [sys.executable, "-m", "pointsman_router", "cluster", "--config-map=front-router"]
    where = [f"--namespace={ns}", f"--api-server={plane.url}", f"--ca-file={plane.pki / 'ca.crt'}"]
    ports = [f"--token-file={token}", "--host=127.0.0.1", f"--port={public}", f"--admin-port={admin}"]
    with (folder / "router.log").open("wb") as log:
        return subprocess.Popen([*command, *where, *ports], stdout=log, stderr=log)


async def answers(world: World, size: int, status: int) -> None:
    """A request of this size gets this status, at the latest when the router has heard of it."""
    deadline = asyncio.get_running_loop().time() + 20
    got: int | str = "nothing"
    while True:
        try:
            got = await world.post(size)
        except aiohttp.ClientError as error:
            got = str(error)
        if got == status:
            return
        assert asyncio.get_running_loop().time() < deadline, got
        await asyncio.sleep(0.1)


async def test_a_limit_reaches_clients_and_goes_again_without_a_restart(world: World) -> None:
    before = await world.template()
    await answers(world, 2000, 404)
    await world.declare(limits={"maxBodyBytes": 1000})
    await world.told("RouterNotReady")
    await answers(world, 2000, 413)
    await world.declare()
    await world.told("RouterNotReady")
    await answers(world, 2000, 404)
    assert await world.template() == before


async def test_a_router_that_isnt_ready_says_which_certificate_it_lacks(world: World) -> None:
    before = await world.template()
    await answers(world, 10, 404)
    await world.declare(tls={})
    message = await world.told("CertificateUnavailable")
    assert "Secret 'front-router-tls'" in message
    assert "/etc/pointsman/tls/tls.crt" in message
    assert await world.ports() == [("https", 443)]
    assert await world.template() == before
    await world.declare(tls={"secretRef": {"name": "wildcard"}})
    assert "Secret 'wildcard'" in await world.told("CertificateUnavailable")
    assert await world.template() != before
    await world.declare()
    await world.told("RouterNotReady")
    assert await world.ports() == [("http", 80)]
    await answers(world, 10, 404)
    assert await world.template() == before
