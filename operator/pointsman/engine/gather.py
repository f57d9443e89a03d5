"""From a key to a World: every read of a pass, and nothing but reads.

LISTs are consistent (no resourceVersion=0) and narrowed by our labels. What costs more is read only when the
World so far asks for it: pods while something isn't as it should be, their events while a volume is awaited,
a probe while a generation is unproven. Whether it does is decided in `core`, not here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from pydantic import ValidationError

from pointsman.api import names
from pointsman.api.common import Base, ObjectMeta
from pointsman.api.model import LLMModel
from pointsman.api.router import LLMRouter, RouterSpec
from pointsman.api.service import LLMService
from pointsman.core import inventory, observed, owned, routing
from pointsman.core import router as router_core
from pointsman.core import service as service_core
from pointsman.core.capacity import Room, survey
from pointsman.core.observed import ProbeResult, RouterSignals
from pointsman.core.settings import Settings
from pointsman.core.world import Manifest, Missing, ModelWorld, RouterWorld, ServiceWorld
from pointsman.engine.together import Together
from pointsman.kube.protocol import Forbidden, Kube, NotFound
from pointsman.signals.protocol import Signals

Kind = TypeVar("Kind", LLMService, LLMModel, LLMRouter)


LABEL_SLICE_OF = "kubernetes.io/service-name"
"""Label of an EndpointSlice that names its Service."""

CACHED_OBJECTS = 20_000
"""How many parsed objects are kept before all are dropped."""

SURVEY_AGE = timedelta(seconds=10)
"""How old a look at all nodes and pods may be."""


class Unreadable(Exception):
    """A stored object breaks a rule of today's API; only its metadata can be relied on."""

    def __init__(self, raw: Manifest, message: str) -> None:
        super().__init__(message)
        self.raw = raw
        self.message = message


@dataclass(frozen=True, slots=True)
class AdminPorts:
    """`ip:port` of the admin port of each of a router's pods."""

    ready: Sequence[str]
    """Of those that take requests."""
    unready: Sequence[str]
    """Of those that don't, and aren't on their way out."""


NO_PORTS = AdminPorts((), ())


@dataclass(frozen=True, slots=True)
class Services:
    """The LLMServices of a namespace, from one read."""

    raw: Mapping[str, Manifest]
    """All of them, by name."""
    readable: Sequence[LLMService]
    unreadable: Sequence[ObjectMeta]
    """Those that can't be read and aren't on their way out."""


@dataclass(slots=True)
class Gatherer:
    """Reads Worlds. Holds no state but a cache of parsed objects, which may be dropped at any time.

    What concerns a whole namespace is read once for all passes that ask for it at the same time.
    """

    kube: Kube
    signals: Signals
    settings: Settings
    _parsed: dict[str, tuple[str, Base]] = field(default_factory=dict)
    _together: Together = field(default_factory=Together)
    _surveyed: tuple[datetime, Sequence[Room]] | None = None

    async def service(self, key: names.Key, now: datetime) -> tuple[ServiceWorld, Manifest] | None:
        """The World of one LLMService and the raw object; None where it is gone. Raises Unreadable."""
        labels = f"{names.LABEL_SERVICE}={key.name}"
        services, routers, ports, children = await asyncio.gather(
            self._services(key.namespace),
            self._routers(key.namespace),
            self._admin_ports(key.namespace),
            self._children(key, inventory.SERVICE_KINDS, labels),
        )
        raw = services.raw.get(key.name)
        if raw is None:
            return None
        service = self._parse(LLMService, raw)
        router = self._router(service, routers)
        router_name = routing.destined_router(service, exists=not isinstance(router, Missing))
        addresses = ports.get(router_name, NO_PORTS).ready
        model, signals = await asyncio.gather(self._model(service), self._signals(addresses))
        world = ServiceWorld(
            now=now,
            settings=self.settings,
            service=service,
            model=model,
            router=router,
            peers=services.readable,
            owned=_owned(children, service.metadata),
            signals=signals,
        )
        return await self._closer_look(world, addresses), raw

    async def router(self, key: names.Key, now: datetime) -> tuple[RouterWorld, Manifest | None]:
        """The World of one LLMRouter, which may not exist (yet), and the raw object. Raises Unreadable."""
        labels = f"{names.LABEL_ROUTER}={key.name}"
        services, routers, ports, children = await asyncio.gather(
            self._services(key.namespace),
            self._routers(key.namespace),
            self._admin_ports(key.namespace),
            self._children(key, inventory.ROUTER_KINDS, labels),
        )
        world = RouterWorld(
            now,
            self.settings,
            key.namespace,
            key.name,
            services=services.readable,
            unreadable=services.unreadable,
        )
        raw = routers.get(key.name)
        if raw is None:
            return world, None
        router, at = self._parse(LLMRouter, raw), ports.get(key.name, NO_PORTS)
        signals, unready = await asyncio.gather(self._signals(at.ready), self._signals(at.unready))
        owned = _owned(children, router.metadata)
        world = replace(world, router=router, owned=owned, signals=signals, unready=unready)
        if router_core.wants_pods(world):
            world = replace(world, pods=await self.kube.list(names.POD, key.namespace, labels=labels))
        events = await self._events(key.namespace, router_core.wanted_events(world))
        return replace(world, pod_events=events), raw

    async def model(self, key: names.Key, now: datetime) -> tuple[ModelWorld, Manifest] | None:
        """The World of one LLMModel and the raw object; None where it is gone. Raises Unreadable."""
        raw, services = await asyncio.gather(
            self._get(names.LLMMODEL, key.namespace, key.name), self._services(key.namespace)
        )
        return (ModelWorld(now, self._parse(LLMModel, raw), services.readable), raw) if raw else None

    async def unlisted(self, desired: Iterable[Manifest], children: Sequence[Manifest]) -> list[Manifest]:
        """Objects that already bear a desired child's name and weren't listed as children: somebody else's,
        or ours with a label that a hand took away."""
        known = {(c["kind"], c["metadata"]["name"]) for c in children}
        unseen = [m for m in desired if (m["kind"], m["metadata"]["name"]) not in known]
        found = await asyncio.gather(
            *(
                self._get(names.RESOURCES[m["kind"]], m["metadata"]["namespace"], m["metadata"]["name"])
                for m in unseen
                if names.RESOURCES[m["kind"]] != names.LLMROUTER
            )
        )
        return [raw for raw in found if raw is not None]

    async def users_of_model(self, key: names.Key) -> list[names.Key]:
        """Services that refer to an LLMModel, whether or not it exists."""
        return [
            names.Key("LLMService", key.namespace, s.metadata.name)
            for s in (await self._services(key.namespace)).readable
            if s.spec.model_ref and s.spec.model_ref.name == key.name
        ]

    async def _closer_look(self, world: ServiceWorld, addresses: Sequence[str]) -> ServiceWorld:
        meta = world.service.metadata
        if service_core.wants_pods(world):
            pods = await self.kube.list(
                names.POD, meta.namespace, labels=f"{names.LABEL_SERVICE}={meta.name}"
            )
            world = replace(world, pods=pods)
        events = await self._events(meta.namespace, service_core.wanted_events(world))
        world = replace(world, pod_events=events)
        if service_core.wants_rooms(world):
            world = replace(world, rooms=await self._rooms(world.now))
        if addresses and service_core.wants_probe(world):
            world = replace(world, probe=await self._probe(world, addresses))
        return world

    async def _events(self, namespace: str, kinds: Sequence[str]) -> Sequence[Manifest]:
        """Warnings about objects of these kinds."""
        fields = [f"involvedObject.kind={kind},type=Warning" for kind in kinds]
        lists = [await self.kube.list(names.CORE_EVENT, namespace, fields=field) for field in fields]
        return [event for listed in lists for event in listed]

    async def _rooms(self, now: datetime) -> Sequence[Room]:
        """What the cluster has room for, at most SURVEY_AGE old: one look serves all that wait."""
        if self._surveyed is None or now - self._surveyed[0] >= SURVEY_AGE:
            self._surveyed = now, await self._together.read(names.NODE, self._survey)
        return self._surveyed[1]

    async def _survey(self) -> Sequence[Room]:
        try:
            nodes, pods = await asyncio.gather(
                self.kube.list(names.NODE, None),
                self.kube.list(names.POD, None, fields="status.phase!=Succeeded,status.phase!=Failed"),
            )
        except Forbidden:
            # Not granted, or not any more: the scheduler's own account must do.
            return ()
        return survey(nodes, pods)

    async def _probe(self, world: ServiceWorld, addresses: Sequence[str]) -> ProbeResult:
        """One request through a router's stages, and a look through the Service: both ways must be open."""
        meta = world.service.metadata
        result = observed.parse_probe(await self.signals.probe(addresses[0], meta.name))
        if not result.ok:
            return result
        router = routing.router_of(world.service)
        front = await self._front(world, router)
        way_in = f"{names.router_name(router)}.{meta.namespace}.svc:{routing.public_port(front)}"
        listed = observed.parse_models(await self.signals.models(way_in, tls=front.tls is not None))
        wanted = set(routing.granted(world.service, world.peers))
        if listed is not None and wanted <= listed:
            return result
        return replace(
            result, ok=False, reason="WayInClosed", message="the router's Service does not list the model"
        )

    async def _front(self, world: ServiceWorld, router: str) -> RouterSpec:
        """The spec of the router that has the service, which needn't be the one that it asks for."""
        known = world.router
        if isinstance(known, LLMRouter) and known.metadata.name == router:
            return known.spec
        raw = await self._get(names.LLMROUTER, world.service.metadata.namespace, router)
        return self._parse(LLMRouter, raw).spec if raw else RouterSpec()

    async def _model(self, service: LLMService) -> LLMModel | Missing | None:
        if service.spec.model_ref is None:
            return None
        name = service.spec.model_ref.name
        raw = await self._get(names.LLMMODEL, service.metadata.namespace, name)
        if raw is None or raw["metadata"].get("deletionTimestamp"):
            return Missing(names.LLMMODEL.kind, name)
        return self._parse(LLMModel, raw)

    def _router(self, service: LLMService, routers: Mapping[str, Manifest]) -> LLMRouter | Missing | None:
        name = routing.wanted_router(service)
        if name in routers:
            return self._parse(LLMRouter, routers[name])
        return None if service.spec.router_ref is None else Missing(names.LLMROUTER.kind, name)

    async def _services(self, namespace: str) -> Services:
        """All LLMServices of a namespace; one that can't be read claims nothing."""

        async def read() -> Services:
            listed = await self.kube.list(names.LLMSERVICE, namespace)
            readable, unreadable = [], []
            for raw in listed:
                try:
                    readable.append(self._parse(LLMService, raw))
                except Unreadable:
                    unreadable.append(ObjectMeta.model_validate(raw["metadata"]))
            staying = [meta for meta in unreadable if not meta.deletion_timestamp]
            return Services({raw["metadata"]["name"]: raw for raw in listed}, readable, staying)

        return await self._together.read((names.LLMSERVICE, namespace), read)

    async def _routers(self, namespace: str) -> Mapping[str, Manifest]:
        """All LLMRouters of a namespace by name."""

        async def read() -> Mapping[str, Manifest]:
            listed = await self.kube.list(names.LLMROUTER, namespace)
            return {raw["metadata"]["name"]: raw for raw in listed}

        return await self._together.read((names.LLMROUTER, namespace), read)

    async def _children(self, key: names.Key, kinds: Sequence[str], labels: str) -> list[Manifest]:
        lists = await asyncio.gather(
            *(self.kube.list(names.RESOURCES[kind], key.namespace, labels=labels) for kind in kinds)
        )
        return [child for children in lists for child in children]

    async def _admin_ports(self, namespace: str) -> Mapping[str, AdminPorts]:
        """Where the admin ports of all pods of each of a namespace's routers are."""

        async def read() -> Mapping[str, AdminPorts]:
            # EndpointSlices bear the labels of their Service, so routers' can be told from engines'.
            slices = await self.kube.list(names.ENDPOINTSLICE, namespace, labels=names.LABEL_ROUTER)
            routers = {part["metadata"]["labels"][names.LABEL_ROUTER] for part in slices}
            return {router: _admin_ports(router, slices) for router in routers}

        return await self._together.read((names.ENDPOINTSLICE, namespace), read)

    async def _signals(self, addresses: Sequence[str]) -> list[RouterSignals]:
        if not addresses:
            return []

        async def read() -> list[RouterSignals]:
            return [observed.parse_signals(raw) for raw in await self.signals.read(addresses)]

        return await self._together.read(("signals", *addresses), read)

    async def _get(self, resource: names.Resource, namespace: str, name: str) -> Manifest | None:
        try:
            return await self.kube.get(resource, namespace, name)
        except NotFound:
            return None

    def _parse(self, kind: type[Kind], raw: Manifest) -> Kind:
        """The typed object; parsing every peer anew in every pass would cost more than reading them."""
        uid, version = raw["metadata"]["uid"], raw["metadata"]["resourceVersion"]
        known = self._parsed.get(uid)
        if known is not None and known[0] == version:
            return known[1]  # type: ignore[return-value]
        parsed = _validated(kind, raw)
        if len(self._parsed) >= CACHED_OBJECTS:
            self._parsed.clear()
        self._parsed[uid] = (version, parsed)
        return parsed


def _validated(kind: type[Kind], raw: Manifest) -> Kind:
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unreadable(raw, f"{where}: {first['msg']}") from None


def _owned(children: Iterable[Manifest], meta: ObjectMeta) -> list[Manifest]:
    return [child for child in children if owned.is_owned(child, meta.uid)]


def _admin_ports(router: str, slices: Iterable[Manifest]) -> AdminPorts:
    service = names.router_admin_name(router)
    found = [
        (f"{address}:{port['port']}", endpoint.get("conditions") or {})
        for part in slices
        if part["metadata"]["labels"].get(LABEL_SLICE_OF) == service
        for port in part.get("ports") or ()
        for endpoint in part.get("endpoints") or ()
        for address in endpoint.get("addresses") or ()
    ]
    # An absent condition means ready, and not terminating, by the API's own definition.
    return AdminPorts(
        ready=sorted(address for address, is_ in found if is_.get("ready", True)),
        unready=sorted(
            address
            for address, is_ in found
            if not is_.get("ready", True) and not is_.get("terminating", False)
        ),
    )
