"""Reads that are shared: who shares with whom, and that nobody gets what was read before it asked."""

from __future__ import annotations

import asyncio

import pytest

from pointsman.engine.together import Together


class Desk:
    """A read that takes until it is let through, and counts."""

    def __init__(self) -> None:
        self.together = Together()
        self.begun = 0
        self.gate = asyncio.Event()
        self.fails = False

    async def read(self) -> int:
        self.begun += 1
        number = self.begun
        await self.gate.wait()
        if self.fails:
            raise ValueError("no")
        return number

    def ask(self, key: str = "a") -> asyncio.Task[int]:
        return asyncio.create_task(self.together.read(key, self.read))


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_who_asks_at_the_same_time_shares_one_read() -> None:
    desk = Desk()
    asked = [desk.ask() for _ in range(3)]
    desk.gate.set()
    assert await asyncio.gather(*asked) == [1, 1, 1]


async def test_who_asks_while_a_read_is_under_way_shares_the_next_one() -> None:
    desk = Desk()
    first = desk.ask()
    await _turns()
    late = [desk.ask(), desk.ask()]
    await _turns()
    assert desk.begun == 1, "one at a time"
    desk.gate.set()
    assert await asyncio.gather(first, *late) == [1, 2, 2]


async def test_another_key_is_another_read() -> None:
    desk = Desk()
    one, other = desk.ask("a"), desk.ask("b")
    desk.gate.set()
    assert {await one, await other} == {1, 2}


async def test_what_goes_wrong_is_told_to_all_and_the_next_read_is_a_new_one() -> None:
    desk = Desk()
    desk.fails = True
    desk.gate.set()
    for asked in [desk.ask(), desk.ask()]:
        with pytest.raises(ValueError, match="no"):
            await asked
    desk.fails = False
    assert await desk.ask() == 2


async def test_one_who_gives_up_takes_nothing_from_the_others() -> None:
    desk = Desk()
    impatient, patient = desk.ask(), desk.ask()
    await _turns()
    impatient.cancel()
    desk.gate.set()
    assert await patient == 1
    assert await desk.ask() == 2
