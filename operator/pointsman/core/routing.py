"""From LLMServices to the routers' configuration: which names each may use, and what stands behind them.

Both the service's pass (to know the hash it waits for) and the router's pass (to write the ConfigMap)
compile by these functions, so they can't disagree.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_network
from types import MappingProxyType

from pointsman.api import names, sealing
from pointsman.api.rollout import WarmUp
from pointsman.api.router import RouterSpec
from pointsman.api.service import LLMService
from pointsman.api.service_status import RolloutStatus, ServiceStatus, Step
from pointsman.core import prompting, startup, tuning
from pointsman.core.prompting import Copy
from pointsman.core.variant import Division, Share, Variant, division
from pointsman.core.world import Manifest
from pointsman_router import config

CONFIG_KEY = sealing.ROUTER_CONFIG
"""Key of the ConfigMap's binaryData that holds the configuration."""

WARM_UP_REQUESTS = 50
"""First requests to an engine that is new to a variant, where none are declared: with them its prefix cache
has the beginnings that most prompts share."""

SIZE_LIMIT = 900 * 1024
"""Largest compressed configuration, in bytes; an object may hold 1 MiB, and some room is needed beside it."""


def wanted_router(service: LLMService) -> str:
    """Name of the router that the spec asks for."""
    return service.spec.router_ref.name if service.spec.router_ref else names.DEFAULT_ROUTER


def router_of(service: LLMService) -> str:
    """Name of the router that has the service. While the wanted one doesn't exist it is the former one."""
    rollout = service.status.rollout
    return (rollout and rollout.router) or wanted_router(service)


def destined_router(service: LLMService, *, exists: bool) -> str:
    """Name of the router that is to have the service: the wanted one, once it exists. A service that is being
    deleted moves no more: it's the router that has it which is to forget it."""
    moves = exists and not service.metadata.deletion_timestamp
    return wanted_router(service) if moves else router_of(service)


def model_names(service: LLMService) -> tuple[str, ...]:
    """What clients may send as `model` for this service, as it wishes it."""
    return tuple(service.spec.model_names or (service.metadata.name,))


def on_router(services: Iterable[LLMService], router: str) -> list[LLMService]:
    """The services of one router that aren't being deleted, the oldest first: that is the order of claims."""
    mine = [s for s in services if router_of(s) == router and not s.metadata.deletion_timestamp]
    return sorted(mine, key=lambda s: (s.metadata.creation_timestamp, s.metadata.name))


def claims(services: Iterable[LLMService], router: str) -> dict[str, str]:
    """Which service each model name belongs to: the oldest that asks for it."""
    claimed: dict[str, str] = {}
    for service in on_router(services, router):
        for model in model_names(service):
            claimed.setdefault(model, service.metadata.name)
    return claimed


def granted(service: LLMService, services: Iterable[LLMService]) -> tuple[str, ...]:
    """The names of `service` that no older one of its router claims."""
    return _won(service, claims(services, router_of(service)))


def _won(service: LLMService, claimed: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(model for model in model_names(service) if claimed.get(model) == service.metadata.name)


def compile_service(
    service: LLMService,
    granted_names: Sequence[str],
    divided: Division,
    generation: int,
    copies: Mapping[str, Copy],
) -> config.Service:
    """One service's part of its router's configuration. `copies`: of the prompts that its variants name."""
    name = service.metadata.name
    compiled = config.Service(
        name=name,
        model_names=tuple(granted_names),
        engine_model=name,
        variants=tuple(_variant(service, share) for share in divided.shares),
        generation=generation,
        owner=service.metadata.namespace,
        created=epoch(service.metadata.creation_timestamp),
        assignment=_assignment(divided),
        analysis=_analysis(service, divided),
        prompts=prompting.compiled((share.variant for share in divided.shares), copies),
    )
    return replace(compiled, routing=tuning.tuned(compiled.routing, service.spec.routing))


def _variant(service: LLMService, share: Share) -> config.Variant:
    revision = share.variant.revision
    # All revisions share one headless Service; a revision's pods bear its Deployment's name.
    upstream = config.Upstream(
        service=names.engine_name(service.metadata.name),
        pod_prefix=f"{revision}-",
        port=names.PORT_ENGINE,
        status_port=names.PORT_ENGINE_STATUS,
    )
    seconds = startup.hinted(service.status.startup, revision) or 0
    return config.Variant(
        name=share.variant.name,
        upstream=upstream,
        weight=share.weight,
        start_seconds=seconds,
        shadow=share.shadow,
        prompt=prompting.key(share.variant),
    )


def _assignment(divided: Division) -> config.Assignment:
    """Whoever came to a variant stays with it for as long as there is this candidate."""
    if not divided.salt:
        return config.Assignment()
    return config.Assignment(config.AssignmentKey.CONVERSATION, divided.salt)


def _analysis(service: LLMService, divided: Division) -> config.Analysis:
    if not divided.window:
        return config.Analysis()
    asked = service.spec.rollout.analysis if service.spec.rollout else None
    given = (asked and asked.warm_up) or WarmUp()
    return config.Analysis(
        window=divided.window,
        warm_up_requests=WARM_UP_REQUESTS if given.requests is None else given.requests,
        warm_up_seconds=float(given.seconds or 0),
    )


def divided(status: RolloutStatus, experiment: str = "") -> Division:
    """How requests are to be divided by what a service's status says."""
    shares = [
        Share(Variant.parse(share.revision), share.weight, share.shadow or 0) for share in status.traffic
    ]
    candidate = Variant.parse(status.candidate) if status.candidate else None
    return division(shares, candidate, status.step or Step.STEADY, status.step_index, experiment)


def experiment_window(status: ServiceStatus) -> str:
    """The window of an experiment whose challenger has a share of the traffic now; empty: there is none."""
    rollout, experiment = status.rollout, status.experiment
    divides = rollout is not None and rollout.candidate is None and len(rollout.traffic) > 1
    return experiment.window if experiment is not None and divides else ""


def prompted(service: LLMService) -> list[Variant]:
    """The variants of a service that have a prompt, by what its status says."""
    rollout = service.status.rollout
    variants = [Variant.parse(share.revision) for share in rollout.traffic] if rollout else []
    return [variant for variant in variants if variant.prompt]


def lacks_prompt(service: LLMService, copies: Mapping[str, Copy]) -> bool:
    """Whether a variant is to answer by a prompt of which there is no copy."""
    return any(variant.digest not in copies for variant in prompted(service))


def compile_router(
    router: str,
    spec: RouterSpec,
    services: Sequence[LLMService],
    previous: Mapping[str, config.Service],
    unreadable: Iterable[str] = (),
    copies: Mapping[str, Mapping[str, Copy]] = MappingProxyType({}),
) -> config.RouterConfig:
    """The whole configuration of one router. `copies`: of prompts, by service.

    A service that is paused or can't be read, whose status says nothing of its traffic (not looked at yet, or
    status was lost), or of whose prompt there is no copy, keeps what `previous` holds of it: forgetting is no
    reason to stop serving.
    """
    compiled = []
    claimed = claims(services, router)
    for service in on_router(services, router):
        rollout = service.status.rollout
        kept = previous.get(service.metadata.name)
        mine = copies.get(service.metadata.name, {})
        if rollout is None or (service.spec.paused and kept) or lacks_prompt(service, mine):
            compiled += [_without_taken(kept, claimed)] if kept else []
            continue
        won = _won(service, claimed)
        shares = divided(rollout, experiment_window(service.status))
        compiled.append(compile_service(service, won, shares, rollout.generation or 0, mine))
    compiled += [_without_taken(previous[name], claimed) for name in unreadable if name in previous]
    front = _front(router, spec)
    return replace(front, services=tuple(sorted(compiled, key=lambda s: s.name)))


def understood(
    compiled: config.RouterConfig,
    known: Iterable[Sequence[str]],
    running: Callable[[], Mapping[str, config.Service]] = dict,
) -> config.RouterConfig:
    """The configuration as far as all routers know its fields; `known`: of each the later ones that it does.

    One of an older release refuses what it doesn't know, and with it every change that comes along. A prompt
    can't be left out, since other answers would be given: a service with one stays as it is in `running`.
    """
    told = [frozenset(fields) for fields in known]
    services = compiled.services
    if not all("prompts" in fields for fields in told) and any(service.prompts for service in services):
        services = tuple(_held_back(services, running()))
    if not all("drainSeconds" in fields for fields in told):
        compiled = replace(compiled, drain_seconds=0.0)
    return replace(compiled, services=tuple(understood_service(s, told) for s in services))


def understood_service(service: config.Service, known: Iterable[Collection[str]]) -> config.Service:
    """One service's part, as far as all routers know its fields: what they can acknowledge. A prompt stays in
    it: routers that don't know it can't."""
    told = list(known)
    for name, without in _WITHOUT.items():
        if not all(name in fields for fields in told):
            service = without(service)
    return service


def _held_back(
    services: Iterable[config.Service], running: Mapping[str, config.Service]
) -> Iterator[config.Service]:
    """Services that have a prompt as they were before they had one; those that never were, not at all."""
    for service in services:
        kept = running.get(service.name) if service.prompts else service
        if kept is not None and not kept.prompts:
            yield kept


def _without(**defaults: object) -> Callable[[config.Service], config.Service]:
    """Takes a field of each variant back to what it is where nobody speaks of it."""

    def strip(service: config.Service) -> config.Service:
        variants = tuple(replace(variant, **defaults) for variant in service.variants)  # type: ignore[arg-type]
        return replace(service, variants=variants)

    return strip


_WITHOUT: Mapping[str, Callable[[config.Service], config.Service]] = {
    "startSeconds": _without(start_seconds=0),
    "shadow": _without(shadow=0),
    "assignment": lambda service: replace(service, assignment=config.Assignment()),
    "analysis": lambda service: replace(service, analysis=config.Analysis()),
}
"""How a service is told to routers that don't know a later field which it can do without."""


def _front(router: str, spec: RouterSpec) -> config.RouterConfig:
    """What concerns clients, before any service."""
    bare = config.RouterConfig(name=router)
    certificate = {
        "cert_file": f"{names.TLS_FOLDER}/tls.crt",
        "key_file": f"{names.TLS_FOLDER}/tls.key",
    }
    return replace(
        bare,
        limits=tuning.tuned(bare.limits, spec.limits),
        cors=tuning.tuned(bare.cors, spec.cors),
        tls=replace(bare.tls, **certificate) if spec.tls else bare.tls,
        # The API takes a range with bits below its length, as NetworkPolicies do; the contract doesn't.
        trusted_proxies=tuple(
            dict.fromkeys(str(ip_network(proxy, strict=False)) for proxy in spec.trusted_proxies or ())
        ),
    )


def _without_taken(kept: config.Service, claimed: Mapping[str, str]) -> config.Service:
    still = tuple(model for model in kept.model_names if claimed.get(model, kept.name) == kept.name)
    return replace(kept, model_names=still)


def pack(document: config.RouterConfig) -> bytes:
    """The configuration as the ConfigMap carries it. The same configuration gives the same bytes."""
    text = json.dumps(config.dump(document), sort_keys=True, separators=(",", ":"))
    return gzip.compress(text.encode(), mtime=0)


def encode(packed: bytes) -> str:
    """Packed bytes as `binaryData` spells them."""
    return b64encode(packed).decode()


def unpack(config_map: Manifest | None) -> config.RouterConfig | None:
    """The configuration that a ConfigMap carries; None when it carries none that can be read."""
    data = ((config_map or {}).get("binaryData") or {}).get(CONFIG_KEY)
    if not data:
        return None
    try:
        return config.parse(json.loads(gzip.decompress(b64decode(data))))
    except (ValueError, OSError, EOFError):
        return None


def epoch(timestamp: str) -> int:
    """Seconds since 1970 of a timestamp as the API server writes them; 0 for none."""
    return int(datetime.fromisoformat(timestamp).timestamp()) if timestamp else 0


def scheme(spec: RouterSpec) -> str:
    """What the router's public port speaks."""
    return "https" if spec.tls else "http"


def public_port(spec: RouterSpec) -> int:
    """The port of the router's Service: its scheme's own."""
    return names.PORT_ROUTER_PUBLIC_TLS if spec.tls else names.PORT_ROUTER_PUBLIC


def cluster_url(router: str, namespace: str, spec: RouterSpec) -> str:
    """Where clients inside the cluster reach a router; an OpenAI client appends /v1."""
    return f"{scheme(spec)}://{names.router_name(router)}.{namespace}.svc"
