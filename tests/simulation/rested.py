"""What a cluster at rest is like, without what may rightly differ by how it came there."""

from __future__ import annotations

from typing import Any

from pointsman.api.names import ANNOTATION_APPLIED
from pointsman.kube.fields import copied
from tests.simulation.cluster import Cluster
from tests.simulation.faults.ending import differences, end_of, without_history

__all__ = ["differences", "rested"]


def rested(cluster: Cluster) -> dict[str, Any]:
    """Everything that is there, without history: former revisions, how long they took to start, the last
    proof of a former generation, digests."""
    # What is compared shares its parts with what is there.
    end = copied(without_history(end_of(cluster)))
    for obj in end.values():
        obj["metadata"].get("annotations", {}).pop(ANNOTATION_APPLIED, None)
        status = obj.get("status") or {}
        status.pop("startup", None)
        if (status.get("proof") or {}).get("generation", 0) < 0:
            del status["proof"]
    return end
