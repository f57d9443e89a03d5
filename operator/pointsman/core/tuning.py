"""What users set, laid over the router's own defaults.

The API's types and the contract's have the same names at every level, which a test compares, so one function
serves all of them. It knows no setting by name, and no default: what is unset stays what the contract says.
"""

from __future__ import annotations

from dataclasses import is_dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel

Settings = TypeVar("Settings")


def tuned(base: Settings, given: BaseModel | None) -> Settings:
    """`base` with every setting that was given, in the contract's own types."""
    if given is None:
        return base
    changes = {
        name: _settled(getattr(base, name), getattr(given, name))
        for name in type(given).model_fields
        if getattr(given, name) is not None
    }
    return replace(base, **changes)  # type: ignore[type-var]  # a dataclass, as all of the contract


def _settled(default: Any, value: Any) -> Any:
    if is_dataclass(default):
        return tuned(default, value)
    # Whole seconds must become the contract's floats, and words its enumerations: both sides hash them.
    return type(default)(value)
