"""A Kube to which things happen: it stands between the operator and any other Kube, twin or real server.

What happens is a function of one request, which decides whether, when and by whom it is carried out, and what
of the answer gets through. It knows nothing of scenarios or oracles.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pointsman.api.names import Resource
from pointsman.kube.protocol import Kube, Object, Objects

T = TypeVar("T")


class Crash(BaseException):
    """The process is dead: whatever it was about to do, it doesn't."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of the API server."""

    verb: str
    kind: str
    namespace: str | None
    name: str
    body: Mapping[str, Any] | None = None
    """The object of an apply, a create or an overwrite."""
    since: int | None = None
    """The version that a list mustn't be older than; None: it is to be consistent."""

    @property
    def writes(self) -> bool:
        """Whether it asks for a change."""
        return self.verb not in ("get", "list")


Carry = Callable[[Kube], Awaitable[Any]]
"""Carries the request out on a Kube."""
Happening = Callable[[Request, Kube, Carry], Awaitable[Any]]
"""Answers a request that was meant for a Kube."""


class Proxied:
    """See `Kube`. Every request goes through `happening`."""

    def __init__(self, kube: Kube, happening: Happening) -> None:
        self._kube = kube
        self._happening = happening

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        request = Request("get", resource.kind, namespace, name)
        return await self._do(request, lambda kube: kube.get(resource, namespace, name))

    async def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
    ) -> Objects:
        request = Request("list", resource.kind, namespace, "", since=since)
        return await self._do(
            request, lambda kube: kube.list(resource, namespace, labels=labels, fields=fields, since=since)
        )

    async def apply(self, obj: Mapping[str, Any], *, manager: str, force: bool = True) -> Object:
        return await self._do(
            _about("apply", obj), lambda kube: kube.apply(obj, manager=manager, force=force)
        )

    async def overwrite(self, obj: Mapping[str, Any]) -> Object:
        return await self._do(_about("overwrite", obj), lambda kube: kube.overwrite(obj))

    async def create(self, obj: Mapping[str, Any], *, manager: str = "pointsman") -> Object:
        return await self._do(_about("create", obj), lambda kube: kube.create(obj, manager=manager))

    async def patch_status(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        status: Mapping[str, Any],
        *,
        resource_version: str | None,
    ) -> Object:
        return await self._do(
            Request("patch_status", resource.kind, namespace, name),
            lambda kube: kube.patch_status(
                resource, namespace, name, status, resource_version=resource_version
            ),
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
        return await self._do(
            Request("patch_finalizers", resource.kind, namespace, name),
            lambda kube: kube.patch_finalizers(
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
        await self._do(
            Request("delete", resource.kind, namespace, name),
            lambda kube: kube.delete(resource, namespace, name, uid=uid, propagation=propagation),
        )

    async def served(self, api_version: str) -> frozenset[str]:
        return await self._kube.served(api_version)

    async def _do(self, request: Request, carry: Callable[[Kube], Awaitable[T]]) -> T:
        answer: T = await self._happening(request, self._kube, carry)
        return answer


def _about(verb: str, obj: Mapping[str, Any]) -> Request:
    metadata = obj["metadata"]
    return Request(verb, obj["kind"], metadata.get("namespace"), metadata["name"], obj)
