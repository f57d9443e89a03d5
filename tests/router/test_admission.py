"""The queue in front of full engines, and the budget of retries: order, bounds, and what they tell."""

from pointsman_router.engines.admission import Queue, freed
from pointsman_router.engines.retries import Budget, backoff


class _Engine:
    def __init__(self, room: int) -> None:
        self.room = room
        self.wanted: tuple[Queue, ...] = ()


class _Waiter:
    def __init__(self, name: str, engine: _Engine, gone: list[str]) -> None:
        self.name, self._engine, self._gone = name, engine, gone

    def go(self) -> bool:
        if not self._engine.room:
            return False
        self._engine.room -= 1
        self._gone.append(self.name)
        return True


def _queue(engine: _Engine, *names: str, limit: int = 10) -> tuple[Queue, list[_Waiter], list[str]]:
    queue, gone = Queue(), list[str]()
    waiters = [_Waiter(name, engine, gone) for name in names]
    for waiter in waiters:
        queue.join(waiter, (engine,), limit)
    return queue, waiters, gone


def test_first_come_first_served_as_room_appears() -> None:
    engine = _Engine(0)
    _, _, gone = _queue(engine, "a", "b", "c")
    engine.room = 1
    freed(engine, 1.0)
    assert gone == ["a"]
    engine.room = 5
    freed(engine, 2.0)
    assert gone == ["a", "b", "c"]
    assert engine.wanted == ()


def test_who_leaves_is_passed_over() -> None:
    engine = _Engine(0)
    queue, waiters, gone = _queue(engine, "a", "b")
    queue.leave(waiters[0])
    engine.room = 1
    freed(engine, 1.0)
    assert gone == ["b"]


def test_a_full_queue_takes_nobody() -> None:
    engine = _Engine(0)
    queue, _, _ = _queue(engine, "a", "b", limit=2)
    assert not queue.join(_Waiter("c", engine, []), (engine,), 2)
    assert len(queue.waiting) == 2
    assert not Queue().join(_Waiter("d", engine, []), (engine,), 0)


def test_two_queues_may_wait_for_the_same_engine() -> None:
    engine = _Engine(0)
    _queue(engine, "a")
    second, _, gone = _queue(engine, "b")
    assert len(engine.wanted) == 2
    engine.room = 2
    freed(engine, 1.0)
    assert gone == ["b"]
    assert not second.waiting


def test_retry_after_follows_the_pace_at_which_they_go() -> None:
    engine = _Engine(0)
    queue, _, _ = _queue(engine, *"abcdefgh")
    assert queue.retry_after() == 1, "nobody went yet"
    for now in (10.0, 12.0, 14.0, 16.0):
        engine.room = 1
        freed(engine, now)
    assert queue.retry_after() == 8, "four wait, and one goes every two seconds"


def test_the_time_in_which_nobody_waited_is_no_pace() -> None:
    engine = _Engine(0)
    queue, _, _ = _queue(engine, "a", "b")
    for now in (10.0, 11.0):
        engine.room = 1
        freed(engine, now)
    for name in "cd":
        queue.join(_Waiter(name, engine, []), (engine,), 10)
    engine.room = 1
    freed(engine, 5000.0)
    assert queue.retry_after() == 1


def test_a_budget_allows_a_few_and_then_a_share() -> None:
    budget = Budget()
    assert sum(budget.spend(100.0, 20) for _ in range(50)) == 10
    budget.requests += 100
    assert sum(budget.spend(100.5, 20) for _ in range(50)) == 10, "20 of 100"
    assert not budget.spend(100.9, 20)


def test_a_budget_forgets_after_ten_seconds() -> None:
    budget = Budget()
    budget.turn(100.0)
    budget.requests += 1000
    assert sum(budget.spend(100.0, 20) for _ in range(500)) == 200
    assert not budget.spend(109.5, 20)
    assert sum(budget.spend(111.5, 20) for _ in range(500)) == 10
    assert sum(budget.spend(500.0, 20) for _ in range(500)) == 10


def test_a_backoff_doubles_and_half_of_it_is_chance() -> None:
    assert [backoff(n, 0.5) for n in (1, 2, 3)] == [0.025, 0.05, 0.1]
    assert [backoff(n, 0.0) for n in (1, 2)] == [0.0125, 0.025]
