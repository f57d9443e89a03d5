"""What a prompt is in the configuration's contract, and what must be so of one.

Messages with variables in double braces, as they were declared: the router compiles them when configuration
arrives (`rendering`). Standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pointsman_router.documents import ConfigError
from pointsman_router.settings import bounded

LARGEST: Final = 10**15
"""Beyond it not every whole number is one in each JSON parser."""
ROLES: Final = ("system", "user", "assistant")
FIXED: Final = ("temperature", "top_p", "max_completion_tokens", "seed", "stop")
"""Members of a request that a prompt may fix."""

_IDENTIFIER: Final = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_OPENING: Final = "{{"
_CLOSING: Final = "}}"


class VariableType(StrEnum):
    """What a variable's value is in a client's JSON."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class PromptVariable:
    """What clients pass."""

    name: str
    type: VariableType = VariableType.STRING
    required: bool = True
    """Whether clients must pass it."""
    default: str = ""
    """What stands in the prompt where it isn't passed."""
    max_length: int = bounded(4096, 1, 32_768, "400")
    """Characters of a string."""
    options: tuple[str, ...] = ()
    """The only strings it may be; none: any."""
    minimum: int = bounded(-LARGEST, -LARGEST, LARGEST, "400")
    """The smallest number."""
    maximum: int = bounded(LARGEST, -LARGEST, LARGEST, "400")
    """The largest number."""


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message that requests begin with."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Fixed:
    """A member of the request that the prompt decides, whatever the client says."""

    name: str
    value: str
    """As JSON."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A version of a prompt. What variants name it by tells its content, too: another content is another."""

    name: str
    messages: tuple[PromptMessage, ...]
    variables: tuple[PromptVariable, ...] = ()
    parameters: tuple[Fixed, ...] = ()
    digest: str = ""
    """Stands for what it says wherever configurations are compared, given by whoever compiled it; empty: what
    it says counts itself."""

    @property
    def compared(self) -> Prompt:
        """What is compared of it."""
        return Prompt(self.name, (), digest=self.digest) if self.digest else self


def segments(content: str) -> Iterator[str]:
    """A message's parts: text, a variable's name, text, and so on. Raises ValueError for stray braces."""
    at = 0
    while (start := content.find(_OPENING, at)) >= 0:
        end = content.find(_CLOSING, start)
        name = content[start + len(_OPENING) : end] if end >= 0 else ""
        if _IDENTIFIER.fullmatch(name) is None:
            raise ValueError("two opening braces that no variable's name and two closing ones follow")
        yield content[at:start]
        yield name
        at = end + len(_CLOSING)
    yield content[at:]


def check(prompts: Sequence[Prompt], where: str) -> None:
    """Raises ConfigError for what no type tells."""
    names = [prompt.name for prompt in prompts]
    for p, prompt in enumerate(prompts):
        here = f"{where}.prompts[{p}]"
        if prompt.name in names[:p]:
            raise ConfigError(f"{here}.name: {prompt.name!r} is there twice")
        if not prompt.messages:
            raise ConfigError(f"{here}.messages: a prompt has at least one")
        _check_texts(prompt, here)
        _check_variables(prompt, here)
        _check_messages(prompt, here)
        _check_fixed(prompt, here)


def _check_texts(prompt: Prompt, where: str) -> None:
    """JSON can spell half of a character, and UTF-8 can't."""
    texts = [message.content for message in prompt.messages]
    for variable in prompt.variables:
        texts += (variable.default, *variable.options)
    if not all(text.encode(errors="replace") == text.encode(errors="surrogatepass") for text in texts):
        raise ConfigError(f"{where}: a text isn't Unicode")


def _check_messages(prompt: Prompt, where: str) -> None:
    declared = {variable.name for variable in prompt.variables}
    for m, message in enumerate(prompt.messages):
        here = f"{where}.messages[{m}]"
        if message.role not in ROLES:
            raise ConfigError(f"{here}.role: {message.role!r} is not known; known are {', '.join(ROLES)}")
        try:
            used = [part for number, part in enumerate(segments(message.content)) if number % 2]
        except ValueError as error:
            raise ConfigError(f"{here}.content: {error}") from None
        unknown = [name for name in used if name not in declared]
        if unknown:
            raise ConfigError(f"{here}.content: {unknown[0]!r} is no variable of the prompt")


def _check_variables(prompt: Prompt, where: str) -> None:
    seen: set[str] = set()
    for v, variable in enumerate(prompt.variables):
        if _IDENTIFIER.fullmatch(variable.name) is None or variable.name in seen:
            raise ConfigError(f"{where}.variables[{v}].name: {variable.name!r} is no name, or there twice")
        seen.add(variable.name)


def _check_fixed(prompt: Prompt, where: str) -> None:
    seen: set[str] = set()
    for f, fixed in enumerate(prompt.parameters):
        here = f"{where}.parameters[{f}]"
        if fixed.name not in FIXED or fixed.name in seen:
            known = ", ".join(FIXED)
            raise ConfigError(f"{here}.name: {fixed.name!r} is not known, or there twice; known are {known}")
        seen.add(fixed.name)
        try:
            json.loads(fixed.value)
        except ValueError:
            raise ConfigError(f"{here}.value: not JSON") from None
