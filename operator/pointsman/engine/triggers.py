"""From what was seen to whose pass it calls for. Knows labels and references; decides nothing else.

Watches tell of changes, re-lists find what watches missed. What is remembered here (each object's face, each
service's router) only saves passes and finds deletions in a gap; losing it costs one more pass per object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from pointsman.api.names import (
    DEFAULT_ROUTER,
    LABEL_ROUTER,
    LABEL_SERVICE,
    LLMMODEL,
    LLMROUTER,
    LLMSERVICE,
    Key,
)
from pointsman.engine.queue import Priority

OWN_KINDS = (LLMMODEL, LLMROUTER, LLMSERVICE)
_OWN_NAMES = frozenset(resource.kind for resource in OWN_KINDS)
ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"


class Add(Protocol):
    """`KeyQueue.add`."""

    def __call__(self, key: Key, priority: Priority = ..., after: float = ...) -> None: ...


@dataclass(frozen=True, slots=True)
class _Face:
    """What of an object calls for a pass when it changes. Status doesn't: we wrote it ourselves."""

    own: bytes
    state: bytes
    """A service's rollout state and measured starts, which its router's configuration is compiled from."""
    routers: frozenset[str]
    """The routers a service concerns: the one it asks for, and the one that has it."""
    models: frozenset[str]
    """The LLMModel that a service names, whose status counts its services."""


class Triggers:
    """Turns events and lists into keys. Not thread-safe; lives in the event loop."""

    def __init__(self, add: Add, echoes: Callable[[Mapping[str, Any]], bool] = lambda obj: False) -> None:
        """`echoes`: whether a child as a watch shows it tells nothing but what we did to it ourselves."""
        self._add = add
        self._echoes = echoes
        self._faces: dict[Key, _Face] = {}

    def own_event(self, kind: str | None, obj: Mapping[str, Any]) -> None:
        """An event of one of our kinds. `kind`: ADDED, MODIFIED, DELETED, or None in a watch's first list."""
        key, face = _key(obj), _face(obj)
        known = self._faces.get(key)
        if kind == DELETED:
            self._faces.pop(key, None)
            self._wake(key, face, known, Priority.URGENT)
            return
        self._faces[key] = face
        if known is None or known.own != face.own:
            self._wake(key, face, known, _priority(kind, obj))
        elif known.state != face.state:
            self._wake_routers(key, face, known, Priority.NORMAL)

    def child_event(self, kind: str | None, obj: Mapping[str, Any]) -> None:
        """An event of something we made, found by label."""
        if kind in (ADDED, MODIFIED) and self._echoes(obj):
            return
        priority = Priority.RESYNC if kind is None else Priority.NORMAL
        for key in sorted(owners_of(obj)):
            self._add(key, priority)

    def relisted(
        self,
        resource_kind: str,
        objects: Iterable[Mapping[str, Any]],
        *,
        namespace: str | None,
        spread: float,
    ) -> list[Key]:
        """A full list of one kind in one namespace (None: all). Calls for a pass of everything, over `spread`
        seconds, and at once for what no event told of; returns those: changed, new, or gone in a gap."""
        listed = {_key(obj): _face(obj) for obj in objects}
        missed = [key for key, face in listed.items() if self._faces.get(key) != face]
        gone = [
            key
            for key in self._faces
            if key.kind == resource_kind and namespace in (None, key.namespace) and key not in listed
        ]
        for number, (key, face) in enumerate(listed.items()):
            known, self._faces[key] = self._faces.get(key), face
            if known != face:
                self._wake(key, face, known, Priority.RESYNC)
            else:
                self._add(key, Priority.RESYNC, spread * (number + 1) / len(listed))
        for key in gone:
            self._wake(key, None, self._faces.pop(key), Priority.NORMAL)
        return missed + gone

    def knows(self, key: Key) -> bool:
        """Whether the object is there, as far as was seen."""
        return key in self._faces

    def _wake(self, key: Key, face: _Face | None, known: _Face | None, priority: Priority) -> None:
        self._add(key, priority)
        self._wake_routers(key, face, known, priority)
        for name in sorted({name for f in (face, known) if f is not None for name in f.models}):
            self._add(Key(LLMMODEL.kind, key.namespace, name), priority)

    def _wake_routers(self, key: Key, face: _Face | None, known: _Face | None, priority: Priority) -> None:
        """A service that moved concerns the router it left too."""
        for name in sorted({name for f in (face, known) if f is not None for name in f.routers}):
            self._add(Key(LLMROUTER.kind, key.namespace, name), priority)


def owners_of(obj: Mapping[str, Any]) -> set[Key]:
    """Whose pass looks after a child: by our labels, or if a hand took those by its controller."""
    metadata = obj["metadata"]
    labels, namespace = metadata.get("labels") or {}, metadata.get("namespace", "")
    found = {
        Key(resource.kind, namespace, labels[label])
        for label, resource in ((LABEL_SERVICE, LLMSERVICE), (LABEL_ROUTER, LLMROUTER))
        if labels.get(label)
    }
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller") and owner["kind"] in _OWN_NAMES:
            found.add(Key(owner["kind"], namespace, owner["name"]))
    return found


def _key(obj: Mapping[str, Any]) -> Key:
    metadata = obj["metadata"]
    return Key(obj["kind"], metadata.get("namespace", ""), metadata["name"])


def _priority(kind: str | None, obj: Mapping[str, Any]) -> Priority:
    if obj["metadata"].get("deletionTimestamp"):
        return Priority.URGENT
    return Priority.RESYNC if kind is None else Priority.NORMAL


def _face(obj: Mapping[str, Any]) -> _Face:
    metadata = obj["metadata"]
    meta = {
        name: metadata.get(name)
        for name in ("uid", "generation", "deletionTimestamp", "labels", "annotations", "finalizers")
    }
    status = obj.get("status") or {}
    rollout = status.get("rollout")
    routers, models = set(), set()
    if obj["kind"] == LLMSERVICE.kind:
        spec = obj.get("spec") or {}
        reference = spec.get("routerRef") or {}
        models = {str((spec.get("modelRef") or {}).get("name") or "")}
        routers = {str(reference.get("name") or DEFAULT_ROUTER), str((rollout or {}).get("router") or "")}
    return _Face(
        _digest(meta),
        _digest([rollout, status.get("startup")]),
        frozenset(routers - {""}),
        frozenset(models - {""}),
    )


def _digest(value: object) -> bytes:
    return hashlib.blake2b(
        orjson.dumps(value, default=dict, option=orjson.OPT_SORT_KEYS), digest_size=12
    ).digest()
