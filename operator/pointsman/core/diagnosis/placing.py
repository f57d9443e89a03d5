"""Why pods have no place: admission refused them, or the scheduler finds no node.

The scheduler's account is a count of nodes by the first filter that each one failed. A node that lacks
accelerators has passed taints and selectors, so that account goes before those. With capacity discovery the
nodes themselves tell which it is, and how much is free.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pointsman.api.conditions import Reason
from pointsman.core.capacity import Room, opens, wanted
from pointsman.core.conditions import Finding
from pointsman.core.diagnosis import reports
from pointsman.core.world import Manifest

_ACCELERATOR = re.compile(r"Insufficient (\S*/[^\s.,;]+)")
_AFTERMATH = re.compile(r"[.,]? (?:no new claims to deallocate, )?preemption:.*$|\. not found\.?$")
"""What the scheduler adds of its further tries: of no help, and on some versions misleading."""
MISSING_CLAIM = re.compile(r'persistentvolumeclaim "(?P<name>[^"]+)" not found')

ACCOUNTS: Sequence[tuple[re.Pattern[str], Reason]] = (
    (_ACCELERATOR, Reason.INSUFFICIENT_GPU),
    (
        re.compile(
            r"PersistentVolumeClaim|persistentvolumeclaim|persistent volumes to bind|PersistentVolume's node"
            r"|volume node affinity|enough free storage|non-existent pv|exceed max volume count"
            r"|available volume zone|available disk"
        ),
        Reason.VOLUME_UNAVAILABLE,
    ),
    (re.compile(r"Insufficient |Too many pods"), Reason.UNSCHEDULABLE),
    (re.compile(r"didn't match Pod's node affinity/selector"), Reason.NO_MATCHING_NODE),
    (re.compile(r"untolerated taint"), Reason.UNTOLERATED_TAINT),
)
"""What the scheduler says (Kubernetes 1.3x), and what that is; the first that is found counts."""

REFUSALS: Sequence[tuple[re.Pattern[str], Reason]] = (
    (re.compile(r"exceeded quota: |failed quota: "), Reason.QUOTA_EXCEEDED),
    (re.compile(r""), Reason.ADMISSION_REFUSED),
)
"""The same for what the API server answers to who makes pods."""

MISSING_CLASSES: Sequence[tuple[re.Pattern[str], str, str]] = (
    (
        re.compile(r"no PriorityClass with name (?P<name>\S+) was found"),
        "PriorityClass",
        "hardware.priorityClassName",
    ),
    (re.compile(r'RuntimeClass "(?P<name>[^"]+)" not found'), "RuntimeClass", "hardware.runtimeClassName"),
)


def capacity(
    pods: Sequence[Manifest],
    makers: Sequence[Manifest],
    events: Sequence[Manifest] = (),
    rooms: Sequence[Room] = (),
) -> Finding | None:
    """Why pods have no place. `makers`: the Deployments and Jobs that make them."""
    for said in refusals(makers, events):
        if not any(pattern.search(said) for pattern, _, _ in MISSING_CLASSES):
            return Finding(_first(REFUSALS, said, Reason.ADMISSION_REFUSED), said)
    unplaced = [(account, pod) for pod in pods if (account := _account(pod))]
    for account, pod in sorted(unplaced, key=lambda pair: (_rank(pair[0]), pair[0])):
        if not MISSING_CLAIM.search(account):
            return _placed(account, pod, rooms)
    return None


def missing_class(makers: Sequence[Manifest], events: Sequence[Manifest]) -> Finding | None:
    """Which class of the cluster, that pods name, doesn't exist."""
    for said in refusals(makers, events):
        for pattern, kind, where in MISSING_CLASSES:
            if found := pattern.search(said):
                return Finding(
                    Reason.REFERENCE_NOT_FOUND,
                    f"{where}: there is no {kind} {found['name']!r}; create it or correct the name",
                )
    return None


def missing_claim(pods: Sequence[Manifest]) -> Finding | None:
    """Which PersistentVolumeClaim, that pods mount, doesn't exist."""
    for pod in pods:
        claim = MISSING_CLAIM.search(_account(pod))
        if claim:
            return Finding(
                Reason.REFERENCE_NOT_FOUND,
                f"PersistentVolumeClaim {claim['name']!r} does not exist; create it",
            )
    return None


def refusals(makers: Sequence[Manifest], events: Sequence[Manifest]) -> list[str]:
    """What the API server answered to who makes pods. A Deployment keeps it in a condition, a Job nowhere:
    its events tell, while it has made no pod."""
    said = [reports.words(maker, "ReplicaFailure", "True") for maker in makers]
    for job in makers:
        if makes_nothing(job):
            told = reports.events_of(events, job, frozenset({"FailedCreate"}))
            said += [words.removeprefix("Error creating: ") for _, _, words in told[:1]]
    return [_told(words) for words in said if words]


def makes_nothing(maker: Manifest) -> bool:
    """Whether a Job has yet to make its first pod."""
    status = maker.get("status") or {}
    counted = sum(status.get(field) or 0 for field in ("active", "succeeded", "failed"))
    return maker.get("kind") == "Job" and counted == 0 and not status.get("conditions")


def unplaced(pods: Sequence[Manifest]) -> bool:
    """Whether the scheduler finds no node for one of them."""
    return any(_account(pod) for pod in pods)


def _told(said: str) -> str:
    return reports.plain(said, {"metadata": {}})


def _account(pod: Manifest) -> str:
    said = reports.words(pod, "PodScheduled", "False").rstrip(". ")
    return _AFTERMATH.sub("", said).rstrip(". ")


def _rank(account: str) -> int:
    return next((rank for rank, (pattern, _) in enumerate(ACCOUNTS) if pattern.search(account)), 99)


def _first(table: Sequence[tuple[re.Pattern[str], Reason]], said: str, otherwise: Reason) -> Reason:
    return next((reason for pattern, reason in table if pattern.search(said)), otherwise)


def _placed(account: str, pod: Manifest, rooms: Sequence[Room]) -> Finding:
    reason = _first(ACCOUNTS, account, Reason.UNSCHEDULABLE)
    if reason is Reason.NO_MATCHING_NODE and "untolerated taint" in account and _tainted(pod, rooms):
        reason = Reason.UNTOLERATED_TAINT
    hint = _HINTS[reason](account, pod, rooms) if reason in _HINTS else ""
    return Finding(reason, account + (f"; {hint}" if hint else ""))


def _tainted(pod: Manifest, rooms: Sequence[Room]) -> list[str]:
    """Taints of the nodes that have what the pod selects and asks for, and don't let it on."""
    fitting = [room for room in rooms if room.selected(pod) and room.has(wanted(pod))]
    return sorted({taint for room in fitting for taint in room.untolerated(pod)})


def _room(account: str, pod: Manifest, rooms: Sequence[Room]) -> str:
    """Requested, free, and on how many nodes, where capacity discovery looked."""
    found = _ACCELERATOR.search(account)
    asked = wanted(pod).get(found[1], 0) if found else 0
    if not found or not rooms:
        return ""
    resource = found[1]
    bearing = [room for room in rooms if room.total.get(resource)]
    open_ = [room for room in bearing if opens(room, pod)]
    free = [room.free.get(resource, 0) for room in open_]
    return (
        f"a pod asks for {asked} {resource} on one node; nodes that bear it: {len(bearing)} of {len(rooms)}, "
        f"open to the pod: {len(open_)}, free on those: {sum(free)} in all, "
        f"at most {max(free, default=0)} on one"
    )


def _selector(account: str, pod: Manifest, rooms: Sequence[Room]) -> str:
    selector: Mapping[str, Any] = (pod.get("spec") or {}).get("nodeSelector") or {}
    return _asked("hardware.nodeSelector asks for", (f"{k}={v}" for k, v in sorted(selector.items())))


def _taint(account: str, pod: Manifest, rooms: Sequence[Room]) -> str:
    return _asked("hardware.tolerations doesn't tolerate", _tainted(pod, rooms)) or (
        "hardware.tolerations tolerates none of theirs"
    )


def _claim(account: str, pod: Manifest, rooms: Sequence[Room]) -> str:
    return _asked("the pod mounts PersistentVolumeClaim", (repr(name) for name in reports.claims(pod)))


def _asked(what: str, items: Any) -> str:
    listed = ", ".join(items)
    return f"{what} {listed}" if listed else ""


_HINTS = {
    Reason.INSUFFICIENT_GPU: _room,
    Reason.NO_MATCHING_NODE: _selector,
    Reason.UNTOLERATED_TAINT: _taint,
    Reason.VOLUME_UNAVAILABLE: _claim,
}
"""What can be added to the scheduler's account."""
