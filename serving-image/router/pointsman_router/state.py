"""What the router runs by: the configuration compiled for the request path, and the engines that are there.

Configuration and endpoints arrive at any time and in any order. Each arrival compiles a whole new `Table`
that replaces the old one in a single assignment; a request keeps the table's parts it started with. Engines
outlive tables, since they hold connections and counts. Knows nothing of HTTP or of where either came from.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import count
from time import monotonic

import orjson

from pointsman_router import config as contract
from pointsman_router.clients.cors import Pages, compile_pages
from pointsman_router.clients.forwarded import Proxies, compile_proxies
from pointsman_router.clients.keys import KeyState, compile_keys
from pointsman_router.config import ConfigError, RouterConfig
from pointsman_router.engines.admission import Queue
from pointsman_router.engines.endpoints import Endpoint, Slice, by_service
from pointsman_router.engines.engine import READY, Engine
from pointsman_router.engines.retries import Budget
from pointsman_router.measuring import Windows
from pointsman_router.picking.affinity import Memory, Placement
from pointsman_router.picking.assigning import Assigner, Copies, Turns, seed_of
from pointsman_router.picking.naming import lines_of, tag_of
from pointsman_router.picking.wishes import Sessions, Wishes
from pointsman_router.records.accesslog import label_of
from pointsman_router.records.metrics import Stats
from pointsman_router.records.windows import Window
from pointsman_router.rendering.renderer import Renderer
from pointsman_router.settings import Policy, Routing
from pointsman_router.table import ServiceState, Table, VariantState, shares

_EngineKey = tuple[str, int, int, str]
_Endpoints = Mapping[str, tuple[Endpoint, ...]]


@dataclass(frozen=True, slots=True)
class _Fixed:
    """What follows from the configuration alone, so that endpoints can come and go cheaply."""

    config: RouterConfig
    hash: str
    service_hashes: Mapping[str, str]
    model_list: bytes
    model_bodies: Mapping[str, bytes]
    keys: Mapping[bytes, KeyState]
    cors: Pages | None
    proxies: Proxies | None
    renderers: Mapping[tuple[str, str], Renderer]
    """By service and prompt."""

    @classmethod
    def of(cls, config: RouterConfig, stats: Stats) -> _Fixed:
        models = {name: _model(name, service) for service in config.services for name in service.names}
        return cls(
            config=config,
            hash=contract.config_hash(config),
            service_hashes={service.name: contract.service_hash(service) for service in config.services},
            model_list=orjson.dumps({"object": "list", "data": list(models.values())}),
            model_bodies={name: orjson.dumps(model) for name, model in models.items()},
            keys=compile_keys(config.keys, models, stats.keys),
            cors=compile_pages(config.cors),
            proxies=compile_proxies(config.trusted_proxies),
            renderers={(s.name, p.name): Renderer(p) for s in config.services for p in s.prompts},
        )


class State:
    """Holds the current table, and what the next one is compiled from."""

    def __init__(self, stats: Stats) -> None:
        self.table = Table()
        self.error = ""
        """Why the newest configuration isn't the running one; empty when it is."""
        self.endpoints_known = False
        """Whether endpoints were listed once; before, nothing can be ready."""
        self.changed: Callable[[], None] = lambda: None
        """Called after each new table."""
        self._stats = stats
        self._fixed: _Fixed | None = None
        self._slices: dict[str, Slice] = {}
        self._engines: dict[_EngineKey, Engine] = {}
        self._queues: dict[tuple[str, str], Queue] = {}
        self._budgets: dict[str, Budget] = {}
        self._turns: dict[tuple[str, str], Turns] = {}
        self._windows = Windows()
        self._memory = Memory()

    @property
    def configured(self) -> bool:
        return self._fixed is not None

    @property
    def engines(self) -> Iterable[Engine]:
        """Every engine of every variant."""
        return self._engines.values()

    def apply_config(self, document: object) -> bool:
        """Takes a configuration document; keeps the last good one, and the reason, where it isn't valid."""
        try:
            config = contract.parse(document)
        except ConfigError as error:
            self.refuse_config(str(error))
            return False
        self.run(config)
        return True

    def run(self, config: RouterConfig) -> None:
        """Takes a configuration that was read already."""
        self.error = ""
        self._stats.keep_keys(key.name for key in config.keys)
        self._fixed = _Fixed.of(config, self._stats)
        self._compile()

    def refuse_config(self, reason: str) -> None:
        """Notes that a configuration came which can't be run."""
        self.error = reason
        self._stats.config_refusals += 1

    def replace_slices(self, slices: Mapping[str, Slice]) -> None:
        """Takes the list of all EndpointSlices, by name."""
        self._slices = dict(slices)
        self.endpoints_known = True
        self._compile()

    def put_slice(self, name: str, slice_: Slice) -> None:
        """Takes one EndpointSlice that came or changed."""
        if self._slices.get(name) != slice_:
            self._slices[name] = slice_
            self._compile()

    def drop_slice(self, name: str) -> None:
        """Takes note that an EndpointSlice is gone."""
        if self._slices.pop(name, None) is not None:
            self._compile()

    def reconsider(self) -> None:
        """Takes note that an unready engine says something else of itself than before."""
        self._compile()

    def close(self) -> None:
        """Closes idle connections to engines."""
        for engine in self._engines.values():
            engine.pool.open_to(False)

    def _compile(self) -> None:
        """Makes the new table, swaps it in, and lets go of engines that are in it no longer."""
        fixed = self._fixed
        if fixed is None:
            return
        config = fixed.config
        endpoints = by_service(self._slices.values())
        used: dict[_EngineKey, Engine] = {}
        services = {s.name: self._compile_service(s, fixed, endpoints, used) for s in config.services}
        self.table = Table(
            hash=fixed.hash,
            limits=config.limits,
            drain_seconds=config.drain_seconds,
            tls=config.tls,
            cors=fixed.cors,
            proxies=fixed.proxies,
            keys=fixed.keys,
            services=services,
            models={name: services[s.name] for s in config.services for name in s.names},
            tags={v.tag: (s, v) for s in services.values() for v in s.variants},
            model_list=fixed.model_list,
            model_bodies=fixed.model_bodies,
            shortest_seconds=_shortest(config),
        )
        for key, engine in self._engines.items():
            if key not in used:
                engine.leaving = True
                engine.pool.open_to(False)
        for engine in used.values():
            engine.pool.limit(config.limits)
        self._engines = used
        known = {(s.name, v.name) for s in config.services for v in s.variants}
        self._stats.keep_only(known | {(s.name, "") for s in config.services})
        salts = {(s.name, s.assignment.salt) for s in config.services}
        salts |= {(s.name, f"copies/{v.name}") for s in config.services for v in s.variants if v.shadow}
        self._turns = {key: turns for key, turns in self._turns.items() if key in salts}
        self._windows.keep_only({s.name for s in config.services})
        self._budgets = {name: service.budget for name, service in services.items()}
        self._wake_queues()
        self.changed()

    def _wake_queues(self) -> None:
        """Whoever waits goes by the new table; where its variant is gone, elsewhere."""
        queues, self._queues = self._queues, {}
        for service in self.table.services.values():
            for variant in service.variants:
                self._queues[service.name, variant.name] = variant.queue
                if variant.queue.waiting:
                    variant.queue.watch(variant.engines)
        for queue in queues.values():
            queue.wake(monotonic())

    def _compile_service(
        self,
        service: contract.Service,
        fixed: _Fixed,
        endpoints: _Endpoints,
        used: dict[_EngineKey, Engine],
    ) -> ServiceState:
        found = {
            variant.name: tuple(self._engines_of(variant.upstream, service.routing, endpoints, used))
            for variant in service.variants
        }
        self._turn(found, {variant.name for variant in service.variants if variant.weight}, service.routing)
        window = self._windows.of(service, found) if self.endpoints_known else None
        variants = [
            self._variant(service, variant, found[variant.name], window, fixed.renderers)
            for variant in service.variants
        ]
        routed = tuple(variant for variant in variants if variant.weight)
        several = any(len(variant.ready) > 1 for variant in routed)
        return ServiceState(
            name=service.name,
            hash=fixed.service_hashes[service.name],
            generation=service.generation,
            model_names=service.model_names,
            engine_model=service.engine_model,
            adapters=frozenset(service.adapters),
            variants=tuple(variants),
            routed=routed,
            shares=shares(routed),
            routing=service.routing,
            wishes=Wishes.of(service.routing, service.adapters, several),
            sessions=Sessions.of(service.routing, several or len(routed) > 1),
            assigner=self._assigner(service) if len(routed) > 1 else None,
            copies=self._copies(service),
            window=window,
            stats=self._stats.of(service.name, ""),
            budget=self._budgets.get(service.name) or Budget(),
            label=label_of(service.name, ""),
            prompted=any(variant.renderer is not None for variant in variants),
        )

    def _assigner(self, service: contract.Service) -> Assigner:
        return Assigner(service.assignment, self._turns_of(service, service.assignment.salt))

    def _copies(self, service: contract.Service) -> Copies | None:
        copied = next((variant for variant in service.variants if variant.shadow), None)
        if copied is None:
            return None
        return Copies(copied.name, copied.shadow, self._turns_of(service, f"copies/{copied.name}"))

    def _turns_of(self, service: contract.Service, salt: str) -> Turns:
        """Turns go on where they were, unless others are to be taken."""
        key = (service.name, salt)
        turns = self._turns[key] = self._turns.get(key) or Turns(seed_of(salt))
        return turns

    def _variant(
        self,
        service: contract.Service,
        variant: contract.Variant,
        engines: tuple[Engine, ...],
        window: Window | None,
        renderers: Mapping[tuple[str, str], Renderer],
    ) -> VariantState:
        picking = service.routing.picking
        return VariantState(
            name=variant.name,
            weight=variant.weight,
            engines=engines,
            ready=tuple(engine for engine in engines if engine.ready),
            start_seconds=variant.start_seconds,
            stats=self._stats.of(service.name, variant.name),
            label=label_of(service.name, variant.name),
            lines=lines_of(variant.name),
            tag=tag_of(service.name, variant.name),
            measure=None if window is None else window.of(variant.name),
            placement=Placement.of(f"{service.name}/{variant.name}", engines, self._memory, picking),
            turns=count() if picking.policy is Policy.ROUND_ROBIN else None,
            queue=self._queues.get((service.name, variant.name)) or Queue(),
            renderer=renderers.get((service.name, variant.prompt)),
        )

    def _turn(
        self, found: Mapping[str, tuple[Engine, ...]], routed: Collection[str], routing: Routing
    ) -> None:
        """Says to each engine of a service whether it takes requests."""
        _hold(engine for variant in routed for engine in found[variant])
        now = monotonic()
        # At the router's own start all are as new as each other, and none is in truth.
        slow_start = routing.engines.slow_start_seconds if self._engines else 0.0
        for engines in found.values():
            for engine in engines:
                engine.turn(engine.called_ready or engine.held, now, slow_start)

    def _engines_of(
        self,
        upstream: contract.Upstream,
        routing: Routing,
        endpoints: _Endpoints,
        used: dict[_EngineKey, Engine],
    ) -> Iterable[Engine]:
        for endpoint, port, status_port in _endpoints_of(upstream, endpoints):
            key = (endpoint.address, port, status_port, endpoint.pod)
            engine = used.get(key) or self._engines.get(key)
            if engine is None:
                engine = Engine(endpoint, port, status_port)
            engine.called_ready = endpoint.ready
            engine.leaving = endpoint.leaving
            engine.held = False
            engine.routing = routing
            engine.max_requests = routing.engines.max_requests
            used[key] = engine
            yield engine


def _hold(engines: Iterable[Engine]) -> None:
    """Where the cluster calls no engine ready, those that stay and call themselves Ready are taken at their
    word: a control plane that lost touch with a node calls all of its pods unready, and they serve on."""
    found = tuple(engines)
    nobody = not any(engine.called_ready for engine in found)
    for engine in found:
        engine.held = nobody and engine.phase.phase == READY and not engine.leaving


def _shortest(config: RouterConfig) -> float:
    limits = config.limits
    times = [limits.head_seconds, limits.body_idle_seconds, limits.body_seconds, limits.keep_alive_seconds]
    for service in config.services:
        waits, engines = service.routing.timeouts, service.routing.engines
        times += [waits.first_byte_seconds, waits.idle_stream_seconds, waits.request_seconds]
        times += [waits.comment_seconds, engines.idle_seconds, engines.queue_seconds]
    return min(times)


def _endpoints_of(upstream: contract.Upstream, endpoints: _Endpoints) -> Iterable[tuple[Endpoint, int, int]]:
    for address in upstream.addresses:
        host, _, port = address.rpartition(":")
        yield Endpoint(host.strip("[]"), "", True), int(port), 0
    for endpoint in endpoints.get(upstream.service, ()) if upstream.service else ():
        if endpoint.pod.startswith(upstream.pod_prefix):
            yield endpoint, upstream.port, upstream.status_port


def _model(name: str, service: contract.Service) -> dict[str, object]:
    model: dict[str, object] = {
        "id": name,
        "object": "model",
        "created": service.created,
        "owned_by": service.owner or "pointsman",
    }
    if name in service.adapters:
        model["parent"] = next(iter(service.model_names), service.engine_model)
    return model
