"""What versions of each kind this process has been shown, so that its LISTs needn't wait.

After any write anywhere a consistent LIST sleeps in the API server, up to a tenth of a second, until the
server's cache knows that it misses nothing. "Not older than" a version is answered at once. As long as that
is the newest version this process was shown of the kind, by a watch, a read or an answer to a write of its
own, it never sees less than it has seen already, nor less than it has done (ADR 0011).
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pointsman.api.names import Resource
from pointsman.engine.recall import Recall
from pointsman.kube.protocol import Kube, Object, Objects, Retryable


@dataclass(slots=True)
class _Kind:
    version: int = 0
    """The newest that was shown."""
    doubts: int = 1
    """How many writes left open which version they made, if any; and one, since nothing is known at first."""
    settled: int = 0
    """How many of the doubts a consistent LIST has settled that began after them."""
    floor: int = 0
    """The version that it showed: what was read before may lack what the doubts were about."""

    @property
    def since(self) -> int | None:
        return self.version if self.settled == self.doubts and self.version else None


class Abreast:
    """See `Kube`. Stands before another one and notes the versions of what passes through.

    `watched`: kinds of which `saw` is told all that happens. Where nothing did, their last LIST still holds.
    """

    def __init__(self, kube: Kube, *, watched: Collection[Resource] = ()) -> None:
        self._kube = kube
        self._watched = frozenset(resource.kind for resource in watched)
        self._recall = Recall()
        self._kinds: dict[str, _Kind] = {}

    def since(self, resource: Resource) -> int | None:
        """The version that a LIST of a kind mustn't be older than; None: only a consistent one will do."""
        return self._of(resource.kind).since

    def saw(self, obj: Mapping[str, Any]) -> None:
        """An object as a watch shows it."""
        version = obj["metadata"].get("resourceVersion", "")
        if version.isdecimal():
            kind = self._of(obj["kind"])
            kind.version = max(kind.version, int(version))
            if obj["kind"] in self._watched:
                self._recall.touch(obj, int(version))

    def forget(self) -> None:
        """Nothing is taken for known any more without being read again: events may have been lost."""
        self._recall.forget()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        found = await self._kube.get(resource, namespace, name)
        self.saw(found)
        return found

    async def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
    ) -> Objects:
        kind = self._of(resource.kind)
        if resource.kind not in self._watched or namespace is None or fields:
            return await self._read(kind, resource, namespace, labels, fields, since)
        # One text for the same labels of all kinds.
        scope = (resource.kind, namespace, sys.intern(labels))
        if since is not None and (known := self._recall.find(scope, kind.floor)) is not None:
            return known
        with self._recall.reading(scope, kind.version) as read:
            found = await self._read(kind, resource, namespace, labels, fields, since)
            self._recall.keep(read, found)
        return found

    async def _read(
        self,
        kind: _Kind,
        resource: Resource,
        namespace: str | None,
        labels: str,
        fields: str,
        since: int | None,
    ) -> Objects:
        doubts = kind.doubts
        try:
            found = await self._kube.list(resource, namespace, labels=labels, fields=fields, since=since)
            if since is not None and found.version < since:
                # It lacks what we have seen, or done ourselves. Never act on it.
                raise Retryable(f"{resource.plural} of {found.version} are older than {since}")
        except Exception:
            # A server that was restored from a backup never again reaches the version that was asked for.
            kind.version, kind.doubts = 0, kind.doubts + 1
            raise
        kind.version = max(kind.version, found.version)
        if since is None:
            kind.settled, kind.floor = max(kind.settled, doubts), max(kind.floor, found.version)
        return found

    async def apply(self, obj: Mapping[str, Any], *, manager: str, force: bool = True) -> Object:
        return await self._written(obj["kind"], self._kube.apply(obj, manager=manager, force=force))

    async def overwrite(self, obj: Mapping[str, Any]) -> Object:
        return await self._written(obj["kind"], self._kube.overwrite(obj))

    async def create(self, obj: Mapping[str, Any], *, manager: str = "pointsman") -> Object:
        return await self._written(obj["kind"], self._kube.create(obj, manager=manager))

    async def patch_status(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        status: Mapping[str, Any],
        *,
        resource_version: str | None,
    ) -> Object:
        return await self._written(
            resource.kind,
            self._kube.patch_status(resource, namespace, name, status, resource_version=resource_version),
        )

    async def patch_finalizers(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        finalizers: Sequence[str],
        *,
        resource_version: str,
    ) -> Object:
        return await self._written(
            resource.kind,
            self._kube.patch_finalizers(
                resource, namespace, name, finalizers, resource_version=resource_version
            ),
        )

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str,
        propagation: str = "Background",
    ) -> None:
        try:
            await self._kube.delete(resource, namespace, name, uid=uid, propagation=propagation)
        finally:
            # Nobody says at what version it's gone.
            self._of(resource.kind).doubts += 1

    async def served(self, api_version: str) -> frozenset[str]:
        return await self._kube.served(api_version)

    async def _written(self, kind: str, write: Awaitable[Object]) -> Object:
        try:
            written = await write
        except BaseException:
            # It may have happened; or it was refused because of something that we haven't seen.
            self._of(kind).doubts += 1
            raise
        self.saw(written)
        return written

    def _of(self, kind: str) -> _Kind:
        return self._kinds.setdefault(kind, _Kind())
