"""O8: where a service ends doesn't depend on the way there, nor on how far each change got before."""

from __future__ import annotations

import functools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.simulation.cluster import Cluster
from tests.simulation.examples import some
from tests.simulation.rested import differences, rested
from tests.simulation.stories import CHAT
from tests.simulation.virtual import run

GPU = {"hardware": {"accelerator": {"resource": "nvidia.com/gpu", "count": 1}}}
SPECS: tuple[dict[str, Any], ...] = (
    CHAT,
    {**CHAT, "engine": {"maxModelLen": 1024}},
    {**CHAT, "replicas": 3, "modelNames": ["chat", "talk"]},
    {**CHAT, **GPU, "rollout": {"strategy": "Recreate"}},
    {**CHAT, "routerRef": {"name": "front"}},
    {**CHAT, "paused": True, "drainSeconds": 9},
    {**CHAT, "replicas": 0},
    {"modelRef": {"name": "shared"}},
    {"modelRef": {"name": "gone"}},
    {"model": {"source": {"uri": "hf://org/name"}}, "engine": {"env": {"A": "1"}}},
)
ENDS = [spec for spec in SPECS if not spec.get("paused") and spec.get("modelRef") != {"name": "gone"}]


async def end_after(*steps: tuple[dict[str, Any], int]) -> dict[str, Any]:
    """Where a service ends after these specs, each of which had so many rounds."""
    cluster = Cluster()
    await cluster.apply("LLMRouter", "front", {})
    await cluster.apply("LLMModel", "shared", CHAT["model"])
    for spec, rounds in steps:
        await cluster.apply("LLMService", "chat", spec)
        for _ in range(rounds):
            await cluster.round()
    await cluster.settle()
    return rested(cluster)


STEPS = st.tuples(st.sampled_from(SPECS), st.sampled_from([0, 1, 2, 3, 5, 8, 14]))


@functools.cache
def straight(number: int) -> dict[str, Any]:
    """Where a service ends that never was another."""
    return run(end_after((ENDS[number], 0)))


@some(20)
@given(way=st.lists(STEPS, min_size=1, max_size=3), number=st.integers(0, len(ENDS) - 1))
def test_an_end_does_not_depend_on_the_way(way: list[tuple[dict[str, Any], int]], number: int) -> None:
    assert list(differences(straight(number), run(end_after(*way, (ENDS[number], 0))))) == []
