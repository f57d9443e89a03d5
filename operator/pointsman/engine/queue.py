"""The keyed queue: which object gets its next pass, and when.

Triggers put keys in and forget them; the same key waits at most once and never runs twice at a time. An
object that changes while its pass runs gets another one. Failures back off per key with full jitter. The
queue knows nothing of what a pass does, and remembers nothing but who waits, runs or has failed.
"""

from __future__ import annotations

import asyncio
import enum
import heapq
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pointsman.api.names import Key
from pointsman.kube.protocol import Retryable


class Priority(enum.Enum):
    """Whose turn it is among those that wait; the value is a head start in seconds, so nobody starves."""

    URGENT = 3600.0
    """Deletions and rollbacks."""
    NORMAL = 0.0
    """Something happened."""
    RESYNC = -60.0
    """Nothing is known to have happened."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a pass says about the future."""

    requeue_after: float | None = None
    """Seconds until the next look at this key; None: events will bring it."""
    wake: Sequence[Key] = ()
    """Other objects that should look again now."""
    urgent: bool = False
    """Whether the next look at this key goes before others (a deletion or a rollback is under way)."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: after the n-th failure in a row wait anything up to `first * 2**(n-1)`, at most `most`."""

    first: float = 0.5
    most: float = 300.0

    def delay(self, failures: int, draw: float) -> float:
        """Seconds to wait after `failures` (>= 1) in a row; `draw` is uniform in [0, 1)."""
        # 2**64 is beyond any bound; larger exponents only cost.
        return draw * min(self.most, self.first * 2.0 ** min(failures - 1, 64))


@dataclass(slots=True)
class _Entry:
    """All that is known about a key that isn't idle."""

    priority: Priority = Priority.NORMAL
    pending_since: float | None = None
    """When it became due; None while it isn't waiting for a turn."""
    ticket: int = 0
    """The heap entry that counts; older ones of this key are void."""
    task: asyncio.Task[None] | None = None
    started: float = 0.0
    dirty: Priority | None = None
    """Something happened during the pass: run again, with this priority."""
    timer: asyncio.TimerHandle | None = None
    timer_priority: Priority = Priority.NORMAL
    failures: int = 0

    @property
    def idle(self) -> bool:
        return self.pending_since is None and self.task is None and self.timer is None and not self.failures


@dataclass(frozen=True, slots=True)
class Finished:
    """One pass, for metrics and logs."""

    key: Key
    seconds: float
    waited: float
    error: BaseException | None = None
    retry_after: float | None = None


Reconcile = Callable[[Key], Awaitable[Outcome]]
IMPATIENT = 1.0
"""Longest wait, in seconds, of a key that failed while something happened to it."""


class KeyQueue:
    """See the module. All methods belong to the event loop's thread; time is the loop's time."""

    def __init__(
        self,
        reconcile: Reconcile,
        *,
        draw: Callable[[], float],
        concurrency: int = 8,
        pass_seconds: float = 120.0,
        backoff: Backoff | None = None,
        observe: Callable[[Finished], None] = lambda finished: None,
    ) -> None:
        self._reconcile = reconcile
        self._draw = draw
        self._concurrency = concurrency
        self._pass_seconds = pass_seconds
        self._backoff = backoff or Backoff()
        self._observe = observe
        self._entries: dict[Key, _Entry] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._tickets = itertools.count(1)
        self._running = 0
        self._finished = 0
        self._draining = False
        self._loop = asyncio.get_running_loop()

    def add(self, key: Key, priority: Priority = Priority.NORMAL, after: float = 0.0) -> None:
        """A pass for this key, now or `after` seconds from now; the earliest wish of several counts."""
        if self._draining:
            return
        entry = self._entries.setdefault(key, _Entry())
        if after > 0:
            self._set_timer(key, entry, after, priority)
        elif entry.task is not None:
            entry.dirty = _higher(entry.dirty, priority)
        else:
            self._set_pending(key, entry, priority)
            self._pump()

    async def drain(self, seconds: float) -> None:
        """Starts nothing more, waits for the passes that run, and cancels what is left after `seconds`."""
        self._draining = True
        for entry in self._entries.values():
            if entry.timer is not None:
                entry.timer.cancel()
        tasks = [entry.task for entry in self._entries.values() if entry.task is not None]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    @property
    def depth(self) -> int:
        """Keys that wait for a turn."""
        return sum(1 for entry in self._entries.values() if entry.pending_since is not None)

    @property
    def running(self) -> int:
        """Passes under way."""
        return self._running

    @property
    def finished(self) -> int:
        """Passes so far."""
        return self._finished

    @property
    def oldest_seconds(self) -> float:
        """How long the key that has waited longest for its turn has waited."""
        since = [e.pending_since for e in self._entries.values() if e.pending_since is not None]
        return max(0.0, self._loop.time() - min(since)) if since else 0.0

    @property
    def stuck_seconds(self) -> float:
        """The same while a worker is free to take it, else 0: only a defect makes it more than an instant."""
        return self.oldest_seconds if self._running < self._concurrency and not self._draining else 0.0

    def snapshot(self) -> list[dict[str, Any]]:
        """Every key that isn't idle, for a person who debugs."""
        now = self._loop.time()
        return [_described(key, entry, now) for key, entry in sorted(self._entries.items())]

    def _set_pending(self, key: Key, entry: _Entry, priority: Priority) -> None:
        if entry.pending_since is None:
            entry.pending_since, entry.priority = self._loop.time(), priority
        else:
            better = _higher(entry.priority, priority)
            if better is entry.priority:
                return
            entry.priority = better
        entry.ticket = next(self._tickets)
        heapq.heappush(self._heap, (entry.pending_since - entry.priority.value, entry.ticket, key))

    def _set_timer(self, key: Key, entry: _Entry, after: float, priority: Priority) -> None:
        due = self._loop.time() + after
        if entry.timer is not None:
            if entry.timer.when() <= due:
                entry.timer_priority = _higher(entry.timer_priority, priority)
                return
            entry.timer.cancel()
        entry.timer_priority = priority
        entry.timer = self._loop.call_at(due, self._ring, key)

    def _ring(self, key: Key) -> None:
        entry = self._entries[key]
        entry.timer = None
        self.add(key, entry.timer_priority)

    def _pump(self) -> None:
        while self._running < self._concurrency and self._heap and not self._draining:
            _, ticket, key = heapq.heappop(self._heap)
            entry = self._entries.get(key)
            if entry is None or entry.ticket != ticket or entry.pending_since is None:
                continue
            now = self._loop.time()
            waited, entry.pending_since, entry.started = now - entry.pending_since, None, now
            # Whatever a timer was for, this pass looks at it.
            if entry.timer is not None:
                entry.timer.cancel()
                entry.timer = None
            self._running += 1
            entry.task = self._loop.create_task(self._run(key, entry, waited), name=f"pass {'/'.join(key)}")

    async def _run(self, key: Key, entry: _Entry, waited: float) -> None:
        outcome, error = Outcome(), None
        try:
            async with asyncio.timeout(self._pass_seconds):
                outcome = await self._reconcile(key)
        except Exception as caught:
            error = caught
        finally:
            # Also when cancelled: a pass that was cut off is no longer running.
            entry.task = None
            self._running -= 1
        retry = self._after(key, entry, outcome, error)
        self._finished += 1
        self._observe(Finished(key, self._loop.time() - entry.started, waited, error, retry))
        if entry.idle:
            self._entries.pop(key, None)
        self._pump()

    def _after(self, key: Key, entry: _Entry, outcome: Outcome, error: Exception | None) -> float | None:
        dirty, entry.dirty = entry.dirty, None
        retry = None
        if error is None:
            entry.failures = 0
            if outcome.requeue_after is not None:
                priority = Priority.URGENT if outcome.urgent else Priority.NORMAL
                # Never 0: that would be a pass that asks for itself for ever without a breath.
                self.add(key, priority, max(outcome.requeue_after, 0.05))
        else:
            entry.failures += 1
            retry = self._retry_delay(entry, error, dirty is not None)
            self.add(key, dirty or Priority.NORMAL, max(retry, 0.001))
        if dirty is not None and error is None:
            self.add(key, dirty)
        for other in outcome.wake:
            self.add(other)
        return retry

    def _retry_delay(self, entry: _Entry, error: Exception, dirty: bool) -> float:
        delay = self._backoff.delay(entry.failures, self._draw())
        if dirty:
            # The world changed meanwhile, so the reason may be gone; but no hot loop on our own events.
            delay = min(delay, IMPATIENT)
        return max(delay, error.after_seconds) if isinstance(error, Retryable) else delay


def _higher(one: Priority | None, other: Priority) -> Priority:
    return other if one is None or other.value > one.value else one


def _described(key: Key, entry: _Entry, now: float) -> dict[str, Any]:
    if entry.task is not None:
        state = "dirty" if entry.dirty is not None else "running"
    else:
        state = "pending" if entry.pending_since is not None else "waiting"
    priority = entry.timer_priority if state == "waiting" else entry.priority
    return {
        "key": "/".join(key),
        "state": state,
        "priority": priority.name.lower(),
        "pendingSeconds": round(now - entry.pending_since, 3) if entry.pending_since is not None else None,
        "runningSeconds": round(now - entry.started, 3) if entry.task is not None else None,
        "nextSeconds": round(entry.timer.when() - now, 3) if entry.timer is not None else None,
        "failures": entry.failures,
    }
