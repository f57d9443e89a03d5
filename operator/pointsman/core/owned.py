"""What every child carries: our labels and a controller reference to its owner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pointsman.api import names
from pointsman.api.common import ObjectMeta


def child(
    resource: names.Resource,
    name: str,
    owner: names.Resource,
    meta: ObjectMeta,
    labels: Mapping[str, str],
    body: Mapping[str, Any],
) -> dict[str, Any]:
    """A manifest owned by the object with `meta`; `body` holds everything beside the metadata.

    Labels and annotations of the owner are not copied: tools that track objects by them would take the
    child for one of theirs.
    """
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {
            "name": name,
            "namespace": meta.namespace,
            "labels": {names.LABEL_MANAGED_BY: names.MANAGED_BY, names.LABEL_NAME: "pointsman", **labels},
            "ownerReferences": [owner_reference(owner, meta)],
        },
        **body,
    }


def owner_reference(owner: names.Resource, meta: ObjectMeta, *, controller: bool = True) -> dict[str, Any]:
    """A reference to the object with `meta`."""
    reference: dict[str, Any] = {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": meta.name,
        "uid": meta.uid,
    }
    return reference | {"controller": True, "blockOwnerDeletion": True} if controller else reference


def port(number: int, protocol: str = "TCP") -> dict[str, Any]:
    """A port as a NetworkPolicy names it."""
    return {"port": number, "protocol": protocol}


def is_owned(manifest: Mapping[str, Any], uid: str) -> bool:
    """Whether the object's controller is the one with this uid."""
    references = manifest["metadata"].get("ownerReferences") or ()
    return any(r.get("controller") and r.get("uid") == uid for r in references)
