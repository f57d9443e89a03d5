"""What the operator asks of Kubernetes: eleven verbs, dicts in and dicts out.

The loop is written against this Protocol, so that the client library is one file (`client.py`) and thousands
of crash runs need no server (`twin.py`). A table of cases in tests/conformance holds the two together. This
module knows names and errors; it knows nothing of HTTP, of our kinds' meaning or of what is decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from pointsman.api.names import Resource

Object = dict[str, Any]
"""An object as the API server's JSON has it; `apiVersion` and `kind` are always there, in lists too."""


class Objects(list[Object]):
    """What a LIST gave, and the version that it shows: everything up to it, and nothing later."""

    def __init__(self, found: Iterable[Object] = (), version: int = 0) -> None:
        super().__init__(found)
        self.version = version


class KubeError(Exception):
    """The base of everything that crosses this boundary; `message` is the server's own words."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFound(KubeError):
    """There is no such object (404). Also when the kind itself isn't served."""


class Conflict(KubeError):
    """A precondition failed (409): another resourceVersion, another uid, or a field someone else owns."""


class AlreadyExists(KubeError):
    """`create` met an object of that name (409)."""


class Invalid(KubeError):
    """The server refuses the content (400, 413, 415, 422); the same content will be refused again."""


class Forbidden(KubeError):
    """Not allowed (401, 403): RBAC, a quota or an admission policy. `message` says which."""


class Retryable(KubeError):
    """No answer now: 429, 5xx, a timeout, no connection. Whether a write happened is unknown."""

    def __init__(self, message: str, after_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds
        """What the server asked for by Retry-After, in seconds; 0 when it asked for nothing."""


class Kube(Protocol):
    """The API server. Every method may raise Retryable and Forbidden; the others are named with each."""

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """One object, read consistently. Raises NotFound."""

    async def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
    ) -> Objects:
        """All objects of a namespace (None: of all namespaces), in pages of 500.

        `labels` and `fields` are selectors in the API's own syntax. Without `since` it's a consistent read.
        With it, what is shown may be older, but not older than that version: the server answers at once from
        what it remembers. Raises Retryable where it doesn't get there, as one restored from a backup never
        does.
        """

    async def apply(self, obj: Mapping[str, Any], *, manager: str, force: bool = True) -> Object:
        """Server-side apply of exactly the fields given; returns the object as it is then.

        `metadata.uid` and `metadata.resourceVersion`, where given, are preconditions. Raises Conflict (a
        precondition, or with `force=False` a field of another manager) and Invalid (a wrong uid too).
        """

    async def overwrite(self, obj: Mapping[str, Any]) -> Object:
        """Writes the fields given over what is there, lists as a whole, and owns nothing by it.

        For an object that a hand brought into a state in which no apply is valid any more: server-side apply
        keeps a list item that somebody else renamed beside ours. Raises NotFound and Invalid.
        """

    async def create(self, obj: Mapping[str, Any], *, manager: str = "pointsman") -> Object:
        """Creates the object. Raises AlreadyExists, Invalid, and NotFound when its namespace is missing."""

    async def patch_status(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        status: Mapping[str, Any],
        *,
        resource_version: str | None,
    ) -> Object:
        """Merges `status` into the status subresource; a null removes a field, a list is replaced.

        With a `resource_version` the object must still have it. Raises NotFound, Conflict, Invalid.
        """

    async def patch_finalizers(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        finalizers: Sequence[str],
        *,
        resource_version: str,
    ) -> Object:
        """Replaces the list of finalizers. Raises NotFound, Conflict, Invalid."""

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str,
        propagation: str = "Background",
    ) -> None:
        """Deletes the object with this uid. `propagation`: Background, Foreground or Orphan.

        Raises NotFound, and Conflict when the name now belongs to another object.
        """

    async def served(self, api_version: str) -> frozenset[str]:
        """Kinds the server serves in this group and version; empty where it doesn't know it."""


class Previewing(Kube, Protocol):
    """The API server, asked also what a write would make; the operator never asks that."""

    async def preview(self, obj: Mapping[str, Any], difference: Mapping[str, Any] | None = None) -> Object:
        """The object as it would be stored, by a dry run: defaults filled in, rules checked, nothing written.

        Without a `difference` it's to be created, else the one that's there is to be changed by that merge
        patch. Raises Invalid, NotFound and AlreadyExists.
        """
