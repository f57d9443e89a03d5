"""Creations and changes, a few at a time, and what status claimed of each beside what requests saw.

A generation's word goes into the engine's arguments: a new word is a new revision, an old one goes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from e2e.cluster import Cluster
from e2e.conditions import condition, told
from e2e.manifests import scripted
from e2e.namespace import Manifest, Namespace
from e2e.truth.asking import Asker
from e2e.waiting import GaveUp
from e2e.watching import Watcher

LIFE = ("create", "change", "twice", "back", "scale", "change", "recreate")
"""What happens to one service, in this order; then it's deleted, and the next one comes."""
HELD_S = 3.0
"""How long each is watched after it was Ready."""
READY_WITHIN_S = 180.0


@dataclass(slots=True)
class Cycle:
    """One creation or change; times in seconds."""

    kind: str
    word: str
    generation: int = 0
    to_first_answer: float | None = None
    """From the act to this generation's first answer."""
    ready_after_answer: float = 0.0
    """From that answer to Ready=True; below zero where Ready came first."""
    requests: int = 0
    failed_before: int = 0
    """Requests that weren't answered while it changed, though something served before."""
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Told:
    """What status said of one object at one moment."""

    at: float
    generation: int
    """metadata.generation, where status speaks of it; else 0."""
    ready: bool
    says: str


@dataclass(slots=True)
class Worker:
    """Does one cycle after another to one service."""

    watcher: Watcher
    cluster: Cluster
    namespace: Namespace
    image: str
    name: str
    router: str
    """The LLMRouter that is declared; empty: one on demand, which comes and goes with the service."""
    told: list[Told] = field(default_factory=list)

    async def work(self, numbers: Iterator[int], cycles: list[Cycle]) -> None:
        """Takes numbers as long as there are some."""
        self.watcher.listen(self._hear)
        while (number := next(numbers, None)) is not None:
            await self._live(number, numbers, cycles)

    async def _live(self, number: int, numbers: Iterator[int], cycles: list[Cycle]) -> None:
        """One life of the service."""
        words: list[str] = []
        try:
            cycle = await self._apply("create", number, words)
            async with self._asking() as asker:
                await self._judge(cycle, asker, cycles)
                for kind in LIFE[1:]:
                    if (following := next(numbers, None)) is None:
                        break
                    cycle = await self._apply(kind, following, words)
                    await self._judge(cycle, asker, cycles)
        except GaveUp as gave_up:
            cycle.problems.append(str(gave_up))
            cycles.append(cycle)
        finally:
            await asyncio.to_thread(self.namespace.delete, f"llmservice/{self.name}")

    async def _apply(self, kind: str, number: int, words: list[str]) -> Cycle:
        """Declares the next generation; returns when the API server has it."""
        word = words[-2] if kind == "back" else f"w{number}"
        over: dict[str, Any] = {"replicas": 2} if kind == "scale" else {}
        if kind == "recreate":
            over = {"rollout": {"strategy": "Recreate"}}
        if kind == "twice":
            await asyncio.to_thread(self.namespace.apply, self._manifest(f"{word}-hasty", over))
        words.append(word)
        cycle = Cycle(kind, word)
        self.told.clear()
        cycle.to_first_answer = -time.monotonic()
        await asyncio.to_thread(self.namespace.apply, self._manifest(word, over))
        cycle.generation = int(
            (await asyncio.to_thread(self.namespace.the, f"llmservice/{self.name}"))["metadata"]["generation"]
        )
        return cycle

    def _manifest(self, word: str, over: Mapping[str, Any]) -> Manifest:
        spec: dict[str, Any] = {
            "engine": {"args": {"scripted-says": f"{word} "}},
            "drainSeconds": 1,
            **over,
        }
        if self.router:
            spec["routerRef"] = {"name": self.router}
        return scripted(self.name, self.image, **spec)

    @contextlib.asynccontextmanager
    async def _asking(self) -> AsyncIterator[Asker]:
        """An asker at the router's Service, as soon as that is there."""
        service = f"service/{self.router or 'default'}-router"
        deadline = time.monotonic() + READY_WITHIN_S
        while await asyncio.to_thread(self.namespace.get, service) is None:
            if time.monotonic() > deadline:
                raise GaveUp(f"there is no {service}")
            await asyncio.sleep(0.2)
        with contextlib.ExitStack() as held:
            forward = self.cluster.forward(service, "http", self.namespace.name)
            address = await asyncio.to_thread(held.enter_context, forward)
            async with Asker(address, self.name) as asker:
                yield asker

    async def _judge(self, cycle: Cycle, asker: Asker, cycles: list[Cycle]) -> None:
        """Waits for Ready, asks at once, watches on, and compares."""
        assert cycle.to_first_answer is not None
        began = -cycle.to_first_answer
        cycle.to_first_answer = None
        ready = await self._ready(cycle)
        at_once = await asker.ask()
        if at_once.error or at_once.word != cycle.word:
            cycle.problems.append(f"Ready, and the first request: {at_once.error or repr(at_once.word)}")
        await asyncio.sleep(HELD_S)
        self._compare(cycle, asker, began, ready)
        cycles.append(cycle)
        print(line(len(cycles), self.name, cycle), flush=True)

    def _compare(self, cycle: Cycle, asker: Asker, began: float, ready: float) -> None:
        after = asker.since(ready)
        first = asker.first(cycle.word) if cycle.kind != "back" else _again(asker, cycle.word, began)
        if first is None:
            cycle.problems.append("Ready, and this generation never answered")
            return
        cycle.requests = len(asker.since(began))
        cycle.to_first_answer = first.answered - began
        cycle.ready_after_answer = ready - first.answered
        wrong = [a for a in after if a.error or a.word != cycle.word]
        cycle.problems += [f"after Ready: {a.error or repr(a.word)}" for a in wrong[:3]]
        if cycle.kind not in ("create", "recreate"):
            cycle.failed_before = len([a for a in asker.since(began) if a.error and a.asked <= ready])
        lost = [it for it in self.told if it.at > ready and not (it.ready and it.generation)]
        cycle.problems += [f"Ready was lost while it answered: {it.says}" for it in lost[:1]]

    async def _ready(self, cycle: Cycle) -> float:
        """The moment at which status first says that this generation is Ready."""

        def moment(_: object) -> float | None:
            hits = (it.at for it in self.told if it.ready and it.generation >= cycle.generation)
            return next(hits, None)

        what = f"{self.namespace.name} {self.name} {cycle.kind} to be Ready"
        try:
            await self.watcher.until(self.namespace.name, moment, READY_WITHIN_S, what)
        except GaveUp as gave_up:
            raise GaveUp(f"{gave_up}; there is {self.told[-1].says if self.told else 'no status'}") from None
        return moment(None) or 0.0

    def _hear(self, kind: str, item: Manifest) -> None:
        meta = item["metadata"]
        if kind != "llmservices" or (meta["namespace"], meta["name"]) != (self.namespace.name, self.name):
            return
        observed = int((item.get("status") or {}).get("observedGeneration") or 0)
        current = observed if observed == meta.get("generation") else 0
        ready = condition(item, "Ready").status == "True"
        self.told.append(Told(time.monotonic(), current, ready and bool(current), told(item)))


def _again(asker: Asker, word: str, began: float) -> Any:
    """The first answer of a word that was heard before, too."""
    return next((answer for answer in asker.since(began) if answer.word == word), None)


def line(count: int, name: str, cycle: Cycle) -> str:
    """A cycle as it comes in."""
    verdict = "; ".join(cycle.problems) or "ok"
    return (
        f"{count:4} {name} {cycle.kind:8} first answer after {cycle.to_first_answer or 0:5.1f} s, "
        f"Ready {cycle.ready_after_answer:+5.1f} s: {verdict}"
    )


def numbers(cycles: int) -> Iterator[int]:
    """The numbers of the cycles, for all workers together."""
    return iter(itertools.islice(itertools.count(1), cycles))
