"""Stand-ins for the Deployment controller with its kubelets, and for all routers, in one process.

`python -m bench.reconcile.standin URL PKI`. Every Deployment of ours gets the status that its controller
would give it: first that its pods are there, then, after their EndpointSlice, that they're ready. No pod
exists. Router pods speak the real protocol of the admin port and of the public one, from the ConfigMap that
the operator wrote and from the engines that are ready here.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from bench.reconcile import room
from bench.reconcile.api import Api, ApiError
from pointsman.api import names
from pointsman.core import routing
from pointsman_router import config

OURS = f"{names.LABEL_MANAGED_BY}={names.MANAGED_BY}"
At = tuple[str, str]
"""Namespace and name."""


@dataclass(slots=True)
class RouterPods:
    """The pods of one router, which all run the same."""

    running: config.RouterConfig
    hashes: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class StandIn:
    """Everything that runs in the cluster, as far as the operator can tell."""

    api: Api
    routers: dict[At, RouterPods] = field(default_factory=dict)
    ready: dict[At, list[str]] = field(default_factory=dict)
    """Addresses of ready pods, by their Deployment."""
    at: dict[str, At] = field(default_factory=dict)
    """The router whose pod has an address."""
    _handled: dict[str, int] = field(default_factory=dict)
    """The generation of each Deployment (by uid) that has been brought about."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _addresses: int = 0

    async def run_deployments(self) -> None:
        """Brings about every Deployment, for ever."""
        async for kind, obj in self.api.watch(names.DEPLOYMENT, OURS):
            metadata = obj["metadata"]
            uid, generation = metadata["uid"], metadata["generation"]
            if kind == "DELETED":
                self.ready.pop((metadata["namespace"], metadata["name"]), None)
            elif self._handled.get(uid, 0) < generation and not metadata.get("deletionTimestamp"):
                self._handled[uid] = generation
                task = asyncio.create_task(self._bring_about(obj))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def run_configurations(self) -> None:
        """Has routers take whatever their ConfigMap says, for ever."""
        async for kind, obj in self.api.watch(names.CONFIGMAP, OURS):
            metadata = obj["metadata"]
            at = (metadata["namespace"], metadata["labels"][names.LABEL_ROUTER])
            running = routing.unpack(obj)
            if kind == "DELETED" or running is None:
                self.routers.pop(at, None)
                continue
            hashes = {service.name: config.service_hash(service) for service in running.services}
            self.routers[at] = RouterPods(running, hashes)

    async def _bring_about(self, deployment: Mapping[str, Any]) -> None:
        metadata, wanted = deployment["metadata"], deployment["spec"]["replicas"]
        at = (metadata["namespace"], metadata["name"])
        had = self.ready.get(at, [])
        status = {
            "observedGeneration": metadata["generation"],
            "replicas": wanted,
            "updatedReplicas": wanted,
            "readyReplicas": min(len(had), wanted),
            "unavailableReplicas": max(wanted - len(had), 0) or None,
        }
        try:
            if wanted > len(had):
                await self._tell(at, status)
            pods = [*had[:wanted], *(self._address() for _ in range(wanted - len(had)))]
            await self._publish(deployment, pods)
            self.ready[at] = pods
            await self._tell(
                at,
                {**status, "readyReplicas": wanted, "availableReplicas": wanted, "unavailableReplicas": None},
            )
        except ApiError as error:
            if error.status != 404:  # a Deployment that is gone needs nothing
                print(f"{'/'.join(at)}: {error}", file=sys.stderr, flush=True)

    async def _tell(self, at: At, status: Mapping[str, Any]) -> None:
        await self.api.merge(names.DEPLOYMENT, *at, {"status": status}, "/status")

    async def _publish(self, deployment: Mapping[str, Any], addresses: list[str]) -> None:
        """The EndpointSlice that the pods' Service gets, with that Service's labels."""
        metadata = deployment["metadata"]
        labels, router = metadata["labels"], metadata["labels"].get(names.LABEL_ROUTER)
        if router:
            service, port = names.router_admin_name(router), ("admin", names.PORT_ROUTER_ADMIN)
            role: dict[str, str] = {}
            self.at |= dict.fromkeys(addresses, (metadata["namespace"], router))
        else:
            service = names.engine_name(labels[names.LABEL_SERVICE])
            role, port = {names.LABEL_ROLE: names.ROLE_ENGINE}, ("http", names.PORT_ENGINE)
        owner = names.LABEL_ROUTER if router else names.LABEL_SERVICE
        name = f"{metadata['name']}-pods"
        slice_ = {
            "apiVersion": names.ENDPOINTSLICE.api_version,
            "kind": names.ENDPOINTSLICE.kind,
            "metadata": {
                "name": name,
                "namespace": metadata["namespace"],
                "labels": {
                    names.LABEL_MANAGED_BY: names.MANAGED_BY,
                    names.LABEL_NAME: "pointsman",
                    owner: labels[owner],
                    **role,
                    "kubernetes.io/service-name": service,
                    "endpointslice.kubernetes.io/managed-by": "bench",
                },
                "ownerReferences": [_owner(deployment)],
            },
            "addressType": "IPv4",
            "ports": [{"name": port[0], "port": port[1], "protocol": "TCP"}],
            "endpoints": [{"addresses": [a], "conditions": {"ready": True}} for a in addresses],
        }
        await self.api.apply(names.ENDPOINTSLICE, metadata["namespace"], name, orjson.dumps(slice_))

    def _address(self) -> str:
        self._addresses += 1
        return room.pod_address(self._addresses)

    # What a router's ports say.

    def signals(self, address: str) -> dict[str, Any] | None:
        """`GET /signals` of the pod with this address; None where there is none."""
        at = self.at.get(address)
        pods = self.routers.get(at) if at else None
        if at is None or pods is None:
            return None
        return {
            "config": config.config_hash(pods.running),
            "configError": "",
            "understands": list(config.LATER_FIELDS),
            "tlsError": "",
            "services": {
                service.name: {
                    "hash": pods.hashes[service.name],
                    "variants": {v.name: self._variant(at[0], v.name) for v in service.variants},
                }
                for service in pods.running.services
            },
        }

    def probe(self, address: str, name: str) -> dict[str, Any]:
        """`POST /probe/<service>`."""
        at = self.at.get(address)
        pods = self.routers.get(at) if at else None
        service = next((s for s in pods.running.services if s.name == name), None) if pods else None
        if at is None or pods is None or service is None:
            return {"ok": False, "reason": "UnknownService", "message": f"there is no service {name!r}"}
        chosen = next((v.name for v in service.variants if v.weight), "")
        return {
            "ok": bool(self.ready.get((at[0], chosen))),
            "service": name,
            "generation": service.generation,
            "hash": pods.hashes[name],
            "variant": chosen,
            "kind": "chat",
            "seconds": 0.01,
        }

    def models(self, host: str) -> list[str]:
        """Names that `GET /v1/models` lists, by the name under which the router was asked."""
        router, _, rest = host.partition(".")
        pods = self.routers.get((rest.partition(".")[0], router.removesuffix("-router")))
        return [model for service in pods.running.services for model in service.model_names] if pods else []

    def _variant(self, namespace: str, revision: str) -> dict[str, Any]:
        addresses = self.ready.get((namespace, revision), [])
        engines = [
            {"pod": f"{revision}-{n}", "address": address, "ready": True, "ejected": False, "inFlight": 0}
            | {
                "phase": "Ready",
                "bytesLoaded": 0,
                "bytesTotal": 0,
                "timings": {},
                "reason": "",
                "message": "",
            }
            for n, address in enumerate(addresses)
        ]
        quiet = dict.fromkeys(("ejected", "inFlight", "queued", "requests", "errors"), 0)
        return {"endpoints": len(engines), "ready": len(engines), **quiet, "engines": engines}


def _owner(obj: Mapping[str, Any]) -> dict[str, Any]:
    of = names.DEPLOYMENT
    return {
        "apiVersion": of.api_version,
        "kind": of.kind,
        "name": obj["metadata"]["name"],
        "uid": obj["metadata"]["uid"],
        "controller": True,
    }


def application(standin: StandIn) -> web.Application:
    """Both ports of all router pods: which pod is asked stands in the connection's own address."""

    def pod(request: web.Request) -> str:
        assert request.transport is not None
        return str(request.transport.get_extra_info("sockname")[0])

    async def signals(request: web.Request) -> web.Response:
        told = standin.signals(pod(request))
        return _json(told if told is not None else {}, 503 if told is None else 200)

    async def probe(request: web.Request) -> web.Response:
        told = standin.probe(pod(request), request.match_info["service"])
        return _json(told, 200 if told["ok"] else 503)

    async def models(request: web.Request) -> web.Response:
        return _json({"data": [{"id": model} for model in standin.models(request.host)]}, 200)

    app = web.Application()
    app.router.add_get("/signals", signals)
    app.router.add_post("/probe/{service}", probe)
    app.router.add_get("/v1/models", models)
    return app


def _json(document: Mapping[str, Any], status: int) -> web.Response:
    return web.Response(body=orjson.dumps(document), status=status, content_type="application/json")


async def run(url: str, pki: Path) -> None:
    """Stands in until the process is ended."""
    async with Api(url, pki) as api:
        standin = StandIn(api)
        runner = web.AppRunner(application(standin), access_log=None)
        await runner.setup()
        for port in (names.PORT_ROUTER_ADMIN, names.PORT_ROUTER_PUBLIC):
            await web.TCPSite(runner, "0.0.0.0", port, backlog=1024).start()
        await asyncio.gather(standin.run_deployments(), standin.run_configurations())


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], Path(sys.argv[2])))
