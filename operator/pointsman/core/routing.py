"""From LLMServices to the routers' configuration: which names each may use, and what stands behind them.

Both the service's pass (to know the hash it waits for) and the router's pass (to write the ConfigMap)
compile by these functions, so they can't disagree.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from ipaddress import ip_network

from pointsman.api import names
from pointsman.api.router import RouterSpec
from pointsman.api.service import LLMService
from pointsman.core import startup, tuning
from pointsman.core.world import Manifest
from pointsman_router import config

CONFIG_KEY = "config.json.gz"
"""Key of the ConfigMap's binaryData that holds the configuration."""

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
    service: LLMService, granted_names: Sequence[str], traffic: Sequence[tuple[str, int]], generation: int
) -> config.Service:
    """One service's part of its router's configuration."""
    name = service.metadata.name
    compiled = config.Service(
        name=name,
        model_names=tuple(granted_names),
        engine_model=name,
        variants=tuple(_variant(service, revision, weight) for revision, weight in traffic),
        generation=generation,
        owner=service.metadata.namespace,
        created=epoch(service.metadata.creation_timestamp),
    )
    return replace(compiled, routing=tuning.tuned(compiled.routing, service.spec.routing))


def _variant(service: LLMService, revision: str, weight: int) -> config.Variant:
    # All revisions share one headless Service; a revision's pods bear its Deployment's name.
    upstream = config.Upstream(
        service=names.engine_name(service.metadata.name),
        pod_prefix=f"{revision}-",
        port=names.PORT_ENGINE,
        status_port=names.PORT_ENGINE_STATUS,
    )
    seconds = startup.expected(service.status.startup, revision) or 0
    return config.Variant(name=revision, upstream=upstream, weight=weight, start_seconds=seconds)


def compile_router(
    router: str,
    spec: RouterSpec,
    services: Sequence[LLMService],
    previous: Mapping[str, config.Service],
    unreadable: Iterable[str] = (),
) -> config.RouterConfig:
    """The whole configuration of one router.

    A service that is paused or can't be read, or whose status says nothing of its traffic (not looked at yet,
    or status was lost), keeps what `previous` holds of it: forgetting is no reason to stop serving.
    """
    compiled = []
    claimed = claims(services, router)
    for service in on_router(services, router):
        rollout = service.status.rollout
        kept = previous.get(service.metadata.name)
        if rollout is None or (service.spec.paused and kept):
            compiled += [_without_taken(kept, claimed)] if kept else []
            continue
        traffic = [(share.revision, share.weight) for share in rollout.traffic or ()]
        compiled.append(compile_service(service, _won(service, claimed), traffic, rollout.generation or 0))
    compiled += [_without_taken(previous[name], claimed) for name in unreadable if name in previous]
    front = _front(router, spec)
    return replace(front, services=tuple(sorted(compiled, key=lambda s: s.name)))


def understood(compiled: config.RouterConfig, known: Iterable[Sequence[str]]) -> config.RouterConfig:
    """The configuration as far as all routers know its fields; `known`: of each the later ones that it does.

    One of an older release refuses what it doesn't know, and with it every change that comes along.
    """
    if all("startSeconds" in fields for fields in known):
        return compiled
    services = (
        replace(s, variants=tuple(replace(variant, start_seconds=0) for variant in s.variants))
        for s in compiled.services
    )
    return replace(compiled, services=tuple(services))


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
