"""When memory is given back, and how it was taken."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest import mock

import pytest

from pointsman.app import memory
from tests.unit.engine.virtual import now, run


@pytest.fixture
def libc(monkeypatch: pytest.MonkeyPatch) -> mock.Mock:
    """The C library, told and not asked; and a garbage collector that leaves this process's objects alone."""
    libc = mock.Mock()
    monkeypatch.setattr(memory, "_of_libc", lambda name: getattr(libc, name))
    monkeypatch.setattr(memory, "gc", mock.Mock())
    return libc


def test_one_heap_serves_all_threads_and_what_is_large_lies_apart(libc: mock.Mock) -> None:
    memory.be_frugal()
    assert libc.mallopt.mock_calls == [mock.call(-8, 1), mock.call(-3, 128 * 1024)]


def test_it_is_given_back_in_the_first_instant_without_a_pass_and_again_after_others(libc: mock.Mock) -> None:
    given: list[float] = []

    async def story() -> None:
        began, passes, busy_until = now(), 0, 33.0

        def trim(_: Any) -> None:
            given.append(round(now() - began, 1))

        libc.malloc_trim.side_effect = trim
        task = asyncio.create_task(memory.give_back(lambda: now() - began >= busy_until, lambda: passes))
        await asyncio.sleep(25)
        passes = 1000
        # What the start took is given back once nothing runs; then there is nothing more for a while.
        await asyncio.sleep(100)
        passes, busy_until = 1001, 147.05
        await asyncio.sleep(100)
        task.cancel()

    run(story())
    assert given == [33.1, 147.1]


def test_a_library_without_such_settings_is_left_as_it_is() -> None:
    assert memory._of_libc("no_such_function")(1, 2) is None
