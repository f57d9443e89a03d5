"""A prompt, compiled: what it makes of a request, with the values that the request brings.

Compiled when configuration arrives: texts are escaped for JSON then, so that a request costs a join. Values
stand where variables stood and are never looked at again: braces in one are text. Nothing here knows who asks
or who answers.

Unlike a model's name, which is replaced in place (`answering.modelname`), a prompt is put in by writing the
document anew. That is what was read and judged here, so two members of one name can't part what is checked
from what is answered; and it takes a tenth of the time that finding the places in the bytes does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

from pointsman_router import errors
from pointsman_router.errors import RefusedError
from pointsman_router.prompts import Prompt, PromptMessage, PromptVariable, VariableType, segments

VARIABLES: Final = "prompt_variables"
"""Where a request has the values of variables: LiteLLM's name for it, which the SDKs send by `extra_body`."""
LARGEST_BYTES: Final = 1024 * 1024
"""What a prompt's messages may come to with all values in them."""
_NAMED: Final = 8
"""Names that an error tells at most."""
_ALIASES: Final = {"max_completion_tokens": ("max_tokens",)}
"""Members that mean the same: where a prompt fixes one, a client's others must go."""

_Value: TypeAlias = bytes
"""A value as it stands between the quotes of a JSON string."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """A variable, and how its value is read."""

    variable: PromptVariable
    default: _Value
    sample: _Value
    """What a probe says in the place of a value that it doesn't know."""
    read: Callable[[PromptVariable, Any], _Value]


class Renderer:
    """One version of a prompt."""

    __slots__ = ("_bare", "_dropped", "_fixed", "_parts", "_places", "_required", "_slots", "name")

    def __init__(self, prompt: Prompt) -> None:
        self.name = prompt.name
        self._slots = {variable.name: _slot(variable) for variable in prompt.variables}
        self._required = frozenset(variable.name for variable in prompt.variables if variable.required)
        self._parts, self._places = _compiled(prompt.messages)
        self._fixed = {fixed.name: orjson.Fragment(fixed.value) for fixed in prompt.parameters}
        self._dropped = tuple(name for fixed in prompt.parameters for name in _ALIASES.get(fixed.name, ()))
        self._bare: orjson.Fragment | None = None
        """The messages where no values are given, if that may be: what most requests get, hence made once."""
        if not self._required:
            with suppress(RefusedError):
                self._bare = self._filled({}, probe=False)

    def render(
        self, document: Mapping[str, Any], *, probe: bool = False, override: frozenset[str] = frozenset()
    ) -> bytes:
        """The body with the prompt in it; `document` is what the request says. Raises RefusedError.

        The prompt's messages come before the client's, what the prompt fixes replaces what the client asks
        for, and the values are taken out. `probe`: no values are known, and the answer is to be short.
        `override`: members that stand as the request has them, whatever the prompt fixes.
        """
        messages = document.get("messages", ())
        if type(messages) is not list and "messages" in document:
            raise RefusedError(errors.ill_typed("messages", "a list"))
        given, prefix = document.get(VARIABLES), self._bare
        if prefix is None or given is not None:
            prefix = self._filled({} if given is None else given, probe)
        whole = {**document, "messages": [prefix, *messages]}
        whole.pop(VARIABLES, None)
        if not probe:
            for name in self._dropped:
                whole.pop(name, None)
            whole.update(self._fixed)
            if override:
                whole.update((name, document[name]) for name in override if name in document)
        return orjson.dumps(whole)

    def _filled(self, given: Any, probe: bool) -> orjson.Fragment:
        """The prompt's messages, as items of a JSON list."""
        values = self._values(given, probe)
        parts = list(self._parts)
        for place, name in self._places:
            parts[place] = values[name]
        if sum(map(len, parts)) > LARGEST_BYTES:  # before it's made: one long value may stand in many places
            raise RefusedError(errors.prompt_too_large(LARGEST_BYTES, VARIABLES))
        return orjson.Fragment(b"".join(parts))

    def _values(self, given: Any, probe: bool) -> dict[str, _Value]:
        if type(given) is not dict:
            raise RefusedError(errors.ill_typed(VARIABLES, "an object"))
        slots = self._slots
        unknown = given.keys() - slots.keys()
        missing = () if probe else self._required - given.keys()
        if unknown or missing:
            raise RefusedError(_astray(sorted(missing), sorted(unknown)))
        return {
            name: slot.read(slot.variable, given[name])
            if name in given
            else (slot.sample if probe and slot.variable.required else slot.default)
            for name, slot in slots.items()
        }


def _astray(missing: list[str], unknown: list[str]) -> errors.Problem:
    told = [f"it lacks {_listed(missing)}"] if missing else []
    told += [f"the prompt has no {_listed(unknown)}"] if unknown else []
    code = "missing_required_parameter" if missing else "unknown_parameter"
    return _wrong(f"{VARIABLES}: {', and '.join(told)}", code, (missing or unknown)[0])


def _wrong(message: str, code: str, name: str) -> errors.Problem:
    return errors.wrong_parameter(message, code, f"{VARIABLES}.{name}")


def _listed(names: list[str]) -> str:
    told = ", ".join(f"'{errors.quote(name)}'" for name in names[:_NAMED])
    return told + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _compiled(messages: Iterable[PromptMessage]) -> tuple[tuple[bytes, ...], tuple[tuple[int, str], ...]]:
    """JSON of all messages, in pieces, and in which of them which variable's value goes."""
    parts, places = [b""], []
    for message in messages:
        parts[-1] += b'%b{"role":"%b","content":"' % (b"," if parts != [b""] else b"", message.role.encode())
        for number, part in enumerate(segments(message.content)):
            if number % 2:
                places.append((len(parts), part))
                parts += (b"", b"")
            else:
                parts[-1] += _escaped(part)
        parts[-1] += b'"}'
    return tuple(parts), tuple(places)


def _slot(variable: PromptVariable) -> _Slot:
    return _Slot(
        variable=variable,
        default=_escaped(variable.default),
        sample=_escaped(_sample(variable)),
        read=_READ[variable.type],
    )


def _sample(variable: PromptVariable) -> str:
    match variable.type:
        case VariableType.STRING:
            return variable.options[0] if variable.options else "x"
        case VariableType.BOOLEAN:
            return "true"
        case _:
            return str(min(max(variable.minimum, 1), variable.maximum))


def _escaped(text: str) -> _Value:
    return orjson.dumps(text)[1:-1]


def _string(variable: PromptVariable, value: Any) -> _Value:
    if type(value) is not str:
        raise _ill_typed(variable, "a string")
    if len(value) > variable.max_length:
        raise _out_of_bounds(variable, f"longer than {variable.max_length} characters")
    if variable.options and value not in variable.options:
        raise _out_of_bounds(variable, f"none of {_listed(list(variable.options))}")
    return _escaped(value)


def _integer(variable: PromptVariable, value: Any) -> _Value:
    if type(value) is not int:
        raise _ill_typed(variable, "an integer")
    return _within(variable, value)


def _number(variable: PromptVariable, value: Any) -> _Value:
    if type(value) not in (int, float):
        raise _ill_typed(variable, "a number")
    return _within(variable, value)


def _within(variable: PromptVariable, value: float) -> _Value:
    if not variable.minimum <= value <= variable.maximum:
        raise _out_of_bounds(variable, f"not within {variable.minimum} to {variable.maximum}")
    return orjson.dumps(value)


def _boolean(variable: PromptVariable, value: Any) -> _Value:
    if type(value) is not bool:
        raise _ill_typed(variable, "true or false")
    return b"true" if value else b"false"


def _ill_typed(variable: PromptVariable, wanted: str) -> RefusedError:
    message = f"{VARIABLES}.{variable.name} must be {wanted}"
    return RefusedError(_wrong(message, "invalid_type", variable.name))


def _out_of_bounds(variable: PromptVariable, words: str) -> RefusedError:
    message = f"{VARIABLES}.{variable.name} is {words}"
    return RefusedError(_wrong(message, "invalid_value", variable.name))


_READ: Final[Mapping[VariableType, Callable[[PromptVariable, Any], _Value]]] = {
    VariableType.STRING: _string,
    VariableType.INTEGER: _integer,
    VariableType.NUMBER: _number,
    VariableType.BOOLEAN: _boolean,
}
