"""What all our kinds share: the base model, references, quantities, conditions, metadata.

Models are frozen and forgiving on reading (fields of a newer version are ignored, so never write back an
object that was parsed), and they hold each value as the wire has it.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from pointsman.api import quantity
from pointsman.api.names import NAME_LIMIT
from pointsman.api.schema import INT_OR_STRING, VALIDATIONS, ListMap, Matches, Rule, cel_string

DNS_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
LABEL_KEY = r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
LABEL_VALUE = r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?"
TIMESTAMP = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]{1,9})?(Z|[-+][0-9]{2}:[0-9]{2})"

QUANTITY_MESSAGE = "must be a quantity such as 500m, 4, 2Gi or 1.5Gi"
LABEL_KEY_MESSAGE = (
    "must be a label key: an optional domain and a slash, then at most 63 letters, digits, '-', '_' or '.'"
)

_NAMED: dict[frozenset[str], set[str]] = {}
"""Each set of fields that some object names, once for all of them."""


class Base(BaseModel):
    """Base of every type of the API."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        frozen=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()
    """What must hold between fields; the API server checks the same by CEL."""

    @model_validator(mode="after")
    def _obey_rules(self) -> Self:
        broken = [rule.says for rule in type(self).rules if not rule.holds(self)]
        if broken:
            raise ValueError("; ".join(broken))
        # Half of a parsed object is these sets, and most objects name the same fields. Nobody changes one:
        # models are frozen, and a copy copies its set.
        named = _NAMED.setdefault(frozenset(self.model_fields_set), self.model_fields_set)
        object.__setattr__(self, "__pydantic_fields_set__", named)
        return self

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> JsonSchemaValue:
        schema = handler(core)
        if cls.rules:
            handler.resolve_ref_schema(schema)[VALIDATIONS] = [rule.to_schema() for rule in cls.rules]
        return schema

    def to_wire(self) -> dict[str, Any]:
        """The object as JSON: camelCase, without what is unset or empty."""
        wire: dict[str, Any] = without_empty(self.model_dump(mode="json", by_alias=True, exclude_none=True))
        return wire


def without_empty(value: Any) -> Any:
    """A JSON value without empty lists and maps, which mean nothing but count as a change."""
    if isinstance(value, dict):
        pruned = {key: without_empty(item) for key, item in value.items()}
        return {key: item for key, item in pruned.items() if item not in ({}, [])}
    if isinstance(value, list):
        return [without_empty(item) for item in value]
    return value


def _quantity_text(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


_QUANTITY_CEL = cel_string(f"^{quantity.PATTERN}$")

Int = Annotated[int, Field(strict=True)]
"""An integer that is one on the wire; "5" and 5.0 are refused, as the API server does."""
Bool = Annotated[bool, Field(strict=True)]
"""A truth value that is one on the wire."""
Count = Annotated[Int, Field(ge=0, le=2**31 - 1)]
"""How many, in status."""
Generation = Annotated[Int, Field(ge=0, json_schema_extra={"format": "int64"})]
"""A metadata.generation."""
Timestamp = Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]
"""A time that we wrote, RFC 3339."""
ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Matches(DNS_SUBDOMAIN, "must be an object's name: lower-case letters, digits, '-' and '.'"),
]
LabelValue = Annotated[
    str,
    Field(max_length=63),
    Matches(
        LABEL_VALUE,
        "must be a label value: at most 63 letters, digits, '-', '_' or '.', alphanumeric at both ends",
    ),
]
Text = Annotated[str, Field(max_length=1024)]
ImageName = Annotated[
    str,
    Field(min_length=1, max_length=512),
    Matches(
        r"[a-zA-Z0-9][-a-zA-Z0-9._/:]*(@sha256:[0-9a-f]{64})?",
        "must be an image reference such as registry.example.com/engine:0.32.0 or name@sha256:digest",
    ),
]
Decimal = Annotated[str, Field(max_length=32)]
"""A number of which status keeps the digits; CRDs have no floats."""
Quantity = Annotated[
    str,
    BeforeValidator(_quantity_text),
    Field(max_length=32),
    Matches(quantity.PATTERN, QUANTITY_MESSAGE),
    WithJsonSchema(
        {
            INT_OR_STRING: True,
            "maxLength": 32,
            "minimum": 0,
            VALIDATIONS: [
                {
                    "rule": f"type(self) == int || string(self).matches({_QUANTITY_CEL})",
                    "message": QUANTITY_MESSAGE,
                }
            ],
        }
    ),
]
"""An amount of CPU or memory: a number or a string such as 500m or 2Gi. Held as a string."""


class LocalRef(Base):
    """Names an object in the same namespace."""

    name: ObjectName
    """Name of the object."""


class Condition(Base):
    """One fact about an object, with the reason for it."""

    type: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z]+$")]
    """Which fact; see docs/conditions.md."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z]+$")]
    """Why, in one word that stays the same over versions; see docs/conditions.md."""
    message: Text = ""
    """Why, in a sentence, and what would help."""
    last_transition_time: Timestamp
    """When status last changed."""
    observed_generation: Generation = 0
    """The metadata.generation this was found for."""


Conditions = Annotated[tuple[Condition, ...], Field(max_length=32), ListMap("type")]


class Address(Base):
    """Where to point a client."""

    url: Annotated[str, Field(max_length=512)]
    """Base URL; an OpenAI client's base_url is this followed by /v1."""


Addresses = Annotated[tuple[Address, ...], Field(max_length=8), ListMap("url")]


NAME_RULE = Rule(
    cel=f"self.metadata.name.size() <= {NAME_LIMIT}",
    holds=lambda it: len(it.metadata.name) <= NAME_LIMIT,
    message=f"metadata.name must be at most {NAME_LIMIT} characters: children append a hash to it",
)
LABEL_NAME_RULE = Rule(
    cel="self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    holds=lambda it: re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", it.metadata.name) is not None,
    message=(
        "metadata.name must begin with a letter and hold only lower-case letters, digits and '-': Services "
        "are named after it"
    ),
)


class ObjectMeta(Base):
    """The part of an object's metadata that the operator reads."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
