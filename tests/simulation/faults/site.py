"""The simulated cluster in virtual time: controllers that work by themselves, processes that start and die.

Where stories give every object a pass in turn, here only the operator's own triggers, timers and re-lists
bring passes about: what they forget stays undone, and is seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pointsman.core.settings import Settings
from pointsman.core.variant import MEASURED
from pointsman.kube.store import Address, Stored, WatchEvent
from pointsman_router import config
from tests.simulation.cluster import SETTINGS, START, Cluster
from tests.simulation.faults.process import Edges, Process
from tests.simulation.faults.proxy import Crash
from tests.simulation.faults.timeline import Timeline

STEP_SECONDS = 1.0
"""How long controllers take to see a change and act on it."""
STARTUP_SECONDS = 4.0
"""How long engines take to be ready, so that the operator has time to do something too early."""
LIMIT_SECONDS = 1200.0
LOOK_SECONDS = 0.5
"""How often it's asked whether anything is under way."""
TRAIL = 400


class Restless(Exception):
    """Something is under way and never comes to an end."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A cluster at rest, to begin from."""

    objects: Mapping[Address, Stored]
    version: int
    now: datetime
    running: Mapping[str, config.RouterConfig]
    knobs: Mapping[str, Any]
    settings: Settings


KNOBS = ("accelerators", "failing", "hub", "trial", "unmounted")


class Site(Cluster):
    """See the module. Needs a running virtual loop."""

    def __init__(self, *, operators: int = 1) -> None:
        self._loop = asyncio.get_running_loop()
        self._epoch = START - timedelta(seconds=self._loop.time())
        self._tasks: set[asyncio.Task[Any]] = set()
        self._changed = asyncio.Event()
        self._controlling = False
        self._operators = operators
        self.happened = 0
        """How often anything changed, in the store or around it. What was looked at since then was seen."""
        self.last_happened = 0.0
        """The loop's time when anything last did."""
        self.returning = 0
        """Processes that died and are about to be started again."""
        self.edges = Edges()
        """What happens to every process that starts."""
        self.interrupted = False
        """A user did something else than the scenario holds; the rest of it doesn't happen."""
        self.settings = SETTINGS
        self.processes: list[Process] = []
        self.passes = 0
        self._moments: list[tuple[float, int]] = []
        self.trail: list[str] = []
        """What was done, when and why; the newest last."""
        self.failure: Exception | None = None
        super().__init__()
        self.startup_seconds = STARTUP_SECONDS
        self.kube.store.watchers.add(self._on_change)
        self.timeline = Timeline(self)
        self.after(0.0, self._control)

    @property
    def now(self) -> datetime:
        """Virtual time; setting it lets time pass."""
        return self._epoch + timedelta(seconds=self._loop.time())

    @now.setter
    def now(self, moment: datetime) -> None:
        late = (moment - self.now).total_seconds()
        self._loop.skip(max(late, 0.0))  # type: ignore[attr-defined]

    # Processes.

    async def start(self, settings: Settings, edges: Edges | None = None, *, name: str = "operator") -> None:
        """Starts one process of the operator."""
        self.settings = settings
        self.processes = [p for p in self.processes if p.alive]
        self.processes.append(Process(self, settings, edges or self.edges, name=name))
        self.tell(f"{name} starts")

    async def start_all(self) -> None:
        """Starts as many processes as this site is to have."""
        for number in range(self._operators):
            await self.start(self.settings, name=f"operator-{number}" if number else "operator")

    async def upgrade(self, settings: Settings) -> None:
        """Ends all processes and starts those of another release."""
        for process in self.processes:
            await process.queue.drain(30.0)
            process.die_for_good()
        self.settings = settings
        await self.start_all()

    def after(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Does something later."""

        async def later() -> None:
            await asyncio.sleep(seconds)
            await work()

        task = self._loop.create_task(later())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Time.

    async def rest(self) -> None:
        """Waits until nothing is under way. Raises Restless, or what broke meanwhile."""
        deadline = self._loop.time() + LIMIT_SECONDS
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self.failure is not None:
                raise self.failure
            if next(self._under_way(), None) is None:
                return
            if self._loop.time() > deadline:
                raise Restless(f"under way after {LIMIT_SECONDS:.0f} s: {'; '.join(self._under_way())}")

    def _under_way(self) -> Iterator[str]:
        """What is going to happen though nobody does anything any more, by whose hand it may be.

        A wait for time to pass is under way where something ends with it: a deletion, which may wait for
        routers, or a comparison that has begun. A look every few seconds that finds all as it was is none,
        and neither is what is tried anew each minute, once it was told that it failed.
        """
        living = [process for process in self.processes if process.alive]
        if self.returning or not living:
            yield "a process that starts"
        if self._controlling or self._changed.is_set():
            yield "controllers at work"
        for stored in self.kube.store.objects.values():
            if stored.obj["metadata"].get("deletionTimestamp"):
                yield f"the deletion of {stored.obj['kind']} {stored.obj['metadata']['name']!r}"
        for service in self.all("LLMService"):
            if _compares((service.get("status") or {}).get("rollout") or {}):
                yield f"a comparison of LLMService {service['metadata']['name']!r}"
        for process in living:
            yield from process.under_way()

    async def resync(self, seconds: float = 900.0) -> None:
        """Waits until every object had the pass that a re-list brings."""
        await asyncio.sleep(seconds)
        await self.rest()

    async def look_again(self) -> None:
        """An hour later, a pass of everything."""
        self._loop.skip(3600.0)  # type: ignore[attr-defined]
        self.poke()
        for process in self.processes:
            process.look_at_everything()
        await self.rest()

    def poke(self) -> None:
        """Something outside the store is another: controllers look again."""
        self.happen()
        self._changed.set()

    def happen(self) -> None:
        """Whoever looked before hasn't seen everything any more."""
        self.happened += 1
        self.last_happened = self._loop.time()

    def version_ago(self, seconds: float) -> int:
        """The version of the store so many seconds ago; 0 where nothing had changed yet."""
        moment = self._loop.time() - seconds
        return max((version for at, version in self._moments if at <= moment), default=0)

    # Beginnings and ends.

    def snapshot(self) -> Snapshot:
        """What is there now."""
        store = self.kube.store
        knobs = {name: getattr(self, name) for name in KNOBS}
        running = {name: self.routers.running(name) for name in self.routers.known()}
        return Snapshot(dict(store.objects), store.version, self.now, running, knobs, self.settings)

    def resume(self, snapshot: Snapshot) -> None:
        """Goes on from there, with no process yet."""
        self._epoch = snapshot.now - timedelta(seconds=self._loop.time())
        self.kube.store.begin_at(snapshot.objects, snapshot.version)
        self.routers.run(snapshot.running)
        for name, value in snapshot.knobs.items():
            setattr(self, name, dict(value) if name == "failing" else value)
        self.settings = snapshot.settings
        self.timeline.begin()

    async def close(self) -> None:
        """Ends everything."""
        for process in self.processes:
            process.die_for_good()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What is told.

    def tell(self, line: str) -> None:
        """Notes what was done."""
        self.trail.append(f"{(self.now - START).total_seconds():9.2f} {line}")
        del self.trail[:-TRAIL]

    def broken(self, failure: Exception) -> None:
        """Something that no run may show; `rest` raises it."""
        self.failure = self.failure or failure

    def _on_change(self, event: WatchEvent) -> None:
        self._moments.append((self._loop.time(), self.kube.store.version))
        self.poke()

    async def _control(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._controlling = True
            await asyncio.sleep(STEP_SECONDS)
            try:
                self.step()
            except Exception as error:
                self.broken(error)
                raise
            if self.starting:
                self._changed.set()
            self._controlling = False


def _compares(rollout: Mapping[str, Any]) -> bool:
    """Whether a comparison is under way. One that routers haven't acknowledged may never be."""
    analysis, step = rollout.get("analysis") or {}, rollout.get("step")
    window = f"{rollout.get('candidate')}/{rollout.get('stepIndex', 0)}"
    return step in MEASURED and (analysis.get("step"), analysis.get("window")) == (step, window)


def quietly(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception handler that takes a process's death for what it is."""
    if not isinstance(context.get("exception"), Crash):
        loop.default_exception_handler(context)
