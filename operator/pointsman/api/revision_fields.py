"""Which fields make a new revision, and which take effect on the one that runs.

A revision's name is a hash of what the user declared, never of what was rendered from it, so that upgrading
the operator restarts nothing. `declared` is what is hashed; the table decides what belongs to it. A test
compares it with the types, so a new field can't be forgotten here.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final

from pydantic import BaseModel

from pointsman.api import quantity, sealing
from pointsman.api.common import without_empty
from pointsman.api.model import ModelSpec
from pointsman.api.service import ServiceSpec


class Part(Enum):
    """What a change of a field does."""

    HASHED = "makes a new revision"
    LIVE = "takes effect at once"
    ROLLED = "is rolled out, and restarts nothing"
    RESOLVED = "is replaced by what it names, a change of which makes a new revision"


REVISION_FIELDS: Final[dict[str, Part]] = {
    "drainSeconds": Part.HASHED,
    "engine": Part.HASHED,
    "experiment": Part.LIVE,
    "hardware": Part.HASHED,
    "hardware.deviceMemory": Part.LIVE,
    "hardware.fit": Part.LIVE,
    "model": Part.HASHED,
    "model.facts": Part.LIVE,
    "modelNames": Part.LIVE,
    "modelRef": Part.RESOLVED,
    "parallelism": Part.HASHED,
    "paused": Part.LIVE,
    "pod": Part.HASHED,
    "promptRef": Part.ROLLED,
    "replicas": Part.LIVE,
    "restartedAt": Part.HASHED,
    "rollout": Part.LIVE,
    "routerRef": Part.LIVE,
    "routing": Part.LIVE,
}
"""By wire name below spec; a row holds for everything below its field, unless a longer one says otherwise."""

ROUTER_FIELDS: Final[dict[str, str]] = {
    "allowedPeers": "takes effect at once",
    "cors": "takes effect at once",
    "limits": "takes effect at once",
    "replicas": "takes effect at once",
    "resources": "replaces the router's pods, each new one before an old one goes",
    "service": "takes effect at once",
    "tls": "takes effect at once; a Secret of another name replaces the router's pods as resources do",
    "trustedProxies": "takes effect at once",
}
"""The same of an LLMRouter, in words: its pods aren't revisions."""


def declared(spec: ServiceSpec, model: ModelSpec) -> dict[str, Any]:
    """What a revision's name is a hash of: every hashed field that was given, as the wire has it.

    `model` is the inline model or the one that modelRef names: moving it from one to the other changes
    nothing. What is unset or at the API's default is left out, and quantities are brought to one form.
    """
    fields = {**_given(spec), "model": _given(model)}
    hashed = without_empty(_hashed(fields))
    formed = {name: _one_form(value, (name,)) for name, value in sorted(hashed.items())}
    # So a recorded World, which holds no secrets, asks for the same revision.
    return dict(sealing.seal(formed))


def _hashed(fields: dict[str, Any], above: str = "") -> dict[str, Any]:
    """The fields of one level whose row, or the one above them, says that they are hashed."""
    kept = {}
    for name, value in fields.items():
        path = f"{above}{name}"
        if REVISION_FIELDS.get(path, Part.HASHED) is Part.HASHED:
            nested = isinstance(value, dict) and path in _DIVIDED
            kept[name] = _hashed(value, f"{path}.") if nested else value
    return kept


_DIVIDED: Final = frozenset(path.rpartition(".")[0] for path in REVISION_FIELDS if "." in path)
"""Fields of which a row names a part."""


def _given(model: BaseModel) -> dict[str, Any]:
    given: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return dict(without_empty(given))


def _one_form(value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _one_form(item, (*path, key)) for key, item in value.items()}
    if path[:2] == ("hardware", "resources") or path == ("model", "storage", "size"):
        return quantity.canonical(value)
    return value
