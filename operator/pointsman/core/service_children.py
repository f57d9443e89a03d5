"""The objects one LLMService is made of, besides its frozen revisions: pure builders, one per kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.api import names
from pointsman.api.common import ObjectMeta
from pointsman.api.hardware import Hardware
from pointsman.api.model import ModelSource
from pointsman.core import owned, pod_template, sources
from pointsman.core.revision import Revision
from pointsman.core.settings import Settings
from pointsman.core.world import Manifest

CLAIM_LIMITS = {"backoffLimit": 0, "activeDeadlineSeconds": 120}
"""How hard a claim is tried: what it tells can be done without, and its volume may be held elsewhere."""

PROGRESS_DEADLINE_SECONDS = 3600
"""Least progressDeadlineSeconds: big weights on a cold node take long, and that is no failure."""


def _child(
    resource: names.Resource, name: str, meta: ObjectMeta, labels: Mapping[str, str], body: Mapping[str, Any]
) -> dict[str, Any]:
    return owned.child(
        resource, name, names.LLMSERVICE, meta, {names.LABEL_SERVICE: meta.name, **labels}, body
    )


def controller_revision(meta: ObjectMeta, manifest: Manifest, role: str = "") -> dict[str, Any]:
    """What is frozen, as a child of its service. `role`: what it is of, where that's no engine."""
    body = {"revision": manifest["revision"], "data": manifest["data"]}
    name, annotations = manifest["metadata"]["name"], manifest["metadata"].get("annotations")
    labels = {names.LABEL_ROLE: role} if role else {names.LABEL_REVISION: name}
    child = _child(names.CONTROLLERREVISION, name, meta, labels, body)
    if annotations:
        child["metadata"]["annotations"] = dict(annotations)
    return child


def deployment(
    meta: ObjectMeta,
    revision: Revision,
    *,
    replicas: int,
    track: str,
    startup_seconds: int,
    annotations: Mapping[str, str],
) -> dict[str, Any]:
    """The Deployment of one revision. Its template is the frozen one, to the letter."""
    labels = {
        names.LABEL_REVISION: revision.name,
        names.LABEL_ROLE: names.ROLE_ENGINE,
        names.LABEL_TRACK: track,
    }
    body = {
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 0,
            "progressDeadlineSeconds": max(PROGRESS_DEADLINE_SECONDS, startup_seconds + 600),
            "selector": {"matchLabels": pod_template.engine_labels(meta.name, revision.name)},
            # A template never changes under its Deployment; only drift repair rolls, and then in place.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "template": revision.template,
        }
    }
    child = _child(names.DEPLOYMENT, revision.name, meta, labels, body)
    if annotations:
        child["metadata"]["annotations"] = dict(annotations)
    return child


def engine_service(meta: ObjectMeta) -> dict[str, Any]:
    """The headless Service through which routers find the engines of all revisions."""
    body = {
        "spec": {
            "clusterIP": "None",
            "selector": {names.LABEL_SERVICE: meta.name, names.LABEL_ROLE: names.ROLE_ENGINE},
            "ports": [
                {"name": "http", "port": names.PORT_ENGINE, "targetPort": "http", "protocol": "TCP"},
                {
                    "name": "status",
                    "port": names.PORT_ENGINE_STATUS,
                    "targetPort": "status",
                    "protocol": "TCP",
                },
            ],
        }
    }
    # EndpointSlices mirror their Service's labels: routers watch by the role.
    return _child(
        names.SERVICE, names.engine_name(meta.name), meta, {names.LABEL_ROLE: names.ROLE_ENGINE}, body
    )


def disruption_budget(meta: ObjectMeta) -> dict[str, Any]:
    """At most one engine at a time may be evicted, over all revisions."""
    body = {
        "spec": {
            "maxUnavailable": 1,
            "selector": {
                "matchLabels": {names.LABEL_SERVICE: meta.name, names.LABEL_ROLE: names.ROLE_ENGINE}
            },
        }
    }
    return _child(names.PDB, names.engine_name(meta.name), meta, {}, body)


def network_policy(
    meta: ObjectMeta, source: ModelSource | None, router: str, settings: Settings
) -> dict[str, Any]:
    """Who may talk to the engines (their router) and whom they may talk to (DNS; the hub while fetching)."""
    fetches = source is not None and sources.is_remote(source.uri)
    egress: list[dict[str, Any]] = [{"ports": [owned.port(53, "UDP"), owned.port(53)]}]
    if fetches:
        egress.append({"ports": [owned.port(port) for port in sources.hub_ports(settings)]})
    routers = {
        "podSelector": {"matchLabels": {names.LABEL_ROUTER: router, names.LABEL_ROLE: names.ROLE_ROUTER}}
    }
    body = {
        "spec": {
            "podSelector": {"matchLabels": {names.LABEL_SERVICE: meta.name}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                {
                    "from": [routers],
                    "ports": [owned.port(names.PORT_ENGINE), owned.port(names.PORT_ENGINE_STATUS)],
                }
            ],
            "egress": egress,
        }
    }
    return _child(names.NETWORKPOLICY, names.engine_name(meta.name), meta, {}, body)


def resolve_job(
    meta: ObjectMeta,
    revision: str,
    source: ModelSource,
    settings: Settings,
    hardware: Hardware | None = None,
) -> dict[str, Any]:
    """The Job that asks the hub what a remote source holds, or reads a claim's, before the revision is born.

    It answers in its termination message; the operator itself calls no hub and reads no Secret.
    """
    claim = sources.claim(source.uri)
    labels = {names.LABEL_REVISION: revision, names.LABEL_ROLE: names.ROLE_RESOLVE}
    pod = {
        "metadata": {"labels": {names.LABEL_SERVICE: meta.name, **labels}},
        "spec": {
            **pod_template.pull_secrets(settings.image_pull_secrets),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "securityContext": pod_template.pod_security(),
            "containers": [_resolver(source, claim, settings)],
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                *pod_template.claim_volumes(claim),
                *sources.fetch_volumes(source, settings),
            ],
            # A claim may be reached from some nodes only: those that the engine is for.
            **(pod_template.on_nodes(hardware) if claim else {}),
        },
    }
    spec = {**(CLAIM_LIMITS if claim else {"backoffLimit": 2}), "template": pod}
    return _child(names.JOB, names.resolve_name(revision), meta, labels, {"spec": spec})


def _resolver(source: ModelSource, claim: str, settings: Settings) -> dict[str, Any]:
    command = ["pointsman-engine", "resolve", source.uri]
    if source.revision:
        command += ["--revision", source.revision]
    environment = {"HOME": "/tmp"} | sources.fetch_environment(source, settings)
    if claim:
        environment["POINTSMAN_MODEL_DIR"] = sources.model_dir(source.uri)
    return {
        "name": names.RESOLVE_CONTAINER,
        "image": settings.resolve_image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": command,
        "env": [{"name": key, "value": value} for key, value in sorted(environment.items())],
        "resources": {
            "requests": {"cpu": "50m", "memory": "128Mi", "ephemeral-storage": "64Mi"},
            "limits": {"memory": "512Mi", "ephemeral-storage": "512Mi"},
        },
        "securityContext": pod_template.container_security(),
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            *pod_template.claim_mounts(claim),
            *sources.fetch_mounts(source, settings),
        ],
    }
