"""The keyed queue in virtual time: who runs when, how often, and what happens when passes fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.api.names import Key
from pointsman.engine.queue import Backoff, Finished, KeyQueue, Outcome, Priority
from pointsman.kube.protocol import Conflict, Retryable
from tests.unit.engine.virtual import now, run

A, B, C = (Key("LLMService", "ns", name) for name in "abc")


@dataclass
class Desk:
    """Records passes; each takes `seconds` and ends as `script` says."""

    seconds: float = 1.0
    script: dict[Key, list[Outcome | Exception]] = field(default_factory=dict)
    starts: list[tuple[float, Key]] = field(default_factory=list)
    ends: list[tuple[float, Key]] = field(default_factory=list)
    finished: list[Finished] = field(default_factory=list)
    active: dict[Key, int] = field(default_factory=dict)
    most: int = 0
    began: float = 0.0

    async def work(self, key: Key) -> Outcome:
        self.starts.append((round(now() - self.began, 3), key))
        self.active[key] = self.active.get(key, 0) + 1
        assert self.active[key] == 1, "two passes of one key at a time"
        self.most = max(self.most, sum(self.active.values()))
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.active[key] -= 1
        self.ends.append((round(now() - self.began, 3), key))
        steps = self.script.get(key) or []
        step = steps.pop(0) if steps else Outcome()
        if isinstance(step, Exception):
            raise step
        return step

    def queue(self, *, concurrency: int = 2, draw: float = 0.5, backoff: Backoff | None = None) -> KeyQueue:
        self.began = now()
        return KeyQueue(
            self.work,
            draw=lambda: draw,
            concurrency=concurrency,
            backoff=backoff,
            pass_seconds=60.0,
            observe=self.finished.append,
        )


Scenario = Callable[[Desk], Awaitable[None]]


def played(scenario: Scenario, desk: Desk | None = None) -> Desk:
    desk = desk or Desk()
    run(_play(scenario, desk))
    return desk


async def _play(scenario: Scenario, desk: Desk) -> None:
    await scenario(desk)


def test_a_key_added_many_times_while_it_waits_runs_once() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue(concurrency=1)
        queue.add(A)
        for _ in range(5):
            queue.add(B)
        await asyncio.sleep(10)

    assert played(scenario).starts == [(0, A), (1, B)]


def test_a_key_added_while_it_runs_runs_once_more_afterwards() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue()
        queue.add(A)
        await asyncio.sleep(0.5)
        for _ in range(5):
            queue.add(A)
        await asyncio.sleep(10)
        assert queue.snapshot() == []

    assert played(scenario).starts == [(0, A), (1, A)]


def test_no_more_passes_than_workers() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue(concurrency=2)
        for key in (A, B, C):
            queue.add(key)
        await asyncio.sleep(0.5)
        assert (queue.running, queue.depth) == (2, 1)
        await asyncio.sleep(10)

    desk = played(scenario)
    assert desk.most == 2
    assert desk.starts == [(0, A), (0, B), (1, C)]


def test_deletions_go_first_and_resyncs_last() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue(concurrency=1)
        queue.add(Key("LLMService", "ns", "busy"))
        queue.add(C, Priority.RESYNC)
        queue.add(B, Priority.NORMAL)
        queue.add(A, Priority.URGENT)
        await asyncio.sleep(10)

    assert [key for _, key in played(scenario).starts][1:] == [A, B, C]


def test_a_waiting_key_takes_the_highest_of_its_priorities() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue(concurrency=1)
        queue.add(C)
        queue.add(A, Priority.NORMAL)
        queue.add(B, Priority.RESYNC)
        queue.add(B, Priority.URGENT)
        queue.add(B, Priority.RESYNC)
        await asyncio.sleep(10)

    assert [key for _, key in played(scenario).starts] == [C, B, A]


def test_a_resync_is_not_starved_by_events() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue(concurrency=1)
        queue.add(A)
        queue.add(B, Priority.RESYNC)
        for number in range(200):
            queue.add(Key("LLMService", "ns", f"event-{number}"))
            await asyncio.sleep(1)

    started = next(at for at, key in played(scenario).starts if key == B)
    assert 55 <= started <= 70


def test_an_outcome_brings_the_key_back_after_the_time_it_names() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue()
        queue.add(A)
        await asyncio.sleep(30)

    desk = played(scenario, Desk(script={A: [Outcome(requeue_after=5), Outcome(requeue_after=15)]}))
    assert desk.starts == [(0, A), (6, A), (22, A)]


def test_an_event_comes_before_the_timer_and_replaces_it() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue()
        queue.add(A)
        await asyncio.sleep(3)
        queue.add(A)
        await asyncio.sleep(60)

    desk = played(scenario, Desk(script={A: [Outcome(requeue_after=10)]}))
    assert desk.starts == [(0, A), (3, A)]


def test_of_two_timers_the_earlier_counts() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue()
        queue.add(A, after=20)
        queue.add(A, after=5)
        queue.add(A, after=30)
        await asyncio.sleep(60)

    assert played(scenario).starts == [(5, A)]


def test_an_outcome_wakes_others_and_itself() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue()
        queue.add(A)
        await asyncio.sleep(10)

    desk = played(scenario, Desk(script={A: [Outcome(wake=(A, B))]}))
    assert desk.starts == [(0, A), (1, A), (1, B)]


@pytest.mark.parametrize(
    ("failures", "draw", "delay"),
    [
        pytest.param(1, 0.0, 0.0, id="full jitter may be nothing"),
        pytest.param(1, 1.0, 0.5, id="the first failure waits up to half a second"),
        pytest.param(2, 1.0, 1.0, id="then up to twice that"),
        pytest.param(6, 0.5, 8.0, id="the sixth up to sixteen, here half of it"),
        pytest.param(40, 1.0, 300.0, id="never more than five minutes"),
        pytest.param(10_000, 1.0, 300.0, id="and no overflow after a week"),
    ],
)
def test_backoff(failures: int, draw: float, delay: float) -> None:
    assert Backoff().delay(failures, draw) == delay


def test_failures_back_off_per_key_and_a_success_forgets_them() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue(draw=1.0)
        queue.add(A)
        queue.add(B)
        await asyncio.sleep(100)
        queue.add(A)
        await asyncio.sleep(100)

    errors: list[Outcome | Exception] = [
        Conflict("x"),
        Conflict("x"),
        Conflict("x"),
        Outcome(),
        Conflict("x"),
    ]
    desk = played(scenario, Desk(script={A: errors}))
    assert [at for at, key in desk.starts if key == A] == [0, 1.5, 3.5, 6.5, 100, 101.5]
    assert [at for at, key in desk.starts if key == B] == [0]
    assert [f.retry_after for f in desk.finished if f.key == A] == [0.5, 1.0, 2.0, None, 0.5, None]


def test_the_servers_retry_after_is_kept() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue(draw=0.0)
        queue.add(A)
        await asyncio.sleep(60)

    desk = played(scenario, Desk(script={A: [Retryable("slow down", 7.0)]}))
    assert desk.starts == [(0, A), (8, A)]


def test_a_failing_key_to_which_something_happened_is_tried_soon_but_not_at_once() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue(draw=1.0, backoff=Backoff(first=100.0))
        queue.add(A)
        await asyncio.sleep(0.5)
        queue.add(A)
        await asyncio.sleep(60)

    desk = played(scenario, Desk(script={A: [Conflict("x")]}))
    assert desk.starts == [(0, A), (2, A)]


def test_an_event_cuts_a_backoff_short() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue(draw=1.0, backoff=Backoff(first=100.0))
        queue.add(A)
        await asyncio.sleep(5)
        queue.add(A)
        await asyncio.sleep(300)

    desk = played(scenario, Desk(script={A: [Conflict("x")]}))
    assert desk.starts == [(0, A), (5, A)]


def test_a_pass_that_hangs_is_given_up_and_tried_again() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue(draw=1.0)
        queue.add(A)
        await asyncio.sleep(100)
        assert queue.running == 1

    desk = played(scenario, Desk(seconds=1e6))
    assert [at for at, _ in desk.starts] == [0, 60.5]
    assert isinstance(desk.finished[0].error, TimeoutError)


def test_a_drain_waits_for_what_runs_and_starts_nothing() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue(concurrency=1)
        queue.add(A)
        queue.add(B)
        queue.add(C, after=0.5)
        await asyncio.sleep(0.2)
        await queue.drain(10)
        assert round(now() - desk.began, 3) == 1.0
        queue.add(C)
        await asyncio.sleep(10)

    desk = played(scenario)
    assert desk.starts == [(0, A)]
    assert desk.ends == [(1, A)]


def test_a_drain_cuts_off_what_takes_too_long() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue()
        queue.add(A)
        await asyncio.sleep(0.2)
        await queue.drain(3)
        assert round(now() - desk.began, 3) == 3.2

    assert played(scenario, Desk(seconds=50)).ends == []


def test_the_age_of_the_oldest_key_is_that_of_waiting_for_a_worker() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue(concurrency=1)
        assert queue.oldest_seconds == 0
        queue.add(A)
        queue.add(B, after=5)
        await asyncio.sleep(4)
        assert queue.oldest_seconds == 0
        await asyncio.sleep(4)
        assert queue.oldest_seconds == pytest.approx(3)
        assert queue.stuck_seconds == 0
        states = {row["key"].rpartition("/")[2]: row["state"] for row in queue.snapshot()}
        assert states == {"a": "running", "b": "pending"}

    played(scenario, Desk(seconds=20))


def test_a_key_that_waits_is_shown_with_what_it_waits_for() -> None:
    async def scenario(desk: Desk) -> None:
        queue = desk.queue()
        queue.add(A, Priority.URGENT)
        await asyncio.sleep(5)
        queue.add(A, Priority.RESYNC, after=60.0)
        queue.add(B, Priority.RESYNC, after=60.0)
        queue.add(B, Priority.NORMAL, after=15.0)
        rows = {row["key"].rpartition("/")[2]: row for row in queue.snapshot()}
        assert {name: (row["state"], row["priority"]) for name, row in rows.items()} == {
            "a": ("waiting", "resync"),
            "b": ("waiting", "normal"),
        }
        await asyncio.sleep(100)

    played(scenario)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[float, int, Priority, float, bool]]:
    """(pause before it, key, priority, delay, whether the key's next pass fails)"""
    return draw(
        st.lists(
            st.tuples(
                st.sampled_from([0.0, 0.1, 0.7, 3.0]),
                st.integers(0, 4),
                st.sampled_from(list(Priority)),
                st.sampled_from([0.0, 0.0, 0.0, 0.4, 2.0]),
                st.booleans(),
            ),
            max_size=40,
        )
    )


@given(histories(), st.integers(1, 4), st.floats(0, 1, exclude_max=True))
@settings(max_examples=150)
def test_no_wish_is_lost_and_no_key_runs_twice_at_a_time(
    history: list[tuple[float, int, Priority, float, bool]], concurrency: int, draw: float
) -> None:
    wishes: list[tuple[float, Key]] = []

    async def scenario(desk: Desk) -> None:
        queue = desk.queue(concurrency=concurrency, draw=draw)
        for pause, number, priority, after, fails in history:
            await asyncio.sleep(pause)
            key = Key("LLMService", "ns", str(number))
            if fails:
                desk.script.setdefault(key, []).append(Conflict("x"))
            queue.add(key, priority, after)
            wishes.append((round(now() - desk.began, 3), key))
        await asyncio.sleep(2000)
        assert queue.snapshot() == []

    desk = played(scenario, Desk(seconds=0.3))
    assert desk.most <= concurrency
    for at, wished in wishes:
        # A pass that began after the wish has seen what the wish was about.
        assert any(began >= at for began, key in desk.starts if key == wished)
    failed = {f.key for f in desk.finished if f.error is not None}
    for key in failed:
        assert [f for f in desk.finished if f.key == key][-1].error is None
