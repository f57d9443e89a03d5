"""The objects that a check is made of: what it's told in a ConfigMap, its Job, and the way to whom it asks.

A webhook is asked by the operator's own image, a Job runs the user's; both in restricted pods. The operator
itself calls no URL that a user gave, and reads no Secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.api import names
from pointsman.api.checks import TOKEN_KEY, CheckJob, SecretKey
from pointsman.api.common import ObjectMeta
from pointsman.api.router import LLMRouter, RouterSpec
from pointsman.core import check, checking, pod_template, rollout, routing, sources, trial, trial_children
from pointsman.core.analysis import Found
from pointsman.core.check import Asking, Surroundings
from pointsman.core.checking import Checked
from pointsman.core.facts import Facts
from pointsman.core.settings import Settings
from pointsman.core.world import ObjectKey, key_of

DOCUMENT_KEY = "check.json"
DOCUMENT_FOLDER = "/etc/pointsman/check"
RESOURCES = {
    "requests": {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "64Mi"},
    "limits": {"memory": "1Gi", "ephemeral-storage": "1Gi"},
}
"""Of a Job where none are declared."""


def wanted(facts: Facts, after: rollout.State, found: Found, checked: Checked) -> list[dict[str, Any]]:
    """What should exist for the checks of a step now: nothing, but while they are asked."""
    if after != facts.state:
        return []
    due = [one for one in checked.open if checking.job_wanted(facts, one, found.settled)]
    if not due:
        return []
    meta, told = facts.world.service.metadata, surroundings(facts, found)
    made = [trial_children.network_policy(meta, due[0].candidate.revision, facts.router, anywhere=True)]
    asked = retained(facts, after, found, checked)
    for one in due:
        children = build(meta, one, told, facts.world.settings)
        made += [child for child in children if key_of(child) not in asked]
    return made


def retained(facts: Facts, after: rollout.State, found: Found, checked: Checked) -> frozenset[ObjectKey]:
    """What stays as it was made: who is asked already was told what held then, and what it's told ticks."""
    if after != facts.state:
        return frozenset()
    due = {one.name for one in checked.open if checking.job_wanted(facts, one, found.settled)}
    asked = due & {one["metadata"]["name"] for one in facts.world.owned_of("Job")}
    kinds = ("Job", "ConfigMap")
    return frozenset(key_of(one) for kind in kinds for one in facts.world.owned_of(kind)) & {
        (kind, name) for kind in kinds for name in asked
    }


def build(meta: ObjectMeta, asking: Asking, around: Surroundings, settings: Settings) -> list[dict[str, Any]]:
    """What has to exist for a check to be asked."""
    told = check.context(asking, around)
    return [_config_map(meta, asking, told), _job(meta, asking, told, settings)]


def surroundings(facts: Facts, found: Found) -> Surroundings:
    """What every check of a step is told."""
    meta, spec, record = facts.world.service.metadata, facts.world.service.spec, found.record
    router = facts.world.router
    front = router.spec if isinstance(router, LLMRouter) else RouterSpec()
    counted = (record.stable_samples, record.candidate_samples) if record else (0, 0)
    return Surroundings(
        service=meta.name,
        namespace=meta.namespace,
        model=next(iter(facts.granted), meta.name),
        strategy=spec.strategy.value,
        url=f"{routing.cluster_url(facts.router, meta.namespace, front)}/v1",
        ask_url=trial.ask_url(facts.router, meta.name),
        requests=dict(zip(("stable", "candidate"), counted, strict=True)),
        gates=record.gates if record else (),
    )


def _config_map(meta: ObjectMeta, asking: Asking, told: Mapping[str, Any]) -> dict[str, Any]:
    if asking.declared.webhook:
        data = {trial_children.DOCUMENT_KEY: check.document(asking, told)}
    else:
        data = {DOCUMENT_KEY: check.text(told)}
    return trial_children.child(names.CONFIGMAP, asking.name, meta, asking.candidate.revision, {"data": data})


def _job(meta: ObjectMeta, asking: Asking, told: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """The Job that asks a webhook, or is the check itself."""
    declared = asking.declared.job
    asked = declared or asking.declared.webhook
    if declared:
        container = _container(declared, told)
        volumes = [_document(asking), {"name": "tmp", "emptyDir": {}}]
    else:
        container = trial_children.container(settings)
        volumes = [_document(asking), *sources.trust_volumes(settings)]
    if asked and asked.token_secret_ref:
        mount = {"name": "token", "mountPath": check.TOKEN_FOLDER, "readOnly": True}
        container["volumeMounts"] = [*container["volumeMounts"], mount]
        volumes.append(_secret(asked.token_secret_ref))
    pod = trial_children.pod(meta, asking.candidate.revision, settings, container, volumes)
    if declared and declared.service_account_name:
        account = {"serviceAccountName": declared.service_account_name, "automountServiceAccountToken": True}
        pod["spec"] |= account
    spec = {
        "backoffLimit": 0,
        "activeDeadlineSeconds": asking.seconds,
        # Whose node is drained has said nothing: it begins anew.
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
            ]
        },
        "template": pod,
    }
    return trial_children.child(names.JOB, asking.name, meta, asking.candidate.revision, {"spec": spec})


def _document(asking: Asking) -> dict[str, Any]:
    return {"name": "document", "configMap": {"name": asking.name}}


def _secret(token: SecretKey) -> dict[str, Any]:
    items = [{"key": token.key or TOKEN_KEY, "path": TOKEN_KEY}]
    # 0440: readable through fsGroup, by nobody else.
    return {"name": "token", "secret": {"secretName": token.name, "items": items, "defaultMode": 0o440}}


def _container(declared: CheckJob, told: Mapping[str, Any]) -> dict[str, Any]:
    variables = check.environment(declared, told, f"{DOCUMENT_FOLDER}/{DOCUMENT_KEY}")
    found = {
        "name": names.CHECK_CONTAINER,
        "image": declared.image,
        "env": [{"name": key, "value": value} for key, value in sorted(variables.items())],
        "resources": (declared.resources.to_wire() if declared.resources else {}) or RESOURCES,
        "securityContext": pod_template.container_security(),
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": "document", "mountPath": DOCUMENT_FOLDER, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    run = {"command": list(declared.command or ()), "args": list(declared.args or ())}
    return found | {name: value for name, value in run.items() if value}
