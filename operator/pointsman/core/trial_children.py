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
    return [_config_map(meta, trial), _network_policy(meta, trial), _job(meta, trial, settings)]


def _child(resource: names.Resource, name: str, meta: ObjectMeta, revision: str, body: Any) -> dict[str, Any]:
    labels = {
        names.LABEL_SERVICE: meta.name,
        names.LABEL_REVISION: revision,
        names.LABEL_ROLE: names.ROLE_TRIAL,
    }
    return owned.child(resource, name, names.LLMSERVICE, meta, labels, body)


def _config_map(meta: ObjectMeta, trial: Trial) -> dict[str, Any]:
    body = {"immutable": True, "data": {DOCUMENT_KEY: trial.document()}}
    return _child(names.CONFIGMAP, trial.name, meta, trial.revision, body)


def _network_policy(meta: ObjectMeta, trial: Trial) -> dict[str, Any]:
    """Out: its router's ports, and wherever embedding services and gates are. In: nobody.

    It adds to the service's own policy, which lets none of its pods reach a router.
    """
    router = {
        "podSelector": {
            "matchLabels": {names.LABEL_ROUTER: trial.router, names.LABEL_ROLE: names.ROLE_ROUTER}
        }
    }
    ports = [owned.port(names.PORT_ROUTER_ADMIN), owned.port(names.PORT_ROUTER)]
    egress: list[dict[str, Any]] = [{"to": [router], "ports": ports}]
    egress += [{}] if _calls_others(trial) else []
    body = {
        "spec": {
            "podSelector": {
                "matchLabels": {names.LABEL_SERVICE: meta.name, names.LABEL_ROLE: names.ROLE_TRIAL}
            },
            "policyTypes": ["Egress"],
            "egress": egress,
        }
    }
    return _child(names.NETWORKPOLICY, names.trial_policy_name(meta.name), meta, trial.revision, body)


def _calls_others(trial: Trial) -> bool:
    """Whether it reaches out to services whose addresses a user gave: they may be anywhere."""
    return trial.gate is not None or bool(trial.suite and trial.suite.embeddings)


def _job(meta: ObjectMeta, trial: Trial, settings: Settings) -> dict[str, Any]:
    labels = {
        names.LABEL_SERVICE: meta.name,
        names.LABEL_REVISION: trial.revision,
        names.LABEL_ROLE: names.ROLE_TRIAL,
    }
    pod = {
        "metadata": {"labels": labels},
        "spec": {
            **pod_template.pull_secrets(settings.image_pull_secrets),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            # It has nothing to finish: its verdict is written, or isn't.
            "terminationGracePeriodSeconds": 5,
            "securityContext": pod_template.pod_security(),
            "containers": [_container(settings)],
            "volumes": [
                {"name": "document", "configMap": {"name": trial.name}},
                *sources.trust_volumes(settings),
            ],
        },
    }
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
        "template": pod,
    }
    return _child(names.JOB, trial.name, meta, trial.revision, {"spec": spec})


def _container(settings: Settings) -> dict[str, Any]:
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
