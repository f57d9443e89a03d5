"""What the cluster has room for: nodes and what their pods ask for, as values.

Filled in by capacity discovery alone, which people switch on: it reads nodes, and pods of every namespace.
Only extended resources are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Manifest = Mapping[str, Any]
_BARRING = frozenset({"NoSchedule", "NoExecute"})


@dataclass(frozen=True, slots=True)
class Room:
    """One node: what it bears, what of it is free, and whom it lets on."""

    labels: Mapping[str, str]
    taints: Sequence[Mapping[str, str]]
    total: Mapping[str, int]
    """Allocatable amount by extended resource."""
    free: Mapping[str, int]
    """What of that no pod on the node asks for."""

    def selected(self, pod: Manifest) -> bool:
        """Whether the node bears all labels that the pod's nodeSelector asks for."""
        selector = (pod.get("spec") or {}).get("nodeSelector") or {}
        return all(self.labels.get(key) == value for key, value in selector.items())

    def has(self, amounts: Mapping[str, int]) -> bool:
        """Whether so much could be had, were the node empty."""
        return all(self.total.get(resource, 0) >= amount for resource, amount in amounts.items())

    def untolerated(self, pod: Manifest) -> list[str]:
        """Taints that keep the pod off, as kubectl writes them."""
        tolerations = (pod.get("spec") or {}).get("tolerations") or ()
        return sorted(
            _written(taint)
            for taint in self.taints
            if taint.get("effect") in _BARRING and not any(_tolerates(t, taint) for t in tolerations)
        )


def opens(room: Room, pod: Manifest) -> bool:
    """Whether a node would take the pod, had it room."""
    return room.selected(pod) and not room.untolerated(pod)


def wanted(pod: Manifest) -> dict[str, int]:
    """Extended resources that a pod asks for."""
    asked: dict[str, int] = {}
    for container in (pod.get("spec") or {}).get("containers") or ():
        resources = container.get("resources") or {}
        # A request that isn't set is its limit, by the API's own definition.
        together = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        for resource, amount in together.items():
            if "/" in resource:
                asked[resource] = asked.get(resource, 0) + _count(amount)
    return asked


def survey(nodes: Iterable[Manifest], pods: Iterable[Manifest]) -> tuple[Room, ...]:
    """The rooms of a cluster, from its nodes and the pods that are on them."""
    taken: dict[str, dict[str, int]] = {}
    for pod in pods:
        on = taken.setdefault(str((pod.get("spec") or {}).get("nodeName") or ""), {})
        for resource, amount in wanted(pod).items():
            on[resource] = on.get(resource, 0) + amount
    return tuple(_room(node, taken.get(node["metadata"]["name"], {})) for node in nodes)


def _room(node: Manifest, taken: Mapping[str, int]) -> Room:
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    total = {resource: _count(amount) for resource, amount in allocatable.items() if "/" in resource}
    return Room(
        labels=dict(node["metadata"].get("labels") or {}),
        taints=tuple((node.get("spec") or {}).get("taints") or ()),
        total=total,
        free={resource: max(amount - taken.get(resource, 0), 0) for resource, amount in total.items()},
    )


def _count(amount: object) -> int:
    """Extended resources are whole numbers; anything else counts as none."""
    return int(str(amount)) if str(amount).isdecimal() else 0


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, str]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("key") not in (None, "", taint.get("key")):
        return False
    exists = toleration.get("operator") == "Exists"
    return exists or (toleration.get("value") or "") == (taint.get("value") or "")


def _written(taint: Mapping[str, str]) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key')}{value}:{taint.get('effect')}"
