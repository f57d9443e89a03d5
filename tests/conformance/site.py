"""What a namespace on the real API server lacks for anything to serve: kubelets, and routers' ports.

The server's own controllers make pods of Deployments. Here pods become ready, those of routers are found by
an EndpointSlice (its controller passes over pods without a node), and they run what their ConfigMap says.
Between two rounds of an operator everything comes to rest, so that one run takes the same writes as another.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pointsman.api import names
from pointsman.core import routing
from pointsman.core.conditions import timestamp
from pointsman.core.variant import Variant
from pointsman.kube import NotFound
from pointsman.kube.client import AioKube
from pointsman.signals.protocol import RawAnswer
from pointsman_router import config

PATIENCE_S = 60.0
ADDRESSES = itertools.count(1)
"""Of pods; other namespaces' controllers never see them."""


class Site:
    """One namespace. To an operator it is its `Signals`."""

    def __init__(self, kube: AioKube, ns: str) -> None:
        self._kube, self._ns = kube, ns

    async def rest(self) -> None:
        """Waits until every pod that is asked for is there and ready, and the controllers have said so."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not all(map(_is_rolled_out, await self._kube.list(names.DEPLOYMENT, self._ns))):
            assert asyncio.get_running_loop().time() < deadline, "the controllers don't come to rest"
            for pod in await self._pods():
                if not _is_ready(pod):
                    await self._start(pod)
            await asyncio.sleep(0.05)
        await self._publish()

    async def _publish(self) -> None:
        found: dict[str, list[str]] = {}
        for pod in await self._pods():
            router = pod["metadata"]["labels"].get(names.LABEL_ROUTER)
            if router and _is_ready(pod):
                found.setdefault(router, []).append(pod["status"]["podIP"])
        for router, addresses in found.items():
            await self._kube.apply(_slice(self._ns, router, sorted(addresses)), manager="site")

    async def _pods(self) -> list[Any]:
        found = await self._kube.list(names.POD, self._ns)
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    async def _start(self, pod: Any) -> None:
        """What a kubelet tells of a pod that runs."""
        number, moment = next(ADDRESSES), timestamp(datetime.now(UTC))
        address = f"10.77.{number // 250}.{number % 250 + 1}"
        conditions = [
            {"type": kind, "status": "True", "lastTransitionTime": moment}
            for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
        ]
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": moment,
            "conditions": conditions,
        }
        try:
            await self._kube.patch_status(
                names.POD, self._ns, pod["metadata"]["name"], status, resource_version=None
            )
        except NotFound:
            return

    # What a router's ports say.

    async def read(self, addresses: Sequence[str]) -> list[RawAnswer]:
        return [_answer(address, await self._signals(address)) for address in addresses]

    async def probe(self, address: str, service: str, variant: str | None = None) -> RawAnswer:
        running = await self._running_at(address)
        compiled = next((s for s in running.services if s.name == service), None) if running else None
        if compiled is None:
            return _answer(address, {"ok": False, "reason": "UnknownService", "message": "no such service"})
        chosen = next((v.name for v in compiled.variants if v.weight), "")
        told = {
            "ok": bool(chosen) and await self._engines(chosen) > 0,
            "service": service,
            "generation": compiled.generation,
            "hash": config.service_hash(compiled),
            "variant": chosen,
            "kind": "chat",
        }
        return _answer(address, told)

    async def models(self, address: str, *, tls: bool = False) -> RawAnswer:
        running = await self._running(address.partition(".")[0].removesuffix("-router"))
        listed = [model for s in running.services for model in s.model_names] if running else []
        return _answer(address, {"data": [{"id": model} for model in listed]} if running else None)

    async def _signals(self, address: str) -> dict[str, Any] | None:
        running = await self._running_at(address)
        if running is None:
            return None
        told = {}
        for service in running.services:
            variants = {v.name: {"ready": await self._engines(v.name)} for v in service.variants}
            told[service.name] = {"hash": config.service_hash(service), "variants": variants}
        understands = list(config.LATER_FIELDS)
        return {"config": config.config_hash(running), "understands": understands, "services": told}

    async def _running_at(self, address: str) -> config.RouterConfig | None:
        """What the router's pod with this address runs."""
        ip = address.rpartition(":")[0]
        found = [pod for pod in await self._pods() if _is_ready(pod) and pod["status"]["podIP"] == ip]
        return await self._running(found[0]["metadata"]["labels"][names.LABEL_ROUTER]) if found else None

    async def _running(self, router: str) -> config.RouterConfig | None:
        try:
            return routing.unpack(await self._kube.get(names.CONFIGMAP, self._ns, names.router_name(router)))
        except NotFound:
            return None

    async def _engines(self, variant: str) -> int:
        """Ready engines of a variant."""
        revision = Variant.parse(variant).revision
        labels = [pod["metadata"]["labels"] for pod in await self._pods() if _is_ready(pod)]
        return sum(
            at.get(names.LABEL_ROLE) == names.ROLE_ENGINE and at.get(names.LABEL_REVISION) == revision
            for at in labels
        )


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _is_rolled_out(deployment: Mapping[str, Any]) -> bool:
    metadata, wanted, status = (
        deployment["metadata"],
        deployment["spec"]["replicas"],
        deployment.get("status"),
    )
    told = status or {}
    counts = [told.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas")]
    return told.get("observedGeneration") == metadata["generation"] and counts == [wanted] * 3


def _slice(ns: str, router: str, addresses: Sequence[str]) -> dict[str, Any]:
    service = names.router_admin_name(router)
    labels = {
        names.LABEL_ROUTER: router,
        "kubernetes.io/service-name": service,
        "endpointslice.kubernetes.io/managed-by": "site",
    }
    return {
        "apiVersion": names.ENDPOINTSLICE.api_version,
        "kind": names.ENDPOINTSLICE.kind,
        "metadata": {"name": f"{service}-site", "namespace": ns, "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "admin", "port": names.PORT_ROUTER_ADMIN, "protocol": "TCP"}],
        "endpoints": [{"addresses": [one], "conditions": {"ready": True}} for one in addresses],
    }


def _answer(address: str, body: dict[str, Any] | None) -> RawAnswer:
    return {"address": address, "reachable": body is not None, "body": body or {}}
