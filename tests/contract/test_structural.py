"""The generator's allow-list: what becomes of what pydantic says, and what is refused with its path."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, create_model

from pointsman.api.common import Base, Quantity
from pointsman.api.schema import API_DEFAULT, ListAtomic, ListMap, ListSet
from pointsman.crdgen.structural import Refused, structural


class Inner(Base):
    """Inner one."""

    name: str


class Node(Base):
    children: tuple[Node, ...] = ()


def schema_of(annotation: Any, default: Any = ..., **more: Any) -> dict[str, Any]:
    """The structural schema of one field `x`."""
    field = Field(default, **more)
    model: type[BaseModel] = create_model("M", __base__=Base, x=(annotation, field))
    properties: dict[str, Any] = structural(model.model_json_schema())["properties"]["x"]
    return properties


CONVERTED: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "a bounded string": (Annotated[str, Field(max_length=3)], ..., {"type": "string", "maxLength": 3}),
    "an optional field is simply not required": (int | None, None, {"type": "integer"}),
    "a default that only means absent is dropped": (
        Annotated[str, Field(max_length=1)],
        "",
        {"type": "string", "maxLength": 1},
    ),
    "a literal is an enum": (Literal["a"], ..., {"type": "string", "enum": ["a"]}),
    "an open bound of an integer is closed": (
        Annotated[int, Field(gt=0, lt=10)],
        ...,
        {"type": "integer", "minimum": 1, "maximum": 9},
    ),
    "a set says that it is one": (
        Annotated[tuple[str, ...], ListSet()],
        ...,
        {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
    ),
    "an atomic list says so": (
        Annotated[tuple[str, ...], ListAtomic()],
        ...,
        {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"},
    ),
    "a list of named objects is a map": (
        Annotated[tuple[Inner, ...], ListMap("name")],
        ...,
        {
            "type": "array",
            "items": {
                "type": "object",
                "description": "Inner one.",
                "properties": {"name": {"type": "string"}},
                "required": ["name"],
            },
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
        },
    ),
    "a map": (dict[str, str], ..., {"type": "object", "additionalProperties": {"type": "string"}}),
}


@pytest.mark.parametrize(("annotation", "default", "expected"), CONVERTED.values(), ids=CONVERTED)
def test_converts(annotation: Any, default: Any, expected: dict[str, Any]) -> None:
    assert schema_of(annotation, default) == expected


def test_a_marked_default_becomes_the_apis() -> None:
    assert schema_of(Literal["a", "b"], "a", json_schema_extra={API_DEFAULT: True})["default"] == "a"


def test_a_quantity_is_a_number_or_a_string() -> None:
    schema = schema_of(Quantity)
    assert schema["x-kubernetes-int-or-string"] is True
    assert "type" not in schema


def test_a_description_is_one_line() -> None:
    assert schema_of(int, description="One\n    two.")["description"] == "One two."


REFUSED: dict[str, tuple[Any, Any, str]] = {
    "a float": (float, ..., "x: number: use whole percent"),
    "anything": (Any, ..., "x: no type"),
    "a union": (int | str, ..., "x: a union of 2 types"),
    "a union of objects": (Inner | Node, ..., "x: a union of 2 types"),
    "a tuple of fixed length": (tuple[int, str], ..., "x: maxItems|x: prefixItems"),
    "a Python set": (set[str], ..., "x: uniqueItems: forbidden in CRDs"),
    "a decimal": (Decimal, ..., "x: a union of 2 types"),
    "bytes": (bytes, ..., "x: format binary"),
    "an object of anything": (dict[str, Any], ..., "x: an object of anything"),
    "a list of anything": (list[Any], ..., r"x\[\]: no type"),
    "a type that contains itself": (Node, ..., r"x.children\[\]: Node contains itself"),
    "a default nobody marked": (int, 3, "x: default 3: mark it as the API's"),
    "a pattern for keys": (
        dict[Annotated[str, Field(pattern="a")], str],
        ...,
        "x: patternProperties|x: propertyNames|x: an object of anything",
    ),
    "an unknown keyword": (Annotated[int, Field(multiple_of=2)], ..., "x: multipleOf"),
    "a keyword of one's own": (
        Annotated[int, Field(json_schema_extra={"x-mine": 1})],
        ...,
        "x: x-mine: not known",
    ),
}


@pytest.mark.parametrize(("annotation", "default", "says"), REFUSED.values(), ids=REFUSED)
def test_refuses_with_the_path(annotation: Any, default: Any, says: str) -> None:
    with pytest.raises(Refused, match=says):
        schema_of(annotation, default)
