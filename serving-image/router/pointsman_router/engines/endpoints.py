"""What EndpointSlices say, as values: which engines there are and which may take requests.

The only module that knows how Kubernetes writes endpoints. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SERVICE_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One engine, ready or not."""

    address: str
    pod: str
    ready: bool
    """Whether it may be given new requests: a pod that terminates may not, even while it still serves."""
    leaving: bool = False
    """Whether its pod terminates."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One EndpointSlice. A Service may have several."""

    service: str
    endpoints: tuple[Endpoint, ...]


def read_slice(manifest: Mapping[str, Any]) -> Slice:
    """Reads an EndpointSlice as the API server sends it."""
    labels = manifest.get("metadata", {}).get("labels") or {}
    found = []
    for endpoint in manifest.get("endpoints") or ():
        addresses = endpoint.get("addresses") or ()
        if addresses:
            target = endpoint.get("targetRef") or {}
            leaving = (endpoint.get("conditions") or {}).get("terminating") is True
            found.append(Endpoint(addresses[0], target.get("name", ""), _may_take(endpoint), leaving))
    return Slice(labels.get(SERVICE_LABEL, ""), tuple(found))


def _may_take(endpoint: Mapping[str, Any]) -> bool:
    # Unset conditions mean: ready. `serving` differs from `ready` where a Service publishes unready pods.
    conditions = endpoint.get("conditions") or {}
    ready = conditions.get("ready") is not False
    serving = conditions.get("serving") is not False
    return ready and serving and conditions.get("terminating") is not True


def by_service(slices: Iterable[Slice]) -> dict[str, tuple[Endpoint, ...]]:
    """All endpoints of each Service. One that moves between slices is listed twice for a moment: once here,
    and ready only if no slice says otherwise."""
    services: dict[str, dict[tuple[str, str], Endpoint]] = {}
    for one in slices:
        merged = services.setdefault(one.service, {})
        for endpoint in one.endpoints:
            key = (endpoint.pod, endpoint.address)
            known = merged.get(key)
            if known is None or (known.ready and not endpoint.ready) or endpoint.leaving:
                merged[key] = endpoint
    return {name: tuple(merged[key] for key in sorted(merged)) for name, merged in services.items()}
