"""Jobs that are asked something: which is which, which pods are theirs, and when they were over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from pointsman.core.world import Manifest

RETRY = timedelta(seconds=60)
"""How long a Job without a verdict stands, with its reason, before another try."""


def named(children: Iterable[Manifest], name: str) -> Manifest | None:
    """The child of this name; None where there is none."""
    return next((child for child in children if child["metadata"]["name"] == name), None)


def pods_of(pods: Sequence[Manifest], name: str) -> list[Manifest]:
    """The pods that a Job made, by its name."""
    return [
        pod
        for pod in pods
        if any(owner.get("name") == name for owner in pod["metadata"].get("ownerReferences") or ())
    ]


def ended(job: Manifest) -> datetime | None:
    """When a Job was over, one way or the other; None while it goes on."""
    listed = (job.get("status") or {}).get("conditions") or ()
    moments = [
        datetime.fromisoformat(one["lastTransitionTime"])
        for one in listed
        if one.get("type") in ("Complete", "Failed") and one.get("status") == "True"
    ]
    return max(moments, default=None)


def stands(job: Manifest, now: datetime) -> bool:
    """Whether a Job that was made goes on, or was over only lately."""
    over = ended(job)
    return over is None or now - over <= RETRY
