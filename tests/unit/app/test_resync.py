"""The full re-list: passes for everything, and what watches missed."""

from __future__ import annotations

import asyncio
import contextlib

from pointsman.api.names import LLMSERVICE, Key
from pointsman.app.metrics import Metrics
from pointsman.app.resync import RETRY_SECONDS, Resync
from pointsman.engine.queue import Priority
from pointsman.engine.triggers import Triggers
from pointsman.kube import Retryable
from pointsman.kube.twin import Call, MemoryKube
from tests.unit.engine.virtual import now, run

NAMES = ("a", "b")


def service(name: str, namespace: str = "ns") -> dict[str, object]:
    return {
        "apiVersion": "serving.pointsman.dev/v1alpha1",
        "kind": "LLMService",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {},
    }


class Desk:
    def __init__(self, kube: MemoryKube, *, namespaces: tuple[str, ...] = ()) -> None:
        self.added: list[tuple[Key, Priority, float]] = []
        self.metrics = Metrics()
        self.triggers = Triggers(self._add)
        self.resync = Resync(kube, self.triggers, self.metrics, namespaces=namespaces, seconds=600)

    def _add(self, key: Key, priority: Priority = Priority.NORMAL, after: float = 0.0) -> None:
        self.added.append((key, priority, after))

    def missed(self) -> float:
        counter = self.metrics.watch_missed
        return sum(s.value for m in counter.collect() for s in m.samples if s.name.endswith("_total"))


async def test_every_object_gets_a_pass_and_a_deletion_in_a_gap_is_found() -> None:
    kube = MemoryKube()
    made = [await kube.create(service(name)) for name in NAMES]
    desk = Desk(kube)
    await desk.resync.once()
    assert {key.name for key, _, _ in desk.added} == {"a", "b", "default"}
    await kube.delete(LLMSERVICE, "ns", "a", uid=made[0]["metadata"]["uid"])
    desk.added.clear()
    missed = await desk.resync.once()
    assert [key.name for key in missed] == ["a"]
    assert (Key("LLMService", "ns", "a"), Priority.NORMAL, 0.0) in desk.added
    assert b'name="a"' not in desk.metrics.exposition()


async def test_only_the_watched_namespaces_are_listed() -> None:
    kube = MemoryKube()
    await kube.create(service("a", "mine"))
    await kube.create(service("b", "other"))
    desk = Desk(kube, namespaces=("mine",))
    await desk.resync.once()
    assert {key.namespace for key, _, _ in desk.added} == {"mine"}


def test_a_list_that_fails_is_tried_again_soon_and_the_first_counts_nothing_as_missed() -> None:
    failures = [Retryable("no"), Retryable("no")]

    def fail(call: Call) -> None:
        if call.verb == "list" and failures:
            raise failures.pop()

    async def play() -> None:
        kube = MemoryKube(before=fail)
        await kube.create(service("a"))
        desk, began = Desk(kube), now()
        task = asyncio.create_task(desk.resync.run())
        await desk.resync.tried.wait()
        assert now() == began, "nobody who waits for the first try waits for the next"
        await desk.resync.done.wait()
        assert now() - began == 2 * RETRY_SECONDS
        assert desk.missed() == 0
        await kube.create(service("late"))
        await asyncio.sleep(700)
        assert desk.missed() == 1
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run(play())
