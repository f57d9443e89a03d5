"""The router's configuration contract.

The operator compiles LLMServices to these values and the router obeys them; the same document in a
YAML file runs the router alone. This module is the only thing both sides share, so it knows nothing
of Kubernetes' API, of pydantic or of the router's inner parts: plain dataclasses and the standard library.
The settings of the request path, with their bounds, stand in `settings`.

`parse` is strict: an unknown or ill-typed field is refused with its path, because a field that is
silently dropped is a policy that is silently not applied.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import ip_network
from typing import Any, TypeVar

from pointsman_router import documents, prompts
from pointsman_router.documents import ConfigError as ConfigError  # part of this contract
from pointsman_router.documents import check_bounds
from pointsman_router.headers import FORWARD, classify_request
from pointsman_router.prompts import Fixed as Fixed  # part of this contract, as are these
from pointsman_router.prompts import Prompt as Prompt
from pointsman_router.prompts import PromptMessage as PromptMessage
from pointsman_router.prompts import PromptVariable as PromptVariable
from pointsman_router.prompts import VariableType as VariableType
from pointsman_router.settings import DAY, HOUR, Cors, Limits, Routing, Tls, bounded

FORMAT = 1
"""Version of the document. A router refuses a document of a format it doesn't know, and keeps its last."""
LATER_FIELDS = ("startSeconds", "assignment", "analysis", "shadow", "prompts", "drainSeconds")
"""Fields that came after the first release, whose routers refuse a document with one. A router tells which it
knows (`understands` in /signals), and is told no other: during an upgrade old ones run on for a while."""

MAX_TEXT = 256
"""Characters of a salt or of a window's name."""

_ORIGIN = re.compile(r"\*|[a-z][-+.a-z0-9]*://([-._a-z0-9]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_ENGINE = re.compile(rf"(?=.{{1,253}}$)(\[[0-9A-Fa-f:.]{{2,45}}\]|{_LABEL}(\.{_LABEL})*)")
"""Where an engine may be: it's written into heads of requests, too."""
_PORT = re.compile("0*[1-9][0-9]{0,4}")
_SHA256 = re.compile("[0-9a-f]{64}")
_FIELD_NAME = re.compile("[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_Config = TypeVar("_Config", bound="RouterConfig")


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where a variant's engines are: a Kubernetes Service's EndpointSlices, or fixed addresses."""

    service: str = ""
    """Headless Service, in the router's own namespace, whose EndpointSlices list the engines."""
    pod_prefix: str = ""
    """Only endpoints whose pod's name starts so belong to this variant (one Service, many revisions)."""
    addresses: tuple[str, ...] = ()
    """`host:port` of each engine, instead of a Service."""
    port: int = 8000
    """Port of the engine's OpenAI API, for endpoints found through the Service."""
    status_port: int = 8001
    """Port of the entrypoint's own status, for endpoints found through the Service."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to answer for a service: an engine revision (later: and a prompt version)."""

    name: str
    """The revision's name. It goes into metrics, logs and the probe's answer."""
    upstream: Upstream
    weight: int = 100
    """Share of requests, in percent. The weights of a service's variants sum to 100, or to 0 where none may
    answer yet. A variant of weight 0 is watched and can be probed, and is never picked."""
    start_seconds: int = 0
    """How long its engines take to start, as far as that was measured; 0: not known. Clients are told when to
    come back by it, and nothing else follows from it: `service_hash` leaves it out."""
    shadow: int = bounded(0, 0, 100, "")
    """Percent of the service's requests that are copied to it, its answers discarded. Only with weight 0, and
    for one of a service's variants."""
    prompt: str = ""
    """Name of the one of the service's prompts that it answers by; empty: none."""


class AssignmentKey(StrEnum):
    """By what a request is given to a variant, where several have weight."""

    NONE = "none"
    """Each request for itself."""
    SESSION = "session"
    """What `routing.stickiness` names; a request without it, for itself."""
    CONVERSATION = "conversation"
    """That too; else the request's first messages, up to the user's first one."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """How a request finds its variant."""

    key: AssignmentKey = AssignmentKey.SESSION
    """What stays together."""
    salt: str = ""
    """Mixed into the draw, so that another candidate isn't tried on the same people. Up to 256 characters."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """Whether variants are measured, and what of it is set aside. A window that changes starts from zero."""

    window: str = ""
    """What is measured: a variant's name, and after a slash whatever tells its windows apart. Up to 256
    characters; empty: nothing is measured."""
    warm_up_requests: int = bounded(0, 0, 100_000, "")
    """Requests to each engine that is new to the variant whose times are set aside, as each router counts
    them: the first answers come from a cold cache."""
    warm_up_seconds: float = bounded(0.0, 0, HOUR, "")
    """Seconds from the window's beginning in which the times of all variants are set aside."""


@dataclass(frozen=True, slots=True)
class Service:
    """One LLMService: the model names clients use, and what stands behind them."""

    name: str
    model_names: tuple[str, ...]
    """What clients send as `model`. Unique over all services of a router."""
    engine_model: str
    """What the engines were told to call the model; the router rewrites a request that names it otherwise."""
    variants: tuple[Variant, ...] = ()
    generation: int = 0
    """metadata.generation of the LLMService this was compiled from; echoed by the probe."""
    owner: str = ""
    """Owner as `GET /v1/models` lists it (`owned_by`)."""
    created: int = 0
    """Creation time as `GET /v1/models` lists it, in seconds since the epoch."""
    adapters: tuple[str, ...] = ()
    """LoRA adapters its engines can load. A client names one as `model`; the name is passed on as it is, and
    its requests keep to few engines."""
    routing: Routing = field(default_factory=Routing)
    assignment: Assignment = field(default_factory=Assignment)
    analysis: Analysis = field(default_factory=Analysis)
    prompts: tuple[Prompt, ...] = ()
    """What its variants answer by."""

    @property
    def names(self) -> tuple[str, ...]:
        """All that clients may send as `model`."""
        return (*self.model_names, *self.adapters)


@dataclass(frozen=True, slots=True)
class Key:
    """An API key. Where a router has any, only requests that bear one are answered."""

    name: str
    """Who it belongs to, for metrics and logs."""
    sha256: str
    """The key's SHA-256 in hex: the configuration holds no secrets."""
    models: tuple[str, ...] = ()
    """Model names it may use; empty: all."""


@dataclass(frozen=True, slots=True)
class RouterConfig:
    """Everything one router serves. Applied as a whole or not at all."""

    name: str
    services: tuple[Service, ...] = ()
    limits: Limits = field(default_factory=Limits)
    cors: Cors = field(default_factory=Cors)
    tls: Tls = field(default_factory=Tls)
    trusted_proxies: tuple[str, ...] = ()
    """Ranges of addresses (CIDR) whose X-Forwarded-* are believed; everyone else's are dropped."""
    keys: tuple[Key, ...] = ()
    drain_seconds: float = bounded(0.0, 0, DAY, "")
    """From SIGTERM on, how long requests in flight have to finish, where that's longer than the process was
    started with. It changes while it runs: what a service needs is no reason to start routers anew."""
    format: int = FORMAT


def parse(document: object) -> RouterConfig:
    """Reads a document as `dump` writes it. Raises ConfigError naming the field that is wrong."""
    return parse_as(RouterConfig, document)


def parse_as(kind: type[_Config], document: object) -> _Config:
    """Reads a document of a kind that has more fields than the contract; as strict as `parse`."""
    config: _Config = documents.read(kind, document, "")
    if config.format != FORMAT:
        raise ConfigError(f"format: {config.format} is not known here; this router reads format {FORMAT}")
    _check_names(config)
    _check_upstreams(config)
    _check_access(config)
    _check_sessions(config)
    _check_experiments(config)
    _check_prompts(config)
    check_bounds(config, "")
    return config


def dump(config: RouterConfig) -> dict[str, Any]:
    """The document of a configuration: JSON-able, fields at their default left out."""
    document: dict[str, Any] = documents.write(config)
    document["format"] = config.format
    return document


def service_hash(service: Service) -> str:
    """Twelve hex digits that change when anything in this service's own configuration does.

    The operator counts a change as done when routers report this hash for the service, so a neighbour's
    change must not touch it. How long engines take to start is no part of it: that is measured, not
    asked for.
    """
    variants = tuple(replace(variant, start_seconds=0) for variant in service.variants)
    return _digest(documents.write(_compared(replace(service, variants=variants))))


def config_hash(config: RouterConfig) -> str:
    """Twelve hex digits over the whole configuration."""
    return _digest(dump(replace(config, services=tuple(map(_compared, config.services)))))


def _compared(service: Service) -> Service:
    return replace(service, prompts=tuple(prompt.compared for prompt in service.prompts))


def _digest(document: object) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _check_names(config: RouterConfig) -> None:
    claimed: dict[str, str] = {}
    names: set[str] = set()
    for index, service in enumerate(config.services):
        where = f"services[{index}]"
        if service.name in names:
            raise ConfigError(f"{where}.name: {service.name!r} is there twice")
        names.add(service.name)
        for model in service.names:
            if model in claimed:
                raise ConfigError(f"{where}.modelNames: {model!r} is already served by {claimed[model]!r}")
            claimed[model] = service.name
        total = sum(variant.weight for variant in service.variants)
        if service.variants and total not in (0, 100):
            raise ConfigError(
                f"{where}.variants: weights sum to {total}; they must sum to 100, or to 0 to hold all"
            )


def _check_upstreams(config: RouterConfig) -> None:
    for s, service in enumerate(config.services):
        for v, variant in enumerate(service.variants):
            where = f"services[{s}].variants[{v}]"
            if not 0 <= variant.weight <= 100:
                raise ConfigError(f"{where}.weight: {variant.weight} is out of bounds; it must be 0 to 100")
            if variant.start_seconds < 0:
                raise ConfigError(f"{where}.startSeconds: {variant.start_seconds} is negative")
            for port in (variant.upstream.port, variant.upstream.status_port):
                if not 0 < port < 65536:
                    raise ConfigError(f"{where}.upstream: {port} is no port; it must be 1 to 65535")
            for address in variant.upstream.addresses:
                host, _, number = address.rpartition(":")
                if _ENGINE.fullmatch(host) is None or _PORT.fullmatch(number) is None or int(number) > 65535:
                    raise ConfigError(
                        f"{where}.upstream.addresses: {address[:300]!r} is not host:port "
                        "(an IPv6 address in brackets)"
                    )


def _check_access(config: RouterConfig) -> None:
    """Who may come in: origins, proxies, certificates, keys."""
    if config.cors.allow_credentials and "*" in config.cors.allowed_origins:
        raise ConfigError("cors.allowCredentials: not together with the origin `*`; list the origins")
    for o, origin in enumerate(config.cors.allowed_origins):
        if _ORIGIN.fullmatch(origin) is None:
            raise ConfigError(
                f"cors.allowedOrigins[{o}]: {origin!r} is not `*` or an origin, scheme://host:port"
            )
    for h, header in enumerate(config.cors.allowed_headers):
        if _TOKEN.fullmatch(header) is None:
            raise ConfigError(f"cors.allowedHeaders[{h}]: {header!r} is not a header's name")
    if bool(config.tls.cert_file) != bool(config.tls.key_file):
        raise ConfigError("tls: give certFile and keyFile, or neither")
    for p, proxy in enumerate(config.trusted_proxies):
        try:
            ip_network(proxy)
        except ValueError as error:
            raise ConfigError(f"trustedProxies[{p}]: not a range of addresses: {error}") from None
    seen: set[str] = set()
    for k, key in enumerate(config.keys):
        if _SHA256.fullmatch(key.sha256) is None:
            raise ConfigError(f"keys[{k}].sha256: must be 64 lower-case hex digits")
        if key.sha256 in seen:
            raise ConfigError(f"keys[{k}].sha256: this key is there twice")
        seen.add(key.sha256)


def _check_sessions(config: RouterConfig) -> None:
    """A header that isn't passed on would never name a session."""
    for index, service in enumerate(config.services):
        name = service.routing.stickiness.header
        if name and (
            _FIELD_NAME.fullmatch(name) is None or classify_request(name.lower().encode()) != FORWARD
        ):
            where = f"services[{index}].routing.stickiness.header"
            raise ConfigError(f"{where}: {name!r} is no header that requests pass on")


def _check_experiments(config: RouterConfig) -> None:
    """What is tried on whom, and measured."""
    for index, service in enumerate(config.services):
        where = f"services[{index}]"
        texts = {"assignment.salt": service.assignment.salt, "analysis.window": service.analysis.window}
        for name, text in texts.items():
            if len(text) > MAX_TEXT:
                raise ConfigError(f"{where}.{name}: longer than {MAX_TEXT} characters")
        copied = [v for v, variant in enumerate(service.variants) if variant.shadow]
        for v in copied:
            if service.variants[v].weight:
                raise ConfigError(f"{where}.variants[{v}].shadow: only a variant of weight 0 takes copies")
        if len(copied) > 1:
            raise ConfigError(f"{where}.variants[{copied[1]}].shadow: only one variant takes copies")


def _check_prompts(config: RouterConfig) -> None:
    """Each variant's prompt is there, and each prompt can be rendered."""
    for s, service in enumerate(config.services):
        where = f"services[{s}]"
        prompts.check(service.prompts, where)
        known = {prompt.name for prompt in service.prompts}
        for v, variant in enumerate(service.variants):
            if variant.prompt and variant.prompt not in known:
                raise ConfigError(f"{where}.variants[{v}].prompt: there is no prompt {variant.prompt!r}")
