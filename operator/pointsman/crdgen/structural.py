"""pydantic's JSON schema, brought to what Kubernetes calls a structural schema.

A strict allow-list: a keyword, type or combination that isn't known here is refused with its path, since
what is passed on unread is a validation that silently doesn't happen. Nothing here knows what a schema
is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pointsman.api.schema import API_DEFAULT, INT_OR_STRING, LIST_MAP_KEYS, LIST_TYPE, VALIDATIONS

Schema = dict[str, Any]

REFUSED: Final[dict[str, str]] = {
    "prefixItems": "a tuple of fixed length; use an object",
    "uniqueItems": "forbidden in CRDs; mark the list with ListSet",
    "oneOf": "use one object with optional members, and a rule",
    "allOf": "use one object",
    "not": "use a rule",
    "discriminator": "use one object with optional members, and a rule",
    "propertyNames": "a map's keys are bounded by a rule",
    "patternProperties": "use a map and a rule over its keys",
    "multipleOf": "use a rule",
    "contentEncoding": "use a bounded string",
}
"""Keywords that pydantic may well give, and what to write instead."""

FORMATS: Final = frozenset({"date-time", "int32", "int64"})
COMMON: Final = frozenset({"type", "description", "default", VALIDATIONS})
KEYWORDS: Final[dict[str, frozenset[str]]] = {
    "string": COMMON | {"minLength", "maxLength", "pattern", "enum", "format"},
    "integer": COMMON | {"minimum", "maximum", "enum", "format"},
    "boolean": COMMON,
    "array": COMMON | {"items", "minItems", "maxItems", LIST_TYPE, LIST_MAP_KEYS},
    "object": COMMON | {"properties", "required", "additionalProperties", "minProperties", "maxProperties"},
    INT_OR_STRING: COMMON | {INT_OR_STRING, "minLength", "maxLength", "pattern", "minimum", "maximum"},
}
"""What may stand in a schema of each type."""


class Refused(ValueError):
    """Something a CRD can't hold, or that isn't known here; the message begins with its path."""


def structural(schema: Mapping[str, Any]) -> Schema:
    """The structural schema of a pydantic model's JSON schema. Raises Refused."""
    return _convert(schema, schema.get("$defs", {}), "", ())


def _convert(
    schema: Mapping[str, Any], defs: Mapping[str, Any], path: str, within: tuple[str, ...]
) -> Schema:
    node, within = _inline(dict(schema), defs, path, within)
    for keyword in ("title", "$defs"):
        node.pop(keyword, None)
    _settle_default(node, path)
    _settle_numbers(node, path)
    kind = _kind(node, path)
    for keyword in node.keys() - KEYWORDS[kind]:
        hint = REFUSED.get(keyword, f"not known for {kind}")
        raise Refused(f"{path or 'schema'}: {keyword}: {hint}")
    if node.get("format", "int32") not in FORMATS:
        raise Refused(f"{path}: format {node['format']}: not known to Kubernetes; use a bounded string")
    if "description" in node:
        node["description"] = " ".join(node["description"].split())

    def below(child: Mapping[str, Any], step: str) -> Schema:
        return _convert(child, defs, path + step, within)

    return _children(node, kind, path, below)


def _inline(
    node: Schema, defs: Mapping[str, Any], path: str, within: tuple[str, ...]
) -> tuple[Schema, tuple[str, ...]]:
    """Takes the null branch of `X | None` away and puts what a `$ref` names in its place."""
    while "$ref" in node or "anyOf" in node:
        if "anyOf" in node:
            branches = [branch for branch in node.pop("anyOf") if branch != {"type": "null"}]
            if len(branches) != 1:
                raise Refused(f"{path}: a union of {len(branches)} types: {REFUSED['oneOf']}")
            target: Mapping[str, Any] = branches[0]
        else:
            name = node.pop("$ref").removeprefix("#/$defs/")
            if name in within:
                raise Refused(f"{path}: {name} contains itself, which a structural schema can't")
            within, target = (*within, name), defs[name]
        node = {**target, **node}
    return node, within


def _settle_default(node: Schema, path: str) -> None:
    """Keeps a default only where the API is to have it; what is empty is how Python reads an absent field."""
    wanted = node.pop(API_DEFAULT, False)
    if wanted or "default" not in node:
        return
    default = node.pop("default")
    if default not in (None, "", 0, [], {}) and not _all_empty(default):
        raise Refused(
            f"{path}: default {default!r}: mark it as the API's (API_DEFAULT), or leave the field unset"
        )


def _all_empty(default: object) -> bool:
    return isinstance(default, dict) and all(
        value in (None, "", 0, [], {}) or _all_empty(value) for value in default.values()
    )


def _settle_numbers(node: Schema, path: str) -> None:
    for exclusive, inclusive, step in (
        ("exclusiveMinimum", "minimum", 1),
        ("exclusiveMaximum", "maximum", -1),
    ):
        if exclusive in node:
            if node.get("type") != "integer":
                raise Refused(f"{path}: {exclusive}: only for integers")
            node[inclusive] = node.pop(exclusive) + step
    if "const" in node:
        node["enum"] = [node.pop("const")]


def _kind(node: Mapping[str, Any], path: str) -> str:
    if node.get(INT_OR_STRING) is True and "type" not in node:
        return INT_OR_STRING
    kind = node.get("type")
    if kind == "number":
        raise Refused(f"{path}: number: use whole percent, milli or a quantity")
    if kind is None:
        raise Refused(
            f"{path or 'schema'}: no type: say what it holds ({', '.join(sorted(node)) or 'anything goes'})"
        )
    if kind not in KEYWORDS:
        raise Refused(f"{path or 'schema'}: type {kind}: not known")
    return str(kind)


def _children(
    node: Schema, kind: str, path: str, below: Callable[[Mapping[str, Any], str], Schema]
) -> Schema:
    if kind == "array":
        if "items" not in node:
            raise Refused(f"{path}: a list of anything: say what its items are")
        node["items"] = below(node["items"], "[]")
    if kind == "object":
        fields, values = node.get("properties"), node.pop("additionalProperties", None)
        if fields and isinstance(values, Mapping):
            raise Refused(f"{path}: properties beside additionalProperties: an object or a map, not both")
        if fields:
            dot = "." if path else ""
            node["properties"] = {name: below(field, f"{dot}{name}") for name, field in fields.items()}
        elif isinstance(values, Mapping) and values:
            node["additionalProperties"] = below(values, "[*]")
        else:
            raise Refused(
                f"{path or 'schema'}: an object of anything: name its fields, or what its values are"
            )
    return node
