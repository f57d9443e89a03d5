"""JSON merge patches (RFC 7386) between two states of a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def between(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The merge patch that turns `old` into `new`; empty when they are equal. Lists are values."""
    patch: dict[str, Any] = {name: None for name in old if name not in new}
    for name, value in new.items():
        before = old.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner = between(before, value)
            if inner:
                patch[name] = inner
        elif value != before:
            patch[name] = value
    return patch
