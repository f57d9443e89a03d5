"""LLMRouter: a front door of a namespace, shared by the LLMServices that name it."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pointsman.api.clients import Cors, Limits, Tls
from pointsman.api.common import (
    LABEL_KEY,
    LABEL_KEY_MESSAGE,
    LABEL_NAME_RULE,
    NAME_RULE,
    Addresses,
    Base,
    Conditions,
    Count,
    Generation,
    Int,
    LabelValue,
    ObjectMeta,
)
from pointsman.api.hardware import Resources
from pointsman.api.names import API_VERSION
from pointsman.api.schema import API_DEFAULT, ListAtomic, ListSet, Rule, keys_avoid, keys_match


def _is_cidr(value: str) -> bool:
    """As CEL's isCIDR: a length without leading zeros, no zone, no IPv4 address dressed up as IPv6."""
    if not re.fullmatch(r"[0-9A-Fa-f:.]+/(0|[1-9][0-9]{0,2})", value):
        return False
    try:
        address = ipaddress.ip_interface(value)
    except ValueError:
        return False
    return getattr(address, "ipv4_mapped", None) is None


PeerLabels = Annotated[dict[str, LabelValue], Field(min_length=1, max_length=8)]


class Peer(Base):
    """Who may talk to a router: pods by their labels, or a range of addresses."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.cidr) != (has(self.namespaceLabels) || has(self.podLabels))",
            holds=lambda peer: (
                (peer.cidr is None) != (peer.namespace_labels is None and peer.pod_labels is None)
            ),
            message="give either cidr, or namespaceLabels and podLabels (one of them is enough)",
        ),
        Rule(
            cel="!has(self.cidr) || isCIDR(self.cidr)",
            holds=lambda peer: peer.cidr is None or _is_cidr(peer.cidr),
            message="cidr must be a range of addresses such as 10.0.0.0/8 or fd00::/8",
            field="cidr",
        ),
        keys_match(
            "namespace_labels",
            LABEL_KEY,
            f"each key of namespaceLabels {LABEL_KEY_MESSAGE}",
        ),
        keys_match("pod_labels", LABEL_KEY, f"each key of podLabels {LABEL_KEY_MESSAGE}"),
    )

    namespace_labels: PeerLabels | None = None
    """Labels of the namespaces the pods are in. Unset: the router's own namespace."""
    pod_labels: PeerLabels | None = None
    """Labels of the pods. Unset: every pod of those namespaces."""
    cidr: Annotated[str, Field(min_length=3, max_length=64)] | None = None
    """Range of addresses, such as 10.0.0.0/8. Addresses outside the cluster, as the router sees them."""


class RouterService(Base):
    """The Service in front of a router's pods."""

    rules: ClassVar[tuple[Rule, ...]] = (
        keys_match("annotations", LABEL_KEY, f"each key of service.annotations {LABEL_KEY_MESSAGE}"),
        keys_avoid(
            "annotations",
            r"([a-z0-9.-]*[.])?pointsman[.]dev/.*",
            "service.annotations must not use keys of pointsman.dev",
        ),
    )

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = Field(
        default="ClusterIP", json_schema_extra={API_DEFAULT: True}
    )
    """How the router is reached. NodePort and LoadBalancer reach beyond the cluster, so they need
    spec.allowedPeers."""
    annotations: Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=32)] | None = (
        None
    )
    """Further annotations of the Service, such as a cloud's load balancer reads."""


class RouterSpec(Base):
    """What a front door is like."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=(
                "!has(self.service) || !has(self.service.type) || self.service.type == 'ClusterIP' || "
                "has(self.allowedPeers)"
            ),
            holds=lambda spec: (
                spec.service is None or spec.service.type == "ClusterIP" or spec.allowed_peers is not None
            ),
            message=(
                "allowedPeers must say who may talk to a router whose service.type is NodePort or "
                "LoadBalancer; 0.0.0.0/0 admits everyone"
            ),
            field="allowed_peers",
        ),
        Rule(
            cel="!has(self.trustedProxies) || self.trustedProxies.all(range, isCIDR(range))",
            holds=lambda spec: all(_is_cidr(range_) for range_ in spec.trusted_proxies or ()),
            message="trustedProxies must hold ranges of addresses such as 10.0.0.0/8 or fd00::/8",
            field="trusted_proxies",
        ),
    )

    replicas: Annotated[Int, Field(ge=1, le=64)] | None = None
    """How many router pods. Unset: 2."""
    resources: Resources | None = None
    """CPU and memory of each router pod. Unset: what the operator chooses."""
    service: RouterService | None = None
    """The Service in front of the pods. Unset: ClusterIP."""
    allowed_peers: Annotated[tuple[Peer, ...], Field(min_length=1, max_length=16), ListAtomic()] | None = None
    """Who may talk to the router. Unset: every pod of its namespace."""
    limits: Limits | None = None
    """How much and how slowly clients of one router process may send and take. Changing it restarts
    nothing."""
    cors: Cors | None = None
    """Which web pages may call the router from a browser. Unset: none. Changing it restarts nothing."""
    tls: Tls | None = None
    """Serves the public port by TLS, and never in plain text: the Service's port is then 443. While the
    certificate's Secret is missing, nobody is served. `{}` takes all defaults. Unset: plain text, port 80."""
    trusted_proxies: (
        Annotated[
            tuple[Annotated[str, Field(min_length=3, max_length=64)], ...],
            Field(min_length=1, max_length=64),
            ListSet(),
        ]
        | None
    ) = None
    """Ranges of addresses, such as 10.0.0.0/8, whose X-Forwarded-For is believed: it says whom a request is
    from. Unset: none. Beyond: the header is dropped. Changing it restarts nothing."""


class RouterStatus(Base):
    """What is so, and why."""

    observed_generation: Generation = 0
    """The metadata.generation that this status is for; when the object's own is larger, it is out of date."""
    conditions: Conditions = ()
    """What is so, and why; see docs/conditions.md."""
    replicas: Count = 0
    """Router pods there are."""
    ready_replicas: Count = 0
    """Router pods that take requests."""
    selector: Annotated[str, Field(max_length=512)] | None = None
    """Label selector of the router pods, for autoscalers."""
    addresses: Addresses = ()
    """Where to point a client."""
    services: Count = 0
    """How many LLMServices are behind this router."""
    config_hash: Annotated[str, Field(max_length=64)] | None = None
    """Hash of the configuration that every running router has acknowledged."""


class LLMRouter(Base):
    """A front door: one Service, some router pods, and every LLMService of the namespace that names it."""

    rules: ClassVar[tuple[Rule, ...]] = (NAME_RULE, LABEL_NAME_RULE)

    api_version: str = API_VERSION
    kind: str = "LLMRouter"
    metadata: ObjectMeta
    spec: RouterSpec = RouterSpec()
    """What the front door is like."""
    status: RouterStatus = RouterStatus()
    """What is so, and why."""
