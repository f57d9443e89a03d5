"""When clients are told to come back while engines start: by what starts took before and what has passed."""

import asyncio
from time import monotonic
from typing import Any

import pytest

from pointsman_router import config as contract
from pointsman_router.config import ConfigError
from pointsman_router.engines.endpoints import Endpoint, Slice
from pointsman_router.engines.engine import Phase
from pointsman_router.telling import signals
from tests.router.engine import reply
from tests.router.stack import CHAT, Stack, configuration, eventually, service

NOW = 1000.0
PACE: dict[str, Any] = {
    "bytes_loaded": 100,
    "bytes_total": 1000,
    "bytes_per_second": 50.0,
    "answered_at": NOW,
}
LEFT: dict[str, tuple[Phase, int, float | None]] = {
    "nothing is known": (Phase("Loading"), 0, None),
    "what is left of the last start": (Phase("Loading", elapsed=20, told_at=NOW - 2), 60, 38),
    "nothing was measured, but it loads at a pace": (Phase("Loading", **PACE, elapsed=20), 0, 18),
    "loading alone will take longer": (Phase("Loading", **PACE, elapsed=50, told_at=NOW), 60, 18),
    "loading is soon over, compiling isn't": (Phase("Loading", **PACE, elapsed=10, told_at=NOW), 60, 50),
    "it takes longer than the last start": (Phase("Loading", elapsed=70, told_at=NOW), 60, None),
    "an entrypoint that doesn't say how long": (Phase("Loading"), 60, None),
    "one that has failed": (Phase("Failed", elapsed=5, told_at=NOW), 60, None),
    "one that leaves": (Phase("Draining", elapsed=5, told_at=NOW), 60, None),
}


@pytest.mark.parametrize(("phase", "whole", "left"), LEFT.values(), ids=LEFT)
def test_how_long_a_start_will_go_on(phase: Phase, whole: int, left: float | None) -> None:
    assert phase.seconds_left(NOW, whole) == left


def _measured(seconds: int, weight: int = 100) -> dict[str, Any]:
    document = service("chat")
    upstream = {"service": "chat-engines", "statusPort": 1}
    document["variants"] = [{"name": "v", "weight": weight, "upstream": upstream, "startSeconds": seconds}]
    return configuration(document)


@pytest.mark.parametrize("weight", [100, 0], ids=["that has weight", "that is to have it first"])
async def test_retry_after_follows_from_the_last_start_of_a_revision(stack: Stack, weight: int) -> None:
    await stack.start(_measured(90, weight))
    endpoint = Endpoint("127.0.0.1", "chat-0", False)
    stack.router.state.replace_slices({"s": Slice("chat-engines", (endpoint,))})
    phase = stack.router.state.table.services["chat"].variants[0].engines[0].phase
    phase.phase, phase.elapsed, phase.told_at = "Loading", 30.0, monotonic()
    answer = await stack.ask(CHAT)
    assert (answer.status, answer.error["code"]) == (503, "no_ready_endpoint")
    assert 59 <= int(answer.field("retry-after") or 0) <= 60


async def test_where_no_engine_has_begun_a_whole_start_is_ahead(stack: Stack) -> None:
    await stack.start(_measured(90))
    assert (await stack.ask(CHAT)).field("retry-after") == "90"


@pytest.mark.parametrize(("elapsed", "told"), [(12.5, 12.5), ("x", 0.0), (-1, 0.0), (1e300, 0.0)])
async def test_the_status_port_says_how_long_a_start_has_gone_on(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, elapsed: object, told: float
) -> None:
    monkeypatch.setattr(signals, "_ROUND_SECONDS", 0.01)
    port = await stack.engine(always=reply({"phase": "Loading", "elapsed": elapsed}))
    document = _measured(90)
    document["services"][0]["variants"][0]["upstream"]["statusPort"] = port.port
    await stack.start(document)
    endpoint = Endpoint("127.0.0.1", "chat-0", False)
    stack.router.state.replace_slices({"s": Slice("chat-engines", (endpoint,))})
    task = asyncio.ensure_future(signals.Poller(stack.router).run())
    engine = stack.router.state.table.services["chat"].variants[0].engines[0]
    await eventually(lambda: engine.phase.phase)
    assert engine.phase.elapsed == told
    assert monotonic() - 3 < engine.phase.told_at <= monotonic()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_measured_start_is_no_change_of_a_service() -> None:
    known, unknown = contract.parse(_measured(90)), contract.parse(_measured(0))
    assert contract.service_hash(known.services[0]) == contract.service_hash(unknown.services[0])
    assert contract.config_hash(known) != contract.config_hash(unknown)
    assert contract.parse(contract.dump(known)) == known


def test_a_start_can_not_have_taken_less_than_no_time() -> None:
    with pytest.raises(ConfigError, match=r"variants\[0\].startSeconds: -1 is negative"):
        contract.parse(_measured(-1))
