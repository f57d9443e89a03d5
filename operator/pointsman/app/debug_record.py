"""A recorded decision: what one object's World was and what was decided, as a JSON file, and back.

The types themselves say how they are written and read. Secrets and prompts are sealed before anything is
written, and the decision in the file is the one that follows from the sealed World. Another version reads it
as it reads objects: what it doesn't know is passed over, what is missing takes its default.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from pointsman import __version__
from pointsman.api import names, sealing
from pointsman.core import model, prompt, router, service, suite
from pointsman.core.decision import Decision
from pointsman.core.world import ModelWorld, PromptWorld, RouterWorld, ServiceWorld, SuiteWorld

World = ServiceWorld | RouterWorld | ModelWorld | PromptWorld | SuiteWorld
Json = dict[str, Any]

SHORTEST_SECRET: Final = 8
"""Characters from which on a secret is looked for in messages: shorter ones are words like any other."""


@dataclass(frozen=True, slots=True)
class Row:
    """How one of our kinds is recorded and decided."""

    adapter: TypeAdapter[Any]
    decide: Callable[[Any], Decision]


KINDS: Final[Mapping[str, Row]] = {
    names.LLMSERVICE.kind: Row(TypeAdapter(ServiceWorld), service.decide),
    names.LLMROUTER.kind: Row(TypeAdapter(RouterWorld), router.decide),
    names.LLMMODEL.kind: Row(TypeAdapter(ModelWorld), model.decide),
    names.PROMPTVERSION.kind: Row(TypeAdapter(PromptWorld), prompt.decide),
    names.PROMPTSUITE.kind: Row(TypeAdapter(SuiteWorld), suite.decide),
}
_KIND_OF: Final[Mapping[type, str]] = {
    ServiceWorld: names.LLMSERVICE.kind,
    RouterWorld: names.LLMROUTER.kind,
    ModelWorld: names.LLMMODEL.kind,
    PromptWorld: names.PROMPTVERSION.kind,
    SuiteWorld: names.PROMPTSUITE.kind,
}
_DECISION: Final[TypeAdapter[Decision]] = TypeAdapter(Decision)


class Unusable(Exception):
    """A file is no recorded decision, or holds something that this version can't read."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a file holds."""

    version: str
    """Version of Pointsman that wrote it."""
    kind: str
    world: World
    decision: Json
    """What that version decided, as it was written."""
    notes: Sequence[str] = ()
    """What whoever reads it should know about how it came to be."""


def decide(world: World) -> Json:
    """The decision about whatever the World is of, as JSON."""
    return dump_decision(KINDS[_KIND_OF[type(world)]].decide(world))


def dump_world(world: World) -> Json:
    """A World as JSON, nothing sealed yet. Fields that the API server didn't give stay out."""
    adapter = KINDS[_KIND_OF[type(world)]].adapter
    dumped: Json = adapter.dump_python(world, mode="json", by_alias=True, exclude_unset=True)
    return dumped


def dump_decision(decision: Decision) -> Json:
    """A Decision as JSON, nothing sealed yet."""
    dumped: Json = _DECISION.dump_python(decision, mode="json", by_alias=True)
    # A set has no order, and files are compared.
    return {**dumped, "retained": sorted(dumped["retained"])}


def load_world(kind: str, document: Any) -> World:
    """The World that a document holds. Raises Unusable where today's rules don't admit it."""
    if kind not in KINDS:
        raise Unusable(f"kind {kind!r} is none of {', '.join(KINDS)}")
    try:
        world: World = KINDS[kind].adapter.validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unusable(f"version {__version__} can't read its world: {where}: {first['msg']}") from None
    return world


def recorded(world: World, decision: Decision, notes: Sequence[str] = ()) -> Json:
    """The file about a World and what was decided: sealed, with the decision that follows from that."""
    kind, plain = _KIND_OF[type(world)], dump_world(world)
    document = sealing.seal(plain)
    secrets = dict(_changed(plain, document))
    document = _hushed(document, secrets)
    found = decide(load_world(kind, document))
    if found != _hushed(sealing.seal(dump_decision(decision)), secrets):
        notes = [*notes, "the decision about the World as it was, before sealing, differs from this one"]
    return {
        "version": __version__,
        "kind": kind,
        "notes": list(notes),
        "world": document,
        "decision": found,
    }


def parsed(text: str) -> Record:
    """What a file holds. Raises Unusable."""
    try:
        file = json.loads(text)
        version, kind, decision = str(file["version"]), str(file["kind"]), dict(file["decision"])
        document, notes = file["world"], [str(note) for note in file.get("notes", ())]
    except (ValueError, KeyError, TypeError) as error:
        raise Unusable(f"no recorded decision: {type(error).__name__}: {error}") from None
    return Record(version, kind, load_world(kind, document), decision, notes)


def _changed(before: Any, after: Any) -> Iterator[tuple[str, str]]:
    """Texts that sealing replaced, and what stands for each."""
    if isinstance(after, dict):
        for key, item in after.items():
            yield from _changed(before[key], item)
    elif isinstance(after, list):
        for one, other in zip(before, after, strict=True):
            yield from _changed(one, other)
    elif before != after and len(before) >= SHORTEST_SECRET:
        yield before, after


def _hushed(document: Any, secrets: Mapping[str, str], key: str = "") -> Any:
    """The document without those texts in what conditions, events and containers say."""
    if isinstance(document, dict):
        return {name: _hushed(item, secrets, name) for name, item in document.items()}
    if isinstance(document, list):
        return [_hushed(item, secrets, key) for item in document]
    if key in sealing.SPEECH and isinstance(document, str):
        for secret, instead in secrets.items():
            document = document.replace(secret, instead)
    return document
