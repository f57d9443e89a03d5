"""How a situation is brought about: by the operator's own code, on the simulated cluster.

A story ends where somebody looks; nothing writes a status by hand. Which situations there are is
`situations.py`'s, and what tools make of them `table.py`'s.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pointsman.core.settings import Settings
from pointsman.kube.protocol import Kube
from tests.readings.meaning import Meaning
from tests.readings.recording import Recorded, Right
from tests.simulation.cluster import SETTINGS
from tests.simulation.trouble import TroubledCluster


class Stage(TroubledCluster):
    """A simulated cluster that remembers what users wrote, and what the operator asked of the API server."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.rights: set[Right] = set()
        self.applied: dict[tuple[str, str], Any] = {}
        """What the operator applied last, by kind and name."""
        self.written: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
        """The specs that users applied to an object, in order."""
        super().__init__()
        self.restart(settings)

    def operator(self, kube: Kube, settings: Settings = SETTINGS, instance: str = "test") -> Any:
        return super().operator(Recorded(kube, self.rights, self.applied), settings, instance)

    async def apply(self, kind: str, name: str, spec: Mapping[str, Any]) -> None:
        self.written.setdefault((kind, name), []).append(copy.deepcopy(dict(spec)))
        await super().apply(kind, name, spec)


Story = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True, slots=True, eq=False)
class Situation:
    """One thing that people and tools come upon."""

    name: str
    story: Story
    means: Meaning
    reason: str
    """Of Ready, as status says it; a dash where nothing is said yet."""
    kind: str = "LLMService"
    subject: str = "chat"
    storable: Mapping[str, Any] = field(default_factory=dict)
    """A spec to stand for one that a server of today refuses; it has no part in any reading."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A situation that was brought about: the object as the simulated cluster holds it."""

    situation: Situation
    specs: tuple[Mapping[str, Any], ...]
    object: Mapping[str, Any]
    rights: frozenset[Right]


async def enact(situation: Situation) -> Scene:
    """Plays a situation's story. AssertionError where it doesn't end in what it is called after."""
    stage = Stage()
    await situation.story(stage)
    found = stage.find(situation.kind, situation.subject)
    assert found is not None, f"{situation.name}: the object is gone"
    reason = stage.condition(situation.subject, "Ready", situation.kind)[1]
    assert reason == situation.reason, f"{situation.name}: {found.get('status')}"
    specs = tuple(stage.written.get((situation.kind, situation.subject), ()))
    if situation.storable:
        specs = (situation.storable,) * len(specs)
    return Scene(situation, specs, copy.deepcopy(found), frozenset(stage.rights))
