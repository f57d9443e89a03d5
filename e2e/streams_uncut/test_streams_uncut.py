"""Long streams in flight while the engine changes: none is cut; where a drain is too short, all are told.

Real vLLM. The clients count: a stream is whole when it has all tokens that were asked for and its proper end,
cut when an error is its last event and its body has its proper end, and anything else is a defect.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import aiohttp
import pytest

from e2e.cluster import Cluster
from e2e.manifests import SMOLLM2, service
from e2e.metrics import total
from e2e.namespace import Namespace, names
from e2e.streams_uncut.ending import ended
from e2e.waiting import wait_for

STREAMS = 50
LASTS_S = 60.0
"""How long each stream goes on at least: two cores that fifty share are slow enough."""
TOKENS = 320
READY_WITHIN_S = 900.0
CANARY: Mapping[str, Any] = {
    "strategy": "Canary",
    "steps": [{"weight": 50, "minSeconds": 10}],
    "gates": [],
}
ENGINE: Mapping[str, Any] = {
    "args": {"kv-cache-memory-bytes": "536870912", "max-num-seqs": str(STREAMS + 14)},
}
ROUTERS = "pointsman.dev/router=default,pointsman.dev/role=router"
CUT_METRIC = "pointsman_router_cut_requests_total"


@pytest.mark.extended
@pytest.mark.parametrize("rollout", [{"strategy": "Surge"}, CANARY], ids=["surge", "canary"])
def test_no_stream_is_cut(cluster: Cluster, namespace: Namespace, rollout: Mapping[str, Any]) -> None:
    """Fifty streams of more than a minute outlive the engines' change, which ends before they do."""
    first = _bring_up(namespace, rollout, drain_seconds=900)
    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        Streams(address) as streams,
    ):
        wait_for("all streams to flow", streams.all_flow, 300.0, seen=streams.told)
        _change(namespace)
        after = namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)["status"]["rollout"]["stable"]
        print(f"changed with {streams.flowing} streams in flight")
        flowed_on = streams.flowing
        streams.join(READY_WITHIN_S)
    print(streams.told())

    assert after != first
    assert streams.ends == {"whole": STREAMS}
    assert min(streams.seconds) > LASTS_S
    assert flowed_on > 0, "the change was over while streams still flowed"


@pytest.mark.extended
def test_what_is_cut_is_told_and_counted(cluster: Cluster, namespace: Namespace) -> None:
    """A drain that is too short cuts streams: each ends well-formed, and status and metrics know how many."""
    _bring_up(namespace, {"strategy": "Surge"}, drain_seconds=5)
    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        Streams(address) as streams,
    ):
        wait_for("all streams to flow", streams.all_flow, 300.0, seen=streams.told)
        _change(namespace)
        namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)
        streams.join(READY_WITHIN_S)
    print(streams.told())
    cut = streams.ends["cut"]

    assert cut > 0
    assert set(streams.ends) <= {"whole", "cut"}
    assert _counted(cluster, namespace) == cut
    wait_for(
        "status to count them",
        lambda: namespace.the("llmservice/chat")["status"].get("cutRequests", 0) == cut,
        90.0,
        seen=lambda: str(namespace.the("llmservice/chat")["status"].get("cutRequests")),
    )


def _counted(cluster: Cluster, namespace: Namespace) -> float:
    """The cut requests that all routers have counted."""
    found = 0.0
    for router in names(namespace.items("pods", ROUTERS)):
        with cluster.forward(f"pod/{router}", "admin", namespace.name) as admin:
            found += total(admin, CUT_METRIC, service="chat")
    return found


def _bring_up(namespace: Namespace, rollout: Mapping[str, Any], drain_seconds: int) -> str:
    """The service, Ready; returns its revision."""
    spec = {"model": {"source": {"uri": SMOLLM2}}, "engine": ENGINE, "rollout": dict(rollout)}
    namespace.apply(service("chat", **spec, drainSeconds=drain_seconds))
    status = namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)["status"]
    return str(status["rollout"]["stable"])


def _change(namespace: Namespace) -> None:
    """Another argument of the engine, hence another revision."""
    namespace.patch("llmservice/chat", {"spec": {"engine": {"args": {"max-num-batched-tokens": "2048"}}}})


@dataclass(slots=True)
class Streams:
    """Fifty streams at once, read to their ends in a thread of its own."""

    address: str
    ends: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    flowing: int = 0
    begun: int = 0
    odd: list[str] = field(default_factory=list)
    """What ended neither whole nor as a cut stream should."""
    _thread: threading.Thread | None = None

    def __enter__(self) -> Streams:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.join(0.0)

    def join(self, timeout_s: float) -> None:
        """Waits until all streams have ended."""
        assert self._thread is not None
        self._thread.join(timeout_s)

    def all_flow(self) -> bool:
        """Whether every stream has given something."""
        return self.begun == STREAMS

    def told(self) -> str:
        """What became of them so far."""
        spans = f"{min(self.seconds):.0f} to {max(self.seconds):.0f} s" if self.seconds else "none ended"
        return f"{self.begun} begun, {self.flowing} flow, ends {dict(self.ends)}, {spans} {self.odd[:3]}"

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, sock_read=600)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await asyncio.gather(*(self._one(session, number) for number in range(STREAMS)))

    async def _one(self, session: aiohttp.ClientSession, number: int) -> None:
        began = time.monotonic()
        try:
            end = await self._read(session, number)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            end = "broken"
            self.odd.append(f"{type(error).__name__}: {error}")
        self.ends[end] += 1
        self.seconds.append(time.monotonic() - began)

    async def _read(self, session: aiohttp.ClientSession, number: int) -> str:
        """How one stream ended. Raises what a connection that was cut raises."""
        document = {
            "model": "chat",
            "messages": [{"role": "user", "content": f"Tell me story {number}."}],
            "max_tokens": TOKENS,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        body, flows = b"", False
        async with session.post(f"http://{self.address}/v1/chat/completions", json=document) as answer:
            self.flowing += 1
            try:
                async for line in answer.content:
                    if line.startswith(b"data: ") and not flows:
                        flows = True
                        self.begun += 1
                    body += line
            finally:
                self.flowing -= 1
        end = ended(body, TOKENS)
        if end == "odd":
            self.odd.append(f"{answer.status}: {body[-300:]!r}")
        return end
