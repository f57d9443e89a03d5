"""Which lists and maps of the kinds we use are merged item by item, and which are replaced as a whole.

A small extract of the API's published schema, for the in-memory twin alone. What isn't named here is, as on
the server, a map merged field by field or a list that is replaced (atomic).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.api.names import GROUP

_LIST_KEYS: Mapping[str, tuple[str, ...]] = {
    "conditions": ("type",),
    "containers": ("name",),
    "env": ("name",),
    "ephemeralContainers": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}
_KEY_DEFAULTS: Mapping[str, Any] = {"protocol": "TCP"}
_ATOMIC_MAPS = frozenset(
    {
        "configMapKeyRef",
        "fieldRef",
        "namespaceSelector",
        "nodeSelector",
        "podSelector",
        "regarding",
        "resourceFieldRef",
        "roleRef",
        "secretKeyRef",
        "selector",
    }
)


def list_keys(kind: str, names: tuple[str, ...]) -> tuple[str, ...] | None:
    """Merge keys of the list at this path of field names, or None where it isn't merged by keys."""
    name = names[-1]
    if name == "ports":
        if kind == "Service":
            return ("port", "protocol")
        return (
            ("containerPort", "protocol") if names[-2:-1] in (("containers",), ("initContainers",)) else None
        )
    return _LIST_KEYS.get(name)


def is_set(names: tuple[str, ...]) -> bool:
    """Whether the list at this path is a set of scalars."""
    return names == ("metadata", "finalizers")


def is_atomic_map(api_version: str, kind: str, names: tuple[str, ...]) -> bool:
    """Whether the map at this path is owned and replaced as a whole."""
    if kind == "ControllerRevision" and names == ("data",):
        return True
    return not api_version.startswith(GROUP) and bool(names) and names[-1] in _ATOMIC_MAPS


def item_key(item: Any, keys: tuple[str, ...]) -> tuple[tuple[str, Any], ...]:
    """What identifies an item of a keyed list."""
    return tuple((key, item.get(key, _KEY_DEFAULTS.get(key))) for key in keys)
