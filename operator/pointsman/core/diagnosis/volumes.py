"""What a pod waits for that no status tells: its volumes, its sandbox, the Secrets for its image.

Only events know. They live for an hour and outlive their cause, so each is believed only while the pod's own
status shows that it still waits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from pointsman.api.conditions import Reason
from pointsman.core.conditions import Finding
from pointsman.core.diagnosis import containers, reports
from pointsman.core.world import Manifest

MOUNTING = frozenset({"FailedMount", "FailedAttachVolume", "FailedMapVolume"})
SANDBOX = frozenset({"FailedCreatePodSandBox"})
PULL_SECRET = frozenset({"FailedToRetrieveImagePullSecret"})
FRESH = timedelta(minutes=15)
"""The kubelet says of a pull Secret that it is missing while it is, every five minutes at least."""

_MISSING_SECRET = re.compile(r'secrets? "(?P<name>[^"]+)" not found')
_MISSING_CONFIG = re.compile(r'configmaps? "(?P<name>[^"]+)" not found')
_MISSING_KEY = re.compile(r"references non-existent (?:secret|config) key: (?P<key>\S+)")
_MISSING_CLAIM = re.compile(r'persistentvolumeclaims? "(?P<name>[^"]+)" not found')
_PULL_SECRETS = re.compile(r"image pull secrets \((?P<names>[^)]+)\)")
_WAITED = re.compile(r"^(?:Unable to attach or mount volumes: )?unmounted volumes=\[(?P<names>[^\]]*)\]")
_OTHERS = re.compile(r"(already used by pod\(s\)) .*$")


def wants_events(pods: Sequence[Manifest]) -> bool:
    """Whether only events can tell why a pod doesn't come up: it has a node and waits for its volumes, or its
    image fails and a Secret is to help."""
    return any(_waits(pod) or _pulls(pod) for pod in pods)


def missing(pods: Sequence[Manifest], events: Sequence[Manifest], now: datetime) -> Finding | None:
    """Which object doesn't exist, or lacks a key, that pods mount or pull with."""
    for words in _mounting(pods, events):
        for pattern, reason, told in MISSING:
            if found := pattern.search(words):
                return Finding(reason, told.format(*found.groups()))
    for pod in pods:
        told_last = reports.events_of(events, pod, PULL_SECRET)[:1] if _pulls(pod) else []
        for seen, _, words in told_last:
            listed = _PULL_SECRETS.search(words)
            if listed and now - seen < FRESH:
                return Finding(
                    Reason.SECRET_NOT_FOUND,
                    f"Secret {listed['names']!r}, which images are to be pulled with, does not exist; "
                    "create it or correct pod.imagePullSecrets",
                )
    return None


MISSING: Sequence[tuple[re.Pattern[str], Reason, str]] = (
    (
        _MISSING_SECRET,
        Reason.SECRET_NOT_FOUND,
        "Secret {0!r} does not exist; create it with the key 'token'",
    ),
    (_MISSING_KEY, Reason.SECRET_INVALID, "the Secret has no key {0!r}; add it"),
    (_MISSING_CONFIG, Reason.REFERENCE_NOT_FOUND, "ConfigMap {0!r} does not exist; create it"),
    (_MISSING_CLAIM, Reason.REFERENCE_NOT_FOUND, "PersistentVolumeClaim {0!r} does not exist; create it"),
)
"""What the kubelet says (Kubernetes 1.3x) of a mount that lacks something, and what that is."""


def unavailable(pods: Sequence[Manifest], events: Sequence[Manifest]) -> Finding | None:
    """Why volumes of pods can't be had, or the sandbox around their containers."""
    for words in _mounting(pods, events):
        if any(pattern.search(words) for pattern, _, _ in MISSING):
            return None
        waited = _WAITED.search(words)
        said = f"volumes {waited['names']} aren't attached or mounted yet" if waited else words
        return Finding(Reason.VOLUME_UNAVAILABLE, _OTHERS.sub(r"\1 of others", said))
    for pod in pods:
        told = reports.events_of(events, pod, SANDBOX)[:1] if _waits(pod) else []
        for _, _, words in told:
            return Finding(Reason.CONTAINER_CANNOT_RUN, f"the pod can't be started: {words}")
    return None


def _mounting(pods: Sequence[Manifest], events: Sequence[Manifest]) -> list[str]:
    """What was last said of a waiting pod's volumes. That it took too long is said in turn with the cause,
    and a failing sandbox means that the mounts have succeeded."""
    said = []
    for pod in pods:
        if not _waits(pod):
            continue
        mounts = reports.events_of(events, pod, MOUNTING)
        sandboxes = reports.events_of(events, pod, SANDBOX)
        if not mounts or (sandboxes and sandboxes[0][0] > mounts[0][0]):
            continue
        told = [words for _, _, words in mounts]
        said.append(next((words for words in told if not _WAITED.search(words)), told[0]))
    return sorted(said, key=lambda words: (bool(_WAITED.search(words)), words))


def _waits(pod: Manifest) -> bool:
    """Whether the pod's volumes or sandbox aren't there yet. From then on its images are pulled, and its
    containers wait by the same reason."""
    if reports.condition(pod, "PodReadyToStartContainers").get("status") == "True":
        return False
    reasons = {reports.waiting(status).get("reason") for status in reports.containers(pod)}
    return bool(reasons & {"ContainerCreating", "PodInitializing"})


def _pulls(pod: Manifest) -> bool:
    secrets = (pod.get("spec") or {}).get("imagePullSecrets")
    reasons = {reports.waiting(status).get("reason") for status in reports.containers(pod)}
    return bool(secrets) and bool(reasons & containers.PULL_REASONS)
