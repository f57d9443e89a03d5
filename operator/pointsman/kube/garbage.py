"""Deletion with propagation, and the garbage collector, for the in-memory twin.

The collector runs only when a test says so, so that every moment between a deletion and its consequences
can be looked at.
"""

from __future__ import annotations

from typing import Any

from pointsman.kube.fields import copied
from pointsman.kube.protocol import Invalid, Object
from pointsman.kube.store import Address, Store

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
_FINALIZER = {"Background": (), "Foreground": (FOREGROUND,), "Orphan": (ORPHAN,)}


def delete(store: Store, address: Address, propagation: str) -> None:
    """What the server does at once: remove the object, or mark it as going."""
    if propagation not in _FINALIZER:
        raise Invalid(f"propagationPolicy: Unsupported value: {propagation!r}")
    obj = store.objects[address].obj
    grace = _grace(obj)
    finalizers = _FINALIZER[propagation]
    if finalizers or obj["metadata"].get("finalizers") or grace:
        store.start_deletion(address, finalizers, grace)
    else:
        store.remove(address)


def collect(store: Store) -> int:
    """Runs until nothing more follows; returns how many objects went."""
    before = len(store.objects)
    while any(_step(store, address) for address in list(store.objects)):
        pass
    return before - len(store.objects)


def _step(store: Store, address: Address) -> bool:
    stored = store.objects.get(address)
    if stored is None:
        return False
    metadata = stored.obj["metadata"]
    if metadata.get("deletionTimestamp"):
        return _finish(store, address, metadata)
    return _follow(store, address, metadata)


def _finish(store: Store, address: Address, metadata: Any) -> bool:
    """Foreground: goes once its blocking dependents are gone. Orphan: once they no longer name it."""
    finalizers = metadata.get("finalizers") or []
    dependents = _dependents(store, metadata["uid"])
    if ORPHAN in finalizers:
        for dependent in dependents:
            _drop_owner(store, dependent, {metadata["uid"]})
        _drop_finalizer(store, address, ORPHAN)
        return True
    if FOREGROUND not in finalizers:
        return False
    if not any(_blocks(store.objects[dependent].obj, metadata["uid"]) for dependent in dependents):
        _drop_finalizer(store, address, FOREGROUND)
        return True
    return False


def _follow(store: Store, address: Address, metadata: Any) -> bool:
    """An object whose owners are all gone (or wait for it to go) goes too."""
    owners = metadata.get("ownerReferences") or []
    if not owners:
        return False
    gone = {owner["uid"] for owner in owners if store.find(owner["uid"]) is None}
    waiting = {owner["uid"] for owner in owners if _awaits(store, owner)}
    if len(gone | waiting) == len(owners):
        delete(
            store, address, "Foreground" if waiting and _dependents(store, metadata["uid"]) else "Background"
        )
        return True
    if gone:
        _drop_owner(store, address, gone)
        return True
    return False


def _awaits(store: Store, owner: Any) -> bool:
    found = store.find(owner["uid"])
    if found is None or not owner.get("blockOwnerDeletion"):
        return False
    metadata = found.obj["metadata"]
    return bool(metadata.get("deletionTimestamp")) and FOREGROUND in (metadata.get("finalizers") or [])


def _dependents(store: Store, uid: str) -> list[Address]:
    return [
        address
        for address, stored in store.objects.items()
        if any(owner["uid"] == uid for owner in stored.obj["metadata"].get("ownerReferences") or [])
    ]


def _blocks(obj: Object, uid: str) -> bool:
    owners = obj["metadata"].get("ownerReferences") or []
    return any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in owners)


def _drop_owner(store: Store, address: Address, uids: set[str]) -> None:
    stored = store.objects[address]
    new = copied(stored.obj)
    left = [owner for owner in new["metadata"]["ownerReferences"] if owner["uid"] not in uids]
    new["metadata"]["ownerReferences"] = left
    if not left:
        del new["metadata"]["ownerReferences"]
    store.replace(address, new, stored.managers)


def _drop_finalizer(store: Store, address: Address, finalizer: str) -> None:
    stored = store.objects[address]
    new = copied(stored.obj)
    left = [name for name in new["metadata"]["finalizers"] if name != finalizer]
    new["metadata"]["finalizers"] = left
    if not left:
        del new["metadata"]["finalizers"]
    store.replace(address, new, stored.managers)


def _grace(obj: Object) -> int:
    """Seconds a pod that runs on a node gets to stop; everything else goes at once."""
    if obj["kind"] != "Pod" or not obj.get("spec", {}).get("nodeName"):
        return 0
    return int(obj["spec"].get("terminationGracePeriodSeconds", 30))
