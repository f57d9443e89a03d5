"""PromptVersion: a prompt as it was at one point in time, with the variables that clients fill in.

Its spec never changes, so that a name and a digest mean the same for ever: another wording is another object.
Nothing here knows how a prompt gets into a request.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field

from pointsman.api.common import (
    NAME_RULE,
    Base,
    Conditions,
    Count,
    Generation,
    Int,
    ObjectMeta,
)
from pointsman.api.names import API_VERSION
from pointsman.api.schema import API_DEFAULT, ListAtomic, ListMap, ListSet, Matches, Rule

LONGEST_MESSAGE: Final = 16_384
LONGEST_PROMPT: Final = 65_536
"""Characters of all messages together."""
LONGEST_VALUE: Final = 32_768
"""Most characters that a variable may be allowed to have."""
LARGEST: Final = 10**15
"""Beyond it not every whole number is one in each JSON parser."""

IDENTIFIER: Final = r"[A-Za-z_][A-Za-z0-9_]*"

VariableName = Annotated[
    str,
    Field(min_length=1, max_length=40),
    Matches(IDENTIFIER, "must be letters, digits and '_', not beginning with a digit"),
]
Family = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Matches(
        r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
        "must be lower-case letters, digits and '-', alphanumeric at both ends",
    ),
]


class Role(StrEnum):
    """Who says a message, as the engine's chat template knows it."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class PromptFormat(StrEnum):
    """How variables stand in a text."""

    SIMPLE = "Simple"


class VariableType(StrEnum):
    """What a variable's value is in the client's JSON."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"


class PromptMessage(Base):
    """One message that every request begins with."""

    role: Role
    """Who says the message."""
    content: Annotated[
        str,
        Field(min_length=1, max_length=LONGEST_MESSAGE),
        Matches(
            rf"([^{{]|[{{][^{{]|[{{][{{]{IDENTIFIER}[}}][}}])*[{{]?",
            "wherever two braces open, a variable's name must follow, without blanks, and then two closing "
            "braces",
        ),
    ]
    """What is said. A declared variable's name in double braces, without blanks, is replaced by its value."""


DEFAULTS: Final[dict[VariableType, str]] = {
    VariableType.INTEGER: r"-?(0|[1-9][0-9]{0,14})",
    VariableType.NUMBER: r"-?(0|[1-9][0-9]{0,14})([.][0-9]{1,6})?",
    VariableType.BOOLEAN: r"true|false",
}
"""How the default of each type is written; a string's is anything."""


def _default_is_typed(variable: PromptVariable) -> bool:
    pattern = DEFAULTS.get(variable.type)
    return variable.default is None or pattern is None or bool(re.fullmatch(pattern, variable.default))


def _default_is_within(variable: PromptVariable) -> bool:
    if variable.default is None or not _default_is_typed(variable) or not _has_numbers(variable):
        return True
    value = float(variable.default)
    low, high = variable.minimum, variable.maximum
    return (low is None or value >= low) and (high is None or value <= high)


def _has_numbers(variable: PromptVariable) -> bool:
    return variable.type in (VariableType.INTEGER, VariableType.NUMBER)


_IS_NUMBER: Final = "self.type in ['integer', 'number']"
_TYPED: Final = " || ".join(
    [
        "!has(self.default)",
        "self.type == 'string'",
        *(
            f"(self.type == '{type_}' && self.default.matches('^({pattern})$'))"
            for type_, pattern in DEFAULTS.items()
        ),
    ]
)


class PromptVariable(Base):
    """What a client may, or must, pass with a request."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.type == 'string' || (!has(self.maxLength) && !has(self.enum))",
            holds=lambda it: it.type is VariableType.STRING or (it.max_length is None and it.enum is None),
            message="maxLength and enum are for type string only",
        ),
        Rule(
            cel=f"{_IS_NUMBER} || (!has(self.minimum) && !has(self.maximum))",
            holds=lambda it: _has_numbers(it) or (it.minimum is None and it.maximum is None),
            message="minimum and maximum are for types integer and number only",
        ),
        Rule(
            cel="!has(self.minimum) || !has(self.maximum) || self.minimum <= self.maximum",
            holds=lambda it: it.minimum is None or it.maximum is None or it.minimum <= it.maximum,
            message="minimum must not be larger than maximum",
            field="minimum",
        ),
        Rule(
            cel=_TYPED,
            holds=_default_is_typed,
            message="default must be a value of the variable's type, such as '3', '0.5' or 'true'",
            field="default",
        ),
        Rule(
            cel="!has(self.default) || !has(self.maxLength) || self.default.size() <= self.maxLength",
            holds=lambda it: it.default is None or it.max_length is None or len(it.default) <= it.max_length,
            message="default must not be longer than maxLength",
            field="default",
        ),
        Rule(
            cel="!has(self.default) || !has(self.enum) || self.default in self.enum",
            holds=lambda it: it.default is None or it.enum is None or it.default in it.enum,
            message="default must be one of enum",
            field="default",
        ),
        Rule(
            cel=(
                f"!has(self.default) || !({_IS_NUMBER}) || !({_TYPED}) || "
                "((!has(self.minimum) || double(self.default) >= double(self.minimum)) && "
                "(!has(self.maximum) || double(self.default) <= double(self.maximum)))"
            ),
            holds=_default_is_within,
            message="default must be at least minimum and at most maximum",
            field="default",
        ),
    )

    name: VariableName
    """What it is called in messages and by clients."""
    type: VariableType
    """What its value must be. A number or a truth value stands in the prompt as JSON spells it."""
    default: Annotated[str, Field(max_length=4096)] | None = None
    """Its value where a client passes none, written as it stands in the prompt. Unset: clients must pass
    one."""
    max_length: Annotated[Int, Field(ge=1, le=LONGEST_VALUE)] | None = None
    """How many characters a string may have. Unset: 4096."""
    enum: (
        Annotated[
            tuple[Annotated[str, Field(max_length=256)], ...],
            Field(min_length=1, max_length=32),
            ListSet(),
        ]
        | None
    ) = None
    """The only values that a string may have. Unset: any."""
    minimum: Annotated[Int, Field(ge=-LARGEST, le=LARGEST, json_schema_extra={"format": "int64"})] | None = (
        None
    )
    """The smallest number that is allowed."""
    maximum: Annotated[Int, Field(ge=-LARGEST, le=LARGEST, json_schema_extra={"format": "int64"})] | None = (
        None
    )
    """The largest number that is allowed."""


class PromptParameters(Base):
    """What the prompt fixes of how the model answers."""

    temperature: (
        Annotated[
            str,
            Field(min_length=1, max_length=8),
            Matches(
                r"[01]([.][0-9]{1,3})?|2([.]0{1,3})?", "must be a number from 0 to 2, quoted, as in '0.7'"
            ),
        ]
        | None
    ) = None
    """How freely tokens are chosen, from 0 (always the likeliest) to 2, as in '0.7'."""
    top_p: (
        Annotated[
            str,
            Field(min_length=1, max_length=8),
            Matches(
                r"0[.]0{0,2}[1-9][0-9]{0,2}|1([.]0{1,3})?",
                "must be a number above 0 and up to 1, quoted, as in '0.95'",
            ),
        ]
        | None
    ) = None
    """Of which share of the probability tokens are chosen from, above 0 and up to 1, as in '0.95'."""
    max_tokens: Annotated[Int, Field(ge=1, le=1_000_000)] | None = None
    """How long an answer may get, in tokens."""
    seed: Annotated[Int, Field(ge=0, le=2**31 - 1)] | None = None
    """Where the choice of tokens begins: the same seed and the same request give the same answer, as far as
    the engine can."""
    stop: (
        Annotated[
            tuple[Annotated[str, Field(min_length=1, max_length=64)], ...],
            Field(min_length=1, max_length=4),
            ListAtomic(),
        ]
        | None
    ) = None
    """Texts at which an answer ends."""


class PromptSpec(Base):
    """A prompt. None of it can be changed: make another PromptVersion instead."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.messages.map(it, it.content.size()).sum() <= {LONGEST_PROMPT}",
            holds=lambda spec: sum(len(it.content) for it in spec.messages) <= LONGEST_PROMPT,
            message=f"messages must have at most {LONGEST_PROMPT} characters together",
            field="messages",
        ),
        Rule(
            # Only the API server knows what an object was before.
            cel="self == oldSelf",
            holds=lambda spec: True,
            message="spec can't be changed: make another PromptVersion",
        ),
    )

    family: Family | None = None
    """What the prompt is for: versions that may replace each other, and the suites that test them, have the
    same. Unset: none."""
    format: PromptFormat = Field(default=PromptFormat.SIMPLE, json_schema_extra={API_DEFAULT: True})
    """How variables stand in messages. Simple: a name in double braces is replaced by its value as it is, and
    nothing else is done."""
    messages: Annotated[tuple[PromptMessage, ...], Field(min_length=1, max_length=16), ListAtomic()]
    """What every request begins with; a client's own messages follow."""
    variables: (
        Annotated[tuple[PromptVariable, ...], Field(min_length=1, max_length=32), ListMap("name")] | None
    ) = None
    """What clients pass, in the field prompt_variables of a request."""
    parameters: PromptParameters | None = None
    """What the prompt fixes of how the model answers. It goes before what a client asks for."""


class PromptStatus(Base):
    """What is known about a prompt."""

    observed_generation: Generation = 0
    """The metadata.generation that this status is for; when the object's own is larger, it is out of date."""
    conditions: Conditions = ()
    """What is so, and why; see docs/conditions.md."""
    services: Count | None = None
    """How many LLMServices of this namespace use the prompt."""
    digest: Annotated[str, Field(max_length=71)] | None = None
    """Digest of what the prompt says: of its messages, variables and parameters."""


PROMPT_NAME_RULE: Final = Rule(
    cel="self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
    holds=lambda it: re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", it.metadata.name) is not None,
    message=(
        "metadata.name must hold only lower-case letters, digits and '-': in the name of a variant a '.' "
        "follows it"
    ),
)


class PromptVersion(Base):
    """A prompt that LLMServices of a namespace begin their requests with. Immutable: another wording is
    another PromptVersion."""

    rules: ClassVar[tuple[Rule, ...]] = (NAME_RULE, PROMPT_NAME_RULE)

    api_version: str = API_VERSION
    kind: str = "PromptVersion"
    metadata: ObjectMeta
    spec: PromptSpec
    """What the prompt says."""
    status: PromptStatus = PromptStatus()
    """What is known about it."""
