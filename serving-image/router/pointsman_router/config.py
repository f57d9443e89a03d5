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
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from functools import cache
from ipaddress import ip_network
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pointsman_router.headers import FORWARD, classify_request
from pointsman_router.settings import Cors, Limits, Routing, Tls, bounds_of

FORMAT = 1
"""Version of the document. A router refuses a document of a format it doesn't know, and keeps its last."""
LATER_FIELDS = ("startSeconds",)
"""Fields that came after the first release, whose routers refuse a document with one. A router tells which it
knows (`understands` in /signals), and is told no other: during an upgrade old ones run on for a while."""

_ORIGIN = re.compile(r"\*|[a-z][-+.a-z0-9]*://([-._a-z0-9]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_LABEL = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_ENGINE = re.compile(rf"(?=.{{1,253}}$)(\[[0-9A-Fa-f:.]{{2,45}}\]|{_LABEL}(\.{_LABEL})*)")
"""Where an engine may be: it's written into heads of requests, too."""
_PORT = re.compile("0*[1-9][0-9]{0,4}")
_SHA256 = re.compile("[0-9a-f]{64}")
_FIELD_NAME = re.compile("[A-Za-z0-9!#$%&'*+.^_`|~-]{1,256}")
_LARGEST = 2**63
"""Where a number is surely out of bounds, and before it's too large for a float."""
_Config = TypeVar("_Config", bound="RouterConfig")


class ConfigError(ValueError):
    """The document is not a valid configuration; the message names the field and what would be right."""


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
    format: int = FORMAT


def parse(document: object) -> RouterConfig:
    """Reads a document as `dump` writes it. Raises ConfigError naming the field that is wrong."""
    return parse_as(RouterConfig, document)


def parse_as(kind: type[_Config], document: object) -> _Config:
    """Reads a document of a kind that has more fields than the contract; as strict as `parse`."""
    config: _Config = _read(kind, document, "")
    if config.format != FORMAT:
        raise ConfigError(f"format: {config.format} is not known here; this router reads format {FORMAT}")
    _check_names(config)
    _check_upstreams(config)
    _check_access(config)
    _check_sessions(config)
    _check_bounds(config, "")
    return config


def dump(config: RouterConfig) -> dict[str, Any]:
    """The document of a configuration: JSON-able, fields at their default left out."""
    document: dict[str, Any] = _write(config)
    document["format"] = config.format
    return document


def service_hash(service: Service) -> str:
    """Twelve hex digits that change when anything in this service's own configuration does.

    The operator counts a change as done when routers report this hash for the service, so a neighbour's
    change must not touch it. How long engines take to start is no part of it: that is measured, not
    asked for.
    """
    variants = tuple(replace(variant, start_seconds=0) for variant in service.variants)
    return _digest(_write(replace(service, variants=variants)))


def config_hash(config: RouterConfig) -> str:
    """Twelve hex digits over the whole configuration."""
    return _digest(dump(config))


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


def _check_bounds(value: Any, path: str) -> None:
    """Every number of every settings class against its own bounds."""
    for spec in fields(value):
        where, setting = _join(path, _camel(spec.name)), getattr(value, spec.name)
        bounds = bounds_of(spec)
        if bounds is not None:
            if not bounds.low <= setting <= bounds.high:
                raise ConfigError(
                    f"{where}: {setting} is out of bounds; it must be {bounds.low:g} to {bounds.high:g}"
                )
        elif is_dataclass(setting):
            _check_bounds(setting, where)
        elif isinstance(setting, tuple):
            for index, item in enumerate(setting):
                if is_dataclass(item):
                    _check_bounds(item, f"{where}[{index}]")


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


def _read(kind: Any, value: object, path: str) -> Any:
    if get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{path}: expected a list")
        item = get_args(kind)[0]
        return tuple(_read(item, element, f"{path}[{i}]") for i, element in enumerate(value))
    if is_dataclass(kind):
        return _read_dataclass(kind, value, path)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        known = [member.value for member in kind]
        if value not in known:
            raise ConfigError(f"{path}: {value!r} is not known; known are {', '.join(known)}")
        return kind(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < _LARGEST else float("inf")
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{path}: expected {kind.__name__}, got {type(value).__name__}")
    if kind is int and abs(value) >= _LARGEST:
        raise ConfigError(f"{path}: larger than 64 bits hold")
    return value


def _read_dataclass(kind: Any, value: object, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{path or 'document'}: expected a mapping")
    hints, known = _members(kind)
    unknown = sorted(str(key) for key in value if key not in known)
    if unknown:
        raise ConfigError(f"{_join(path, unknown[0])}: unknown field; known are {', '.join(sorted(known))}")
    missing = [key for key, spec in known.items() if key not in value and _is_required(spec)]
    if missing:
        raise ConfigError(f"{_join(path, missing[0])}: missing")
    names = {key: spec.name for key, spec in known.items()}
    arguments = {names[key]: _read(hints[names[key]], value[key], _join(path, key)) for key in value}
    return kind(**arguments)


@cache
def _members(kind: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Types by a field's name, and fields by their name in a document. Types are evaluated from their text,
    which would take longer than all of a document's reading."""
    return get_type_hints(kind), {_camel(f.name): f for f in fields(kind)}


def _write(value: Any) -> Any:
    if isinstance(value, StrEnum):
        return value.value
    if is_dataclass(value):
        return {
            _camel(f.name): _write(getattr(value, f.name))
            for f in fields(value)
            if getattr(value, f.name) != f.default and not _is_default(f, getattr(value, f.name))
        }
    if isinstance(value, tuple):
        return [_write(item) for item in value]
    return value


def _is_required(spec: Any) -> bool:
    return spec.default is MISSING and spec.default_factory is MISSING


def _is_default(spec: Any, value: object) -> bool:
    factory = spec.default_factory
    return callable(factory) and factory() == value


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
