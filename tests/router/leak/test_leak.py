"""Nothing of a request or a connection outlives it, and nothing waits for the garbage collector.

The collector runs seldom in a router, so what only it can free is memory that a hostile client can pile up.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.router.leak.__main__ import MAX_GROWTH_KIB, measure
from tests.router.leak.mixture import KINDS, Engine, Kind, ask
from tests.router.stack import Stack, configuration, eventually, service, variant

OURS = {
    "Answer",
    "Downstream",
    "Reader",
    "Request",
    "Exchange",
    "Connection",
    "Response",
    "EventBuffer",
    "Prepared",
    "Meter",
    "Copy",
    "CopyExchange",
}


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive() -> Counter[str]:
    """How many objects of a request's or a connection's life there are."""
    found = (type(one) for one in gc.get_objects())
    return Counter(
        kind.__name__
        for kind in found
        if kind.__name__ in OURS and str(kind.__module__).startswith("pointsman_router.")
    )


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("rollout", [False, True], ids=["settled", "rollout"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_it_is_gone_without_the_garbage_collector(kind: Kind, rollout: bool, stack: Stack) -> None:
    async with await asyncio.get_running_loop().create_server(Engine, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        variants = [variant("v", address)]
        if rollout:
            variants = [variant("v", address, weight=50), variant("w", address, weight=50)]
            variants.append(variant("next", address, weight=0) | {"shadow": 100})
        chat = service("chat", *variants, names=["chat", "alias"])
        if rollout:
            chat |= {"assignment": {"key": "conversation"}, "analysis": {"window": "next/0"}}
        await stack.start(configuration(chat, failures=1000))
        before = alive()
        for _ in range(3):
            client = await stack.client()
            await ask(kind, client)
            client.close()
        await eventually(lambda: not stack.router.connections)
        stack.router.shadows.stop()
        for engine in stack.router.state.engines:
            engine.pool.purge()
        await eventually(lambda: not alive() - before)


async def test_memory_stays_flat_under_a_mixture() -> None:
    # Ended by this, it says where it waited, and takes its router down.
    async with asyncio.timeout(100):
        report = await measure(6000, seed=2)
    assert report["kinds"] == len(KINDS)
    assert report["inFlight"] == 0
    assert isinstance(report["growthKiB"], int)
    assert report["growthKiB"] < MAX_GROWTH_KIB
