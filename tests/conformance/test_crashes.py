"""The operator dies before or after a write, on the real API server: what comes after must not tell.

The same as in tests/simulation/faults, on fewer scenarios and every third write; `make test-crashes` strikes
every one, by POINTSMAN_CRASH_STRIDE=1. There is no kubelet: in most scenarios engines never come up, and all
that the operator itself does up to there, and its way out, is crashed through. Where `site` stands in for
kubelets and routers, it's a change of what serves: readiness, the shift of traffic, the old engines' end.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from e2e.cluster import ControlPlane
from pointsman.api import names
from pointsman.api.names import Key
from pointsman.engine.apply import Applier
from pointsman.engine.events import Recorder
from pointsman.engine.gather import Gatherer
from pointsman.engine.reconcile import Reconciler
from pointsman.kube import Conflict, Kube, NotFound, config
from pointsman.kube.client import AioKube
from pointsman.signals.twin import ScriptedSignals
from tests.conformance.conftest import install_kinds
from tests.conformance.site import Site
from tests.conformance.stage import CRD, NAMESPACE, obj
from tests.simulation.cluster import SETTINGS
from tests.simulation.faults.ending import End, differences, end_of_objects
from tests.simulation.faults.proxy import Carry, Crash, Proxied, Request
from tests.simulation.stories import CHAT, edited

pytestmark = pytest.mark.apiserver

KINDS = (
    "ConfigMap",
    "ControllerRevision",
    "Deployment",
    "LLMModel",
    "LLMRouter",
    "LLMService",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Role",
    "RoleBinding",
    "Service",
    "ServiceAccount",
)
THE_SERVERS = frozenset({"kube-root-ca.crt", "default"})
"""Objects that every namespace has. (The router called default is told apart by its kind.)"""
STRIDE = int(os.environ.get("POINTSMAN_CRASH_STRIDE", "3"))
"""Only every so many writes are struck."""
TOGETHER = 4
"""Runs at once, each in a namespace of its own."""
PATIENCE_S = 60.0


class Operator:
    """Passes for everything in one namespace, by a process that may die; then by the next one."""

    def __init__(
        self, kube: AioKube, ns: str, crash_at: int = 0, *, after: bool = False, site: Site | None = None
    ) -> None:
        self.writes = 0
        self._site = site
        self._kube, self._ns, self._crash_at, self._after = kube, ns, crash_at, after
        self._start()

    def _start(self) -> None:
        kube = Proxied(self._kube, self._happening)
        self._reconciler = Reconciler(
            kube=kube,
            gatherer=Gatherer(kube, self._site or ScriptedSignals(), SETTINGS),
            applier=Applier(kube),
            recorder=Recorder(kube, now=_now, instance="test"),
            now=_now,
        )

    async def _happening(self, request: Request, kube: Kube, carry: Carry) -> Any:
        if not request.writes:
            return await carry(kube)
        self.writes += 1
        if self.writes != self._crash_at:
            return await carry(kube)
        if self._after:
            await carry(kube)
        raise Crash

    async def settle(self) -> None:
        """Passes until two rounds of them have written nothing."""
        calm = 0
        while calm < 2:
            before = self.writes
            for key in await self._keys():
                try:
                    await self._reconciler.reconcile(key)
                except Crash:
                    self._start()
                except (Conflict, NotFound):
                    # Controllers write too; the queue would come back.
                    continue
            if self._site:
                await self._site.rest()
            calm = calm + 1 if self.writes == before else 0
            await asyncio.sleep(0.05)

    async def _keys(self) -> list[Key]:
        found = [Key("LLMRouter", self._ns, names.DEFAULT_ROUTER)]
        for resource in (names.LLMMODEL, names.LLMSERVICE, names.LLMROUTER):
            for listed in await self._kube.list(resource, self._ns):
                found.append(Key(resource.kind, self._ns, listed["metadata"]["name"]))
        return list(dict.fromkeys(found))


def _now() -> datetime:
    return datetime.now(UTC)


Deed = Callable[[AioKube, str], Awaitable[None]]


def applied(spec: Mapping[str, Any]) -> Deed:
    async def do(kube: AioKube, ns: str) -> None:
        await kube.apply(obj(names.LLMSERVICE, ns, "chat", spec=spec), manager="user")

    return do


async def deleted(kube: AioKube, ns: str) -> None:
    uid = (await kube.get(names.LLMSERVICE, ns, "chat"))["metadata"]["uid"]
    await kube.delete(names.LLMSERVICE, ns, "chat", uid=uid)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens before the operator may die, and what happens then."""

    before: tuple[Deed, ...]
    deed: Deed
    serves: bool = False
    """Whether pods come up and routers answer."""


SCENARIOS = {
    "a service is created": Scenario((), applied(CHAT)),
    "a service gets another model before it was ever ready, and more replicas": Scenario(
        (applied(CHAT),), applied(edited(engine={"maxModelLen": 1024}, replicas=2))
    ),
    "a service is deleted": Scenario((applied(CHAT),), deleted),
    "a service that serves gets other engines": Scenario(
        (applied(CHAT),), applied(edited(engine={"maxModelLen": 1024})), serves=True
    ),
}


@asynccontextmanager
async def namespace(plane: ControlPlane) -> AsyncIterator[tuple[AioKube, str]]:
    kube = AioKube(await config.load(str(plane.kubeconfig)), resources=(NAMESPACE, CRD))
    ns = f"crash-{secrets.token_hex(4)}"
    try:
        await install_kinds(kube)
        await kube.create(obj(NAMESPACE, None, ns))
        yield kube, ns
    finally:
        await kube.close()


async def run(
    plane: ControlPlane, scenario: Scenario, wanted: End | None, at: int, after: bool
) -> tuple[End, int]:
    """One run; its end (once it equals the one that is wanted, if it does), and the writes it took."""
    async with namespace(plane) as (kube, ns):
        site = Site(kube, ns) if scenario.serves else None
        for deed in scenario.before:
            await deed(kube, ns)
            await Operator(kube, ns, site=site).settle()
        operator = Operator(kube, ns, at, after=after, site=site)
        await scenario.deed(kube, ns)
        await operator.settle()
        assert at in (0, *range(1, operator.writes + 1)), "it never came to this write"
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            end = await end_of(kube, ns)
            late = asyncio.get_running_loop().time() > deadline
            if late or (end == wanted if wanted is not None else await rested(kube, ns, end)):
                return end, operator.writes
            await asyncio.sleep(0.2)
            await operator.settle()


async def rested(kube: AioKube, ns: str, end: End) -> bool:
    """Whether nothing changes any more, the garbage collector's work included: it may take half a minute to
    learn of our kinds."""
    if any("gone" in there["metadata"]["owners"] for there in end.values()):
        return False
    await asyncio.sleep(2.0)
    return await end_of(kube, ns) == end


async def end_of(kube: AioKube, ns: str) -> End:
    """What is there, without what controllers and the server itself put into it."""
    found = []
    for kind in KINDS:
        for listed in await kube.list(names.RESOURCES[kind], ns):
            if kind in ("ConfigMap", "ServiceAccount") and listed["metadata"]["name"] in THE_SERVERS:
                continue
            found.append(_plain(listed))
    # Every run has a namespace of its own.
    end: End = json.loads(json.dumps(end_of_objects(found)).replace(ns, "crash"))
    return end


def serving(end: End) -> bool:
    """Whether a run ended with a service that answers."""
    status = end.get("LLMService/chat", {}).get("status", {})
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))


def _plain(listed: dict[str, Any]) -> dict[str, Any]:
    if not listed["apiVersion"].startswith(names.GROUP):
        listed.pop("status", None)
    if listed["kind"] == "Service":
        listed["spec"] = {k: v for k, v in listed["spec"].items() if k not in ("clusterIP", "clusterIPs")}
    if listed["kind"] in ("Deployment", "ControllerRevision"):
        annotations = listed["metadata"].get("annotations", {})
        annotations.pop("deployment.kubernetes.io/revision", None)
    return listed


@pytest.mark.timeout(600)  # fifty runs, each with a namespace of its own
@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_crash_at_any_write_leaves_no_trace(apiserver: ControlPlane, name: str) -> None:
    scenario = SCENARIOS[name]
    wanted, writes = await run(apiserver, scenario, None, 0, False)
    assert serving(wanted) is scenario.serves
    gate = asyncio.Semaphore(TOGETHER)

    async def one(at: int, after: bool) -> list[str]:
        async with gate:
            end, _ = await run(apiserver, scenario, wanted, at, after)
        return [f"{'after' if after else 'before'} write {at}: {d}" for d in differences(wanted, end)]

    cases = [(at, after) for at in range(1, writes + 1, STRIDE) for after in (False, True)]
    told = await asyncio.gather(*(one(at, after) for at, after in cases))
    assert [line for lines in told for line in lines] == []
