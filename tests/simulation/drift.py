"""Hands at our children: every field that we own, changed or taken away, one at a time."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from pointsman.kube.fields import Path, value_at
from pointsman.kube.store import Address, Stored
from tests.simulation.cluster import Cluster

MANAGER = "pointsman"
OTHERS: dict[type, Any] = {
    bool: lambda value: not value,
    int: lambda value: value + 1,
    str: lambda value: "drifted",
}


def children(cluster: Cluster) -> dict[Address, Stored]:
    """Everything that the operator applied."""
    ours = {
        address: stored
        for address, stored in sorted(cluster.kube.store.objects.items())
        if stored.obj["metadata"].get("ownerReferences") and address[1] not in ("Pod", "EndpointSlice")
    }
    return {address: stored for address, stored in ours.items() if _owned(stored)}


def _owned(stored: Stored) -> list[Path]:
    """Paths that the operator owns by an apply, in one order."""
    paths = [
        p
        for m, paths in stored.managers.items()
        if m.name == MANAGER and m.operation == "Apply"
        for p in paths
    ]
    return sorted(paths, key=repr)


def edits(stored: Stored) -> Iterator[tuple[Path, Any]]:
    """Every owned field with what the object is after a hand changed it, or took it away.

    Without the reference to the owner (what has none isn't ours any more) and without what tells items of a
    list apart (an item of another name is somebody else's, and stays beside ours).
    """
    for path in _owned(stored):
        value = value_at(stored.obj, path)
        if value is None or ("f", "ownerReferences") in path or _is_key(path):
            continue
        for other in _others(value):
            edited = copy.deepcopy(stored.obj)
            _put(edited, path, other)
            if edited != stored.obj:
                yield path, edited


def _is_key(path: Path) -> bool:
    return len(path) > 1 and path[-2][0] == "k" and path[-1][1] in dict(path[-2][1])


GONE = object()


def _others(value: Any) -> Iterator[Any]:
    if type(value) in OTHERS:
        yield OTHERS[type(value)](value)
    yield GONE


def _put(obj: Any, path: Path, value: Any) -> None:
    """Changes a copy of an object at a path of fields and list items."""
    holder: Any = obj
    for step in path[:-1]:
        holder = _inside(holder, step)
    tag, last = path[-1]
    if tag == "f" and value is GONE:
        holder.pop(last, None)
    elif tag == "f":
        holder[last] = value
    elif isinstance(holder, list) and value is GONE:
        item = _inside(holder, path[-1])
        holder.remove(item)


def _inside(holder: Any, step: tuple[str, Any]) -> Any:
    tag, name = step
    if tag == "f":
        return holder[name]
    return next(item for item in holder if value_at([item], (step,)) is not None)


def content(obj: Any) -> Any:
    """An object without what the server counts, and without an order of items that names tell apart."""
    metadata = {k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "generation")}
    return _ordered({**{k: v for k, v in obj.items() if k != "status"}, "metadata": metadata})


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(item) for key, item in value.items()}
    if isinstance(value, list):
        items = [_ordered(item) for item in value]
        return sorted(items, key=_text) if all(isinstance(item, dict) for item in items) else items
    return value


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
