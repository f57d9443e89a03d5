"""The objects one LLMRouter is made of: pure builders, one per kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pointsman.api import names
from pointsman.api.common import ObjectMeta
from pointsman.api.router import LLMRouter, Peer, RouterSpec
from pointsman.api.service import LLMService
from pointsman.core import owned, pod_template, routing
from pointsman.core.settings import Settings

REPLICAS = 2
"""What `replicas` means when it isn't set: one may go while the other serves."""

LONGEST_DRAIN_SECONDS = 3600
"""For how long a router pod relays at most once it's to end; requests end after an hour anyway, where nothing
else is declared. Its grace is as long whatever its services need: what they do is told in the configuration,
since another grace would replace every pod. One that hangs is killed by then."""

RESOURCES: Mapping[str, Any] = {
    "requests": {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "64Mi"},
    "limits": {"memory": "1Gi", "ephemeral-storage": "512Mi"},
}
"""Host resources of a router pod when none are declared."""

_SPREAD_KEY = "kubernetes.io/hostname"


def replicas(spec: RouterSpec) -> int:
    """How many router pods there should be."""
    return REPLICAS if spec.replicas is None else spec.replicas


def pod_labels(router: str) -> dict[str, str]:
    """Labels of a router's pods; its Deployment, Services and policies select by exactly these."""
    return {names.LABEL_ROUTER: router, names.LABEL_ROLE: names.ROLE_ROUTER}


def drain_seconds(router: str, services: Iterable[LLMService]) -> float:
    """How long routers that end may relay what is in flight: as long as the engines of any of their services,
    also of one that is being deleted, may go on, up to an hour. 0 where what every router is started with is
    enough."""
    mine = (pod_template.drain_seconds(s.spec) for s in services if routing.router_of(s) == router)
    longest = min(max(mine, default=0), LONGEST_DRAIN_SECONDS)
    return float(longest) if longest > pod_template.DRAIN_SECONDS else 0.0


def tls_secret(router: str, spec: RouterSpec) -> str:
    """Name of the Secret that would hold a router's certificate."""
    named = spec.tls and spec.tls.secret_ref
    return named.name if named else names.router_tls_name(router)


def build(router: LLMRouter, packed: bytes, settings: Settings) -> list[dict[str, Any]]:
    """Every child of a router, around its packed configuration."""
    meta, spec = router.metadata, router.spec
    return [
        _config_map(meta, packed),
        _child(names.SERVICEACCOUNT, meta, {"automountServiceAccountToken": False}),
        _role(meta),
        _role_binding(meta),
        _network_policy(meta, spec, settings),
        _child(
            names.PDB,
            meta,
            {"spec": {"maxUnavailable": 1, "selector": {"matchLabels": pod_labels(meta.name)}}},
        ),
        _service(meta, spec),
        _admin_service(meta),
        _deployment(meta, spec, settings),
    ]


def _child(
    resource: names.Resource, meta: ObjectMeta, body: Mapping[str, Any], name: str = ""
) -> dict[str, Any]:
    labels = {names.LABEL_ROUTER: meta.name}
    return owned.child(resource, name or names.router_name(meta.name), names.LLMROUTER, meta, labels, body)


def _config_map(meta: ObjectMeta, packed: bytes) -> dict[str, Any]:
    return _child(names.CONFIGMAP, meta, {"binaryData": {routing.CONFIG_KEY: routing.encode(packed)}})


def _role(meta: ObjectMeta) -> dict[str, Any]:
    """What a router reads: its own ConfigMap and its namespace's EndpointSlices. Nothing else."""
    rules = [
        {
            "apiGroups": [""],
            "resources": ["configmaps"],
            "resourceNames": [names.router_name(meta.name)],
            "verbs": ["list", "watch"],
        },
        {
            "apiGroups": ["discovery.k8s.io"],
            "resources": ["endpointslices"],
            "verbs": ["list", "watch"],
        },
    ]
    return _child(names.ROLE, meta, {"rules": rules})


def _role_binding(meta: ObjectMeta) -> dict[str, Any]:
    name = names.router_name(meta.name)
    body = {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": meta.namespace}],
    }
    return _child(names.ROLEBINDING, meta, body)


def _service(meta: ObjectMeta, spec: RouterSpec) -> dict[str, Any]:
    declared = spec.service
    body = {
        "spec": {
            "type": declared.type if declared else "ClusterIP",
            "selector": pod_labels(meta.name),
            "ports": [
                {
                    "name": routing.scheme(spec),
                    "port": routing.public_port(spec),
                    "targetPort": "http",
                    "protocol": "TCP",
                }
            ],
        }
    }
    child = _child(names.SERVICE, meta, body)
    if declared and declared.annotations:
        child["metadata"]["annotations"] = dict(declared.annotations)
    return child


def _admin_service(meta: ObjectMeta) -> dict[str, Any]:
    """Headless: the operator asks each router pod, never one of them at random."""
    body = {
        "spec": {
            "clusterIP": "None",
            "selector": pod_labels(meta.name),
            "ports": [
                {"name": "admin", "port": names.PORT_ROUTER_ADMIN, "targetPort": "admin", "protocol": "TCP"}
            ],
        }
    }
    return _child(names.SERVICE, meta, body, names.router_admin_name(meta.name))


def _network_policy(meta: ObjectMeta, spec: RouterSpec, settings: Settings) -> dict[str, Any]:
    """In: declared peers, the operator and trials on both ports. Out: engines, DNS, the API server."""
    operator = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": settings.operator_namespace}},
        "podSelector": {"matchLabels": {names.LABEL_NAME: "pointsman", names.LABEL_COMPONENT: "operator"}},
    }
    trials = {"podSelector": {"matchLabels": {names.LABEL_ROLE: names.ROLE_TRIAL}}}
    peers = [_peer(peer) for peer in spec.allowed_peers] if spec.allowed_peers else [{"podSelector": {}}]
    engines = {"podSelector": {"matchLabels": {names.LABEL_ROLE: names.ROLE_ENGINE}}}
    body = {
        "spec": {
            "podSelector": {"matchLabels": pod_labels(meta.name)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {"from": [*peers, operator, trials], "ports": [owned.port(names.PORT_ROUTER)]},
                {"from": [operator, trials], "ports": [owned.port(names.PORT_ROUTER_ADMIN)]},
            ],
            "egress": [
                {
                    "to": [engines],
                    "ports": [owned.port(names.PORT_ENGINE), owned.port(names.PORT_ENGINE_STATUS)],
                },
                {"ports": [owned.port(53, "UDP"), owned.port(53)]},
                # The API server is no pod: it can be told apart by its port alone.
                {"ports": [owned.port(443), owned.port(6443)]},
            ],
        }
    }
    return _child(names.NETWORKPOLICY, meta, body)


def _peer(peer: Peer) -> dict[str, Any]:
    if peer.cidr:
        return {"ipBlock": {"cidr": peer.cidr}}
    selected: dict[str, Any] = {}
    if peer.namespace_labels:
        selected["namespaceSelector"] = {"matchLabels": dict(peer.namespace_labels)}
    if peer.pod_labels:
        selected["podSelector"] = {"matchLabels": dict(peer.pod_labels)}
    return selected


def _deployment(meta: ObjectMeta, spec: RouterSpec, settings: Settings) -> dict[str, Any]:
    labels = pod_labels(meta.name)
    spread = {
        "maxSkew": 1,
        "topologyKey": _SPREAD_KEY,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }
    pod = {
        **pod_template.pull_secrets(settings.image_pull_secrets),
        "serviceAccountName": names.router_name(meta.name),
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": LONGEST_DRAIN_SECONDS + pod_template.GRACE_MARGIN_SECONDS,
        "securityContext": pod_template.pod_security(),
        "topologySpreadConstraints": [spread],
        "containers": [_container(meta, spec, settings)],
        "volumes": [{"name": "tmp", "emptyDir": {}}, _tls_volume(meta, spec)],
    }
    body = {
        "spec": {
            "replicas": replicas(spec),
            "revisionHistoryLimit": 2,
            "selector": {"matchLabels": labels},
            # A new router takes over before an old one goes: this is the way in.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        }
    }
    child = _child(names.DEPLOYMENT, meta, body)
    child["metadata"]["labels"][names.LABEL_ROLE] = names.ROLE_ROUTER
    return child


def _tls_volume(meta: ObjectMeta, spec: RouterSpec) -> dict[str, Any]:
    """There whether TLS is on or not, with the Secret or without: so that neither replaces a pod."""
    secret = {"secretName": tls_secret(meta.name, spec), "optional": True, "defaultMode": 0o440}
    return {"name": "tls", "secret": secret}


def _container(meta: ObjectMeta, spec: RouterSpec, settings: Settings) -> dict[str, Any]:
    return {
        "name": names.ROUTER_CONTAINER,
        "image": settings.router_image,
        "imagePullPolicy": settings.image_pull_policy,
        "args": [
            "cluster",
            f"--config-map={names.router_name(meta.name)}",
            f"--namespace={meta.namespace}",
            f"--drain-seconds={pod_template.DRAIN_SECONDS}",
        ],
        "ports": [
            {"name": "http", "containerPort": names.PORT_ROUTER, "protocol": "TCP"},
            {"name": "admin", "containerPort": names.PORT_ROUTER_ADMIN, "protocol": "TCP"},
        ],
        "resources": _resources(spec),
        "startupProbe": _probe("/healthz", 1, 60),
        "readinessProbe": _probe("/readyz", 2, 1),
        "livenessProbe": _probe("/healthz", 10, 3),
        "securityContext": pod_template.container_security(),
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "tls", "mountPath": names.TLS_FOLDER, "readOnly": True},
        ],
    }


def _resources(spec: RouterSpec) -> dict[str, Any]:
    declared = spec.resources.to_wire() if spec.resources else {}
    return declared or dict(RESOURCES)


def _probe(path: str, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "admin", "scheme": "HTTP"},
        "periodSeconds": period,
        "timeoutSeconds": 2,
        "failureThreshold": failures,
    }
