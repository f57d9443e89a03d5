"""The clock tick: each connection has its turn, however many there are and whatever one of them does."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from pointsman_router.answering.downstream import Downstream
from pointsman_router.records.accesslog import AccessLog
from pointsman_router.router import Router


class Ticked:
    """Stands for a connection; remembers its turns."""

    def __init__(self, broken: bool = False) -> None:
        self.turns: list[float] = []
        self._broken = broken

    def tick(self, now: float) -> None:
        self.turns.append(now)
        if self._broken:
            raise RuntimeError

    def abort(self) -> None:
        """Nothing to end."""


@pytest.fixture
def router() -> Router:
    made = Router(AccessLog(None))
    applied = made.state.apply_config({"name": "r", "format": 1, "limits": {"headSeconds": 0.05}})
    assert applied, made.state.error
    return made


async def ticks(router: Router, connections: list[Ticked], seconds: float) -> None:
    router.connections.update(cast(list[Downstream], connections))
    router.start()
    await asyncio.sleep(seconds)
    router.stop()


async def test_thousands_have_their_turn_a_few_hundred_at_a_time(router: Router) -> None:
    connections = [Ticked() for _ in range(2000)]
    await ticks(router, connections, 0.4)
    assert all(len(connection.turns) >= 2 for connection in connections)
    first = [connection.turns[0] for connection in connections]
    assert max(first.count(turn) for turn in set(first)) <= 512


async def test_one_that_fails_keeps_none_from_their_turn(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    broken, well = Ticked(broken=True), Ticked()
    await ticks(router, [broken, well], 0.2)
    assert len(broken.turns) > 1
    assert len(well.turns) > 1
    assert "a connection could not be looked after" in caplog.text
