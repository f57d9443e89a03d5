"""What a service is made of, as the operator itself applies it: the floor's work, object for object.

The operator's own passes run once, against the API server's twin, and every manifest that they apply is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from pointsman.api import names
from pointsman.core.settings import Settings
from pointsman.core.world import ObjectKey, key_of
from pointsman.engine.apply import Applier
from pointsman.engine.clock import utc_now
from pointsman.engine.events import Recorder
from pointsman.engine.gather import Gatherer
from pointsman.engine.reconcile import Reconciler
from pointsman.kube.twin import MemoryKube
from pointsman.signals.twin import ScriptedSignals

ROUTER_IMAGE = "pointsman.local/router:bench"
RESOLVE_IMAGE = "pointsman.local/operator:bench"
ENGINE_IMAGES = {"cpu": "pointsman.local/engine-cpu:{version}"}
SPEC: Mapping[str, Any] = {"model": {"source": {"uri": "file:///models/tiny"}}}
"""Of every LLMService here: what isn't said costs nobody anything."""

_SERVICE, _NAMESPACE = "the-service", "the-namespace"
_PASSES = 4
"""A newborn's Deployment comes in the second pass, and the router in between has two as well."""


@dataclass(frozen=True, slots=True)
class Part:
    """One child as JSON, in which a service's names stand for everyone's."""

    resource: names.Resource
    name: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Template:
    """All children of a service, of its router, and that router."""

    service: Sequence[Part]
    router: Sequence[Part]
    uids: Mapping[str, bytes]
    """By kind, the uid that children name as their owner's."""

    @property
    def kinds(self) -> tuple[names.Resource, ...]:
        """Resources of a service's children."""
        return tuple(dict.fromkeys(part.resource for part in self.service))


def manifest(namespace: str, name: str) -> dict[str, Any]:
    """An LLMService as its user writes it."""
    return {
        "apiVersion": names.LLMSERVICE.api_version,
        "kind": names.LLMSERVICE.kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": dict(SPEC),
    }


def router_manifest(namespace: str) -> dict[str, Any]:
    """The LLMRouter that the floor makes before a namespace's first service, as the operator does."""
    return {
        "apiVersion": names.LLMROUTER.api_version,
        "kind": names.LLMROUTER.kind,
        "metadata": {"name": names.DEFAULT_ROUTER, "namespace": namespace},
    }


def fill(part: Part, template: Template, owner: Mapping[str, Any]) -> tuple[str, bytes]:
    """Name and body of one child of `owner`, which the API server has already."""
    metadata = owner["metadata"]
    own = {
        _NAMESPACE.encode(): metadata["namespace"].encode(),
        template.uids[owner["kind"]]: metadata["uid"].encode(),
    }
    if owner["kind"] == names.LLMSERVICE.kind:
        own[_SERVICE.encode()] = metadata["name"].encode()
    name, body = part.name, part.body
    for old, new in own.items():
        name, body = name.replace(old, new), body.replace(old, new)
    return name.decode(), body


class _Recording(MemoryKube):
    """The twin, keeping what it's told to apply."""

    def __init__(self) -> None:
        super().__init__()
        self.applied: dict[ObjectKey, Mapping[str, Any]] = {}

    async def apply(self, obj: Mapping[str, Any], *, manager: str, force: bool = True) -> dict[str, Any]:
        self.applied[key_of(obj)] = obj
        return await super().apply(obj, manager=manager, force=force)


def recorded() -> Template:
    """What the operator applies for one service that is alone in its namespace."""
    return asyncio.run(_record())


async def _record() -> Template:
    kube = _Recording()
    settings = Settings(
        router_image=ROUTER_IMAGE,
        resolve_image=RESOLVE_IMAGE,
        engine_images=ENGINE_IMAGES,
        engine_version="1",
    )

    reconciler = Reconciler(
        kube=kube,
        gatherer=Gatherer(kube, ScriptedSignals(), settings),
        applier=Applier(kube),
        recorder=Recorder(kube, now=utc_now, instance="bench"),
        now=utc_now,
    )
    await kube.create(manifest(_NAMESPACE, _SERVICE))
    keys = (
        names.Key(names.LLMSERVICE.kind, _NAMESPACE, _SERVICE),
        names.Key(names.LLMROUTER.kind, _NAMESPACE, names.DEFAULT_ROUTER),
    )
    for _ in range(_PASSES):
        for key in keys:
            await reconciler.reconcile(key)
    owners = [await kube.get(names.RESOURCES[key.kind], key.namespace, key.name) for key in keys]
    return Template(
        service=_parts(kube.applied.values(), names.LLMSERVICE.kind),
        router=_parts(kube.applied.values(), names.LLMROUTER.kind),
        uids={owner["kind"]: owner["metadata"]["uid"].encode() for owner in owners},
    )


def _parts(applied: Iterable[Mapping[str, Any]], owner: str) -> list[Part]:
    return [
        Part(names.RESOURCES[obj["kind"]], obj["metadata"]["name"].encode(), orjson.dumps(obj))
        for obj in applied
        if obj["kind"] != names.LLMROUTER.kind and obj["metadata"]["ownerReferences"][0]["kind"] == owner
    ]
