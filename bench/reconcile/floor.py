"""The floor: the operator's own manifests, applied by the bare client as fast as the server takes them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from bench.reconcile.api import Api
from bench.reconcile.children import Template, fill, manifest, router_manifest
from bench.reconcile.observer import At, Observer
from pointsman.api import names

CREATING = 8
"""Services that are created at a time."""

Then = Callable[[At, Mapping[str, Any]], Awaitable[None]]
"""What follows the creation of a service."""


async def create(api: Api, observer: Observer, services: Sequence[At], then: Then | None = None) -> None:
    """Creates services as fast as the API server takes them; returns when all that follows is done too."""
    gate = asyncio.Semaphore(CREATING)

    async def one(at: At) -> None:
        async with gate:
            observer.creating(at)
            made = await api.create(names.LLMSERVICE, manifest(*at))
        if then is not None:
            await then(at, made)

    await asyncio.gather(*(one(at) for at in services))


class Floor:
    """Applies children, and remembers which namespaces have their router."""

    def __init__(self, api: Api, template: Template) -> None:
        self._api = api
        self._template = template
        self._routers: set[str] = set()

    async def children(self, at: At, service: Mapping[str, Any]) -> None:
        """All children of a service at once, and of its router where it's the namespace's first."""
        parts = [(part, service) for part in self._template.service]
        if at[0] not in self._routers:
            self._routers.add(at[0])
            router = await self._api.create(names.LLMROUTER, router_manifest(at[0]))
            parts += [(part, router) for part in self._template.router]
        await asyncio.gather(*(self._apply(part, owner) for part, owner in parts))

    async def scale(self, at: At, service: Mapping[str, Any], replicas: int) -> None:
        """The one child that another number of replicas changes."""
        part = next(p for p in self._template.service if p.resource == names.DEPLOYMENT)
        name, body = fill(part, self._template, service)
        body = body.replace(b'"replicas":1', b'"replicas":%d' % replicas)
        await self._api.apply(part.resource, at[0], name, body)

    async def _apply(self, part: Any, owner: Mapping[str, Any]) -> None:
        name, body = fill(part, self._template, owner)
        await self._api.apply(part.resource, owner["metadata"]["namespace"], name, body)
