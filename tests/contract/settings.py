"""Every setting of the request path that the API has, found by walking the router's own settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, dataclass, fields, is_dataclass
from typing import Any, get_type_hints

from pydantic.alias_generators import to_camel

from pointsman.api.kinds import KINDS
from pointsman.api.names import LLMROUTER, LLMSERVICE, Resource
from pointsman.crdgen.crd import schema_of
from pointsman_router.settings import Bounds, Cors, Limits, Routing, bounds_of
from tests.contract.manifests import FULL, Json

SCHEMAS = {row.resource: schema_of(row)["properties"]["spec"] for row in KINDS}
HOMES: dict[str, tuple[Resource, type]] = {
    "limits": (LLMROUTER, Limits),
    "cors": (LLMROUTER, Cors),
    "routing": (LLMSERVICE, Routing),
}
"""Where the API has each group of settings."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One setting of the router and where the API has it."""

    resource: Resource
    path: str
    """From spec on, with slashes."""
    spec: Field[Any]

    @property
    def schema(self) -> Json:
        """Its part of the CRD."""
        node = SCHEMAS[self.resource]
        for step in self.path.split("/"):
            node = node.get("properties", {}).get(step, {})
        return dict(node)

    @property
    def given(self) -> Any:
        """Its value in the full manifest."""
        value: Any = FULL[self.resource]
        for step in self.path.split("/"):
            value = value[step]
        return value

    @property
    def bounds(self) -> Bounds | None:
        return bounds_of(self.spec)


def _leaves(kind: type, resource: Resource, path: str) -> Iterator[Leaf]:
    hints = get_type_hints(kind)
    for spec in fields(kind):
        below = f"{path}/{to_camel(spec.name)}"
        if is_dataclass(hints[spec.name]):
            yield from _leaves(hints[spec.name], resource, below)
        else:
            yield Leaf(resource, below, spec)


LEAVES = {
    leaf.path: leaf for path, (resource, kind) in HOMES.items() for leaf in _leaves(kind, resource, path)
}
NUMBERS = {path: leaf for path, leaf in LEAVES.items() if leaf.bounds}
