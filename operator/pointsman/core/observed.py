"""What routers told, as values: the parsed form of one `/signals` document and of one probe's answer.

Routers of an older or newer version, and routers gone mad, are read too: a field that is missing or of the
wrong type takes its default. Nothing here raises, because a decision must be possible on any observation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NOTHING: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True)
class EngineSignals:
    """One engine pod as its router sees it, ready or not; phase and reason are the entrypoint's own."""

    pod: str
    address: str = ""
    ready: bool = False
    phase: str = ""
    """Preflight, Downloading, Loading, Proving, Ready, Draining, Failed; empty: the status port is silent."""
    bytes_loaded: int = 0
    bytes_total: int = 0
    timings: Mapping[str, float] = field(default_factory=dict)
    """Seconds of each phase: preflight, download, load, compile, firstToken, proof; total, once ready."""
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class VariantSignals:
    """One variant of a service in one router: its endpoints and what was asked of them."""

    name: str
    endpoints: int = 0
    ready: int = 0
    in_flight: int = 0
    requests: int = 0
    """Requests since the router's process started."""
    errors: int = 0
    engines: tuple[EngineSignals, ...] = ()


@dataclass(frozen=True, slots=True)
class Counted:
    """What a router counted of one variant's answers since it took the window."""

    requests: int = 0
    """Copies among them."""
    errors: int = 0
    blocked: int = 0
    flagged: int = 0
    set_aside: int = 0
    """Requests of the warm-up, whose times aren't in the histograms."""
    histograms: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By metric: how many values fell into which bucket of the routers' scale."""
    whole: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Of them, those of answers that aren't streams. Routers of before don't tell, and have but one kind."""


@dataclass(frozen=True, slots=True)
class WindowSignals:
    """What a router counts under, and of whom."""

    window: str = ""
    """Empty: it measures nothing."""
    variants: Mapping[str, Counted] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServiceSignals:
    """One service in one router."""

    name: str
    hash: str = ""
    """Hash of the service's own configuration that this router runs."""
    cut: int = 0
    """Requests that engines on their way out cut, since the router's process started."""
    leaving: int = 0
    """Requests that engines on their way out are still answering."""
    variants: Mapping[str, VariantSignals] = field(default_factory=dict)
    analysis: WindowSignals = WindowSignals()
    """What it measures."""


@dataclass(frozen=True, slots=True)
class RouterSignals:
    """One router pod. Unreachable ones are here too, with nothing else known."""

    address: str
    reachable: bool = False
    config: str = ""
    """Hash of the whole configuration it runs; empty before its first."""
    config_error: str = ""
    """Why it refused the newest configuration; empty when it took it."""
    understands: tuple[str, ...] = ()
    """Fields of its configuration that it knows beside those of the first release."""
    tls_error: str = ""
    """Why it can't serve the certificate it is told to; empty where it can, or needn't."""
    services: Mapping[str, ServiceSignals] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Whether one router answered a one-token request for a service, and by what."""

    address: str
    reachable: bool = False
    ok: bool = False
    service: str = ""
    generation: int = 0
    hash: str = ""
    variant: str = ""
    kind: str = ""
    """What was asked: chat, completion, embedding …"""
    seconds: float = 0.0
    reason: str = ""
    message: str = ""


def parse_signals(raw: Mapping[str, object]) -> RouterSignals:
    """One router's answer as `signals` gives it: {"address", "reachable", "body"}."""
    address, body = _text(raw, "address"), _map(raw, "body")
    if not _flag(raw, "reachable"):
        return RouterSignals(address)
    services = {name: _service(name, _map(_map(body, "services"), name)) for name in _map(body, "services")}
    return RouterSignals(
        address=address,
        reachable=True,
        config=_text(body, "config"),
        config_error=_text(body, "configError"),
        understands=_names(body, "understands"),
        tls_error=_text(body, "tlsError"),
        services=services,
    )


def parse_probe(raw: Mapping[str, object]) -> ProbeResult:
    """One router's answer to a probe, in the same envelope."""
    body = _map(raw, "body")
    return ProbeResult(
        address=_text(raw, "address"),
        reachable=_flag(raw, "reachable"),
        ok=_flag(raw, "reachable") and _flag(body, "ok"),
        service=_text(body, "service"),
        generation=_count(body, "generation"),
        hash=_text(body, "hash"),
        variant=_text(body, "variant"),
        kind=_text(body, "kind"),
        seconds=_number(body, "seconds"),
        reason=_text(body, "reason"),
        message=_text(body, "message"),
    )


def parse_models(raw: Mapping[str, object]) -> frozenset[str] | None:
    """Model names that `GET /v1/models` listed, or None when the way in didn't answer with a list."""
    body = _map(raw, "body")
    if not _flag(raw, "reachable") or not isinstance(body.get("data"), list):
        return None
    return frozenset(_text(item, "id") for item in _list(body, "data"))


def _service(name: str, body: Mapping[str, object]) -> ServiceSignals:
    variants = _map(body, "variants")
    return ServiceSignals(
        name=name,
        hash=_text(body, "hash"),
        cut=_count(body, "cut"),
        leaving=_count(body, "leaving"),
        variants={key: _variant(key, _map(variants, key)) for key in variants},
        analysis=_window(_map(body, "analysis")),
    )


def _window(body: Mapping[str, object]) -> WindowSignals:
    variants = _map(body, "variants")
    return WindowSignals(_text(body, "window"), {key: _counted(_map(variants, key)) for key in variants})


def _counted(body: Mapping[str, object]) -> Counted:
    return Counted(
        requests=_count(body, "requests"),
        errors=_count(body, "errors"),
        blocked=_count(body, "blocked"),
        flagged=_count(body, "flagged"),
        set_aside=_count(body, "setAside"),
        histograms=_histograms(_map(body, "histograms")),
        whole=_histograms(_map(body, "whole")),
    )


def _histograms(body: Mapping[str, object]) -> dict[str, dict[str, int]]:
    buckets = {metric: _map(body, metric) for metric in body}
    return {
        metric: {bucket: _count(counts, bucket) for bucket in counts} for metric, counts in buckets.items()
    }


def _variant(name: str, body: Mapping[str, object]) -> VariantSignals:
    return VariantSignals(
        name=name,
        endpoints=_count(body, "endpoints"),
        ready=_count(body, "ready"),
        in_flight=_count(body, "inFlight"),
        requests=_count(body, "requests"),
        errors=_count(body, "errors"),
        engines=tuple(_engine(item) for item in _list(body, "engines")),
    )


def _engine(body: Mapping[str, object]) -> EngineSignals:
    timings = _map(body, "timings")
    return EngineSignals(
        pod=_text(body, "pod"),
        address=_text(body, "address"),
        ready=_flag(body, "ready"),
        phase=_text(body, "phase"),
        bytes_loaded=_count(body, "bytesLoaded"),
        bytes_total=_count(body, "bytesTotal"),
        timings={key: _number(timings, key) for key in timings},
        reason=_text(body, "reason"),
        message=_text(body, "message"),
    )


def _map(body: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = body.get(key)
    return value if isinstance(value, Mapping) else NOTHING


def _list(body: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    value = body.get(key)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _names(body: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = body.get(key)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _text(body: Mapping[str, object], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


def _flag(body: Mapping[str, object], key: str) -> bool:
    return body.get(key) is True


def _count(body: Mapping[str, object], key: str) -> int:
    value = body.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _number(body: Mapping[str, object], key: str) -> float:
    value = body.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0
