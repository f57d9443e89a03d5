"""The generated CRDs as such: unchanged unless meant, small, bounded, as API reviewers want them.

The rules are the useful dozen of the Kubernetes API linter; a schema that breaks one fails with its path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pointsman.api.kinds import KINDS, KindRow
from pointsman.crdgen.crd import crd, schema_of
from pointsman.crdgen.files import generated

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 256 * 1024
IDS = [row.resource.kind for row in KINDS]
FREE_FORM = {"spec.engine.args", "spec.engine.env", "spec.rollout.checks[].job.env"}
INT_OR_STRING = "x-kubernetes-int-or-string"

Node = Mapping[str, Any]


def walk(path: str, schema: Node) -> Iterator[tuple[str, Node]]:
    """Every schema below one, with its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from walk(f"{path}.{name}", child)
    if "items" in schema:
        yield from walk(f"{path}[]", schema["items"])
    if "additionalProperties" in schema:
        yield from walk(f"{path}[*]", schema["additionalProperties"])


def nodes(row: KindRow) -> Iterator[tuple[str, Node]]:
    """Every schema of a kind's spec and status."""
    for part in ("spec", "status"):
        yield from walk(part, schema_of(row)["properties"][part])


@pytest.mark.parametrize("path", generated())
def test_what_is_committed_is_what_the_types_say(path: str) -> None:
    assert (ROOT / path).read_text() == generated()[path], "run `make crds`, and look at what changed"


@pytest.mark.parametrize("row", KINDS, ids=IDS)
def test_a_crd_stays_small(row: KindRow) -> None:
    assert len(json.dumps(crd(row))) < LARGEST


def _bounded(path: str, node: Node) -> bool:
    match node.get("type"):
        case "string":
            return "maxLength" in node or "enum" in node
        case "array":
            return "maxItems" in node
        case "integer":
            return "minimum" in node and ("maximum" in node or node.get("format") == "int64")
        case "object" if "additionalProperties" in node:
            return "maxProperties" in node
        case None:
            return "maxLength" in node and "minimum" in node
    return True


def _list_type(path: str, node: Node) -> bool:
    if node.get("type") != "array":
        return True
    kind, items = node.get("x-kubernetes-list-type"), node["items"]
    keys = node.get("x-kubernetes-list-map-keys", [])
    keyed = kind == "map" and bool(keys) and all(key in items["required"] for key in keys)
    return kind == "atomic" or (kind == "set" and items["type"] == "string") or keyed


def _reference(path: str, node: Node) -> bool:
    """A field called …Ref is an object with a name, so that kind and namespace can join."""
    return not path.endswith("Ref") or "name" in node.get("properties", {})


def _seconds(path: str, node: Node) -> bool:
    """A duration is an integer whose name says its unit."""
    return not re.search(r"(Timeout|Duration|Interval|Period)$", path)


def _camel(path: str, node: Node) -> bool:
    return (
        re.fullmatch(r"[a-z][A-Za-z0-9]*", path.rpartition(".")[2].removesuffix("[]").removesuffix("[*]"))
        is not None
    )


def _described(path: str, node: Node) -> bool:
    if path.endswith(("[]", "[*]")):
        return True
    text = node.get("description", "")
    return len(text) >= 15 and text[0].isupper() and text.endswith(".")


LINT: dict[str, Callable[[str, Node], bool]] = {
    "every string, list, map and integer is bounded": _bounded,
    "every list says its type": _list_type,
    "no floats": lambda path, node: node.get("type") != "number",
    "nothing is nullable": lambda path, node: "nullable" not in node,
    "nothing unknown is kept": lambda path, node: "x-kubernetes-preserve-unknown-fields" not in node,
    "no number is written as an enum": lambda path, node: "enum" not in node or node["type"] == "string",
    "a reference is an object": _reference,
    "a duration says its unit": _seconds,
    "names are in camel case": _camel,
    "every field is described in sentences": _described,
    "no phase": lambda path, node: not path.endswith(".phase"),
    "rules have messages": lambda path, node: all(
        len(rule["message"]) > 12 for rule in node.get("x-kubernetes-validations", ())
    ),
    "patterns are anchored": lambda path, node: (
        re.fullmatch(r"\^.*\$", node.get("pattern", "^$")) is not None
    ),
    "nothing in status but list keys is required": lambda path, node: (
        path != "status" or "required" not in node
    ),
}


@pytest.mark.parametrize("holds", LINT.values(), ids=LINT)
@pytest.mark.parametrize("row", KINDS, ids=IDS)
def test_the_schema_is_as_reviewers_want_it(row: KindRow, holds: Callable[[str, Node], bool]) -> None:
    assert [path for path, node in nodes(row) if not holds(path, node)] == []


def test_defaults_are_constants_of_the_api_alone() -> None:
    defaults = {
        f"{row.resource.kind}.{path}": node["default"]
        for row in KINDS
        for path, node in nodes(row)
        if "default" in node
    }
    assert (
        defaults
        == {
            "LLMService.spec.engine.type": "vLLM",
            "LLMService.spec.rollout.strategy": "Surge",
            "LLMRouter.spec.service.type": "ClusterIP",
            "PromptVersion.spec.format": "Simple",
        }
        | UNSEEN_STATUS
    )


UNSEEN_STATUS = {
    f"{row.resource.kind}.{path}": default
    for row in KINDS
    for path, default in (("status", {"observedGeneration": 0}), ("status.observedGeneration", 0))
}
"""What tools that wait see before the first pass: a generation that is not the object's."""


def test_only_arguments_variables_labels_and_annotations_are_free_form() -> None:
    maps = {path for row in KINDS for path, node in nodes(row) if "additionalProperties" in node}
    quantities = {path for path in maps if path.endswith(("resources.requests", "resources.limits"))}
    labelled = {path for path in maps if re.search(r"([lL]abels|annotations|nodeSelector)$", path)}
    assert maps - quantities - labelled == FREE_FORM


@pytest.mark.parametrize("row", KINDS, ids=IDS)
def test_the_columns_fit_a_terminal(row: KindRow) -> None:
    shown = [column.name for column in row.columns if column.priority == 0]
    assert len(shown) <= 7
    assert shown[-1] == "Age"
    assert {"Ready", "Reason"} <= set(shown)


def test_the_columns_of_a_service() -> None:
    service = next(row for row in KINDS if row.resource.kind == "LLMService")
    shown = [column.name for column in service.columns if column.priority == 0]
    assert shown == ["Stable", "Candidate", "Step", "Weight", "Ready", "Reason", "Age"]


@pytest.mark.parametrize("row", KINDS, ids=IDS)
def test_every_column_shows_a_field_there_is(row: KindRow) -> None:
    known = {path for path, _ in nodes(row)}
    for column in row.columns:
        path = re.sub(r"\[[^]]*\]", "[]", column.path.lstrip("."))
        assert path in known or path == "metadata.creationTimestamp"


def test_nothing_generated_could_be_taken_for_a_template() -> None:
    assert [path for path, text in generated().items() if path.endswith(".yaml") and "{{" in text] == []
