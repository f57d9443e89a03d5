"""The beginning of a prompt, in the order in which an engine computes it.

What's compared needn't be what an engine's template makes of a request; it only has to be equal where that is
equal, and different as early as that is different. So tools and system prompt come first, then roles and
contents in their order, with marks between them that no text contains by accident. Only the first bytes are
ever looked at, so that a prompt of megabytes costs what a short one does. Malformed members are the engine's
to refuse: whatever can't be read ends the beginning. Knows documents of the APIs; nothing of engines.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

_ROLE: Final = "\x1e"
_CONTENT: Final = "\x1f"
_LONGEST_ROLE: Final = 32
_DEEPEST: Final = 5
"""Content parts hold their text or address at most this deep."""
_LONGEST_OPENING: Final = 4 * 1024 * 1024
_SILENT: Final = frozenset({"role", "type", "cache_control"})
"""Members that stand elsewhere, or that come and go between the turns of a conversation."""


class Said:
    """What a request says, read once for all who ask."""

    __slots__ = ("_document", "_plain", "_told")

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._plain: bytes | None = None
        """Its messages up to the user's first one, where they are texts, as nearly all are; else empty."""
        self._told = 0
        """How many messages are in there."""

    def beginning(self, limit: int) -> bytes:
        """The first `limit` bytes of its prompt, or fewer where it's shorter; empty where it has none."""
        document = self._document
        if "tools" not in document:
            plain = self._read_plain(limit) if self._plain is None else self._plain
            if plain:
                rest = document["messages"][self._told :]
                if rest and len(plain) < limit:
                    writer = _Writer(limit - len(plain), _ROLE)
                    writer.messages(rest)
                    plain += writer.data()
                return plain[:limit]
        return _beginning(document, limit)

    def opening(self) -> bytes:
        """What all turns of a conversation have in common: its messages up to the user's first one, and what
        stands before them. Empty where there is no conversation."""
        return self._read_plain(_LONGEST_OPENING) or _opening(self._document)

    def _read_plain(self, most: int) -> bytes:
        self._plain = b""
        document = self._document
        messages = document.get("messages")
        if type(messages) is not list or document.get("system") is not None:
            return b""
        parts: list[str] = []
        try:
            for message in messages:
                role, content = message.get("role"), message.get("content")
                parts += (role, content[:most])
                most -= len(content)
                if role == "user" or most <= 0:
                    plain = _ROLE.join(parts).encode("utf-8", "surrogatepass")
                    break
            else:
                return b""
        except (AttributeError, TypeError):
            return b""  # not all of them are texts
        self._plain, self._told = plain, len(parts) // 2
        return plain


def _beginning(document: dict[str, Any], limit: int) -> bytes:
    """Of what isn't plain. What is a part here and a text there begins alike: both have the same marks."""
    writer = _Writer(limit + 1, _ROLE)
    if "tools" in document:
        writer.json(document["tools"])
    if "messages" in document:
        if "system" in document:
            writer.value(document["system"])
        writer.messages(document["messages"])
    elif "prompt" in document:
        writer.value(document["prompt"])
    else:
        writer.value(document.get("instructions"))
        writer.messages(document.get("input"))
    return writer.data()[1:]  # before the first there's no mark


def _opening(document: dict[str, Any]) -> bytes:
    system, messages = document.get("system"), document.get("messages")
    if messages is None:
        system, messages = document.get("instructions"), document.get("input")
    if type(messages) is list:
        first = next((at for at, one in enumerate(messages) if _is_users(one)), None)
        if first is None:
            return b""
        messages = messages[: first + 1]
    elif type(messages) is not str:
        return b""
    writer = _Writer(_LONGEST_OPENING, _CONTENT)
    writer.value(system)
    writer.messages(messages)
    return writer.data()


def _is_users(message: Any) -> bool:
    return type(message) is dict and message.get("role") == "user"


class _Writer:
    """Gathers text until there is enough of it. `mark`: what stands before each text."""

    __slots__ = ("_left", "_limit", "_mark", "_parts")

    def __init__(self, limit: int, mark: str) -> None:
        self._limit = limit
        self._mark = mark
        self._left = limit
        self._parts: list[str] = []

    def data(self) -> bytes:
        return "".join(self._parts).encode("utf-8", "surrogatepass")[: self._limit]

    def messages(self, messages: Any) -> None:
        """A list of messages (or of items of the Responses API), or anything else that stands for one."""
        if type(messages) is not list or not messages or type(messages[0]) is not dict:
            self.value(messages)
            return
        parts, left = self._parts, self._left
        for message in messages:
            if left <= 0 or type(message) is not dict:
                break
            role, content = message.get("role"), message.get("content")
            if type(role) is str and type(content) is str and len(message) == 2:
                # What nearly every message is.
                parts += (_ROLE, role[:_LONGEST_ROLE], self._mark, content[:left])
                left -= len(content) + 1
            else:
                self._left = left
                parts += (_ROLE, role[:_LONGEST_ROLE] if type(role) is str else "")
                self.value(message)
                left = self._left
        self._left = left

    def value(self, value: Any, depth: int = 0) -> None:
        """Every text within a value."""
        if self._left <= 0:
            return
        self._left -= 1  # also for what has no text: a list of a million nulls must come to an end
        kind = type(value)
        if kind is str:
            text = value[: self._left]
            self._parts += (self._mark, text)
            self._left -= len(text)
        elif kind is list:
            self._list(value, depth)
        elif kind is dict and depth < _DEEPEST:
            for name, member in value.items():
                if self._left <= 0:
                    return
                if name not in _SILENT:
                    self.value(member, depth + 1)

    def json(self, value: Any) -> None:
        """A value as a whole, structure included."""
        try:
            text = orjson.dumps(value)
        except orjson.JSONEncodeError:
            return  # nested deeper than can be written
        self.value(text.decode())

    def _list(self, values: list[Any], depth: int) -> None:
        if values and type(values[0]) is int:
            self.json(values[: self._left])  # a prompt in token ids
            return
        if depth < _DEEPEST:
            for value in values:
                if self._left <= 0:
                    return
                self.value(value, depth + 1)
