"""Who owns which field: server-side apply and plain updates over one object, as pure functions.

The in-memory twin keeps a `Managers` map beside each object and asks this module what a write does to both.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from pointsman.kube.fields import Kind, Path, merged, paths, value_at, without
from pointsman.kube.protocol import Conflict, Object

UNOWNED = (("apiVersion",), ("kind",)) + tuple(
    ("metadata", name)
    for name in (
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "managedFields",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    )
)
"""Fields that belong to the server or to the object's identity."""
_SERVERS = frozenset(path[1] for path in UNOWNED if len(path) == 2)


@dataclass(frozen=True, slots=True)
class Manager:
    """One entry of managedFields."""

    name: str
    operation: str
    subresource: str = ""

    def __str__(self) -> str:
        return f'"{self.name}"' + (f" with subresource {self.subresource}" if self.subresource else "")


Managers = Mapping[Manager, frozenset[Path]]


def stated(obj: Mapping[str, Any]) -> frozenset[Path]:
    """The paths an object states, without those nobody owns."""
    return _stated(_document(obj))


def _document(obj: Mapping[str, Any]) -> bytes:
    """An object without what is the server's."""
    metadata = {name: value for name, value in (obj.get("metadata") or {}).items() if name not in _SERVERS}
    return orjson.dumps({**obj, "metadata": metadata}, default=dict)


@functools.lru_cache(maxsize=8192)
def _stated(document: bytes) -> frozenset[Path]:
    """The same objects are written again and again, in a run and in the next one."""
    obj = orjson.loads(document)
    found = (path for path in paths(Kind(obj["apiVersion"], obj["kind"]), obj) if path)
    return frozenset(
        path
        for path in found
        if tuple(step for _, step in path[:2]) not in UNOWNED
        and (path[0][1],) not in UNOWNED
        and path != (("f", "metadata"),)
    )


def stating(manager: Manager, obj: Mapping[str, Any]) -> Managers:
    """The owners of an object that one manager has just made."""
    return _nonempty({manager: stated(obj)})


def applied(
    live: Object, managers: Managers, intent: Object, manager: Manager, *, force: bool
) -> tuple[Object, Managers]:
    """What an apply makes of an object and its owners. Raises Conflict naming fields and their owners."""
    new = stated(intent)
    disputed = _disputed(live, managers, intent, new, manager)
    if disputed and not force:
        listed = ", ".join(f"{_dotted(path)} (owned by {other})" for path, other in disputed)
        raise Conflict(f"Apply failed with {len(disputed)} conflicts: {listed}")
    lost = {path for path, _ in disputed}
    rest = {other: owned - lost for other, owned in managers.items() if other != manager}
    kept = frozenset().union(*rest.values()) if rest else frozenset()
    gone = [path for path in managers.get(manager, frozenset()) - new if path not in kept]
    result = without(merged(Kind(live["apiVersion"], live["kind"]), live, intent), _outermost(gone, new))
    # An item that went took other managers' fields inside it along.
    rest = {other: frozenset(p for p in owned if _exists(result, p)) for other, owned in rest.items()}
    return result, _nonempty({**rest, manager: new})


def updated(old: Object, managers: Managers, new: Object, manager: Manager) -> Managers:
    """Who owns what after `manager` replaced `old` by `new` in an ordinary write."""
    # Most writes touch one of status, spec and metadata; of the rest nothing can change hands.
    touched = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    after, changed = _changed(_document(_part(old, touched)), _document(_part(new, touched)))
    rest = {
        other: frozenset(p for p in owned if p[0][1] not in touched or (p in after and p not in changed))
        for other, owned in managers.items()
    }
    return _nonempty({**rest, manager: rest.get(manager, frozenset()) | changed})


@functools.lru_cache(maxsize=8192)
def _changed(old_document: bytes, new_document: bytes) -> tuple[frozenset[Path], frozenset[Path]]:
    """What the new object states, and what of that is another than before; the same again and again, too."""
    old, new = orjson.loads(old_document), orjson.loads(new_document)
    before, after = _stated(old_document), _stated(new_document)
    changed = frozenset(p for p in after if p not in before or value_at(old, p) != value_at(new, p))
    # Membership of a list item doesn't change with the item's fields.
    return after, frozenset(p for p in changed if p not in before or p[-1][0] == "f")


def _disputed(
    live: Object, managers: Managers, intent: Object, new: frozenset[Path], manager: Manager
) -> list[tuple[Path, Manager]]:
    others = [(other, new & owned) for other, owned in managers.items() if other != manager]
    found = [
        (path, other)
        for other, shared in others
        for path in shared
        if path[-1][0] == "f" and value_at(live, path) != value_at(intent, path)
    ]
    return sorted(found, key=lambda pair: _dotted(pair[0]))


def _part(obj: Object, touched: set[str]) -> Object:
    return {name: value for name, value in obj.items() if name in touched or name in ("apiVersion", "kind")}


def _outermost(gone: list[Path], new: frozenset[Path]) -> list[Path]:
    """Leaves out paths above something that is stated now (an empty map that got its first entry)."""
    return [path for path in gone if not any(other[: len(path)] == path for other in new)]


def _exists(obj: Object, path: Path) -> bool:
    return value_at(obj, path) is not None


def _nonempty(managers: Managers) -> Managers:
    return {manager: owned for manager, owned in managers.items() if owned}


def _dotted(path: Path) -> str:
    text = ""
    for tag, step in path:
        if tag == "f":
            text += f".{step}"
        elif tag == "k":
            text += "[" + ",".join(f"{key}={value!r}" for key, value in step) + "]"
        else:
            text += f"[={step!r}]"
    return text
