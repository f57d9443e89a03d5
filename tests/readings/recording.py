"""What the operator asks of an API server, in the words of RBAC.

`Recorded` stands between an operator and any Kube and notes which rights each request takes, by the rules
that the API server itself goes by, and what is applied. It changes nothing of what is asked or answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from pointsman.api.names import RESOURCES, Resource
from pointsman.kube.protocol import Kube, NotFound, Object, Objects
from tests.simulation.faults.proxy import Carry, Proxied, Request

VERBS: Final[Mapping[str, tuple[str, str]]] = {
    "apply": ("patch", ""),
    "overwrite": ("patch", ""),
    "create": ("create", ""),
    "patch_status": ("patch", "status"),
    "patch_finalizers": ("patch", ""),
    "delete": ("delete", ""),
}
"""The API server's verb for each of ours that writes, and on which subresource."""


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


class Recorded(Proxied):
    """See `Kube`."""

    def __init__(self, kube: Kube, taken: set[Right], applied: dict[tuple[str, str], Object]) -> None:
        super().__init__(kube, self._record)
        self._taken = taken
        self._applied = applied

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        self._note(resource, "get")
        return await super().get(resource, namespace, name)

    async def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
    ) -> Objects:
        self._note(resource, "list")
        return await super().list(resource, namespace, labels=labels, fields=fields, since=since)

    async def _record(self, request: Request, kube: Kube, carry: Carry) -> Any:
        if request.writes:
            resource, (verb, subresource) = RESOURCES[request.kind], VERBS[request.verb]
            self._note(resource, verb, subresource)
            # An apply that makes the object takes `create` too.
            if request.verb == "apply" and not await _exists(kube, resource, request):
                self._note(resource, "create")
        if request.body is not None:
            self._note_content(request.body)
        if request.verb == "apply" and request.body is not None:
            self._applied[request.kind, request.name] = dict(request.body)
        return await carry(kube)

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


async def _exists(kube: Kube, resource: Resource, request: Request) -> bool:
    try:
        await kube.get(resource, request.namespace, request.name)
    except NotFound:
        return False
    return True
