"""From what is desired and what is observed to what has to be done: apply, delete, refuse.

Ownership is observed (our label and a controller reference with our uid), never remembered in a list.
The order of effects is data: configuration before what reads it, removal in the reverse order and last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pointsman.core.world import Manifest, ObjectKey, key_of

APPLY_ORDER = (
    "LLMRouter",
    "ControllerRevision",
    "ConfigMap",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Service",
    "Job",
    "Deployment",
)
"""Kinds in the order in which they are applied; deletions go the other way round."""

SERVICE_KINDS = (
    "ControllerRevision",
    "ConfigMap",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Service",
    "Job",
    "Deployment",
)
"""Every kind we ever made for an LLMService. A kind stays here for good, or its last objects would leak."""

ROUTER_KINDS = (
    "ConfigMap",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Service",
    "Deployment",
)
"""Every kind we ever made for an LLMRouter."""

FOREGROUND = frozenset({"Deployment", "Job"})
"""Kinds whose deletion is finished only when their pods are gone: they stay visible until then."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """One owned object to delete; the uid makes sure it is the one that was looked at."""

    kind: str
    name: str
    uid: str
    propagation: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Effects in the order in which they are carried out."""

    apply: tuple[Manifest, ...] = ()
    delete: tuple[Deletion, ...] = ()
    refused: tuple[ObjectKey, ...] = ()
    """Desired objects whose name is taken by something that isn't ours."""


def plan(
    desired: Sequence[Manifest],
    owned: Sequence[Manifest],
    *,
    retained: frozenset[ObjectKey] = frozenset(),
    strangers: Sequence[Manifest] = (),
) -> Plan:
    """What takes `owned` to `desired`. An object already being deleted is left to its end."""
    taken = {key_of(stranger) for stranger in strangers}
    wanted = {key_of(manifest): manifest for manifest in desired}
    leaving = {key_of(child) for child in owned if is_leaving(child)}
    surplus = [c for c in owned if key_of(c) not in wanted and key_of(c) not in retained | leaving]
    return Plan(
        apply=tuple(sorted((m for k, m in wanted.items() if k not in taken | leaving), key=_apply_rank)),
        delete=tuple(_deletion(child) for child in sorted(surplus, key=_apply_rank, reverse=True)),
        refused=tuple(sorted(key for key in wanted if key in taken)),
    )


def is_leaving(child: Manifest) -> bool:
    """Whether the object is being deleted already."""
    return bool(child["metadata"].get("deletionTimestamp"))


def _deletion(child: Manifest) -> Deletion:
    kind, name = key_of(child)
    propagation = "Foreground" if kind in FOREGROUND else "Background"
    return Deletion(kind, name, child["metadata"]["uid"], propagation)


def _apply_rank(manifest: Manifest) -> tuple[int, str]:
    kind, name = key_of(manifest)
    return APPLY_ORDER.index(kind), name
