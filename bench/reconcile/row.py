"""One row: so many services at once, first by the bare client, then by the operator, each on its own plane.

Then one change at a time by turns, a quiet while, a restart, and another quiet while.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.reconcile import floor, room
from bench.reconcile.api import Api
from bench.reconcile.changes import Changes
from bench.reconcile.children import Template
from bench.reconcile.floor import Floor
from bench.reconcile.observer import At, Observer
from bench.reconcile.plane import Operator, Requests, beside, operator, plane, process, resident_mib, written
from e2e.cluster import ControlPlane
from e2e.cluster.progress import say

SETTLED_S, SETTLING_S = 10.0, 180.0
"""Without a write for so long, the operator has settled; it gets so long for that."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many services, over how many namespaces."""

    services: int
    namespaces: int

    def __str__(self) -> str:
        return f"{self.services}" if self.namespaces > 1 or self.services == 1 else f"{self.services} in one"

    def names(self) -> list[At]:
        """The services' namespaces and names."""
        return [(room.namespace(n % self.namespaces), f"chat-{n:04}") for n in range(self.services)]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and 99th percentile of some seconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Spread:
        ordered = sorted(seconds) or [math.nan]
        return cls(
            *(round(ordered[min(len(ordered) - 1, math.ceil(q * len(ordered)) - 1)], 4) for q in (0.5, 0.99))
        )

    def times(self, base: Spread) -> tuple[float, float]:
        """How many times the base's figures."""
        return round(self.p50 / base.p50, 2), round(self.p99 / base.p99, 2)


@dataclass(slots=True)
class Row:
    """What was measured."""

    size: Size
    floor: Spread = field(default_factory=lambda: Spread.of([]))
    applied: Spread = field(default_factory=lambda: Spread.of([]))
    ready: Spread = field(default_factory=lambda: Spread.of([]))
    requests: Requests = field(default_factory=Counter)
    cpu_seconds: float = 0.0
    changes: Mapping[str, tuple[Spread, Spread]] = field(default_factory=dict)
    """By what is changed: the operator's seconds and the floor's."""
    idle_writes: Requests = field(default_factory=Counter)
    restart_writes: Requests = field(default_factory=Counter)
    rss_mib: float = 0.0
    restarted_rss_mib: float = 0.0
    watcher_rss_mib: float = 0.0
    problems: list[str] = field(default_factory=list)

    @property
    def patience_s(self) -> float:
        """How long everything may take before it counts as failed."""
        return 120.0 + 1.0 * self.size.services

    def note(self, problem: str) -> None:
        if problem:
            self.problems.append(f"{self.size}: {problem}")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is measured beside the row itself."""

    changes: int
    quiet_s: float
    logs: Path


async def measure(size: Size, template: Template, wishes: Wishes) -> Row:
    """The whole row."""
    row = Row(size)
    say(f"{size} services: starting two control planes")
    with plane(size.namespaces) as bare, plane(size.namespaces) as managed:
        async with Api(bare.url, bare.pki) as hands, Api(managed.url, managed.pki) as user:
            base, eyes = Observer(hands, template.kinds), Observer(user, template.kinds)
            client = Floor(hands, template)
            await _floor(row, client, hands, base)
            with process(
                beside("standin", managed.url, managed.pki), wishes.logs / f"standin-{size.services}.log"
            ):
                changes = Changes(hands, user, base, eyes, client, wishes.changes, size.names())
                await _operator(row, user, eyes, managed, wishes, changes)
            await base.stop()
            await eyes.stop()
    return row


async def _floor(row: Row, client: Floor, api: Api, eyes: Observer) -> None:
    await eyes.start()
    services = row.size.names()
    say("  the bare client applies")
    await floor.create(api, eyes, services, client.children)
    row.note(await eyes.until("seen", lambda: _count(services, eyes.applied), 60))
    row.floor = Spread.of([eyes.applied(at) - eyes.lives[at].created for at in services])
    say(f"    p50 {row.floor.p50:.2f} s, p99 {row.floor.p99:.2f} s")


async def _operator(
    row: Row, api: Api, eyes: Observer, managed: ControlPlane, wishes: Wishes, changes: Changes
) -> None:
    await eyes.start()
    with operator(managed, wishes.logs / f"operator-{row.size.services}.log") as running:
        await _work(row, api, eyes, running)
        await _settle(row, running)
        if wishes.changes:
            row.changes = await _one_by_one(row, changes)
            await _settle(row, running)
        row.idle_writes = await _quiet(running, "idle", wishes.quiet_s)
        row.rss_mib = running.rss_mib
        await asyncio.to_thread(running.stop)
    with contextlib.ExitStack() as stack:
        watcher = stack.enter_context(
            process(beside("watcher", managed.kubeconfig), wishes.logs / f"watcher-{row.size.services}.log")
        )
        running = stack.enter_context(operator(managed, wishes.logs / f"restarted-{row.size.services}.log"))
        row.restart_writes = await _quiet(running, "after a restart", wishes.quiet_s, since_start=True)
        row.restarted_rss_mib, row.watcher_rss_mib = running.rss_mib, resident_mib(watcher.pid)
        await asyncio.to_thread(running.stop)


async def _work(row: Row, api: Api, eyes: Observer, running: Operator) -> None:
    services = row.size.names()
    say("  the operator applies")
    before, cpu = running.requests(), running.cpu_seconds
    await floor.create(api, eyes, services)
    row.note(await eyes.until("applied", lambda: _count(services, eyes.applied), row.patience_s))
    row.applied = Spread.of([eyes.applied(at) - eyes.lives[at].created for at in services])
    say(f"    p50 {row.applied.p50:.2f} s, p99 {row.applied.p99:.2f} s")
    row.note(
        await eyes.until("Ready", lambda: _count(services, lambda at: eyes.lives[at].ready), row.patience_s)
    )
    row.ready = Spread.of([eyes.lives[at].ready - eyes.lives[at].created for at in services])
    say(f"    Ready p50 {row.ready.p50:.2f} s, p99 {row.ready.p99:.2f} s")
    row.requests, row.cpu_seconds = running.requests() - before, running.cpu_seconds - cpu


async def _settle(row: Row, running: Operator) -> None:
    began = still = time.monotonic()
    before = running.requests()
    while time.monotonic() - still < SETTLED_S:
        await asyncio.sleep(2.5)
        now = running.requests()
        if written(before, now):
            before, still = now, time.monotonic()
        if time.monotonic() - began > SETTLING_S:
            row.note(f"still writing {SETTLING_S:.0f} s after everything was ready")
            return


async def _one_by_one(row: Row, changes: Changes) -> Mapping[str, tuple[Spread, Spread]]:
    measured = {}
    for what, by_turns in (("create", changes.create), ("scale", changes.scale)):
        say(f"  one change at a time: {what}")
        operators, floors, problem = await by_turns()
        row.note(problem)
        measured[what] = Spread.of(operators), Spread.of(floors)
        one, other = measured[what]
        told = [f"{seconds * 1000:.0f}" for seconds in (one.p50, one.p99, other.p50, other.p99)]
        say("    p50 {} ms, p99 {} ms; floor {} and {} ms".format(*told))
    return measured


async def _quiet(running: Operator, what: str, seconds: float, *, since_start: bool = False) -> Requests:
    say(f"  {seconds:.0f} quiet seconds, {what}")
    before = Counter() if since_start else running.requests()
    await asyncio.sleep(seconds)
    found = written(before, running.requests())
    say(f"    {found.total()} writes" + (f": {dict(found)}" if found else ""))
    return found


def _count(services: Sequence[At], when: Callable[[At], float]) -> tuple[int, int]:
    return sum(when(at) < math.inf for at in services), len(services)
