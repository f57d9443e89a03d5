"""Reads JSON into dataclasses; what is unknown, missing, ill-typed or out of bounds is refused by its path.

A field that is silently dropped would be a test that silently isn't made. Knows no document in particular.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints


class DocumentError(ValueError):
    """The document isn't valid; the message names the field and what would be right."""


@dataclass(frozen=True, slots=True)
class Between:
    """Bounds of a number, or of how long a text or list is."""

    low: int
    high: int

    def bounds(self) -> dict[str, Between]:
        """As a dataclass field takes it."""
        return {"bounds": self}


def read(kind: Any, value: object, path: str = "") -> Any:
    """`value` as `kind`. Raises DocumentError."""
    origin = get_origin(kind)
    if origin is UnionType:
        (kind,) = (one for one in get_args(kind) if one is not NoneType)
        origin = get_origin(kind)
    if origin is tuple:
        if not isinstance(value, list):
            raise DocumentError(f"{path}: expected a list")
        item = get_args(kind)[0]
        return tuple(read(item, element, f"{path}[{i}]") for i, element in enumerate(value))
    if is_dataclass(kind):
        return _read_dataclass(kind, value, path)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return _read_choice(kind, value, path)
    wanted = Mapping if origin is not None else kind
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        named = "mapping" if wanted is Mapping else kind.__name__
        raise DocumentError(f"{path}: expected {named}, got {type(value).__name__}")
    return value


def _read_choice(kind: type[StrEnum], value: object, path: str) -> StrEnum:
    known = [member.value for member in kind]
    if value not in known:
        raise DocumentError(f"{path}: {value!r} is not known; known are {', '.join(known)}")
    return kind(str(value))


def _read_dataclass(kind: Any, value: object, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise DocumentError(f"{path or 'document'}: expected a mapping")
    hints, known = _members(kind)
    for key in value:
        if key not in known:
            raise DocumentError(f"{_join(path, str(key))}: unknown field; known are {', '.join(known)}")
    arguments = {}
    for key, spec in known.items():
        where = _join(path, key)
        if key in value:
            arguments[spec.name] = read(hints[spec.name], value[key], where)
            _check_bounds(spec, arguments[spec.name], where)
        elif spec.default is MISSING and spec.default_factory is MISSING:
            raise DocumentError(f"{where}: missing")
    return kind(**arguments)


def _check_bounds(spec: Field[Any], value: Any, path: str) -> None:
    bounds: Between | None = spec.metadata.get("bounds")
    if bounds is None:
        return
    size, what = (value, "it") if isinstance(value, int) else (len(value), "its length")
    if not bounds.low <= size <= bounds.high:
        raise DocumentError(f"{path}: {what} must be {bounds.low} to {bounds.high}, not {size}")


@cache
def _members(kind: Any) -> tuple[dict[str, Any], dict[str, Field[Any]]]:
    """Types by a field's name, and fields by their name in a document."""
    return get_type_hints(kind), {_camel(spec.name): spec for spec in fields(kind)}


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
