"""One CustomResourceDefinition for a row of `api/kinds.py`."""

from __future__ import annotations

from typing import Any, Final

from pointsman.api.kinds import Column, KindRow
from pointsman.api.names import CATEGORY
from pointsman.crdgen.structural import Schema, structural

TYPE_META: Final[dict[str, Schema]] = {
    "apiVersion": {
        "type": "string",
        "description": "Version of the schema that this object is written in.",
    },
    "kind": {"type": "string", "description": "Kind of this object."},
    "metadata": {"type": "object"},
}
"""What the API server itself validates on every object; a CRD may say nothing more about it."""

UNSEEN: Final[Schema] = {"observedGeneration": 0}
"""The status that the API server shows of an object that no pass has seen yet, or whose status was lost.

Generations begin at 1, so everyone who compares knows that there is something to wait for. kstatus, and with
it Flux and Helm, takes an object without conditions and without observedGeneration for one that is done.
"""


def crd(row: KindRow) -> dict[str, Any]:
    """The manifest of a kind's CustomResourceDefinition."""
    resource = row.resource
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{resource.group}"},
        "spec": {
            "group": resource.group,
            "names": {
                "categories": [CATEGORY],
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "shortNames": list(row.short_names),
                "singular": resource.kind.lower(),
            },
            "scope": "Namespaced",
            "versions": [_version(row)],
        },
    }


def schema_of(row: KindRow) -> Schema:
    """The structural schema of a whole object of this kind."""
    raw = row.model.model_json_schema()
    properties = raw["properties"]
    whole = structural({**raw, "properties": {name: properties[name] for name in ("spec", "status")}})
    whole["properties"] = {**TYPE_META, **whole["properties"]}
    whole["required"] = [name for name in raw.get("required", ()) if name != "metadata"]
    if not whole["required"]:
        del whole["required"]
    _begin_unseen(whole["properties"]["status"])
    return whole


def _begin_unseen(status: Schema) -> None:
    """Gives the status its default, and each field of it too: what is written first may be another field."""
    status["default"] = dict(UNSEEN)
    for name, value in UNSEEN.items():
        status["properties"][name]["default"] = value


def _version(row: KindRow) -> dict[str, Any]:
    subresources: dict[str, Any] = {"status": {}}
    if row.scale:
        subresources["scale"] = {
            "labelSelectorPath": row.scale.selector,
            "specReplicasPath": row.scale.spec_replicas,
            "statusReplicasPath": row.scale.status_replicas,
        }
    return {
        "name": row.resource.version,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_column(column) for column in row.columns],
        "subresources": subresources,
        "schema": {"openAPIV3Schema": schema_of(row)},
    }


def _column(column: Column) -> dict[str, Any]:
    printed: dict[str, Any] = {
        "name": column.name,
        "type": column.type,
        "description": column.description,
        "jsonPath": column.path,
    }
    return {**printed, "priority": column.priority} if column.priority else printed
