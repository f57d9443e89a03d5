"""What a Kubernetes schema can say and a Python type can't: rules, list types, API defaults.

Each marker here has two faces that can't drift apart, because they are one object: the check that pydantic
makes, and the keywords that `crdgen` finds in the JSON schema. In particular a `Rule` is a CEL expression
*and* its Python twin; no model of ours has a validator of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

VALIDATIONS = "x-kubernetes-validations"
LIST_TYPE = "x-kubernetes-list-type"
LIST_MAP_KEYS = "x-kubernetes-list-map-keys"
INT_OR_STRING = "x-kubernetes-int-or-string"
API_DEFAULT = "x-pointsman-api-default"
"""Marks a default that the API server is to fill in; every other default of a model is ours alone."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that must hold for a whole object, said twice: to the API server and to pydantic."""

    cel: str
    """Expression over `self`, true when all is well."""
    holds: Callable[[Any], bool]
    """The same over the parsed model."""
    message: str
    """What would be right, with the field's name."""
    field: str = ""
    """Python name of the field that the error points at; empty: the object itself."""
    key: str = ""
    """Key in that field, where the field is a map and one entry is at fault."""

    @property
    def says(self) -> str:
        """The message as a whole, for those who don't see where it points."""
        return f"{to_camel(self.field)}[{self.key}]: {self.message}" if self.key else self.message

    def to_schema(self) -> JsonSchemaValue:
        """The rule as `x-kubernetes-validations` lists it."""
        schema = {"rule": self.cel, "message": self.message}
        if not self.field:
            return schema
        entry = f"['{self.key}']" if self.key else ""
        return {**schema, "fieldPath": f".{to_camel(self.field)}{entry}"}


@dataclass(frozen=True, slots=True)
class Matches:
    """A string that must match as a whole, refused with words instead of the pattern.

    The pattern must mean the same to RE2 and to Python's `re`: no look-around, ASCII classes spelled out.
    """

    pattern: str
    message: str
    avoid: bool = False
    """The other way round: the string must not match."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core)
        rule = f"{'!' if self.avoid else ''}self.matches({cel_string(self.anchored)})"
        schema[VALIDATIONS] = [*schema.get(VALIDATIONS, ()), {"rule": rule, "message": self.message}]
        return schema

    @property
    def anchored(self) -> str:
        """The pattern as RE2 needs it."""
        return f"^({self.pattern})$"

    def _check(self, value: str) -> str:
        if bool(re.fullmatch(self.pattern, value)) is self.avoid:
            raise ValueError(self.message)
        return value


@dataclass(frozen=True, slots=True)
class ListSet:
    """A list whose items are unique and have no order; two field managers may each own some of them."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(_unique, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(core), LIST_TYPE: "set"}


@dataclass(frozen=True, slots=True)
class ListMap:
    """A list of objects that one of their fields tells apart."""

    key: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(core), LIST_TYPE: "map", LIST_MAP_KEYS: [self.key]}

    def _check(self, value: tuple[BaseModel, ...]) -> tuple[BaseModel, ...]:
        _unique(tuple(getattr(item, self.key) for item in value))
        return value


@dataclass(frozen=True, slots=True)
class ListAtomic:
    """A list that is one value: who writes it writes all of it."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(core), LIST_TYPE: "atomic"}


def keys_match(field: str, pattern: str, message: str) -> Rule:
    """A rule that every key of a map matches; a schema itself can't bound keys."""

    def holds(model: Any) -> bool:
        return all(re.fullmatch(pattern, key) for key in getattr(model, field) or {})

    return _keys_rule(field, f"!key.matches({cel_string(f'^({pattern})$')})", holds, message)


def keys_avoid(field: str, pattern: str, message: str) -> Rule:
    """A rule that no key of a map matches."""

    def holds(model: Any) -> bool:
        return not any(re.fullmatch(pattern, key) for key in getattr(model, field) or {})

    return _keys_rule(field, f"key.matches({cel_string(f'^({pattern})$')})", holds, message)


def _keys_rule(field: str, wrong: str, holds: Callable[[Any], bool], message: str) -> Rule:
    keys = f"self.{to_camel(field)}"
    return Rule(
        cel=f"!has({keys}) || !{keys}.exists(key, {wrong})", holds=holds, message=message, field=field
    )


def cel_string(value: str) -> str:
    """A string as a CEL literal."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _unique(value: tuple[Hashable, ...]) -> tuple[Hashable, ...]:
    if len(set(value)) != len(value):
        raise ValueError("items must be unique")
    return value
