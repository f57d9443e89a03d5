"""Objects of our kinds as the types of the API, each parsed once per version.

Parsing every peer anew in every pass would cost more than reading them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import ValidationError

from pointsman.api.common import Base
from pointsman.api.model import LLMModel
from pointsman.api.prompt import PromptVersion
from pointsman.api.prompt_suite import PromptSuite
from pointsman.api.router import LLMRouter
from pointsman.api.service import LLMService
from pointsman.core.world import Manifest

Kind = TypeVar("Kind", LLMService, LLMModel, LLMRouter, PromptVersion, PromptSuite)

CACHED_OBJECTS = 20_000
"""How many parsed objects are kept before all are dropped."""


class Unreadable(Exception):
    """A stored object breaks a rule of today's API; only its metadata can be relied on."""

    def __init__(self, raw: Manifest, message: str) -> None:
        super().__init__(message)
        self.raw = raw
        self.message = message


@dataclass(slots=True)
class Parser:
    """A cache of parsed objects, which may be dropped at any time."""

    _parsed: dict[str, tuple[str, Base]] = field(default_factory=dict)

    def parse(self, kind: type[Kind], raw: Manifest) -> Kind:
        """The typed object. Raises Unreadable."""
        uid, version = raw["metadata"]["uid"], raw["metadata"]["resourceVersion"]
        known = self._parsed.get(uid)
        if known is not None and known[0] == version:
            return known[1]  # type: ignore[return-value]
        parsed = _validated(kind, raw)
        if len(self._parsed) >= CACHED_OBJECTS:
            self._parsed.clear()
        self._parsed[uid] = (version, parsed)
        return parsed


def _validated(kind: type[Kind], raw: Manifest) -> Kind:
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unreadable(raw, f"{where}: {first['msg']}") from None
