"""From a prompt as somebody else's tool keeps it to a PromptVersion: names, variables, parameters.

A draft is what all tools' formats have in common. Nothing is guessed: what has no place in a PromptVersion is
an error where leaving it out would change what the model reads, and a note where it wouldn't.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from pydantic import ValidationError

from pointsman.api import names
from pointsman.api.prompt import PromptVersion

_VARIABLE: Final = re.compile(r"\{\{ *([A-Za-z_][A-Za-z0-9_]*) *\}\}")
_BRACES: Final = re.compile(r"\{\{[^{}]{0,40}\}{0,2}|\{%[^%]{0,40}%?\}?")
_EMBEDDED: Final = re.compile(r"@@@langfusePrompt:[^@]{0,200}@@@")
_PARAMETERS: Final[Mapping[str, str]] = {
    "temperature": "temperature",
    "top_p": "topP",
    "topP": "topP",
    "max_tokens": "maxTokens",
    "maxTokens": "maxTokens",
    "max_completion_tokens": "maxTokens",
    "seed": "seed",
    "stop": "stop",
    "stop_sequences": "stop",
}
"""What tools call the parameters that a prompt can fix."""
_DECIMALS: Final = frozenset({"temperature", "topP"})


class Unfit(Exception):
    """A prompt can't be a PromptVersion; the message says which one and why."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A prompt as it was found."""

    name: str
    """Whatever the tool calls it."""
    version: str
    """Empty where the tool numbers none."""
    messages: Sequence[tuple[str, str]]
    """Role and content."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """What the tool keeps beside it."""
    labels: frozenset[str] = frozenset()

    @property
    def told(self) -> str:
        """The prompt, for messages."""
        return f"prompt {self.name!r}" + (f" version {self.version}" if self.version else "")


@dataclass(frozen=True, slots=True)
class Made:
    """A PromptVersion, and what there is to say about it."""

    manifest: Mapping[str, Any]
    notes: Sequence[str] = ()

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])


def made(draft: Draft, family: str = "") -> Made:
    """The PromptVersion of a draft. Raises Unfit."""
    base = slug(draft.name, names.NAME_LIMIT)
    if not base:
        raise Unfit(f"{draft.told}: no letter or digit of its name can stand in an object's name")
    suffix = f"-v{draft.version}" if draft.version else ""
    found: dict[str, None] = {}
    messages = [
        {"role": role, "content": _content(draft, content, found)} for role, content in draft.messages
    ]
    parameters, notes = _parameters(draft)
    spec: dict[str, Any] = {
        "family": slug(family or re.sub(r"-v[0-9]+$", "", base), 63),
        "messages": messages,
        "variables": [{"name": name, "type": "string"} for name in found],
        "parameters": parameters,
    }
    manifest = {
        "apiVersion": names.API_VERSION,
        "kind": names.PROMPTVERSION.kind,
        "metadata": {"name": slug(base, names.NAME_LIMIT - len(suffix)) + slug(suffix, 12, keep="-")},
        "spec": {key: value for key, value in spec.items() if value},
    }
    _check(draft, manifest)
    return Made(manifest, notes)


def distinct(found: Iterable[tuple[Draft, Made]]) -> list[Made]:
    """All of them. Raises Unfit where two would have one name."""
    known: dict[str, Draft] = {}
    kept = []
    for draft, one in found:
        if one.name in known:
            raise Unfit(
                f"{known[one.name].told} and {draft.told} would both be called {one.name!r}; rename one"
            )
        known[one.name] = draft
        kept.append(one)
    return kept


def slug(text: str, limit: int, keep: str = "") -> str:
    """A text as an object's name may be: lower-case letters, digits and dashes between them."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower())
    return (plain if keep else plain.lstrip("-"))[:limit].rstrip("-")


def _content(draft: Draft, content: str, found: dict[str, None]) -> str:
    """A message with its variables as they are spelled here, and their names in `found`."""
    embedded = _EMBEDDED.search(content)
    if embedded:
        raise Unfit(f"{draft.told}: {embedded[0]} takes in another prompt; export it with that one resolved")
    found.update(dict.fromkeys(_VARIABLE.findall(content)))
    odd = _BRACES.search(_VARIABLE.sub("", content))
    if odd:
        raise Unfit(
            f"{draft.told}: {odd[0]!r} is no variable: between two opening and two closing braces stands one "
            "name of letters, digits and '_', and templates with conditions or loops aren't taken over"
        )
    return _VARIABLE.sub(r"{{\1}}", content)


def _parameters(draft: Draft) -> tuple[dict[str, Any], list[str]]:
    parameters: dict[str, Any] = {}
    left = []
    for name, value in draft.config.items():
        known = _PARAMETERS.get(name)
        if known is None or value is None:
            left += [name] if value is not None else []
        elif known in _DECIMALS:
            parameters[known] = _decimal(draft, name, value)
        elif known == "stop":
            parameters[known] = [value] if isinstance(value, str) else value
        else:
            parameters[known] = value
    notes = [f"{draft.told}: left out of its config: {', '.join(sorted(left))}"] if left else []
    return parameters, notes


def _decimal(draft: Draft, name: str, value: Any) -> str:
    try:
        number = Decimal(str(value))
        # At most three places, and none of them an empty one.
        return format(number.quantize(Decimal("0.001")).normalize(), "f")
    except InvalidOperation:
        raise Unfit(f"{draft.told}: {name} is {value!r}, and must be a number") from None


def _check(draft: Draft, manifest: Mapping[str, Any]) -> None:
    try:
        PromptVersion.model_validate(manifest)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unfit(f"{draft.told}: {where}: {first['msg']}") from None
