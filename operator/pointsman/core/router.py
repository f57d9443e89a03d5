"""The decision about one LLMRouter: its objects, its configuration, and whether it has to exist at all.

A router that services ask for without naming one is made here, on demand, with a reference to each of them;
this pass is its only writer. A router that people declare is never deleted by us.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pointsman.api import names
from pointsman.api.conditions import ConditionType, Reason
from pointsman.api.router import LLMRouter, RouterSpec
from pointsman.api.service import LLMService
from pointsman.core import conditions, diagnosis, owned, prompting, router_children, routing
from pointsman.core.conditions import Verdict
from pointsman.core.decision import Decision
from pointsman.core.inventory import is_leaving
from pointsman.core.prompting import Copy
from pointsman.core.world import Manifest, RouterWorld
from pointsman_router import config


def decide(world: RouterWorld) -> Decision:
    """What should be done for this router now, and what its status should say."""
    waiting = wanted_by(world)
    if world.router is None:
        return _make(world, waiting)
    if world.router.metadata.deletion_timestamp:
        return Decision(retained=_all_kept(world), because="deleting: Kubernetes collects the children")
    if abandoned(world):
        return Decision(desired=(), because="on demand, and nobody asks any more")
    return _run(world, world.router, waiting)


def wanted_by(world: RouterWorld) -> list[LLMService]:
    """Services that need an on-demand router of this name: they name none themselves, or hang on this one
    until the one they name exists."""
    if world.name != names.DEFAULT_ROUTER:
        return []
    hanging = routing.on_router(world.services, world.name)
    return [s for s in hanging if s.spec.router_ref is None or world.router is not None]


def is_on_demand(router: LLMRouter) -> bool:
    """Whether we made this router for services that named none, and nobody has made it theirs since."""
    return _is_labelled(router) and router.spec == RouterSpec()


def _is_labelled(router: LLMRouter) -> bool:
    return router.metadata.labels.get(names.LABEL_ON_DEMAND) == "true"


def wants_pods(world: RouterWorld) -> bool:
    """Whether the pods must be looked at: not all of them take requests."""
    return world.router is not None and not _deployed(world, world.router)[1]


def wanted_events(world: RouterWorld) -> tuple[str, ...]:
    """Kinds of objects whose events alone can tell what keeps the listed pods."""
    return diagnosis.wanted_events(world.pods, ())


def abandoned(world: RouterWorld) -> bool:
    """Whether the router exists only on demand and the demand has gone."""
    router = world.router
    return (
        router is not None
        and not router.metadata.deletion_timestamp
        and is_on_demand(router)
        and not wanted_by(world)
        # One that can't be read may want it.
        and not world.unreadable
    )


def _make(world: RouterWorld, waiting: Sequence[LLMService]) -> Decision:
    if not waiting:
        return Decision(because="no such router, and nobody needs one on demand")
    return Decision(desired=(_on_demand(world, waiting),), requeue_after=0.2, because="made on demand")


def _on_demand(world: RouterWorld, waiting: Sequence[LLMService]) -> Manifest:
    """The LLMRouter itself, with a reference to every service that needs it: it goes with the last."""
    users = [*(service.metadata for service in waiting), *world.unreadable]
    return {
        "apiVersion": names.LLMROUTER.api_version,
        "kind": names.LLMROUTER.kind,
        "metadata": {
            "name": world.name,
            "namespace": world.namespace,
            "labels": {names.LABEL_MANAGED_BY: names.MANAGED_BY, names.LABEL_ON_DEMAND: "true"},
            "ownerReferences": [
                owned.owner_reference(names.LLMSERVICE, meta, controller=False) for meta in users
            ],
        },
    }


def _released(world: RouterWorld) -> Manifest:
    """Someone has declared this router: applying it bare takes our label and references back."""
    return {
        "apiVersion": names.LLMROUTER.api_version,
        "kind": names.LLMROUTER.kind,
        "metadata": {"name": world.name, "namespace": world.namespace},
    }


def _run(world: RouterWorld, router: LLMRouter, waiting: Sequence[LLMService]) -> Decision:
    unreadable = [meta.name for meta in world.unreadable]
    copies = _copies(world)
    previous = _previous(world, copies)
    compiled = routing.compile_router(world.name, router.spec, world.services, previous, unreadable, copies)
    longer = router_children.drain_seconds(world.name, world.services)
    compiled = replace(compiled, drain_seconds=longer)
    told = (*world.signals, *world.unready)
    known = [s.understands for s in told if s.reachable]
    compiled = routing.understood(compiled, known, lambda: _running(world))
    packed = routing.pack(compiled)
    fits = len(packed) <= routing.SIZE_LIMIT
    desired: list[Manifest] = [
        child
        for child in router_children.build(router, packed, world.settings)
        if fits or child["kind"] != "ConfigMap"
    ]
    if is_on_demand(router):
        desired.append(_on_demand(world, waiting))
    elif _is_labelled(router):
        desired.append(_released(world))
    verdicts = list(_verdicts(world, router, compiled, fits))
    ready = next(v for v in verdicts if v.type is ConditionType.READY)
    status = _status(world, router, compiled, verdicts)
    awaiting = 1.0 if ready.reason is Reason.AWAITING_ROUTER else 5.0
    taken = status.get("configHash") == config.config_hash(compiled)
    return Decision(
        desired=desired,
        retained=frozenset() if fits else frozenset({("ConfigMap", names.router_name(world.name))}),
        status=status,
        requeue_after=None if ready.holds and taken else awaiting,
        wake=(*_wake(world, router, bool(ready.holds), status), *_outdone(world, compiled)),
        because=f"{len(compiled.services)} services",
    )


def prompted(service: LLMService) -> bool:
    """Whether a service's copies of prompts are needed."""
    return bool(routing.prompted(service))


def _copies(world: RouterWorld) -> dict[str, Mapping[str, Copy]]:
    """Copies of prompts by service; one that another object's controller made is none of the service's."""
    found: dict[str, Mapping[str, Copy]] = {}
    for service in world.services:
        if prompted(service):
            mine = [child for child in world.prompts if owned.is_owned(child, service.metadata.uid)]
            found[service.metadata.name] = prompting.thaw(mine)
    return found


def _previous(world: RouterWorld, copies: Mapping[str, Mapping[str, Copy]]) -> dict[str, config.Service]:
    """What the routers run now, by service; read only where some service keeps what it has."""
    known = all(
        service.status.rollout
        and not service.spec.paused
        and not routing.lacks_prompt(service, copies.get(service.metadata.name, {}))
        for service in world.services
    )
    return {} if known and not world.unreadable else _running(world)


def _running(world: RouterWorld) -> dict[str, config.Service]:
    config_map = next((c for c in world.owned if c["kind"] == "ConfigMap"), None)
    running = routing.unpack(config_map)
    return {service.name: service for service in running.services} if running else {}


def _wake(
    world: RouterWorld, router: LLMRouter, ready: bool, status: Mapping[str, Any]
) -> tuple[names.Key, ...]:
    """The services of a router that has just come, gone or moved, and those that wait for it elsewhere."""
    was = any(c.type == ConditionType.READY and c.status == "True" for c in router.status.conditions)
    moved = [address.url for address in router.status.addresses] != [a["url"] for a in status["addresses"]]
    if was == ready and not moved:
        return ()
    concerned = [s for s in world.services if world.name in (routing.router_of(s), routing.wanted_router(s))]
    return tuple(names.Key("LLMService", world.namespace, s.metadata.name) for s in concerned)


def _outdone(world: RouterWorld, compiled: config.RouterConfig) -> tuple[names.Key, ...]:
    """Services that call themselves Ready and have just lost a name, since an older one claims it now:
    nothing of theirs has changed, so nobody else tells them."""
    held = {service.name: set(service.model_names) for service in compiled.services}
    return tuple(
        names.Key("LLMService", world.namespace, s.metadata.name)
        for s in routing.on_router(world.services, world.name)
        if any(c.type == ConditionType.READY and c.status == "True" for c in s.status.conditions)
        and not held.get(s.metadata.name, set()).issuperset(routing.model_names(s))
    )


def _all_kept(world: RouterWorld) -> frozenset[tuple[str, str]]:
    return frozenset((c["kind"], c["metadata"]["name"]) for c in world.owned)


def _verdicts(
    world: RouterWorld, router: LLMRouter, compiled: config.RouterConfig, fits: bool
) -> Iterator[Verdict]:
    serving, complete = _deployed(world, router)
    ready = _readiness(world, router, compiled, fits, complete)
    yield ready
    yield Verdict(
        ConditionType.AVAILABLE,
        serving,
        Reason.SERVING if serving else Reason.NO_READY_REPLICAS,
        "" if serving else "no router pod takes requests",
    )
    stalled = ready.reason in (Reason.OBJECT_NOT_OWNED, Reason.CONFIG_TOO_LARGE)
    yield Verdict(ConditionType.STALLED, stalled, ready.reason, ready.message)
    yield Verdict(ConditionType.RECONCILING, not ready.holds and not stalled, ready.reason, ready.message)


def _readiness(
    world: RouterWorld, router: LLMRouter, compiled: config.RouterConfig, fits: bool, complete: bool
) -> Verdict:
    kind = ConditionType.READY
    taken = conditions.foreign(world.strangers)
    if taken:
        return taken
    if not fits:
        message = "the configuration exceeds 900 KiB; spread the services over more routers"
        return Verdict(kind, False, Reason.CONFIG_TOO_LARGE, message)
    told = (*world.signals, *world.unready)
    refused = next((s.config_error for s in told if s.config_error), "")
    if refused:
        return Verdict(kind, False, Reason.AWAITING_ROUTER, f"a router refuses its configuration: {refused}")
    without = next((s.tls_error for s in told if s.tls_error), "")
    if without and router.spec.tls:
        secret = router_children.tls_secret(router.metadata.name, router.spec)
        message = f"Secret {secret!r} must hold the certificate as tls.crt and its key as tls.key: {without}"
        return Verdict(kind, False, Reason.CERTIFICATE_UNAVAILABLE, message)
    if not complete:
        staying = [pod for pod in world.pods if not is_leaving(pod)]
        found = diagnosis.keeping(staying, world.owned_of("Deployment"), world.pod_events, world.now)
        why = f": {found.message}" if found else ""
        return Verdict(kind, False, Reason.ROUTER_NOT_READY, f"not every router pod is ready{why}")
    if not _acknowledged(world, router, compiled):
        message = "routers haven't all taken this generation's configuration yet"
        return Verdict(kind, False, Reason.AWAITING_ROUTER, message)
    if is_on_demand(router):
        message = "made on demand: ClusterIP, open to its namespace, no identity; declare it to own it"
        return Verdict(kind, True, Reason.ON_DEMAND, message)
    return Verdict(kind, True, Reason.ROUTER_READY)


def _acknowledged(world: RouterWorld, router: LLMRouter, compiled: config.RouterConfig) -> bool:
    """Whether every router runs what this generation declares. Once it did, what its services change later
    doesn't count: that is their own condition to tell."""
    generation = router.metadata.generation
    if any(
        c.type == ConditionType.READY and c.status == "True" and c.observed_generation == generation
        for c in router.status.conditions
    ):
        return True
    return _runs_everywhere(world, config.config_hash(compiled))


def _runs_everywhere(world: RouterWorld, wanted: str) -> bool:
    return bool(world.signals) and all(s.config == wanted for s in world.signals)


def _deployed(world: RouterWorld, router: LLMRouter) -> tuple[bool, bool]:
    """Whether any router pod takes requests, and whether all that are asked for do."""
    deployment = next((c for c in world.owned if c["kind"] == "Deployment"), None)
    if deployment is None:
        return False, False
    status = deployment.get("status") or {}
    ready = status.get("readyReplicas", 0)
    observed = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0)
    return ready > 0, observed and ready >= router_children.replicas(router.spec)


def _status(
    world: RouterWorld, router: LLMRouter, compiled: config.RouterConfig, verdicts: Sequence[Verdict]
) -> dict[str, Any]:
    generation = router.metadata.generation
    deployment = next((c for c in world.owned if c["kind"] == "Deployment"), None)
    observed = (deployment or {}).get("status") or {}
    labels = router_children.pod_labels(world.name)
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "conditions": conditions.merge(
            router.status.conditions, verdicts, generation=generation, now=world.now
        ),
        "replicas": observed.get("replicas", 0),
        "readyReplicas": observed.get("readyReplicas", 0),
        "selector": ",".join(f"{key}={value}" for key, value in labels.items()),
        "addresses": _addresses(world, router),
        "services": len(compiled.services),
        "configHash": _running_hash(world, router, compiled),
    }
    return {name: value for name, value in status.items() if value not in (None, [])}


def _running_hash(world: RouterWorld, router: LLMRouter, compiled: config.RouterConfig) -> str | None:
    """The hash that every router acknowledges; what status holds, until they all do."""
    wanted = config.config_hash(compiled)
    if _runs_everywhere(world, wanted):
        return wanted
    return router.status.config_hash


def _addresses(world: RouterWorld, router: LLMRouter) -> list[dict[str, str]]:
    found = [{"url": routing.cluster_url(world.name, world.namespace, router.spec)}]
    service = next(
        (
            c
            for c in world.owned
            if c["kind"] == "Service" and c["metadata"]["name"] == names.router_name(world.name)
        ),
        None,
    )
    balancer = (((service or {}).get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    hosts = [entry.get("hostname") or entry.get("ip") for entry in balancer]
    scheme = routing.scheme(router.spec)
    return [*({"url": f"{scheme}://{host}"} for host in hosts if host), *found]
