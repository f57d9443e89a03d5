"""The in-memory twin's memory: objects with versions, owners of fields, and the stream of what happened.

It knows how an object changes and vanishes (versions, generations, finalizers); `twin` knows the verbs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from pointsman.api.names import Resource
from pointsman.kube.fields import copied
from pointsman.kube.ownership import Managers
from pointsman.kube.protocol import Object
from pointsman.kube.rules import check, counts_generations, spec_of, with_defaults

Address = tuple[str, str, str, str]
"""(group, kind, namespace, name); the version doesn't matter to storage."""

_UIDS = UUID("6b1f9f4e-6a0c-4a57-9d2e-3f8c1d8b7a10")


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One event of a watch: ADDED, MODIFIED or DELETED, with the object as it was then."""

    type: str
    object: Object


@dataclass(slots=True)
class Stored:
    """An object and who owns its fields."""

    obj: Object
    managers: Managers = field(default_factory=dict)


class Store:
    """Objects by address. Every change gives a new resourceVersion and a WatchEvent."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.objects: dict[Address, Stored] = {}
        self.history: list[tuple[int, WatchEvent]] = []
        """(resourceVersion, event) since the beginning, oldest first."""
        self.watchers: set[Callable[[WatchEvent], None]] = set()
        """Called with every event at the moment it happens."""
        self._now = now
        self._version = 0

    @property
    def version(self) -> int:
        """The resourceVersion of the last change."""
        return self._version

    def timestamp(self) -> str:
        """Now, as the API writes it."""
        return self._now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def find(self, uid: str) -> Stored | None:
        """The object with this uid."""
        return next((s for s in self.objects.values() if s.obj["metadata"]["uid"] == uid), None)

    def insert(self, address: Address, obj: Object, managers: Managers) -> Object:
        """A new object. Raises Invalid where the server would."""
        check(obj, None)
        new = with_defaults(copied(obj))
        metadata = new["metadata"]
        metadata["uid"] = str(uuid5(_UIDS, f"{self._version + 1}"))
        metadata["creationTimestamp"] = self.timestamp()
        if counts_generations(new):
            metadata["generation"] = 1
        return self._put(address, Stored(new, managers), "ADDED")

    def replace(self, address: Address, obj: Object, managers: Managers) -> Object:
        """A change of an existing object; one that changes nothing leaves the version as it is."""
        old = self.objects[address]
        check(obj, old.obj)
        # Versions are written into it, and what it was made from may share its metadata with an older state.
        new = {**with_defaults(obj), "metadata": {**obj["metadata"]}}
        if new == old.obj and managers == old.managers:
            return copied(old.obj)
        metadata = new["metadata"]
        if counts_generations(new) and spec_of(new) != spec_of(old.obj):
            metadata["generation"] = old.obj["metadata"].get("generation", 1) + 1
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and not _graceful(new):
            self.objects[address] = Stored(new, managers)
            return self.remove(address)
        return self._put(address, Stored(new, managers), "MODIFIED")

    def start_deletion(self, address: Address, finalizers: Iterable[str], grace_seconds: int) -> None:
        """Marks the object as going; whoever holds a finalizer (or the kubelet) lets it go."""
        stored = self.objects[address]
        new = copied(stored.obj)
        metadata = new["metadata"]
        present = metadata.get("finalizers") or []
        metadata["finalizers"] = [*present, *(name for name in finalizers if name not in present)]
        if not metadata["finalizers"]:
            del metadata["finalizers"]
        if not metadata.get("deletionTimestamp"):
            metadata["deletionTimestamp"] = self.timestamp()
            metadata["deletionGracePeriodSeconds"] = grace_seconds
            if counts_generations(new):
                metadata["generation"] = metadata.get("generation", 1) + 1
        if new != stored.obj:
            self._put(address, Stored(new, stored.managers), "MODIFIED")

    def remove(self, address: Address) -> Object:
        """Takes the object away for good."""
        gone = copied(self.objects.pop(address).obj)
        self._version += 1
        gone["metadata"]["resourceVersion"] = str(self._version)
        self._publish("DELETED", gone)
        return gone

    def begin_at(self, objects: Mapping[Address, Stored], version: int) -> None:
        """Continues from a state that a store was in: its `objects` (copied shallowly) and its `version`."""
        self.objects, self._version = dict(objects), version

    def _put(self, address: Address, stored: Stored, event: str) -> Object:
        self._version += 1
        stored.obj["metadata"]["resourceVersion"] = str(self._version)
        self.objects[address] = stored
        self._publish(event, stored.obj)
        return copied(stored.obj)

    def _publish(self, kind: str, obj: Object) -> None:
        event = WatchEvent(kind, copied(obj))
        self.history.append((self._version, event))
        for tell in list(self.watchers):
            tell(event)


def address_of(resource: Resource, namespace: str | None, name: str) -> Address:
    """Where an object is kept."""
    group = "events.k8s.io" if resource.kind == "Event" else resource.group
    return group, resource.kind, (namespace or "") if resource.namespaced else "", name


def _graceful(obj: Any) -> bool:
    """A pod that was bound to a node stays until its kubelet has stopped it."""
    return bool(obj["kind"] == "Pod" and obj["metadata"].get("deletionGracePeriodSeconds"))
