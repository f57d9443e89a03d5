"""The objects that one trial is made of: a ConfigMap with its document, its Job, and the way to its router.

The Job is like the one that looks a model up: the operator's own image, no token, an answer in the
termination message. So the operator itself asks no model and calls no URL that a user gave.
"""

from __future__ import annotations

from typing import Any

from pointsman.api import names, sealing
from pointsman.api.common import ObjectMeta
from pointsman.core import owned, pod_template, sources, trying
from pointsman.core.facts import Facts
from pointsman.core.rollout import State
from pointsman.core.settings import Settings
from pointsman.core.trial import DEADLINE_SECONDS, Trial
from pointsman.core.trying import Tried

DOCUMENT_KEY = sealing.TRIAL_DOCUMENT
DOCUMENT_FOLDER = "/etc/pointsman/trial"
TRIES = 3
"""How many pods may come to no verdict before the Job gives up."""
INVALID_EXIT = 2
"""The exit status that says that no other try would end otherwise."""


def wanted(facts: Facts, after: State, tried: Tried) -> list[dict[str, Any]]:
    """What should exist for a candidate's trial now: nothing, but while it is under way."""
    if tried.trial is None or not trying.job_wanted(facts, after, tried):
        return []
    return build(facts.world.service.metadata, tried.trial, facts.world.settings)


def build(meta: ObjectMeta, trial: Trial, settings: Settings) -> list[dict[str, Any]]:
    """What has to exist for a trial to take place."""
    outside = bool(trial.suite and trial.suite.embeddings)
    return [
        _config_map(meta, trial),
        network_policy(meta, trial.revision, trial.router, anywhere=outside),
        _job(meta, trial, settings),
    ]


def child(resource: names.Resource, name: str, meta: ObjectMeta, revision: str, body: Any) -> dict[str, Any]:
    """A part of what asks about a candidate."""
    return owned.child(resource, name, names.LLMSERVICE, meta, _labels(meta, revision), body)


def _labels(meta: ObjectMeta, revision: str) -> dict[str, str]:
    return {
        names.LABEL_SERVICE: meta.name,
        names.LABEL_REVISION: revision,
        names.LABEL_ROLE: names.ROLE_TRIAL,
    }


def _config_map(meta: ObjectMeta, trial: Trial) -> dict[str, Any]:
    body = {"immutable": True, "data": {DOCUMENT_KEY: trial.document()}}
    return child(names.CONFIGMAP, trial.name, meta, trial.revision, body)


def network_policy(meta: ObjectMeta, revision: str, router_name: str, *, anywhere: bool) -> dict[str, Any]:
    """Out: its router's ports, and anywhere where a user gave the address of whom it asks. In: nobody.

    It adds to the service's own policy, which lets none of its pods reach a router.
    """
    router = {
        "podSelector": {"matchLabels": {names.LABEL_ROUTER: router_name, names.LABEL_ROLE: names.ROLE_ROUTER}}
    }
    ports = [owned.port(names.PORT_ROUTER_ADMIN), owned.port(names.PORT_ROUTER)]
    egress: list[dict[str, Any]] = [{"to": [router], "ports": ports}]
    egress += [{}] if anywhere else []
    body = {
        "spec": {
            "podSelector": {
                "matchLabels": {names.LABEL_SERVICE: meta.name, names.LABEL_ROLE: names.ROLE_TRIAL}
            },
            "policyTypes": ["Egress"],
            "egress": egress,
        }
    }
    return child(names.NETWORKPOLICY, names.trial_policy_name(meta.name), meta, revision, body)


def _job(meta: ObjectMeta, trial: Trial, settings: Settings) -> dict[str, Any]:
    volumes = [{"name": "document", "configMap": {"name": trial.name}}, *sources.trust_volumes(settings)]
    give_up = {
        "action": "FailJob",
        "onExitCodes": {
            "containerName": names.TRIAL_CONTAINER,
            "operator": "In",
            "values": [INVALID_EXIT],
        },
    }
    spec = {
        "backoffLimit": TRIES - 1,
        "activeDeadlineSeconds": TRIES * (DEADLINE_SECONDS + 60),
        "podFailurePolicy": {"rules": [give_up]},
        "template": pod(meta, trial.revision, settings, container(settings), volumes),
    }
    return child(names.JOB, trial.name, meta, trial.revision, {"spec": spec})


def pod(
    meta: ObjectMeta,
    revision: str,
    settings: Settings,
    runs: dict[str, Any],
    volumes: list[dict[str, Any]],
) -> dict[str, Any]:
    """The template of a pod that asks about a candidate: a restricted one, without a token."""
    return {
        "metadata": {"labels": _labels(meta, revision)},
        "spec": {
            **pod_template.pull_secrets(settings.image_pull_secrets),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            # It has nothing to finish: its verdict is written, or isn't.
            "terminationGracePeriodSeconds": 5,
            "securityContext": pod_template.pod_security(),
            "containers": [runs],
            "volumes": volumes,
        },
    }


def container(settings: Settings) -> dict[str, Any]:
    """What runs `pointsman-trial` by the document that is mounted."""
    environment = {"HOME": "/tmp"} | sources.trust_environment(settings)
    return {
        "name": names.TRIAL_CONTAINER,
        "image": settings.resolve_image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["pointsman-trial", f"{DOCUMENT_FOLDER}/{DOCUMENT_KEY}"],
        "env": [{"name": key, "value": value} for key, value in sorted(environment.items())],
        "resources": {
            "requests": {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "16Mi"},
            "limits": {"memory": "256Mi", "ephemeral-storage": "64Mi"},
        },
        "securityContext": pod_template.container_security(),
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": "document", "mountPath": DOCUMENT_FOLDER, "readOnly": True},
            *sources.trust_mounts(settings),
        ],
    }
