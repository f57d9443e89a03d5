"""An engine's argument that makes real vLLM much slower: the canary takes itself back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from e2e.cluster import Cluster
from e2e.conditions import shares
from e2e.load import Kind, Load, Outcome
from e2e.manifests import SMOLLM2, service
from e2e.namespace import Manifest, Namespace
from e2e.waiting import wait_for

SERVICE = "llmservice/chat"
GAVE_UP = "TimeoutError: "
"""Of a client, after a minute."""
READY_WITHIN_S = 600.0
REJECTED_WITHIN_S = 420.0
RATE = 2.5
ASKED = Kind(
    "asked",
    streamed=True,
    tokens=2,
    token_seconds=0.0,
    # Long enough that it matters how many of its tokens the engine takes at a time.
    asks="{number}. "
    + "Tell me more about the rivers, the roads, the towns and the people of this country. " * 2,
)
ROLLOUT: Mapping[str, Any] = {
    "strategy": "Canary",
    "steps": [{"weight": 50, "minSeconds": 60}],
    # Of a request a second the median is hard to be sure of, the mean isn't.
    "gates": [{"metric": "timeToFirstToken", "statistic": "Mean", "maxRatioPercent": 150, "minSamples": 20}],
    "analysis": {"intervalSeconds": 30, "warmUp": {"requests": 5}},
}
FAST: Mapping[str, str] = {"max-num-seqs": "4"}
SLOW: Mapping[str, str] = {**FAST, "max-num-batched-tokens": "4"}
"""A prompt's tokens by fours, where the other takes them all at once."""


@pytest.mark.extended
def test_slower_engine(cluster: Cluster, namespace: Namespace) -> None:
    """Rejected by what clients wait for a first token; nobody fails but who gives up on it."""
    namespace.apply(_service(FAST))
    stable = namespace.wait_until_ready(SERVICE, READY_WITHIN_S)["status"]["rollout"]["stable"]
    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        Load(address, "chat", RATE, (ASKED,)) as load,
    ):
        wait_for("the first answers", lambda: load.outcomes, 60.0, seen=lambda: str(load))
        namespace.apply(_service(SLOW))
        generation = namespace.the(SERVICE)["metadata"]["generation"]
        within_s = READY_WITHIN_S + REJECTED_WITHIN_S
        ready = namespace.wait_for_reason(SERVICE, "Ready", "CanaryRejected", within_s)
        print(ready)
        rejected = time.monotonic()
        last = namespace.the(SERVICE)
        wait_for("answers to who asked then", lambda: len(_since(load, rejected)) > 10, 60.0)
        load.stop()
    print(load)
    rollout = last["status"]["rollout"]
    assert "timeToFirstToken" in ready.message
    assert rollout["stable"] == stable
    assert shares(rollout) == {stable: 100}
    assert last["metadata"]["generation"] == generation
    assert namespace.condition(SERVICE, "Available").status == "True"
    assert {failure.error for failure in load.failures} <= {GAVE_UP}
    assert [outcome for outcome in _since(load, rejected) if outcome.error] == []
    assert {outcome.revision for outcome in _since(load, rejected)} == {stable}


def _since(load: Load, moment: float) -> list[Outcome]:
    """What became of requests that were sent then or later."""
    return [outcome for outcome in load.outcomes if outcome.began >= moment]


def _service(arguments: Mapping[str, str]) -> Manifest:
    return service(
        "chat",
        model={"source": {"uri": SMOLLM2}},
        engine={"args": dict(arguments)},
        rollout=dict(ROLLOUT),
    )
