"""Label and field selectors in the API's own syntax, for the in-memory twin."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pointsman.kube.protocol import Invalid

_SET = re.compile(r"^(?P<key>\S+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)$")
_EQUALS = re.compile(r"^(?P<key>[^!=\s]+)\s*(?P<op>==|=|!=)\s*(?P<value>\S*)$")
_EXISTS = re.compile(r"^(?P<not>!?)\s*(?P<key>[^!=\s]+)$")
_SPLIT = re.compile(r",(?![^(]*\))")

_FIELDS: Mapping[str, frozenset[str]] = {
    "Pod": frozenset({"spec.nodeName", "status.phase", "spec.schedulerName", "spec.serviceAccountName"}),
    "Event": frozenset(
        {
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.uid",
            "reason",
            "type",
            "regarding.kind",
            "regarding.name",
            "regarding.uid",
        }
    ),
    "Job": frozenset({"status.successful"}),
}


def matches_labels(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether the labels fulfil every requirement. Raises Invalid for a selector that can't be read."""
    return all(_holds(part.strip(), labels) for part in _SPLIT.split(selector) if part.strip())


def matches_fields(selector: str, obj: Mapping[str, Any]) -> bool:
    """Whether the fields fulfil every requirement. Raises Invalid for a field that can't be selected by."""
    for part in filter(None, (piece.strip() for piece in selector.split(","))):
        found = _EQUALS.match(part)
        if found is None:
            raise Invalid(f"invalid field selector {part!r}")
        key = found["key"]
        if key not in ("metadata.name", "metadata.namespace") and key not in _FIELDS.get(
            obj["kind"], frozenset()
        ):
            raise Invalid(f'field label not supported: "{key}"')
        if (_field(obj, key) == found["value"]) is (found["op"] == "!="):
            return False
    return True


def _holds(part: str, labels: Mapping[str, str]) -> bool:
    if found := _SET.match(part):
        values = {value.strip() for value in found["values"].split(",")}
        return (labels.get(found["key"]) in values) is (found["op"] == "in")
    if found := _EQUALS.match(part):
        return (labels.get(found["key"]) == found["value"]) is (found["op"] != "!=")
    if found := _EXISTS.match(part):
        return (found["key"] in labels) is (found["not"] == "")
    raise Invalid(f"invalid label selector {part!r}")


def _field(obj: Mapping[str, Any], key: str) -> str:
    value: Any = obj
    for name in key.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return "" if value is None else str(value)
