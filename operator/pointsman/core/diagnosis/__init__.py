"""Why pods don't serve: from what Kubernetes reports of them to one reason that a person can act on.

`placing` (admission and scheduler), `volumes` (what only events tell) and `containers` (from image to
silence) each hold tables of rules; `reports` reads. Each question gives the first finding or none. Messages
carry the words of whoever knows best, without names that Kubernetes generated, because those change with
every restart and would rewrite status each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pointsman.api import names
from pointsman.core.conditions import Finding
from pointsman.core.diagnosis import containers, placing, reports, volumes
from pointsman.core.diagnosis.containers import node_lost, slow
from pointsman.core.diagnosis.placing import capacity, unplaced
from pointsman.core.world import Manifest

__all__ = [
    "capacity",
    "engine",
    "exit_of",
    "job_failed",
    "job_failure",
    "job_late",
    "keeping",
    "node_lost",
    "references",
    "resolved",
    "slow",
    "tried",
    "unplaced",
    "wanted_events",
]


def references(
    pods: Sequence[Manifest], makers: Sequence[Manifest], events: Sequence[Manifest], now: datetime
) -> Finding | None:
    """Which object that pods need doesn't exist. `makers`: the Deployments and Jobs that make the pods."""
    return (
        placing.missing_class(makers, events)
        or placing.missing_claim(pods)
        or volumes.missing(pods, events, now)
    )


def engine(pods: Sequence[Manifest], events: Sequence[Manifest] = ()) -> Finding | None:
    """Why pods that have a node don't serve."""
    return containers.engine(pods) or volumes.unavailable(pods, events)


def keeping(
    pods: Sequence[Manifest], makers: Sequence[Manifest], events: Sequence[Manifest], now: datetime
) -> Finding | None:
    """Whatever keeps pods from serving, in the order in which it would have to be mended."""
    return references(pods, makers, events, now) or capacity(pods, makers, events) or engine(pods, events)


def wanted_events(pods: Sequence[Manifest], makers: Sequence[Manifest]) -> tuple[str, ...]:
    """The kinds of objects of which only events can tell what is amiss: pods, or a Job that makes none."""
    wanted = {
        "Job": any(placing.makes_nothing(maker) for maker in makers),
        "Pod": volumes.wants_events(pods),
    }
    return tuple(kind for kind, needed in wanted.items() if needed)


def resolved(pods: Sequence[Manifest]) -> Mapping[str, Any] | None:
    """What a resolve Job found out: the JSON object that its pod left when it succeeded."""
    for pod in pods:
        for status in reports.containers(pod):
            ended = (status.get("state") or {}).get("terminated") or {}
            if status.get("name") == names.RESOLVE_CONTAINER and ended.get("exitCode") == 0:
                return reports.document(ended.get("message", ""))
    return None


def tried(pods: Sequence[Manifest]) -> Mapping[str, Any] | None:
    """What a trial's Job found out, or why its last pod found nothing; None while neither is told."""
    told = None
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", ""))):
        for status in reports.containers(pod):
            ended = (status.get("state") or {}).get("terminated")
            if status.get("name") == names.TRIAL_CONTAINER and ended:
                # What ended without a word, by lack of memory say, is told as what can't be read.
                told = reports.document(ended.get("message", "")) or {}
                if ended.get("exitCode") == 0:
                    return told
    return told


def exit_of(pod: Manifest) -> tuple[int, str] | None:
    """The exit status of a check's own container, and what it left; None where it hasn't ended, or not by
    itself: evicted, out of memory, never begun."""
    if (pod.get("status") or {}).get("reason") or reports.words(pod, "DisruptionTarget", "True"):
        return None
    for status in reports.containers(pod):
        ended = (status.get("state") or {}).get("terminated") or {}
        by_itself = ended.get("reason") not in containers.NO_WORD
        if status.get("name") == names.CHECK_CONTAINER and "exitCode" in ended and by_itself:
            return int(ended["exitCode"]), str(ended.get("message") or "")
    return None


def job_failed(job: Manifest) -> bool:
    """Whether a Job has given up."""
    return bool(job_failure(job))


def job_failure(job: Manifest) -> str:
    """Why a Job has given up, in Kubernetes' words; empty where it hasn't."""
    return reports.words(job, "Failed", "True")


def job_late(job: Manifest) -> bool:
    """Whether a Job was ended since its time was over."""
    return reports.condition(job, "Failed").get("reason") == "DeadlineExceeded"
