"""Why pods don't serve: from what Kubernetes reports of them to one reason that a person can act on.

Each check looks at pods, their events and their Deployment, and gives the first finding or none. Messages
carry the words of whoever knows best (the scheduler, the kubelet, the engine itself) without names that
Kubernetes generated, because those change with every restart and would rewrite status each time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pointsman.api.conditions import Reason
from pointsman.core.conditions import Finding
from pointsman.core.world import Manifest

_PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_MISSING_SECRET = re.compile(r'secrets? "(?P<name>[^"]+)" not found')
_MISSING_CONFIG = re.compile(r'configmaps? "(?P<name>[^"]+)" not found')
_MISSING_KEY = re.compile(r"references non-existent secret key: (?P<key>\S+)")
_MISSING_CLAIM = re.compile(r'persistentvolumeclaim "(?P<name>[^"]+)" not found')

ENGINE_REASONS: Mapping[str, Reason] = {
    reason.value: reason
    for reason in (
        Reason.WEIGHTS_NOT_FOUND,
        Reason.WEIGHTS_DOWNLOAD_FAILED,
        Reason.SECRET_INVALID,
        Reason.TOKENIZER_INVALID,
        Reason.ARGUMENTS_INVALID,
        Reason.DEVICE_UNAVAILABLE,
        Reason.OUT_OF_MEMORY,
        Reason.ENGINE_FAILED,
    )
}
"""What an entrypoint may say of itself in its termination message."""


def capacity(pods: Sequence[Manifest], deployments: Sequence[Manifest]) -> Finding | None:
    """Why pods have no place: quota, or the scheduler's own account."""
    for deployment in deployments:
        message = _condition_message(deployment, "ReplicaFailure", "True")
        if "exceeded quota" in message:
            return Finding(Reason.QUOTA_EXCEEDED, _without_pod_name(message))
    for pod in pods:
        message = _condition_message(pod, "PodScheduled", "False")
        if message and not _MISSING_CLAIM.search(message):
            short = re.search(r"Insufficient (\S*/\S+?)[.,;]", message)
            reason = Reason.INSUFFICIENT_GPU if short else Reason.UNSCHEDULABLE
            return Finding(reason, message)
    return None


def references(pods: Sequence[Manifest], events: Sequence[Manifest]) -> Finding | None:
    """Which object that pods need doesn't exist."""
    for pod in pods:
        claim = _MISSING_CLAIM.search(_condition_message(pod, "PodScheduled", "False"))
        if claim:
            return Finding(
                Reason.REFERENCE_NOT_FOUND,
                f"PersistentVolumeClaim {claim['name']!r} does not exist; create it",
            )
    waiting = {pod["metadata"]["uid"] for pod in pods if _is_waiting_for_volumes(pod)}
    for event in events:
        if _regarding(event) not in waiting or event.get("reason") != "FailedMount":
            continue
        finding = _mount_finding(str(event.get("note") or event.get("message") or ""))
        if finding:
            return finding
    return None


def wants_events(pods: Sequence[Manifest]) -> bool:
    """Whether only events can tell why a pod doesn't come up: it has a node and waits for its volumes."""
    return any(_is_waiting_for_volumes(pod) for pod in pods)


def engine(pods: Sequence[Manifest]) -> Finding | None:
    """Why an engine that has a node doesn't run: image, crash, what it said when it ended."""
    for pod in pods:
        for status in _container_statuses(pod):
            finding = _image(status) or _ended(status)
            if finding:
                return finding
    return None


def resolved(pods: Sequence[Manifest]) -> Mapping[str, Any] | None:
    """What a resolve Job found out: the JSON object that its pod left when it succeeded."""
    for pod in pods:
        for status in _container_statuses(pod):
            ended = (status.get("state") or {}).get("terminated") or {}
            if ended.get("exitCode") == 0:
                return _object(ended.get("message", ""))
    return None


def job_failed(job: Manifest) -> bool:
    """Whether a Job has given up."""
    return bool(_condition_message(job, "Failed", "True"))


def _image(status: Mapping[str, Any]) -> Finding | None:
    waiting = (status.get("state") or {}).get("waiting") or {}
    if waiting.get("reason") in _PULL_REASONS:
        said = str(waiting.get("message") or waiting["reason"])
        return Finding(Reason.IMAGE_PULL_FAILED, f"image {status.get('image', '')!r}: {said}")
    return None


def _ended(status: Mapping[str, Any]) -> Finding | None:
    if status.get("ready"):
        return None
    ended = _last_end(status)
    if not ended or ended.get("exitCode") == 0:
        return None
    said = _object(str(ended.get("message") or ""))
    if said and said.get("reason") in ENGINE_REASONS:
        return Finding(ENGINE_REASONS[str(said["reason"])], str(said.get("message", "")))
    if ended.get("reason") == "OOMKilled":
        return Finding(
            Reason.OUT_OF_MEMORY, "the kernel killed the engine for exceeding resources.limits.memory"
        )
    last_words = (
        str(ended.get("message") or "").strip() or f"exit code {ended.get('exitCode')}, no message left"
    )
    return Finding(Reason.ENGINE_CRASH_LOOPING, f"the engine ended: {last_words}")


def _last_end(status: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for state in ("state", "lastState"):
        ended = (status.get(state) or {}).get("terminated")
        if ended:
            return dict(ended)
    return None


def _mount_finding(note: str) -> Finding | None:
    secret, config, key = (p.search(note) for p in (_MISSING_SECRET, _MISSING_CONFIG, _MISSING_KEY))
    if secret:
        return Finding(
            Reason.SECRET_NOT_FOUND,
            f"Secret {secret['name']!r} does not exist; create it with the key 'token'",
        )
    if key:
        return Finding(Reason.SECRET_INVALID, f"the Secret has no key {key['key']!r}; add it")
    if config:
        return Finding(Reason.REFERENCE_NOT_FOUND, f"ConfigMap {config['name']!r} does not exist; create it")
    return None


def _is_waiting_for_volumes(pod: Manifest) -> bool:
    reasons = {((s.get("state") or {}).get("waiting") or {}).get("reason") for s in _container_statuses(pod)}
    return bool(reasons & {"ContainerCreating", "PodInitializing"})


def _container_statuses(pod: Manifest) -> Iterator[Mapping[str, Any]]:
    yield from (pod.get("status") or {}).get("containerStatuses") or ()


def _condition_message(manifest: Manifest, kind: str, status: str) -> str:
    conditions: Iterable[Mapping[str, Any]] = (manifest.get("status") or {}).get("conditions") or ()
    for condition in conditions:
        if condition.get("type") == kind and condition.get("status") == status:
            return str(condition.get("message") or condition.get("reason") or kind)
    return ""


def _without_pod_name(message: str) -> str:
    return re.sub(r'pods "[^"]+" is forbidden', "pods are forbidden", message)


def _regarding(event: Manifest) -> str:
    return str((event.get("regarding") or event.get("involvedObject") or {}).get("uid", ""))


def _object(text: str) -> Mapping[str, Any] | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
