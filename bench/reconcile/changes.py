"""One change at a time, by the operator and the bare client in turns, so that both meet the same machine."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bench.reconcile import floor
from bench.reconcile.api import Api
from bench.reconcile.floor import Floor
from bench.reconcile.observer import At, Observer
from pointsman.api import names

PATIENCE_S = 60.0
PAUSE_S = 0.5
"""What a change brings with it later shall not be in the next one's time."""

Seconds = list[float]


@dataclass(slots=True)
class Changes:
    """The two control planes, and how many changes of each sort are made."""

    hands: Api
    user: Api
    base: Observer
    eyes: Observer
    client: Floor
    count: int
    services: Sequence[At]

    async def create(self) -> tuple[Seconds, Seconds, str]:
        """A new service: from the request that creates it until the last of its children is there."""

        async def operated(number: int) -> float:
            at = self._new(number)
            await floor.create(self.user, self.eyes, [at])
            problem = await self.eyes.until("applied", lambda: _is(self.eyes.applied(at)), PATIENCE_S)
            if not problem:
                problem = await self.eyes.until("Ready", lambda: _is(self.eyes.lives[at].ready), PATIENCE_S)
            return math.inf if problem else self.eyes.applied(at) - self.eyes.lives[at].created

        async def bare(number: int) -> float:
            at = self._new(number)
            await floor.create(self.hands, self.base, [at], self.client.children)
            await self.base.until("applied", lambda: _is(self.base.applied(at)), PATIENCE_S)
            return self.base.applied(at) - self.base.lives[at].created

        return await self._by_turns("create", operated, bare)

    async def scale(self) -> tuple[Seconds, Seconds, str]:
        """Two replicas instead of one: until the one child that it changes says so."""

        async def scaled(api: Api, eyes: Observer, number: int, bare: bool) -> float:
            at, began = self.services[number % len(self.services)], time.monotonic()
            wanted = 2 + number // len(self.services)
            service = await api.merge(names.LLMSERVICE, *at, {"spec": {"replicas": wanted}})
            if bare:
                await self.client.scale(at, service, wanted)
            life = eyes.lives[at]
            await eyes.until("scaled", lambda: _is(life.replicas.get(wanted, math.inf)), PATIENCE_S)
            return life.replicas.get(wanted, math.inf) - began

        return await self._by_turns(
            "scale",
            lambda number: scaled(self.user, self.eyes, number, False),
            lambda number: scaled(self.hands, self.base, number, True),
        )

    def _new(self, number: int) -> At:
        return self.services[number % len(self.services)][0], f"late-{number:04}"

    async def _by_turns(
        self,
        what: str,
        operated: Callable[[int], Awaitable[float]],
        bare: Callable[[int], Awaitable[float]],
    ) -> tuple[Seconds, Seconds, str]:
        ours: Seconds = []
        floors: Seconds = []
        for number in range(self.count):
            ours.append(await operated(number))
            await asyncio.sleep(PAUSE_S)
            floors.append(await bare(number))
        lost = sum(seconds == math.inf for seconds in ours)
        return ours, floors, f"{what}: {lost} of {self.count} changes never came" if lost else ""


def _is(moment: float) -> tuple[int, int]:
    return int(moment < math.inf), 1
