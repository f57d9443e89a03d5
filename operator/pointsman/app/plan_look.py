"""Looks at the live cluster as if a manifest had been applied, by the operator's own decision.

The API server says by a dry run what would be stored; an overlay over reads puts that in place of what is.
The rest is the first half of a pass, unchanged: so a plan and the operator can't think differently.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from pointsman.api import names
from pointsman.core import patch, plan
from pointsman.core.plan import Plan
from pointsman.core.settings import Settings
from pointsman.engine import looking, triggers
from pointsman.engine.gather import Gatherer
from pointsman.kube.protocol import Kube, NotFound, Object, Objects, Previewing
from pointsman.signals.protocol import Signals

OURS = {resource.kind: resource for resource in names.RESOURCES.values() if resource.group == names.GROUP}
"""Kinds that a plan takes from a manifest."""
Address = tuple[str, str, str]
"""Kind, namespace and name."""


@dataclass(frozen=True, slots=True)
class Previewed:
    """One object as it would be stored."""

    obj: Object
    kept_replicas: int | None = None
    """What the manifest doesn't say and an apply leaves: how many there are, by whoever scales."""

    @property
    def address(self) -> Address:
        metadata = self.obj["metadata"]
        return self.obj["kind"], metadata["namespace"], metadata["name"]


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and what it's about."""

    service: Object
    """As it would be stored; its status is what is said now."""
    plan: Plan
    kept_replicas: int | None = None
    silent: Sequence[str] = ()
    """Routers that could not be asked."""


async def preview(kube: Previewing, manifest: Mapping[str, Any], namespace: str) -> Previewed:
    """What an apply of a manifest would store. Raises the kube errors."""
    resource, metadata = OURS[manifest["kind"]], dict(manifest["metadata"])
    metadata.setdefault("namespace", namespace)
    given = {**manifest, "apiVersion": resource.api_version, "metadata": metadata}
    given.pop("status", None)
    try:
        there = await kube.get(resource, metadata["namespace"], metadata["name"])
    except NotFound:
        return Previewed(_identified(await kube.preview(given)))
    spec, before = dict(given.get("spec") or {}), there.get("spec") or {}
    kept = None
    if resource == names.LLMSERVICE and "replicas" not in spec and "replicas" in before:
        # /scale is for others, whose field no apply takes away.
        kept = spec["replicas"] = before["replicas"]
    difference = {"spec": patch.between(before, spec)}
    return Previewed(_identified(await kube.preview(given, difference)), kept)


def _identified(obj: Object) -> Object:
    """A dry run of a creation gives no version, by which parsed objects are known."""
    obj["metadata"].setdefault("resourceVersion", "planned")
    return obj


class Overlay:
    """Reads of a Kube, with some objects in the place of those that are there. It writes nothing."""

    def __init__(self, kube: Kube, objects: Sequence[Object]) -> None:
        self._kube = kube
        self._over = {Previewed(obj).address: obj for obj in objects}

    async def get(self, resource: names.Resource, namespace: str | None, name: str) -> Object:
        found = self._over.get((resource.kind, namespace or "", name))
        return found if found is not None else await self._kube.get(resource, namespace, name)

    async def list(
        self,
        resource: names.Resource,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
    ) -> Objects:
        found = await self._kube.list(resource, namespace, labels=labels, fields=fields, since=since)
        ours = {
            name: obj
            for (kind, space, name), obj in self._over.items()
            if kind == resource.kind and namespace in (None, space) and not labels and not fields
        }
        others = (obj for obj in found if obj["metadata"]["name"] not in ours)
        return Objects((*others, *ours.values()), found.version)


async def look(
    kube: Kube,
    signals: Signals,
    settings: Settings,
    previewed: Sequence[Previewed],
    key: names.Key,
    now: datetime,
) -> Planned:
    """The plan for one LLMService. Raises Unreadable and the kube errors."""
    overlay = cast(Kube, Overlay(kube, [one.obj for one in previewed]))
    over = Gatherer(overlay, signals, settings)
    present = await Gatherer(kube, signals, settings).service(key, now)
    seen = await looking.service(over, key, now)
    assert seen is not None
    assert seen.raw is not None
    rooms = seen.world.rooms or await over.rooms(now)
    made = plan.compare(present.world if present else None, seen.world, seen.decision, rooms)
    kept = next((one.kept_replicas for one in previewed if one.address == key), None)
    silent = tuple(one.address for one in seen.world.signals if not one.reachable)
    return Planned(dict(seen.raw), made, kept, silent)


async def users(kube: Kube, previewed: Sequence[Previewed]) -> dict[Address, list[names.Key]]:
    """The services that would name each model, prompt and suite of the manifest."""
    overlay = Overlay(kube, [one.obj for one in previewed])
    found: dict[Address, list[names.Key]] = {}
    for kind, namespace, name in (one.address for one in previewed):
        if kind in triggers.NAMED_KINDS:
            found[kind, namespace, name] = [
                names.Key(names.LLMSERVICE.kind, namespace, service["metadata"]["name"])
                for service in await overlay.list(names.LLMSERVICE, namespace)
                if (kind, name) in triggers.named(service.get("spec") or {})
            ]
    return found


def concerned(
    previewed: Sequence[Previewed], using: Mapping[Address, Sequence[names.Key]]
) -> list[names.Key]:
    """The services to plan: those of the manifest, and those that use something of it."""
    keys = [names.Key(*one.address) for one in previewed if one.address[0] == names.LLMSERVICE.kind]
    return list(dict.fromkeys([*keys, *(key for found in using.values() for key in found)]))
