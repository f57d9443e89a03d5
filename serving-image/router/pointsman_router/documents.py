"""Reads documents into dataclasses and writes them back, strictly.

For the configuration's contract: what a document may hold are the fields of the dataclasses, in camel case,
and nothing else. A field that is silently dropped is a policy that is silently not applied, so what isn't
known or has another type is refused with its path. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from pointsman_router.settings import bounds_of

_LARGEST = 2**63
"""Where a number is surely out of bounds, and before it's too large for a float."""


class ConfigError(ValueError):
    """The document is not a valid configuration; the message names the field and what would be right."""


def read(kind: Any, value: object, path: str) -> Any:
    """A value of this kind. Raises ConfigError with the path of what is wrong."""
    if get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{path}: expected a list")
        item = get_args(kind)[0]
        return tuple(read(item, element, f"{path}[{i}]") for i, element in enumerate(value))
    if is_dataclass(kind):
        return _read_dataclass(kind, value, path)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        known = [member.value for member in kind]
        if value not in known:
            raise ConfigError(f"{path}: {value!r} is not known; known are {', '.join(known)}")
        return kind(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) < _LARGEST else float("inf")
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{path}: expected {kind.__name__}, got {type(value).__name__}")
    if kind is int and abs(value) >= _LARGEST:
        raise ConfigError(f"{path}: larger than 64 bits hold")
    return value


def _read_dataclass(kind: Any, value: object, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{path or 'document'}: expected a mapping")
    hints, known = _members(kind)
    unknown = sorted(str(key) for key in value if key not in known)
    if unknown:
        raise ConfigError(f"{_join(path, unknown[0])}: unknown field; known are {', '.join(sorted(known))}")
    missing = [key for key, spec in known.items() if key not in value and _is_required(spec)]
    if missing:
        raise ConfigError(f"{_join(path, missing[0])}: missing")
    names = {key: spec.name for key, spec in known.items()}
    arguments = {names[key]: read(hints[names[key]], value[key], _join(path, key)) for key in value}
    return kind(**arguments)


@cache
def _members(kind: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Types by a field's name, and fields by their name in a document. Types are evaluated from their text,
    which would take longer than all of a document's reading."""
    return get_type_hints(kind), {_camel(f.name): f for f in fields(kind)}


def write(value: Any) -> Any:
    """What JSON can hold of a value; fields at their default are left out."""
    if isinstance(value, StrEnum):
        return value.value
    if is_dataclass(value):
        return {
            _camel(f.name): write(getattr(value, f.name))
            for f in fields(value)
            if getattr(value, f.name) != f.default and not _is_default(f, getattr(value, f.name))
        }
    if isinstance(value, tuple):
        return [write(item) for item in value]
    return value


def check_bounds(value: Any, path: str) -> None:
    """Every number of every settings class against its own bounds."""
    for spec in fields(value):
        where, setting = _join(path, _camel(spec.name)), getattr(value, spec.name)
        bounds = bounds_of(spec)
        if bounds is not None:
            if not bounds.low <= setting <= bounds.high:
                raise ConfigError(
                    f"{where}: {setting} is out of bounds; it must be {bounds.low:g} to {bounds.high:g}"
                )
        elif is_dataclass(setting):
            check_bounds(setting, where)
        elif isinstance(setting, tuple):
            for index, item in enumerate(setting):
                if is_dataclass(item):
                    check_bounds(item, f"{where}[{index}]")


def _is_required(spec: Any) -> bool:
    return spec.default is MISSING and spec.default_factory is MISSING


def _is_default(spec: Any, value: object) -> bool:
    factory = spec.default_factory
    return callable(factory) and factory() == value


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
