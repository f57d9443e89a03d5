"""A change that leaves the model without what it knew: every light is green, and the answers are nonsense."""

from __future__ import annotations

import time

from e2e import traffic
from e2e.cluster import Cluster
from e2e.conditions import shares
from e2e.manifests import SMOLLM2, TINY, service
from e2e.namespace import Namespace
from e2e.traffic import Trickle
from tests.readings.tools import kstatus

READY_WITHIN_S = 600.0
QUESTION = "What is the capital of France?"
PROOF = [{"name": "capital", "message": QUESTION, "answer": {"contains": "Paris"}, "maxTokens": 32}]


def test_wrong_proof(cluster: Cluster, namespace: Namespace) -> None:
    """Random weights fail the proof that real ones passed: no traffic, the old ones serve, status tells."""
    namespace.apply(service("chat", model={"source": {"uri": SMOLLM2}, "proof": PROOF}))
    proven = namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)["status"]["rollout"]["stable"]

    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        Trickle(address, "chat", long_tokens=64) as trickle,
    ):
        namespace.patch("llmservice/chat", {"spec": {"model": {"source": {"uri": TINY}}}})
        began = time.monotonic()
        told = namespace.kubectl.run(
            "wait",
            "llmservice/chat",
            "--for=condition=Stalled",
            f"--namespace={namespace.name}",
            f"--timeout={READY_WITHIN_S:.0f}s",
            timeout_s=READY_WITHIN_S + 30,
        )
        print(f"{told.strip()} after {time.monotonic() - began:.0f} s")
        _tells(namespace)
        with traffic.client(address) as api:
            assert "Paris" in traffic.ask(api, "chat", QUESTION, max_tokens=32).text
        rollout = namespace.the("llmservice/chat")["status"]["rollout"]
        assert rollout["stable"] == proven
        assert rollout["candidate"] != proven
        assert shares(rollout) == {proven: 100, rollout["candidate"]: 0}
        trickle.stop()
    print(trickle)
    assert trickle.failures == []

    namespace.patch("llmservice/chat", {"spec": {"model": {"source": {"uri": SMOLLM2}}}})
    again = namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)
    assert again["status"]["rollout"]["stable"] == proven
    assert namespace.condition("llmservice/chat", "Stalled").status != "True"


def _tells(namespace: Namespace) -> None:
    """What status says of it: which proof, what was expected, what came."""
    engine = namespace.condition("llmservice/chat", "EngineHealthy")
    assert (engine.status, engine.reason) == ("False", "WrongAnswers")
    assert "'capital'" in engine.message
    assert "Paris" in engine.message
    print(engine)
    for type_, status, reason in (
        ("Ready", "False", "WrongAnswers"),
        ("Available", "True", "Serving"),
        ("RolloutHealthy", "False", "CandidateFailing"),
    ):
        found = namespace.condition("llmservice/chat", type_)
        assert (found.status, found.reason) == (status, reason), found
    # Who waits by kstatus, as Flux and kpt do, is told to give up, by the object as a real API server has it.
    (words,) = kstatus([namespace.the("llmservice/chat")])
    assert {tool: word.word for tool, word in words.items()} == dict.fromkeys(words, "Failed"), words
