"""One process of the operator, as `app.operator` wires it: watches, triggers, queue, passes, the re-list.

Real but for its edges: events come from the twin's store instead of kopf, and time is the virtual loop's.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pointsman.api import names
from pointsman.app.metrics import Metrics
from pointsman.app.resync import Resync
from pointsman.app.watching import CHILD_KINDS
from pointsman.core.settings import Settings
from pointsman.engine.abreast import Abreast
from pointsman.engine.queue import KeyQueue, Outcome
from pointsman.engine.triggers import DELETED, OWN_KINDS, Triggers
from pointsman.kube.store import WatchEvent
from tests.simulation.faults.proxy import Carry, Crash, Happening, Proxied, Request

if TYPE_CHECKING:
    from pointsman.kube.protocol import Kube
    from tests.simulation.faults.site import Site

RESYNC_SECONDS = 600.0
CRASH_PAUSE = 3.0
"""Seconds until a process that died is started again."""
TOO_MANY_PASSES = 3000
"""In one run; only a loop that feeds itself needs more."""
METRICS = Metrics()
_OWN = frozenset(resource.kind for resource in OWN_KINDS)
_CHILDREN = frozenset(resource.kind for resource in CHILD_KINDS)


class HotLoop(Exception):
    """Passes call for each other without end."""


@dataclass(frozen=True, slots=True)
class Edges:
    """What happens at a process's edges; the defaults are those of a good day."""

    happening: Happening | None = None
    """What becomes of its requests."""
    lost: Callable[[], bool] = lambda: False
    """Whether the next watch event is lost."""
    delay: Callable[[], float] = lambda: 0.0
    """Seconds that the next event, or the next request, takes."""
    lag: float = 0.0
    """Seconds for which it may be shown what was before."""


class Process:
    """Started on construction; `die` ends it as a kill does."""

    def __init__(
        self, site: Site, settings: Settings, edges: Edges, *, name: str = "operator", again: bool = True
    ) -> None:
        self._site, self._settings, self._edges, self._name = site, settings, edges, name
        self._again = again
        self._told = 0.0
        self._on_their_way = 0
        self._looked: dict[str, int] = {}
        """What had happened (`Site.happened`) when the last pass of a key began that saw all of it, and ended
        well."""
        self.alive = True
        kube: Kube = Proxied(site.kube, site.timeline.witness)
        if edges.happening is not None:
            kube = Proxied(kube, edges.happening)
        self.kube = Abreast(Proxied(kube, self._ask), watched=(*OWN_KINDS, *CHILD_KINDS))
        self._reconciler = site.operator(self.kube, settings, name)
        self.queue = KeyQueue(self._pass, draw=random.Random(7).random)
        self.triggers = Triggers(self.queue.add, self._reconciler.applier.recognises)
        self._selected: set[tuple[str, str]] = set()
        for stored in site.kube.store.objects.values():
            self._dispatch(None, stored.obj)
        site.kube.store.watchers.add(self._changed)
        resync = Resync(
            self.kube,
            self.triggers,
            METRICS,
            namespaces=[],
            seconds=RESYNC_SECONDS,
            forget=self.kube.forget,
        )
        self._resync = asyncio.create_task(self._relist(resync))

    def under_way(self) -> Iterator[str]:
        """What it has yet to do: hear of events, and passes of keys that it didn't look at since the last
        thing happened. A pass that failed has yet to be done; one that comes again and again is done once."""
        if self._on_their_way:
            yield f"{self._on_their_way} events on their way to {self._name}"
        for row in self.queue.snapshot():
            # What a re-list would look at, or what nobody ever will, is what a lost event is to leave undone.
            awaited = row["state"] != "waiting" or row["priority"] != "resync" or row["failures"]
            forgotten = row["state"] == "waiting" and row["nextSeconds"] is None
            if awaited and not forgotten and self._looked.get(row["key"]) != self._site.happened:
                yield f"a pass of {row['key']} by {self._name} ({row['state']})"

    def die(self) -> None:
        """Nothing it does counts from here on; another process follows after a pause, if one is to."""
        if not self.alive:
            return
        self.alive = False
        self._site.kube.store.watchers.discard(self._changed)
        self._resync.cancel()
        self._site.after(0.0, lambda: self.queue.drain(0.0))
        if self._again:
            self._site.returning += 1
            self._site.after(CRASH_PAUSE, self._return)

    def die_for_good(self) -> None:
        """Ends without a successor."""
        self._again = False
        self.die()

    def look_at_everything(self) -> None:
        """A pass of every object, as after a re-list."""
        for resource in OWN_KINDS:
            for obj in self._site.all(resource.kind):
                metadata = obj["metadata"]
                self.queue.add(names.Key(resource.kind, metadata["namespace"], metadata["name"]))

    async def _return(self) -> None:
        self._site.returning -= 1
        # Not where another release has taken over meanwhile: nobody starts the old one then.
        if self._site.settings == self._settings:
            await self._site.start(self._settings, self._edges, name=self._name)

    async def _relist(self, resync: Resync) -> None:
        try:
            await resync.run()
        except Crash:
            self.die()

    async def _pass(self, key: names.Key) -> Outcome:
        self._site.passes += 1
        if self._site.passes > TOO_MANY_PASSES:
            self._site.broken(HotLoop(f"{TOO_MANY_PASSES} passes, the last for {'/'.join(key)}"))
            raise asyncio.CancelledError
        began, loop = self._site.happened, asyncio.get_running_loop()
        # Until its event has come, a process may go by what it read before.
        sees = not self._on_their_way and loop.time() - self._site.last_happened >= self._edges.lag
        try:
            report = await self._reconciler.reconcile(key)
        except Crash:
            self.die()
            raise
        except Exception as error:
            self._site.tell(f"{self._name}: {key.kind}/{key.name}: {type(error).__name__}: {error}")
            raise
        self._site.tell(f"{self._name}: {key.kind}/{key.name}: {report.because}")
        if sees:
            self._looked["/".join(key)] = began
        return report

    async def _ask(self, request: Request, kube: Kube, carry: Carry) -> Any:
        if not self.alive:
            raise Crash
        if request.writes:
            # Whatever comes of it: who asked for it has yet to see that there is nothing to ask for any more.
            self._site.happen()
        delay = self._edges.delay()
        if delay:
            await asyncio.sleep(delay)
            if not self.alive:
                raise Crash
        try:
            return await carry(kube)
        except Crash:
            self.die()
            raise

    def _changed(self, event: WatchEvent) -> None:
        if event.object["kind"] not in _OWN | _CHILDREN or self._edges.lost():
            return
        loop = asyncio.get_running_loop()
        # A watch keeps the order of its events.
        self._told = max(self._told, loop.time() + self._edges.delay())
        self._on_their_way += 1
        loop.call_at(self._told, self._arrive, event)

    def _arrive(self, event: WatchEvent) -> None:
        self._on_their_way -= 1
        self._dispatch(event.type, event.object)

    def _dispatch(self, kind: str | None, obj: Mapping[str, Any]) -> None:
        if not self.alive:
            return
        self.kube.saw(obj)
        if obj["kind"] in _OWN:
            self.triggers.own_event(kind, obj)
        elif obj["kind"] in _CHILDREN:
            self._dispatch_child(kind, obj)

    def _dispatch_child(self, kind: str | None, obj: Mapping[str, Any]) -> None:
        """The server sends what our label selects; an object that loses the label is DELETED to a watch."""
        at = obj["kind"], obj["metadata"]["name"]
        labels = obj["metadata"].get("labels") or {}
        if labels.get(names.LABEL_MANAGED_BY) != names.MANAGED_BY:
            if at not in self._selected:
                return
            kind = DELETED
        if kind == DELETED:
            self._selected.discard(at)
        else:
            self._selected.add(at)
        self.triggers.child_event(kind, obj)
