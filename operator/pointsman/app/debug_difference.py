"""Two JSON documents side by side, for people: where they differ, in words that name objects, not indices."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

LONGEST = 160
"""Characters of a value that are shown; a configuration map's are thousands."""

_ABSENT: Final = object()


def between(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """One line for each place that differs."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            below = f"{path}.{key}" if path else str(key)
            yield from between(before.get(key, _ABSENT), after.get(key, _ABSENT), below)
    elif isinstance(before, list) and isinstance(after, list):
        one, other = _named(before), _named(after)
        if list(one) != list(other) and set(one) == set(other):
            yield f"{path}: in another order"
        for key in dict.fromkeys([*one, *other]):
            yield from between(one.get(key, _ABSENT), other.get(key, _ABSENT), f"{path}[{key}]")
    elif before is _ABSENT:
        yield f"{path}: added {_shown(after)}"
    elif after is _ABSENT:
        yield f"{path}: removed {_shown(before)}"
    elif before != after or type(before) is not type(after):
        yield f"{path}: {_shown(before)} became {_shown(after)}"


def _named(items: list[Any]) -> dict[str, Any]:
    """A list's items by what tells them apart; by place where two would be called the same."""
    found = {_name(item): item for item in items}
    return found if len(found) == len(items) else {str(place): item for place, item in enumerate(items)}


def _name(item: Any) -> str:
    """Objects by kind and name, conditions by type, variables by name, anything else by its value."""
    if not isinstance(item, Mapping):
        return _shown(item)
    metadata = item.get("metadata")
    if isinstance(metadata, Mapping) and "kind" in item:
        return f"{item['kind']} {metadata.get('name', '')}"
    for key in ("name", "type", "revision", "url", "reason", "port"):
        if isinstance(item.get(key), str | int):
            return str(item[key])
    return _shown(item)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
