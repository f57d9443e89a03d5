"""The in-memory twin of an API server: the same Protocol, for thousands of runs without a server.

tests/conformance runs one table of cases against this and against the real thing, so that it can't drift.
What a server does that our code can't see (admission, quotas, most defaults) isn't here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pointsman.api.names import CORE_EVENT, RESOURCES, Resource
from pointsman.kube import garbage
from pointsman.kube.fields import copied, merge_patched
from pointsman.kube.ownership import UNOWNED, Manager, applied, stating, updated
from pointsman.kube.protocol import (
    AlreadyExists,
    Conflict,
    Invalid,
    NotFound,
    Object,
    Objects,
    Retryable,
)
from pointsman.kube.rules import has_status
from pointsman.kube.selectors import matches_fields, matches_labels
from pointsman.kube.store import Address, Store, Stored, WatchEvent, address_of

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as faults and oracles see it."""

    verb: str
    kind: str
    namespace: str
    name: str
    changed: bool = False
    """Whether the stored object is another one after it; known only once the request was carried out."""

    @property
    def writes(self) -> bool:
        """Whether it asked for a change."""
        return self.verb not in ("get", "list")


Hook = Callable[[Call], None]
"""May raise: before a request it never happened, after it the answer was lost."""


class MemoryKube:
    """See `Kube`. Beside its verbs: `edit` (a hand), `finish` (a kubelet), `collect` (garbage), `watch`."""

    def __init__(
        self,
        *,
        now: Callable[[], datetime] = lambda: EPOCH,
        namespaces: Iterable[str] | None = None,
        resources: Iterable[Resource] = (),
        before: Hook | None = None,
        after: Hook | None = None,
    ) -> None:
        self.store = Store(now)
        self.calls: list[Call] = []
        """Every request that was carried out, in order."""
        self.before = before
        self.after = after
        self.namespaces = None if namespaces is None else set(namespaces)
        """Namespaces that exist; None: any does."""
        known = (*RESOURCES.values(), CORE_EVENT, *resources)
        self._resources = {(r.api_version, r.kind): r for r in known}

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        call = self._enter("get", resource, namespace, name)
        stored = self._existing(resource, address_of(resource, namespace, name))
        self._leave(call, False)
        return _shown(resource, stored.obj)

    async def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
    ) -> Objects:
        call = self._enter("list", resource, namespace, "")
        if since is not None and since > self.store.version:
            raise Retryable(f"Too large resource version: {since}, current: {self.store.version}")
        group, kind, space, _ = address_of(resource, namespace, "")
        found = [
            # Only events are shown otherwise than stored; copying the rest can wait until it's chosen.
            _shown(resource, stored.obj) if kind == "Event" else stored.obj
            for address, stored in sorted(self.store.objects.items(), key=_by_address)
            if address[:2] == (group, kind) and (namespace is None or address[2] == space)
        ]
        matching = Objects(
            (
                copied(obj)
                for obj in found
                if matches_labels(labels, obj["metadata"].get("labels") or {}) and matches_fields(fields, obj)
            ),
            self.store.version,
        )
        self._leave(call, False)
        return matching

    async def apply(self, obj: Mapping[str, Any], *, manager: str, force: bool = True) -> Object:
        resource, address = self._identity(obj)
        call = self._enter("apply", resource, address[2], address[3])
        version = self.store.version
        result = self._apply(address, _intent(obj), obj["metadata"], Manager(manager, "Apply"), force)
        self._leave(call, self.store.version != version)
        return _shown(resource, result)

    async def overwrite(self, obj: Mapping[str, Any]) -> Object:
        resource, address = self._identity(obj)
        call = self._enter("overwrite", resource, address[2], address[3])
        stored, version = self._existing(resource, address), self.store.version
        if obj["metadata"].get("uid", uid := stored.obj["metadata"]["uid"]) != uid:
            raise Invalid(f'{resource.kind} "{address[3]}" is invalid: metadata.uid: field is immutable')
        result = self.store.replace(address, merge_patched(stored.obj, _intent(obj)), stored.managers)
        self._leave(call, self.store.version != version)
        return _shown(resource, result)

    async def create(self, obj: Mapping[str, Any], *, manager: str = "pointsman") -> Object:
        resource, address = self._identity(obj)
        call = self._enter("create", resource, address[2], address[3])
        if address in self.store.objects:
            raise AlreadyExists(f'{resource.plural} "{address[3]}" already exists')
        new = _intent(_stored(resource, copied(dict(obj))))
        result = self._insert(address, new, Manager(manager, "Update"))
        self._leave(call, True)
        return _shown(resource, result)

    async def patch_status(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        status: Mapping[str, Any],
        *,
        resource_version: str | None,
    ) -> Object:
        call = self._enter("patch_status", resource, namespace, name)
        address = address_of(resource, namespace, name)
        stored = self._existing(resource, address)
        if not has_status(stored.obj):
            raise NotFound("the server could not find the requested resource")
        new = copied(stored.obj)
        new["status"] = merge_patched(new.get("status") or {}, status)
        manager = Manager("pointsman-status", "Update", "status")
        return self._update(call, address, new, manager, resource_version)

    async def patch_finalizers(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        finalizers: Sequence[str],
        *,
        resource_version: str,
    ) -> Object:
        call = self._enter("patch_finalizers", resource, namespace, name)
        address = address_of(resource, namespace, name)
        new = copied(self._existing(resource, address).obj)
        new["metadata"] = merge_patched(new["metadata"], {"finalizers": list(finalizers) or None})
        return self._update(call, address, new, Manager("pointsman", "Update"), resource_version)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str,
        propagation: str = "Background",
    ) -> None:
        call = self._enter("delete", resource, namespace, name)
        address = address_of(resource, namespace, name)
        found = self._existing(resource, address).obj["metadata"]["uid"]
        if found != uid:
            raise Conflict(f"Precondition failed: UID in precondition: {uid}, UID in object meta: {found}")
        version = self.store.version
        garbage.delete(self.store, address, propagation)
        self._leave(call, self.store.version != version)

    async def served(self, api_version: str) -> frozenset[str]:
        return frozenset(kind for version, kind in self._resources if version == api_version)

    async def edit(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Mapping[str, Any],
        *,
        manager: str = "kubectl-edit",
        subresource: str = "",
    ) -> Object:
        """What somebody else does: a merge patch of the object, or of its status with that subresource."""
        address = address_of(resource, namespace, name)
        old = self._existing(resource, address).obj
        patch = {"status": patch["status"]} if subresource == "status" else patch
        new = merge_patched(old, patch)
        if has_status(old) and subresource != "status":
            new = merge_patched(new, {"status": None}) | (
                {"status": old["status"]} if "status" in old else {}
            )
        managers = updated(
            old, self.store.objects[address].managers, new, Manager(manager, "Update", subresource)
        )
        return _shown(resource, self.store.replace(address, new, managers))

    async def preview(self, obj: Mapping[str, Any], difference: Mapping[str, Any] | None = None) -> Object:
        """See `Previewing`. Of rules and defaults the twin has none."""
        resource, address = self._identity(obj)
        call = self._enter("preview", resource, address[2], address[3])
        if difference is None:
            if address in self.store.objects:
                raise AlreadyExists(f'{resource.plural} "{address[3]}" already exists')
            uid = f"not-stored-{address[1]}-{address[3]}"
            metadata = {"uid": uid, "generation": 1, "creationTimestamp": EPOCH.isoformat()}
            new = _intent(obj)
            new["metadata"] |= metadata
        else:
            old = self._existing(resource, address).obj
            new = merge_patched(copied(old), difference)
            if has_status(old):
                new["status"] = copied(old.get("status") or {})
            if new.get("spec") != old.get("spec"):
                new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        self._leave(call, False)
        return new

    def finish(self, resource: Resource, namespace: str | None, name: str) -> None:
        """What a kubelet does at the end: the object is gone, whatever grace it had."""
        self.store.remove(address_of(resource, namespace, name))

    def collect(self) -> int:
        """One full run of the garbage collector; returns how many objects it removed."""
        return garbage.collect(self.store)

    async def watch(self, resource: Resource, namespace: str | None = None) -> AsyncIterator[WatchEvent]:
        """Events from now on, without end."""
        group, kind, space, _ = address_of(resource, namespace, "")
        queue: asyncio.Queue[WatchEvent] = asyncio.Queue()
        self.store.watchers.add(queue.put_nowait)
        try:
            while True:
                event = await queue.get()
                there = self._resources[event.object["apiVersion"], event.object["kind"]]
                at = address_of(there, event.object["metadata"].get("namespace"), "")
                if at[:2] == (group, kind) and (namespace is None or at[2] == space):
                    yield event
        finally:
            self.store.watchers.discard(queue.put_nowait)

    def _apply(
        self, address: Address, intent: Object, given: Mapping[str, Any], manager: Manager, force: bool
    ) -> Object:
        stored = self.store.objects.get(address)
        if stored is None:
            if given.get("uid") or given.get("resourceVersion"):
                raise Conflict(f'"{address[3]}": uid or resourceVersion given, but there is no such object')
            return self._insert(address, intent, manager)
        self._expect(stored, given)
        obj, managers = applied(stored.obj, stored.managers, intent, manager, force=force)
        return self.store.replace(address, obj, managers)

    def _insert(self, address: Address, obj: Object, manager: Manager) -> Object:
        namespace = address[2]
        if self.namespaces is not None and namespace and namespace not in self.namespaces:
            raise NotFound(f'namespaces "{namespace}" not found')
        if obj["kind"] == "Pod":
            obj["status"] = {"phase": "Pending"}
        return self.store.insert(address, obj, stating(manager, obj))

    def _update(
        self, call: Call, address: Address, new: Object, manager: Manager, resource_version: str | None
    ) -> Object:
        stored = self.store.objects[address]
        self._expect(stored, {"resourceVersion": resource_version})
        version = self.store.version
        managers = updated(stored.obj, stored.managers, new, manager)
        result = self.store.replace(address, new, managers)
        self._leave(call, self.store.version != version)
        return result

    def _expect(self, stored: Stored, given: Mapping[str, Any]) -> None:
        metadata = stored.obj["metadata"]
        for field in ("uid", "resourceVersion"):
            if given.get(field) and given[field] != metadata[field]:
                raise Conflict(
                    f'Operation cannot be fulfilled on "{metadata["name"]}": the object has been modified; '
                    f"{field} is {metadata[field]}, not {given[field]}"
                )

    def _existing(self, resource: Resource, address: Address) -> Stored:
        stored = self.store.objects.get(address)
        if stored is None:
            raise NotFound(f'{resource.plural} "{address[3]}" not found')
        return stored

    def _identity(self, obj: Mapping[str, Any]) -> tuple[Resource, Address]:
        resource = self._resources.get((obj.get("apiVersion", ""), obj.get("kind", "")))
        if resource is None:
            raise Invalid(f"{obj.get('apiVersion')}/{obj.get('kind')} is not a kind this operator writes")
        metadata = obj["metadata"]
        if resource.namespaced and not metadata.get("namespace"):
            raise Invalid(f"{resource.kind} {metadata['name']!r}: metadata.namespace is required")
        return resource, address_of(resource, metadata.get("namespace"), metadata["name"])

    def _enter(self, verb: str, resource: Resource, namespace: str | None, name: str) -> Call:
        call = Call(verb, resource.kind, namespace or "", name)
        if self.before is not None:
            self.before(call)
        return call

    def _leave(self, call: Call, changed: bool) -> None:
        done = Call(call.verb, call.kind, call.namespace, call.name, changed)
        self.calls.append(done)
        if self.after is not None:
            self.after(done)


def _by_address(item: tuple[Address, Stored]) -> Address:
    return item[0]


def _intent(obj: Mapping[str, Any]) -> Object:
    """What a writer may state: identity, and everything but what belongs to the server or to status."""
    server = {path[1] for path in UNOWNED if len(path) == 2} - {"name", "namespace"}
    new = {key: copied(value) for key, value in obj.items() if key != "status" or not has_status(obj)}
    new["metadata"] = {key: value for key, value in new["metadata"].items() if key not in server}
    return new


def _shown(resource: Resource, obj: Object) -> Object:
    """The stored object as this resource shows it: events have two faces."""
    if resource != CORE_EVENT:
        return copied(obj)
    shown = copied(obj) | {"apiVersion": "v1"}
    for new, core in _EVENT_FACES:
        if new in shown:
            shown[core] = shown.pop(new)
    return shown


def _stored(resource: Resource, obj: Object) -> Object:
    if resource != CORE_EVENT:
        return obj
    obj["apiVersion"] = "events.k8s.io/v1"
    for new, core in _EVENT_FACES:
        if core in obj:
            obj[new] = obj.pop(core)
    return obj


_EVENT_FACES = (
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
)
