"""From a key to a World: every read of a pass, and nothing but reads.

LISTs are narrowed by our labels, and never older than anything this process has seen of the kind (`abreast`);
`certain` reads consistently. What costs more is read only when the World so far asks for it: pods while
something isn't as it should be, their events while a volume is awaited, a probe while a generation is
unproven. Whether it does is decided in `core`, not here. What of that can change nothing but the status is
read by a closer look, for which nothing that should exist has to wait.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pointsman.api import names
from pointsman.api.common import LocalRef, ObjectMeta
from pointsman.api.model import LLMModel
from pointsman.api.prompt import PromptVersion
from pointsman.api.prompt_suite import PromptSuite
from pointsman.api.router import LLMRouter, RouterSpec
from pointsman.api.service import LLMService
from pointsman.core import inventory, observed, owned, routing
from pointsman.core import router as router_core
from pointsman.core import service as service_core
from pointsman.core.capacity import Room, survey
from pointsman.core.observed import ProbeResult, RouterSignals
from pointsman.core.settings import Settings
from pointsman.core.world import (
    Manifest,
    Missing,
    ModelWorld,
    PromptWorld,
    RouterWorld,
    ServiceWorld,
    SuiteWorld,
)
from pointsman.engine.parsing import Kind, Parser, Unreadable
from pointsman.engine.ports import NO_PORTS, AdminPorts, admin_ports
from pointsman.engine.recall import COPIES
from pointsman.engine.together import Together
from pointsman.kube.protocol import Forbidden, Kube, NotFound
from pointsman.signals.protocol import Signals

SURVEY_AGE = timedelta(seconds=10)
"""How old a look at all nodes and pods may be."""


Since = Callable[[names.Resource], int | None]
"""The version of a kind that a LIST mustn't be older than; None asks for a consistent one."""


def consistently(resource: names.Resource) -> int | None:
    """Every LIST shows what is stored when it is asked for."""
    return None


@dataclass(frozen=True, slots=True)
class Services:
    """The LLMServices of a namespace, from one read."""

    raw: Mapping[str, Manifest]
    """All of them, by name."""
    readable: Sequence[LLMService]
    unreadable: Sequence[ObjectMeta]
    """Those that can't be read and aren't on their way out."""


@dataclass(frozen=True, slots=True)
class Service:
    """The first look at one LLMService."""

    world: ServiceWorld
    raw: Manifest
    addresses: Sequence[str]
    """Of the admin ports of its router."""


@dataclass(slots=True)
class Gatherer:
    """Reads Worlds. Holds no state but a cache of parsed objects, which may be dropped at any time.

    What concerns a whole namespace is read once for all passes that ask for it at the same time.
    """

    kube: Kube
    signals: Signals
    settings: Settings
    since: Since = consistently
    """What a LIST of a kind mustn't be older than."""
    _parser: Parser = field(default_factory=Parser)
    _together: Together = field(default_factory=Together)
    _surveyed: tuple[datetime, Sequence[Room]] | None = None

    def certain(self) -> Gatherer:
        """The same, but reading consistently, and together with nobody who doesn't."""
        return replace(self, since=consistently, _together=Together())

    async def service(self, key: names.Key, now: datetime) -> Service | None:
        """What effects for one LLMService depend on; None where it is gone. Raises Unreadable."""
        services, routers, ports = await self._of_namespace(key.namespace)
        raw = services.raw.get(key.name)
        if raw is None:
            return None
        service = self._parser.parse(LLMService, raw)
        router = self._router(service, routers)
        router_name = routing.destined_router(service, exists=not isinstance(router, Missing))
        addresses = ports.get(router_name, NO_PORTS).ready
        kinds = () if service_core.is_new(service) else inventory.SERVICE_KINDS
        children, model, prompt, suite = await asyncio.gather(
            self._children(key, kinds, names.LABEL_SERVICE),
            self._named(LLMModel, service, service.spec.model_ref),
            self._named(PromptVersion, service, service.spec.prompt_ref),
            self._named(PromptSuite, service, service.spec.suite_ref),
        )
        world = ServiceWorld(
            now=now,
            settings=self.settings,
            service=service,
            model=model,
            prompt=prompt,
            suite=suite,
            router=router,
            peers=services.readable,
            owned=_owned(children, service.metadata),
        )
        if service_core.asks_routers(world):
            world = replace(world, signals=await self._signals(addresses))
        if service_core.asks_pods(world):
            world = await self._with_pods(world)
        return Service(world, raw, addresses)

    async def router(self, key: names.Key, now: datetime) -> tuple[RouterWorld, Manifest | None]:
        """The World of one LLMRouter, which may not exist (yet), and the raw object. Raises Unreadable."""
        services, routers, ports = await self._of_namespace(key.namespace)
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
        router, at = self._parser.parse(LLMRouter, raw), ports.get(key.name, NO_PORTS)
        children, signals, unready, prompts = await asyncio.gather(
            self._children(key, inventory.ROUTER_KINDS, names.LABEL_ROUTER),
            self._signals(at.ready),
            self._signals(at.unready),
            self._copies(key.namespace, services.readable),
        )
        owned = _owned(children, router.metadata)
        world = replace(world, router=router, owned=owned, signals=signals, unready=unready)
        return replace(world, prompts=prompts), raw

    async def model(self, key: names.Key, now: datetime) -> tuple[ModelWorld, Manifest] | None:
        """The World of one LLMModel and the raw object; None where it is gone. Raises Unreadable."""
        raw, services = await asyncio.gather(
            self._get(names.LLMMODEL, key.namespace, key.name), self._services(key.namespace)
        )
        return (ModelWorld(now, self._parser.parse(LLMModel, raw), services.readable), raw) if raw else None

    async def prompt(self, key: names.Key, now: datetime) -> tuple[PromptWorld, Manifest] | None:
        """The World of one PromptVersion and the raw object; None where it is gone. Raises Unreadable."""
        raw, services = await asyncio.gather(
            self._get(names.PROMPTVERSION, key.namespace, key.name), self._services(key.namespace)
        )
        return (
            (PromptWorld(now, self._parser.parse(PromptVersion, raw), services.readable), raw)
            if raw
            else None
        )

    async def suite(self, key: names.Key, now: datetime) -> tuple[SuiteWorld, Manifest] | None:
        """The World of one PromptSuite and the raw object; None where it is gone. Raises Unreadable."""
        raw, prompts = await asyncio.gather(
            self._get(names.PROMPTSUITE, key.namespace, key.name), self._prompts(key.namespace)
        )
        return (SuiteWorld(now, self._parser.parse(PromptSuite, raw), prompts), raw) if raw else None

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

    async def users(self, key: names.Key) -> list[names.Key]:
        """Services that refer to an LLMModel or PromptVersion, whether or not it exists."""
        found = (await self._services(key.namespace)).readable
        of_prompt = key.kind == names.PROMPTVERSION.kind
        references = [(s, s.spec.prompt_ref if of_prompt else s.spec.model_ref) for s in found]
        return [
            names.Key("LLMService", key.namespace, service.metadata.name)
            for service, reference in references
            if reference and reference.name == key.name
        ]

    async def closer_service(self, world: ServiceWorld, addresses: Sequence[str]) -> ServiceWorld:
        """With what nothing depends on but what status says: signals, pods, their events, room, a probe."""
        if not service_core.asks_routers(world):
            world = replace(world, signals=await self._signals(addresses))
        if service_core.wants_pods(world) and not service_core.asks_pods(world):
            world = await self._with_pods(world)
        if kinds := service_core.wanted_events(world):
            world = replace(world, pod_events=await self._events(world.service.metadata.namespace, kinds))
        if service_core.wants_rooms(world):
            world = replace(world, rooms=await self.rooms(world.now))
        if world.signals and service_core.wants_probe(world):
            world = replace(world, probe=await self._probe(world, world.signals[0].address))
        return world

    async def closer_router(self, world: RouterWorld) -> RouterWorld:
        """The same for a router."""
        if router_core.wants_pods(world):
            labels = f"{names.LABEL_ROUTER}={world.name}"
            world = replace(world, pods=await self._list(names.POD, world.namespace, labels=labels))
        if kinds := router_core.wanted_events(world):
            world = replace(world, pod_events=await self._events(world.namespace, kinds))
        return world

    async def _with_pods(self, world: ServiceWorld) -> ServiceWorld:
        meta = world.service.metadata
        labels = f"{names.LABEL_SERVICE}={meta.name}"
        return replace(world, pods=await self._list(names.POD, meta.namespace, labels=labels))

    async def _events(self, namespace: str, kinds: Sequence[str]) -> Sequence[Manifest]:
        """Warnings about objects of these kinds."""
        fields = [f"involvedObject.kind={kind},type=Warning" for kind in kinds]
        lists = [await self._list(names.CORE_EVENT, namespace, fields=field) for field in fields]
        return [event for listed in lists for event in listed]

    async def rooms(self, now: datetime) -> Sequence[Room]:
        """What the cluster has room for, at most SURVEY_AGE old: one look serves all that wait."""
        if self._surveyed is None or now - self._surveyed[0] >= SURVEY_AGE:
            self._surveyed = now, await self._together.read(names.NODE, self._survey)
        return self._surveyed[1]

    async def _survey(self) -> Sequence[Room]:
        try:
            nodes, pods = await asyncio.gather(
                self._list(names.NODE, None),
                self._list(names.POD, None, fields="status.phase!=Succeeded,status.phase!=Failed"),
            )
        except Forbidden:
            # Not granted, or not any more: the scheduler's own account must do.
            return ()
        return survey(nodes, pods)

    async def _probe(self, world: ServiceWorld, address: str) -> ProbeResult:
        """One request through a router's stages, and a look through the Service: both ways must be open."""
        meta = world.service.metadata
        result = observed.parse_probe(await self.signals.probe(address, meta.name))
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
        return self._parser.parse(LLMRouter, raw).spec if raw else RouterSpec()

    async def _named(self, kind: type[Kind], by: LLMService, ref: LocalRef | None) -> Kind | Missing | None:
        """What a service names; None where it names nothing."""
        if ref is None:
            return None
        raw = await self._get(names.RESOURCES[kind.__name__], by.metadata.namespace, ref.name)
        if raw is None or raw["metadata"].get("deletionTimestamp"):
            return Missing(kind.__name__, ref.name)
        return self._parser.parse(kind, raw)

    async def _copies(self, namespace: str, services: Sequence[LLMService]) -> Sequence[Manifest]:
        """The copies of prompts that services answer by."""
        if not any(router_core.prompted(service) for service in services):
            return ()

        async def read() -> Sequence[Manifest]:
            return await self._list(names.CONTROLLERREVISION, namespace, labels=COPIES)

        return await self._together.read((names.ROLE_PROMPT, namespace), read)

    def _router(self, service: LLMService, routers: Mapping[str, Manifest]) -> LLMRouter | Missing | None:
        name = routing.wanted_router(service)
        if name in routers:
            return self._parser.parse(LLMRouter, routers[name])
        return None if service.spec.router_ref is None else Missing(names.LLMROUTER.kind, name)

    async def _of_namespace(
        self, namespace: str
    ) -> tuple[Services, Mapping[str, Manifest], Mapping[str, AdminPorts]]:
        return await asyncio.gather(
            self._services(namespace), self._routers(namespace), self._admin_ports(namespace)
        )

    async def _services(self, namespace: str) -> Services:
        """All LLMServices of a namespace; one that can't be read claims nothing."""

        async def read() -> Services:
            listed = await self._list(names.LLMSERVICE, namespace)
            readable, unreadable = [], []
            for raw in listed:
                try:
                    readable.append(self._parser.parse(LLMService, raw))
                except Unreadable:
                    unreadable.append(ObjectMeta.model_validate(raw["metadata"]))
            staying = [meta for meta in unreadable if not meta.deletion_timestamp]
            return Services({raw["metadata"]["name"]: raw for raw in listed}, readable, staying)

        return await self._together.read((names.LLMSERVICE, namespace), read)

    async def _prompts(self, namespace: str) -> Sequence[PromptVersion]:
        """All PromptVersions of a namespace that can be read."""

        async def read() -> Sequence[PromptVersion]:
            found = []
            for raw in await self._list(names.PROMPTVERSION, namespace):
                with contextlib.suppress(Unreadable):
                    found.append(self._parser.parse(PromptVersion, raw))
            return found

        return await self._together.read((names.PROMPTVERSION, namespace), read)

    async def _routers(self, namespace: str) -> Mapping[str, Manifest]:
        """All LLMRouters of a namespace by name."""

        async def read() -> Mapping[str, Manifest]:
            listed = await self._list(names.LLMROUTER, namespace)
            return {raw["metadata"]["name"]: raw for raw in listed}

        return await self._together.read((names.LLMROUTER, namespace), read)

    async def _children(self, key: names.Key, kinds: Sequence[str], label: str) -> list[Manifest]:
        labels = f"{label}={key.name}"
        lists = await asyncio.gather(
            *(self._list(names.RESOURCES[kind], key.namespace, labels=labels) for kind in kinds)
        )
        return [child for children in lists for child in children]

    async def _admin_ports(self, namespace: str) -> Mapping[str, AdminPorts]:
        """Where the admin ports of all pods of each of a namespace's routers are."""

        async def read() -> Mapping[str, AdminPorts]:
            # EndpointSlices bear the labels of their Service, so routers' can be told from engines'.
            slices = await self._list(names.ENDPOINTSLICE, namespace, labels=names.LABEL_ROUTER)
            routers = {part["metadata"]["labels"][names.LABEL_ROUTER] for part in slices}
            return {router: admin_ports(router, slices) for router in routers}

        return await self._together.read((names.ENDPOINTSLICE, namespace), read)

    async def _signals(self, addresses: Sequence[str]) -> list[RouterSignals]:
        if not addresses:
            return []

        async def read() -> list[RouterSignals]:
            return [observed.parse_signals(raw) for raw in await self.signals.read(addresses)]

        return await self._together.read(("signals", *addresses), read)

    async def _list(
        self, resource: names.Resource, namespace: str | None, *, labels: str = "", fields: str = ""
    ) -> Sequence[Manifest]:
        since = self.since(resource)
        return await self.kube.list(resource, namespace, labels=labels, fields=fields, since=since)

    async def _get(self, resource: names.Resource, namespace: str, name: str) -> Manifest | None:
        try:
            return await self.kube.get(resource, namespace, name)
        except NotFound:
            return None


def _owned(children: Iterable[Manifest], meta: ObjectMeta) -> list[Manifest]:
    return [child for child in children if owned.is_owned(child, meta.uid)]
