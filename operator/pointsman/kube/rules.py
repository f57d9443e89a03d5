"""What the API server does by itself to the kinds we use: the part of it the in-memory twin needs.

Names, immutable fields, the few defaults that matter to us, which kinds count generations and have a status.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pointsman.api.names import GROUP
from pointsman.kube.fields import copied
from pointsman.kube.protocol import Invalid, Object

_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_LABEL = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")

_COUNTING = frozenset({"Deployment", "Job", "NetworkPolicy", "Pod", "PodDisruptionBudget", "EndpointSlice"})
_WITH_STATUS = frozenset({"Deployment", "Job", "Pod", "PodDisruptionBudget", "Service"})
_PATH_NAMED = frozenset({"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})

_IMMUTABLE: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "ControllerRevision": (("data",),),
    "Deployment": (("spec", "selector"),),
    "Job": (("spec", "template"), ("spec", "selector"), ("spec", "completions")),
    "RoleBinding": (("roleRef",),),
}


def is_ours(obj: Mapping[str, Any]) -> bool:
    """Whether this is one of Pointsman's own kinds."""
    return str(obj["apiVersion"]).startswith(f"{GROUP}/")


def counts_generations(obj: Mapping[str, Any]) -> bool:
    """Whether `metadata.generation` follows changes of spec."""
    return is_ours(obj) or obj["kind"] in _COUNTING


def has_status(obj: Mapping[str, Any]) -> bool:
    """Whether status is a subresource: writes to the object leave it alone."""
    return is_ours(obj) or obj["kind"] in _WITH_STATUS


def spec_of(obj: Mapping[str, Any]) -> Object:
    """Everything whose change bumps the generation."""
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}


def with_defaults(obj: Object) -> Object:
    """The object with those of the server's defaults that something here depends on."""
    if obj["kind"] != "Deployment":
        return obj
    result = copied(obj)
    result.setdefault("spec", {}).setdefault("replicas", 1)
    return result


def check(obj: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
    """Raises Invalid as the server would for a bad name, a bad label or a changed immutable field."""
    kind, metadata = obj["kind"], obj["metadata"]
    _check_name(kind, str(metadata.get("name", "")))
    for key, value in (metadata.get("labels") or {}).items():
        if not isinstance(value, str) or len(value) > 63 or not _LABEL_VALUE.match(value):
            raise Invalid(f"{kind} {metadata['name']!r} is invalid: metadata.labels: {key}: {value!r}")
    ports = ((obj.get("spec") or {}).get("ports") or ()) if kind == "Service" else ()
    twice = {p.get("name") for p in ports if sum(p.get("name") == q.get("name") for q in ports) > 1}
    if twice:
        raise Invalid(f"{kind} {metadata['name']!r} is invalid: spec.ports.name: Duplicate value: {twice}")
    for path in _IMMUTABLE.get(kind, ()) if old is not None else ():
        if _at(old, path) != _at(obj, path):
            raise Invalid(f"{kind} {metadata['name']!r} is invalid: {'.'.join(path)}: field is immutable")
    if old is not None and old["metadata"].get("deletionTimestamp"):
        added = set(metadata.get("finalizers") or ()) - set(old["metadata"].get("finalizers") or ())
        if added:
            what = "no new finalizers can be added if the object is being deleted"
            raise Invalid(f"metadata.finalizers: Forbidden: {what}")


def _check_name(kind: str, name: str) -> None:
    pattern, limit = (_LABEL, 63) if kind == "Service" else (_SUBDOMAIN, 253)
    if kind in _PATH_NAMED and name and "/" not in name:
        return
    if not name or len(name) > limit or not pattern.match(name):
        raise Invalid(f"{kind} {name!r} is invalid: metadata.name: Invalid value: {name!r}")


def _at(obj: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        obj = obj.get(name) if isinstance(obj, Mapping) else None
    return obj
