"""What the cluster and a person inside the pod can ask the operator."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from pointsman.api.names import Key
from pointsman.app.metrics import Metrics
from pointsman.app.web import Web
from pointsman.engine.queue import KeyQueue, Outcome

SERVICE = {
    "apiVersion": "serving.pointsman.dev/v1alpha1",
    "kind": "LLMService",
    "metadata": {"name": "chat", "namespace": "ns"},
    "status": {
        "conditions": [{"type": "Ready", "status": "True", "reason": "Answering"}],
        "rollout": {
            "step": "Traffic",
            "stable": "chat-1",
            "candidate": "chat-2",
            "traffic": [{"revision": "chat-1", "weight": 90}, {"revision": "chat-2", "weight": 10}],
        },
    },
}


@dataclass
class Running:
    """A Web that runs, and what its checks say."""

    http: str
    debug: str
    metrics: Metrics
    queue: KeyQueue
    wrong: str = ""

    async def get(self, url: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return response.status, await response.text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def running() -> AsyncIterator[Running]:
    async def work(key: Key) -> Outcome:
        await asyncio.sleep(30)
        return Outcome()

    metrics, ports = Metrics(), (free_port(), free_port())
    queue = KeyQueue(work, draw=lambda: 0.5, concurrency=1, observe=metrics.finished)
    metrics.watch_queue(queue)
    http, debug = (f"http://127.0.0.1:{port}" for port in ports)
    it = Running(http, debug, metrics, queue)
    web = Web(
        metrics,
        queue,
        alive=lambda: it.wrong,
        ready=lambda: it.wrong,
        http_port=ports[0],
        debug_port=ports[1],
        host="127.0.0.1",
    )
    await web.start()
    try:
        yield it
    finally:
        await queue.drain(0)
        await web.stop()


async def test_health_says_what_is_wrong() -> None:
    async with running() as it:
        assert await it.get(f"{it.http}/healthz") == (200, "ok\n")
        assert await it.get(f"{it.http}/readyz") == (200, "ok\n")
        it.wrong = "watches aren't started"
        assert await it.get(f"{it.http}/readyz") == (503, "watches aren't started\n")


async def test_the_queue_is_shown_on_its_own_port_alone() -> None:
    async with running() as it:
        it.queue.add(Key("LLMService", "ns", "a"))
        it.queue.add(Key("LLMService", "ns", "b"))
        status, text = await it.get(f"{it.debug}/debug/queue")
        assert status == 200
        assert '"LLMService/ns/a"' in text
        assert '"pending"' in text
        assert (await it.get(f"{it.http}/debug/queue"))[0] == 404
        assert (await it.get(f"{it.debug}/metrics"))[0] == 404


async def test_metrics_of_queue_requests_and_objects() -> None:
    async with running() as it:
        it.queue.add(Key("LLMService", "ns", "a"))
        it.queue.add(Key("LLMService", "ns", "b"))
        it.metrics.api_called("apply", "Deployment", 200, 0.01)
        it.metrics.api_called("patch_status", "LLMService", 409, 0.01)
        it.metrics.api_called("patch_status", "LLMService", 200, 0.01)
        it.metrics.applied("Deployment", "skipped")
        it.metrics.watched("LLMService")
        it.metrics.states.seen(SERVICE)
        status, text = await it.get(f"{it.http}/metrics")
    assert status == 200
    for line in (
        "pointsman_queue_depth 1.0",
        'pointsman_api_requests_total{code="200",kind="Deployment",verb="apply"} 1.0',
        'pointsman_status_writes_total{kind="LLMService"} 1.0',
        'pointsman_applies_total{kind="Deployment",outcome="skipped"} 1.0',
        'pointsman_watch_events_total{kind="LLMService"} 1.0',
        'pointsman_llmservice_condition{name="chat",namespace="ns",status="True",type="Ready"} 1.0',
        'pointsman_rollout_weight{name="chat",namespace="ns",role="candidate"} 10.0',
        'pointsman_rollout_step{name="chat",namespace="ns",step="Traffic"} 1.0',
    ):
        assert line in text, line


def test_an_object_that_is_gone_has_no_state() -> None:
    metrics = Metrics()
    metrics.states.seen(SERVICE)
    key = Key("LLMService", "ns", "chat")
    metrics.states.gone(key)
    metrics.states.gone(key)
    assert b'name="chat"' not in metrics.exposition()


def test_every_metric_is_named_for_us_and_explained() -> None:
    for family in Metrics().registry.collect():
        assert family.name.startswith("pointsman_")
        assert family.documentation.endswith(".")


def test_names_of_many_objects_bring_no_label_of_many_values() -> None:
    metrics: Any = Metrics()
    metrics.states.seen(SERVICE)
    labels = {label for family in metrics.registry.collect() for s in family.samples for label in s.labels}
    allowed = {"namespace", "name", "type", "status", "step", "role", "kind", "verb", "code", "outcome"}
    assert labels <= allowed | {"result", "version", "le"}
