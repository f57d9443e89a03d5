"""What an apply of another spec would do, before it's done: values out of two Worlds and a decision.

`planned` has the spec that is to be, `present` the one that is; everything else in both is the live cluster.
The decision is what a pass would decide about `planned`. This module only says what follows from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pointsman.api.revision_fields import REVISION_FIELDS, Part
from pointsman.api.rollout import Strategy
from pointsman.core import capacity, fitting, pod_template, prompting, verdicts
from pointsman.core.capacity import Room
from pointsman.core.conditions import Verdict
from pointsman.core.decision import Decision
from pointsman.core.facts import Facts, examine
from pointsman.core.variant import Variant
from pointsman.core.world import Manifest, ServiceWorld


class Effect(Enum):
    """What follows from it, in a word."""

    NOTHING = "nothing"
    LIVE = "live"
    FIRST = "first"
    NEW = "new"
    UNDER_WAY = "under way"
    PROMPT = "prompt"
    BACK = "back"
    REJECTED = "rejected"
    PAUSED = "paused"
    UNMET = "unmet"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs."""

    path: str
    before: Any
    after: Any
    part: Part

    @property
    def renews(self) -> bool:
        """Whether it makes a new revision."""
        return self.part in (Part.HASHED, Part.RESOLVED)


@dataclass(frozen=True, slots=True)
class Demand:
    """What the new revision's pods ask for."""

    pods: int
    """How many there will be of them in the end."""
    beside: int
    """How many more than there are now run at the most; fewer, where it's negative."""
    resource: str = ""
    """The accelerator; empty for none."""
    each: int = 0
    places: int | None = None
    """How many such pods find room now; None where nodes can't be looked at."""

    @property
    def additional(self) -> int:
        """Accelerators beyond those in use, at the most."""
        return max(self.beside, 0) * self.each


@dataclass(frozen=True, slots=True)
class Plan:
    """What an apply would do."""

    effect: Effect
    changes: tuple[Change, ...]
    stable: str = ""
    """The variant that serves now."""
    replaced: str = ""
    """A candidate that is on its way now and gives way."""
    target: str = ""
    """The variant that is to serve."""
    restarts: bool = False
    """Whether engines are replaced by others."""
    asks_source: bool = False
    """Whether a Job asks the model's source first."""
    demand: Demand | None = None
    fit: Verdict | None = None
    unmet: Verdict | None = None
    """What is asked for and can't be had."""
    applied: tuple[str, ...] = ()
    """Objects that the first pass makes or changes, kind and name."""


def compare(
    present: ServiceWorld | None, planned: ServiceWorld, decision: Decision, rooms: Sequence[Room] = ()
) -> Plan:
    """The plan. Total, as decisions are."""
    facts = examine(planned)
    changes = tuple(changed(present, planned))
    effect = _effect(facts, changes, first=present is None)
    wanted = _wanted(facts)
    target = wanted.name if wanted else ""
    state = facts.state
    renewed = effect in (Effect.FIRST, Effect.NEW)
    candidate = state.candidate.name if state.candidate else ""
    return Plan(
        effect=effect,
        changes=changes,
        stable=state.stable.name if state.stable else "",
        replaced=candidate if candidate != target else "",
        target=target,
        restarts=effect is Effect.NEW,
        asks_source=renewed and facts.asked and not facts.born and facts.resolution is None,
        demand=_demand(facts, decision, rooms, effect, changes),
        fit=fitting.verdict(facts) if facts.model else None,
        unmet=verdicts.unmet(facts),
        applied=tuple(_applied(planned, decision)) if effect is not Effect.PAUSED else (),
    )


def _wanted(facts: Facts) -> Variant | None:
    """The variant that is to be: also before the first pass has made a copy of its prompt."""
    prompt = facts.uncopied
    if prompt is None or not facts.target:
        return facts.wanted
    return Variant(facts.target, prompt.metadata.name, prompting.short(prompting.digest(prompt.spec)))


def _effect(facts: Facts, changes: Sequence[Change], *, first: bool) -> Effect:
    service, state, wanted = facts.world.service, facts.state, _wanted(facts)
    if service.spec.paused:
        return Effect.PAUSED
    if wanted is None:
        return Effect.UNMET
    if first or state.stable is None:
        return Effect.FIRST
    if wanted == state.stable:
        return Effect.BACK if state.candidate else Effect.LIVE if changes else Effect.NOTHING
    if state.rejection(wanted):
        return Effect.REJECTED
    if wanted == state.candidate:
        return Effect.UNDER_WAY
    return Effect.PROMPT if wanted.revision == state.stable.revision else Effect.NEW


def _demand(
    facts: Facts, decision: Decision, rooms: Sequence[Room], effect: Effect, changes: Sequence[Change]
) -> Demand | None:
    scaled = effect is Effect.LIVE and any(change.path == "replicas" for change in changes)
    if not scaled and effect not in (Effect.FIRST, Effect.NEW, Effect.UNDER_WAY):
        return None
    spec, moves = facts.world.service.spec, effect in (Effect.NEW, Effect.UNDER_WAY)
    accelerator = spec.hardware.accelerator if spec.hardware else None
    gives_way = moves and spec.strategy is Strategy.RECREATE
    return Demand(
        pods=facts.replicas,
        beside=0 if gives_way else facts.replicas - _running(facts),
        resource=accelerator.resource if accelerator else "",
        each=accelerator.count if accelerator else 0,
        places=_places(facts, decision, rooms),
    )


def _running(facts: Facts) -> int:
    """Pods of the target that are there already."""
    found = facts.deployments.get(facts.target) or {}
    return int((found.get("status") or {}).get("replicas") or 0)


def _places(facts: Facts, decision: Decision, rooms: Sequence[Room]) -> int | None:
    """How many of its pods find room on nodes that would take them, by their accelerators."""
    pod = _pod(facts, decision)
    asked = capacity.wanted(pod) if pod else {}
    if not rooms or not asked or pod is None:
        return None
    return sum(
        min(room.free.get(resource, 0) // amount for resource, amount in asked.items() if amount)
        for room in rooms
        if capacity.opens(room, pod)
    )


def _pod(facts: Facts, decision: Decision) -> Manifest | None:
    """A pod of the target: as its template has it, else as the spec asks."""
    made = (
        m for m in decision.desired if m["kind"] == "Deployment" and m["metadata"]["name"] == facts.target
    )
    template = next((m["spec"]["template"] for m in made), None)
    if template:
        found: Manifest = template
        return found
    hardware = facts.world.service.spec.hardware
    if hardware is None or hardware.accelerator is None:
        return None
    limits = {hardware.accelerator.resource: str(hardware.accelerator.count)}
    return {"spec": {**pod_template.on_nodes(hardware), "containers": [{"resources": {"limits": limits}}]}}


def _applied(world: ServiceWorld, decision: Decision) -> Iterator[str]:
    """What isn't there yet, or is there otherwise in what we have an opinion on."""
    there = {(c["kind"], c["metadata"]["name"]): c for c in world.owned}
    for manifest in decision.desired:
        key = manifest["kind"], manifest["metadata"]["name"]
        if key not in there:
            yield f"{key[0]} {key[1]}"


def changed(present: ServiceWorld | None, planned: ServiceWorld) -> Iterator[Change]:
    """The fields of spec that differ, by path. A new service has none: all of it is new."""
    if present is None:
        return
    before, after = (
        world.service.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        for world in (present, planned)
    )
    yield from _changed("", before, after)


def _changed(path: str, before: Any, after: Any) -> Iterator[Change]:
    if before == after:
        return
    if isinstance(before or {}, Mapping) and isinstance(after or {}, Mapping):
        one, other = before or {}, after or {}
        for name in sorted({*one, *other}):
            yield from _changed(f"{path}.{name}" if path else name, one.get(name), other.get(name))
        return
    yield Change(path, before, after, part_of(path))


def part_of(path: str) -> Part:
    """What a change of a field does: by the longest row of the table that is above it."""
    parts = path.split(".")
    above = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((REVISION_FIELDS[row] for row in above if row in REVISION_FIELDS), Part.HASHED)
