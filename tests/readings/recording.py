"""What the operator asks of an API server, in the words of RBAC.

`Recorded` stands between an operator and any Kube and notes which rights each request takes, by the rules
that the API server itself goes by, and what is applied. It changes nothing of what is asked or answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pointsman.api.names import RESOURCES, Resource
from pointsman.kube.protocol import Kube, NotFound, Object, Objects


class Right(NamedTuple):
    """What a request takes, or what a rule grants."""

    group: str
    resource: str
    """Plural, with a subresource behind a slash."""
    verb: str


def of_rules(rules: Sequence[Mapping[str, Any]]) -> set[Right]:
    """What the rules of a Role grant."""
    return {
        Right(group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


class Recorded:
    """See `Kube`."""

    def __init__(self, kube: Kube, taken: set[Right], applied: dict[tuple[str, str], Object]) -> None:
        self._kube = kube
        self._taken = taken
        self._applied = applied

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        self._note(resource, "get")
        return await self._kube.get(resource, namespace, name)

    async def list(
        self, resource: Resource, namespace: str | None, *, labels: str = "", fields: str = ""
    ) -> Objects:
        self._note(resource, "list")
        return await self._kube.list(resource, namespace, labels=labels, fields=fields)

    async def apply(self, obj: Mapping[str, Any], *, manager: str, force: bool = True) -> Object:
        resource = RESOURCES[obj["kind"]]
        self._note(resource, "patch")
        # An apply that makes the object takes `create` too.
        if not await self._exists(resource, obj["metadata"]):
            self._note(resource, "create")
        self._note_content(obj)
        self._applied[obj["kind"], obj["metadata"]["name"]] = dict(obj)
        return await self._kube.apply(obj, manager=manager, force=force)

    async def overwrite(self, obj: Mapping[str, Any]) -> Object:
        self._note(RESOURCES[obj["kind"]], "patch")
        self._note_content(obj)
        return await self._kube.overwrite(obj)

    async def create(self, obj: Mapping[str, Any], *, manager: str = "pointsman") -> Object:
        self._note(RESOURCES[obj["kind"]], "create")
        self._note_content(obj)
        return await self._kube.create(obj, manager=manager)

    async def patch_status(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        status: Mapping[str, Any],
        *,
        resource_version: str | None,
    ) -> Object:
        self._note(resource, "patch", "status")
        return await self._kube.patch_status(
            resource, namespace, name, status, resource_version=resource_version
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
        self._note(resource, "patch")
        return await self._kube.patch_finalizers(
            resource, namespace, name, finalizers, resource_version=resource_version
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
        self._note(resource, "delete")
        await self._kube.delete(resource, namespace, name, uid=uid, propagation=propagation)

    async def served(self, api_version: str) -> frozenset[str]:
        """Discovery, which everybody with an account may do."""
        return await self._kube.served(api_version)

    def _note(self, resource: Resource, verb: str, subresource: str = "") -> None:
        plural = f"{resource.plural}/{subresource}" if subresource else resource.plural
        self._taken.add(Right(resource.group, plural, verb))

    def _note_content(self, obj: Mapping[str, Any]) -> None:
        """What the API server asks for because of what is written."""
        for owner in obj["metadata"].get("ownerReferences") or ():
            if owner.get("blockOwnerDeletion"):  # admission plugin OwnerReferencesPermissionEnforcement
                self._note(RESOURCES[owner["kind"]], "update", "finalizers")
        if obj["kind"] == "Role":  # nobody may grant what they don't hold
            self._taken |= of_rules(obj["rules"])

    async def _exists(self, resource: Resource, metadata: Mapping[str, Any]) -> bool:
        try:
            await self._kube.get(resource, metadata.get("namespace"), metadata["name"])
        except NotFound:
            return False
        return True
