"""Routers in the simulated cluster: their admin ports, and the configuration that they run."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pointsman.api import names
from pointsman.core import routing
from pointsman_router import config
from tests.simulation.measuring import Measuring

if TYPE_CHECKING:
    from tests.simulation.cluster import Cluster


class StandInRouters:
    """Routers' admin ports: they run whatever their ConfigMap says, as soon as it is there."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.deaf = False
        """While set, routers keep the configuration they have."""
        self.cut_off: dict[str, Mapping[str, Any]] = {}
        """Further routers that hear nothing any more, by their addresses, and what they tell."""
        self.broken: set[str] = set()
        """Services whose probe fails."""
        self.hasty = False
        """While set, probes are answered under a configuration that doesn't hold any more."""
        self.told: dict[str, list[Mapping[str, Any]]] = {}
        """What the engines of a revision tell of themselves."""
        self.certified = True
        """Whether the Secrets that certificates are asked of are there."""
        self.understands = list(config.LATER_FIELDS)
        """Later fields of the configuration that they know."""
        self.measuring = Measuring()
        """What they count of variants that are compared."""
        self._running: dict[str, config.RouterConfig] = {}

    async def read(self, addresses: Sequence[str]) -> list[Any]:
        told = {address: self._signals(address) for address in addresses} | (
            self.cut_off if addresses else {}
        )
        return [{"address": address, "reachable": True, "body": body} for address, body in told.items()]

    async def probe(self, address: str, service: str, variant: str | None = None) -> Any:
        compiled = self._service(address, service)
        if compiled is None or service in self.broken:
            body: dict[str, Any] = {"ok": False, "reason": "EngineError", "message": "no answer"}
        else:
            chosen = next((v.name for v in compiled.variants if v.weight), "")
            body = {
                "ok": bool(chosen) and self._cluster.ready_pods(_revision(chosen)) > 0,
                "service": service,
                "generation": compiled.generation,
                "hash": "" if self.hasty else config.service_hash(compiled),
                "variant": chosen,
                "kind": "chat",
            }
        return {"address": address, "reachable": True, "body": body}

    async def models(self, address: str, *, tls: bool = False) -> Any:
        name, _, port = address.partition(".team-a.svc:")
        running = self.running(name.removesuffix("-router"))
        ports = [p["port"] for p in self._cluster.find("Service", name)["spec"]["ports"]]
        if tls != bool(running.tls.cert_file) or not self.fit(running.name) or ports != [int(port)]:
            return {"address": address, "reachable": False, "body": {}}
        listed = [m for s in running.services for m in s.model_names]
        return {"address": address, "reachable": True, "body": {"data": [{"id": m} for m in listed]}}

    def fit(self, router: str) -> bool:
        """Whether a router takes requests: one that is to speak TLS needs its certificate."""
        return self.certified or not self.running(router).tls.cert_file

    def running(self, router: str) -> config.RouterConfig:
        """The configuration that a router's pods run now."""
        if not self.deaf or router not in self._running:
            stored = self._cluster.find("ConfigMap", names.router_name(router))
            self._running[router] = _unpacked(stored) or config.RouterConfig(router)
        return self._running[router]

    def known(self) -> list[str]:
        """Routers that were asked for anything so far."""
        return sorted(self._running)

    def run(self, running: Mapping[str, config.RouterConfig]) -> None:
        """Begins with these configurations."""
        self._running = dict(running)

    def _service(self, address: str, name: str) -> config.Service | None:
        router = address.split(":")[0]
        return next((s for s in self.running(router).services if s.name == name), None)

    def _signals(self, address: str) -> Mapping[str, Any]:
        running = self.running(address.split(":")[0])
        whole, hashes = _hashed(running)
        return {
            "config": whole,
            "understands": self.understands,
            "tlsError": "" if self.fit(running.name) else f"{running.tls.cert_file}: no such file",
            "services": {
                s.name: {
                    "hash": hashes[s.name],
                    "analysis": self.measuring.told(address, s, self._cluster.now),
                    "variants": {
                        v.name: {
                            "endpoints": 1,
                            "ready": self._cluster.ready_pods(_revision(v.name)),
                            "engines": self.told.get(v.name, []),
                        }
                        for v in s.variants
                    },
                }
                for s in running.services
            },
        }


def _revision(variant: str) -> str:
    """The engines of a variant."""
    return variant.partition(".")[0]


def _unpacked(config_map: Any) -> config.RouterConfig | None:
    return _unpacked_of(json.dumps((config_map or {}).get("binaryData"), sort_keys=True))


@functools.lru_cache(maxsize=1024)
def _unpacked_of(data: str) -> config.RouterConfig | None:
    return routing.unpack({"binaryData": json.loads(data)})


_HASHES: dict[int, tuple[config.RouterConfig, str, dict[str, str]]] = {}


def _hashed(running: config.RouterConfig) -> tuple[str, dict[str, str]]:
    """A configuration's hash and its services'; each is asked for in every pass, and made once."""
    known = _HASHES.get(id(running))
    if known is None or known[0] is not running:
        hashes = {s.name: config.service_hash(s) for s in running.services}
        _HASHES[id(running)] = known = (running, config.config_hash(running), hashes)
    return known[1:]
