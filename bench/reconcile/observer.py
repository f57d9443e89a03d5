"""When what came to be: the bench's own watches over services and their children.

The operator's work and the floor's are timed by the same eyes. Times are this process's own clock.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.reconcile.api import Api
from bench.reconcile.standin import OURS
from e2e.cluster.progress import say
from pointsman.api import names

At = tuple[str, str]
"""Namespace and name of an LLMService."""
SAY_EVERY_S = 5.0


@dataclass(slots=True)
class Life:
    """One service, from the request that creates it."""

    created: float
    children: dict[str, float] = field(default_factory=dict)
    """When a child of each kind was first seen."""
    ready: float = math.inf
    replicas: dict[int, float] = field(default_factory=dict)
    """When a Deployment that asks for so many pods was first seen."""


@dataclass(slots=True)
class Observer:
    """Watches one control plane. `kinds`: what a service's children are."""

    api: Api
    kinds: Sequence[names.Resource]
    lives: dict[At, Life] = field(default_factory=dict)
    _watches: list[asyncio.Task[None]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Begins to watch."""
        self._watches = [asyncio.create_task(self._watch(kind, OURS, self._child)) for kind in self.kinds]
        self._watches.append(asyncio.create_task(self._watch(names.LLMSERVICE, "", self._service)))

    async def stop(self) -> None:
        for watch in self._watches:
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)

    def creating(self, at: At) -> None:
        """The request that creates a service is sent now."""
        self.lives[at] = Life(time.monotonic())

    def applied(self, at: At) -> float:
        """When the last child of a service was there; infinite while one is missing."""
        seen = self.lives[at].children
        return max((seen.get(kind.kind, math.inf) for kind in self.kinds), default=math.inf)

    async def until(self, what: str, done: Callable[[], tuple[int, int]], seconds: float) -> str:
        """Waits until all are `done` (how many, of how many), and says how far it is; gives what's wrong."""
        began = told = time.monotonic()
        while True:
            count, of = done()
            if count == of:
                return ""
            now = time.monotonic()
            if now - began > seconds:
                return f"{what}: {count} of {of} after {seconds:.0f} s"
            if now - told > SAY_EVERY_S:
                say(f"    {what}: {count} of {of} ({now - began:.0f}s)")
                told = now
            self._changed.clear()
            for watch in self._watches:
                if watch.done():
                    watch.result()
            try:
                await asyncio.wait_for(self._changed.wait(), 1.0)
            except TimeoutError:
                continue

    async def _watch(
        self, resource: names.Resource, labels: str, see: Callable[[str, Mapping[str, Any]], None]
    ) -> None:
        async for kind, obj in self.api.watch(resource, labels):
            if kind != "DELETED":
                see(resource.kind, obj)
                self._changed.set()

    def _child(self, kind: str, obj: Mapping[str, Any]) -> None:
        metadata = obj["metadata"]
        life = self.lives.get((metadata["namespace"], metadata["labels"].get(names.LABEL_SERVICE, "")))
        if life is None:
            return
        now = time.monotonic()
        life.children.setdefault(kind, now)
        if kind == names.DEPLOYMENT.kind:
            life.replicas.setdefault(obj["spec"]["replicas"], now)

    def _service(self, _: str, obj: Mapping[str, Any]) -> None:
        metadata = obj["metadata"]
        life = self.lives.get((metadata["namespace"], metadata["name"]))
        if life is None or life.ready < math.inf:
            return
        said = (obj.get("status") or {}).get("conditions") or ()
        if any(
            c["type"] == "Ready"
            and c["status"] == "True"
            and c.get("observedGeneration") == metadata["generation"]
            for c in said
        ):
            life.ready = time.monotonic()
