"""How Kubernetes shows that something is wrong, or right again: functions of what a namespace holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from e2e.conditions import REPEATED, Condition, condition, conditions, is_ready
from e2e.namespace import Manifest
from e2e.watching import Sign, View

ROLE = "pointsman.dev/role"


def nothing(_: View) -> bool:
    """Nothing to wait for."""
    return True


def ready(name: str, kind: str = "llmservices") -> Sign:
    """An object of ours is Ready as declared now."""
    return lambda view: is_ready(view.get(kind, name))


def unscheduled(text: str, role: str = "engine") -> Sign:
    """The scheduler finds no node for a pod, and says so with these words."""

    def sign(view: View) -> bool:
        said = (condition(pod, "PodScheduled") for pod in pods(view, role))
        return any(it.status == "False" and text in it.message for it in said)

    return sign


def scheduled(view: View) -> bool:
    """An engine's pod has a node."""
    return any(condition(pod, "PodScheduled").status == "True" for pod in pods(view))


def pod_ready(role: str = "engine") -> Sign:
    """A pod takes requests."""
    return lambda view: any(condition(pod, "Ready").status == "True" for pod in pods(view, role))


def fewer_ready(count: int) -> Sign:
    """Some engine's pod takes requests, but fewer than so many."""
    return lambda view: 0 < _ready_engines(view) < count


def all_ready(count: int) -> Sign:
    """So many engines' pods take requests."""
    return lambda view: _ready_engines(view) >= count


def _ready_engines(view: View) -> int:
    return sum(condition(pod, "Ready").status == "True" for pod in pods(view))


def none_ready(view: View) -> bool:
    """No engine's pod takes requests."""
    return not pod_ready()(view)


def waiting(*reasons: str, role: str = "engine") -> Sign:
    """The kubelet can't run a container, for one of these reasons."""
    return lambda view: any(
        ((status.get("state") or {}).get("waiting") or {}).get("reason") in reasons
        for status in containers(view, role)
    )


def running(role: str = "engine") -> Sign:
    """A container runs, or has ended well."""

    def sign(view: View) -> bool:
        states = [status.get("state") or {} for status in containers(view, role)]
        return any("running" in s or (s.get("terminated") or {}).get("exitCode") == 0 for s in states)

    return sign


def ended(role: str = "engine") -> Sign:
    """A container has ended with an error, now or before."""

    def sign(view: View) -> bool:
        ends = (
            (status.get(state) or {}).get("terminated") or {}
            for status in containers(view, role)
            for state in ("state", "lastState")
        )
        return any(end.get("exitCode", 0) != 0 for end in ends)

    return sign


def evicted(view: View) -> bool:
    """The kubelet threw an engine's pod out."""
    return any((pod.get("status") or {}).get("reason") == "Evicted" for pod in pods(view))


def event(reason: str, text: str) -> Sign:
    """There is an event of this reason, with these words in it."""
    return lambda view: any(
        it.get("reason") == reason and text in str(it.get("note", "")) for it in view.all("events")
    )


def replica_failure(text: str) -> Sign:
    """A Deployment can't make its pods, and says so with these words."""

    def sign(view: View) -> bool:
        said = (condition(it, "ReplicaFailure") for it in view.all("deployments"))
        return any(it.status == "True" and text in it.message for it in said)

    return sign


def pod_made(view: View) -> bool:
    """There is an engine's pod."""
    return any(True for _ in pods(view))


def gone(kind: str, name: str) -> Sign:
    """An object isn't there any more."""
    return lambda view: not view.get(kind, name)


def says(service: str, reason: str, text: str) -> Sign:
    """Our status gives a reason, with these words in the message. That is what is measured."""
    return lambda view: any(
        it.reason == reason and text in it.message for it in complaints(view.get("llmservices", service))
    )


def lost(service: str) -> Sign:
    """Our status says that nobody is served: Ready and Available are False."""

    def sign(view: View) -> bool:
        found = view.get("llmservices", service)
        return all(condition(found, type_).status == "False" for type_ in ("Ready", "Available"))

    return sign


def loading(service: str) -> Sign:
    """Our status says how far the weights are."""

    def sign(view: View) -> bool:
        status = view.get("llmservices", service).get("status") or {}
        return bool((status.get("loading") or {}).get("bytesLoaded"))

    return sign


def complaints(service: Manifest) -> Iterator[Condition]:
    """The conditions that aren't True, but for those that repeat others."""
    for found in conditions(service).values():
        if found.status != "True" and found.type not in REPEATED:
            yield found


def pods(view: View, role: str = "engine") -> Iterator[Manifest]:
    """The pods of a role."""
    for pod in view.all("pods"):
        if (pod["metadata"].get("labels") or {}).get(ROLE) == role:
            yield pod


def containers(view: View, role: str) -> Iterator[Mapping[str, Any]]:
    """What the kubelet says of the containers of a role's pods."""
    for pod in pods(view, role):
        yield from (pod.get("status") or {}).get("containerStatuses") or ()


def shown(service: Manifest) -> str:
    """The whole status of conditions, for a cause that wasn't told."""
    return json.dumps([str(it) for it in conditions(service).values()])
