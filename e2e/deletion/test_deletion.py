"""A service is deleted while it answers."""

from __future__ import annotations

import threading

import openai
import pytest

from e2e import traffic
from e2e.cluster import Cluster
from e2e.manifests import service
from e2e.namespace import Namespace
from e2e.waiting import wait_for

READY_WITHIN_S = 600.0
GONE_WITHIN_S = 240.0
LONG_TOKENS = 6000
TOO_LATE_S = 10.0


def test_deletion(cluster: Cluster, namespace: Namespace) -> None:
    """Deleted, a service finishes what it has begun; then nothing of ours is left, the router included."""
    wait_for("the namespace to be complete", lambda: len(namespace.inventory()) >= 2, 60.0)
    before = namespace.inventory()
    namespace.apply(service("chat", engine={"maxModelLen": 8192}))
    namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)
    assert len(namespace.inventory()) > len(before) + 15

    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        traffic.client(address) as api,
    ):
        begun = threading.Event()
        answers: list[traffic.Answer] = []
        reader = threading.Thread(target=_read, args=(api, begun, answers), daemon=True)
        reader.start()
        assert begun.wait(60.0), "the stream has begun"
        namespace.delete("llmservice/chat", wait=False)
        assert reader.is_alive(), "and goes on when the service is deleted"
        wait_for("the service to be gone", lambda: namespace.get("llmservice/chat") is None, GONE_WITHIN_S)
        # Who comes too late finds a router that refuses, or no router at all.
        with pytest.raises(openai.APIError), traffic.client(address) as other:
            traffic.ask(other.with_options(timeout=TOO_LATE_S), "chat", "Are you there?", max_tokens=1)
        reader.join(traffic.REQUEST_TIMEOUT_S)
    assert [(a.finish, a.completion_tokens) for a in answers] == [("length", LONG_TOKENS)]

    wait_for(
        "everything of the service to be gone",
        lambda: namespace.inventory() == before,
        GONE_WITHIN_S,
        seen=lambda: f"still {', '.join(sorted(namespace.inventory() - before))}",
    )


def _read(api: openai.OpenAI, begun: threading.Event, answers: list[traffic.Answer]) -> None:
    for piece in traffic.stream(api, "chat", "Tell me everything.", max_tokens=LONG_TOKENS, whole=True):
        begun.set()
        if isinstance(piece, traffic.Answer):
            answers.append(piece)
