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
    ENDPOINTSLICE,
    FINALIZER,
    LABEL_ROUTER,
    LABEL_SERVICE,
    LLMMODEL,
    LLMROUTER,
    LLMSERVICE,
    PROMPTSUITE,
    PROMPTVERSION,
    Key,
)
from pointsman.engine.queue import Priority

OWN_KINDS = (LLMMODEL, LLMROUTER, LLMSERVICE, PROMPTSUITE, PROMPTVERSION)
_OWN_NAMES = frozenset(resource.kind for resource in OWN_KINDS)
_NAMED = (
    (LLMMODEL.kind, ("modelRef",)),
    (PROMPTVERSION.kind, ("promptRef",)),
    (PROMPTVERSION.kind, ("experiment", "promptRef")),
    (PROMPTSUITE.kind, ("rollout", "suiteRef")),
)
"""What services name, and by which field of their spec."""
NAMED_KINDS = frozenset(kind for kind, _ in _NAMED)
"""Kinds of what services name."""
ROUTER_PAUSE = 0.2
"""Seconds by which a router's pass waits after what it compiles has changed: the service's own pass, which is
what writes that, has its effects first, and what changes next to it comes along."""
UNROUTED = frozenset({"analysis", "candidateWeight", "failed", "rejections"})
"""What of a rollout's status no router's configuration is made of."""
ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"


class Add(Protocol):
    """`KeyQueue.add`."""

    def __call__(self, key: Key, priority: Priority = ..., after: float = ...) -> None: ...


@dataclass(frozen=True, slots=True)
class _Face:
    """What of an object calls for a pass when it changes. Status doesn't: we wrote it ourselves."""

    own: bytes
    held: bool
    """Whether our finalizer is there. That it came we know, since we put it there."""
    told: bool
    """Whether status says anything. A restored backup says nothing, and only a pass gives it back."""
    routed: bytes = b""
    """What of a service its router's configuration is compiled from, its rollout state included."""
    routers: frozenset[str] = frozenset()
    """The routers a service concerns: the one it asks for, and the one that has it."""
    counted: bytes = b""
    """What of a service is counted in the status of what it names."""
    named: frozenset[tuple[str, str]] = frozenset()
    """By kind and name: what a service names, such as its LLMModel."""
    family: str | None = None
    """Of a PromptVersion or PromptSuite; empty for none, and for one of any."""


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
        priority = _priority(kind, obj)
        if known is None or known.own != face.own or known.held > face.held or known.told > face.told:
            self._add(key, priority)
        if key.kind in NAMED_KINDS and kind is not None and (known is None or known.own != face.own):
            # A model's own pass tells them too, unless it fails after it wrote down that it has.
            self._wake_users(key, priority)
        # The first pass of a service writes its rollout state; until then its router, if there is one, has
        # nothing to do for it.
        if known is None and self._routers_missing(key, face):
            self._wake_routers(key, face, known, priority)
        elif known is not None and known.routed != face.routed:
            pause = 0.0 if priority is Priority.URGENT else ROUTER_PAUSE
            self._wake_routers(key, face, known, priority, pause)
        if known is None or known.counted != face.counted:
            self._wake_counting(key, face, known, priority)

    def _wake_users(self, named: Key, priority: Priority) -> None:
        for key, face in list(self._faces.items()):
            if key.namespace == named.namespace and (named.kind, named.name) in face.named:
                self._add(key, priority)

    def child_event(self, kind: str | None, obj: Mapping[str, Any]) -> None:
        """An event of something we made, found by label."""
        if kind in (ADDED, MODIFIED) and (self._echoes(obj) or _is_empty_slice(kind, obj)):
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

    def _routers_missing(self, key: Key, face: _Face) -> bool:
        return any(Key(LLMROUTER.kind, key.namespace, name) not in self._faces for name in face.routers)

    def _wake(self, key: Key, face: _Face | None, known: _Face | None, priority: Priority) -> None:
        self._add(key, priority)
        self._wake_routers(key, face, known, priority)
        self._wake_counting(key, face, known, priority)

    def _wake_routers(
        self, key: Key, face: _Face | None, known: _Face | None, priority: Priority, after: float = 0.0
    ) -> None:
        """A service that moved concerns the router it left too."""
        for name in sorted({name for f in (face, known) if f is not None for name in f.routers}):
            self._add(Key(LLMROUTER.kind, key.namespace, name), priority, after)

    def _wake_counting(self, key: Key, face: _Face | None, known: _Face | None, priority: Priority) -> None:
        """Those whose status counts the object: what a service names, the suites of a prompt's family."""
        for kind, name in sorted({named for f in (face, known) if f is not None for named in f.named}):
            self._add(Key(kind, key.namespace, name), priority)
        if key.kind != PROMPTVERSION.kind:
            return
        families = {"", *(f.family for f in (face, known) if f is not None)}
        for other, seen in list(self._faces.items()):
            if other[:2] == (PROMPTSUITE.kind, key.namespace) and seen.family in families:
                self._add(other, priority)


def _is_empty_slice(kind: str, obj: Mapping[str, Any]) -> bool:
    """Whether a new Service got its first EndpointSlice, in which nobody is yet."""
    return kind == ADDED and obj["kind"] == ENDPOINTSLICE.kind and not obj.get("endpoints")


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
    finalizers = list(metadata.get("finalizers") or ())
    meta = [
        metadata.get(name) for name in ("uid", "generation", "deletionTimestamp", "labels", "annotations")
    ]
    own = _digest([*meta, [name for name in finalizers if name != FINALIZER]])
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    held, told = FINALIZER in finalizers, bool(status.get("conditions"))
    if obj["kind"] in (PROMPTSUITE.kind, PROMPTVERSION.kind):
        family = str(spec.get("family") or "")
        return _Face(own, held, told, counted=_digest([metadata.get("uid"), family]), family=family)
    if obj["kind"] != LLMSERVICE.kind:
        return _Face(own, held, told)
    rollout, life = status.get("rollout"), [metadata.get("uid"), metadata.get("deletionTimestamp")]
    # What ticks while a change is judged isn't routed, and neither is why another one was rejected.
    divided = rollout and {name: value for name, value in rollout.items() if name not in UNROUTED}
    asked = (spec.get("rollout") or {}).get("analysis")
    window = (status.get("experiment") or {}).get("window")
    routed = [asked, window, *(spec.get(name) for name in ("routerRef", "modelNames", "routing", "paused"))]
    wanted = str((spec.get("routerRef") or {}).get("name") or DEFAULT_ROUTER)
    found = named(spec)
    return _Face(
        own,
        held,
        told,
        routed=_digest([*life, *routed, divided, status.get("startup")]),
        routers=frozenset({wanted, str((rollout or {}).get("router") or "")} - {""}),
        counted=_digest([*life, found]),
        named=frozenset(pair for pair in found if pair[1]),
    )


def named(spec: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a service names, by kind and name. A field that names nothing has an empty name."""
    return [(kind, _name_at(spec, path)) for kind, path in _NAMED]


def _name_at(spec: Mapping[str, Any], path: tuple[str, ...]) -> str:
    """The name that a reference has; empty for none."""
    for field in path:
        spec = spec.get(field) or {}
    return str(spec.get("name") or "")


def _digest(value: object) -> bytes:
    return hashlib.blake2b(
        orjson.dumps(value, default=dict, option=orjson.OPT_SORT_KEYS), digest_size=12
    ).digest()
