"""Where the pods of a router are asked, read out of the EndpointSlices of its admin Service.

Those that aren't ready count too: they may know why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pointsman.api import names
from pointsman.core.world import Manifest

LABEL_SLICE_OF = "kubernetes.io/service-name"
"""Label of an EndpointSlice that names its Service."""


@dataclass(frozen=True, slots=True)
class AdminPorts:
    """`ip:port` of the admin port of each of a router's pods."""

    ready: Sequence[str]
    """Of those that take requests."""
    unready: Sequence[str]
    """Of those that don't, and aren't on their way out."""


NO_PORTS = AdminPorts((), ())


def admin_ports(router: str, slices: Iterable[Manifest]) -> AdminPorts:
    """The admin ports of one router, from the EndpointSlices of its namespace."""
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
