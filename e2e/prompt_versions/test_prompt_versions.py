"""A prompt changes behind a model that stays: one version fails its suite, one is rolled out, and back."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import openai
import pytest

from e2e import traffic
from e2e.cluster import Cluster
from e2e.conditions import condition, told
from e2e.manifests import SMOLLM2, service
from e2e.namespace import Manifest, Namespace
from e2e.traffic import Trickle
from e2e.waiting import wait_for

SERVICE = "llmservice/chat"
ENGINES = "pointsman.dev/service=chat,pointsman.dev/role=engine"
READY_WITHIN_S = 600.0
BACK_WITHIN_S = 15.0
QUESTION = "What is the capital of France?"
ASKED = 100
WEIGHT = 20
ROLLOUT: Mapping[str, Any] = {
    "strategy": "Canary",
    "steps": [{"weight": WEIGHT, "minSeconds": 150}],
    "gates": [],
    "suiteRef": {"name": "geography"},
}
PERSONS = {"v1": "a helpful assistant", "v2": "a helpful assistant", "v3": "a helpful AI assistant"}
PARAMETERS = {"v2": {"maxTokens": 1}}
"""What makes the second one fail: it cuts every answer after a token."""


@pytest.mark.extended
def test_prompt_versions(cluster: Cluster, namespace: Namespace) -> None:
    """No traffic for what fails; 80 to 20 and on to all for what passes, with no pod restarted; and back."""
    namespace.apply(_suite(), *(_prompt(name) for name in PERSONS))
    namespace.apply(_service("v1"))
    namespace.wait_until_ready(SERVICE, READY_WITHIN_S)
    pods = _pods(namespace)
    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        traffic.client(address) as api,
        Trickle(address, "chat", long_tokens=64) as trickle,
    ):
        assert _answers(api, 10) == {"geography-v1": 10}
        _fails(namespace)
        assert _answers(api, 10) == {"geography-v1": 10}
        _rolls_out(namespace, api)
        _goes_back(namespace, api)
        trickle.stop()
    print(trickle)
    assert trickle.failures == []
    assert _pods(namespace) == pods, "no pod was restarted or replaced"


def _fails(namespace: Namespace) -> None:
    namespace.apply(_service("v2"))
    ready = namespace.wait_for_reason(SERVICE, "Ready", "CanaryRejected", READY_WITHIN_S)
    print(ready)
    assert "capital" in ready.message, "the failing case is named"
    assert namespace.condition(SERVICE, "Available").status == "True"
    assert namespace.condition(SERVICE, "Stalled").status == "True"
    traffic_ = namespace.the(SERVICE)["status"]["rollout"]["traffic"]
    assert [(share["weight"], "geography-v1" in share["revision"]) for share in traffic_] == [(100, True)]


def _rolls_out(namespace: Namespace, api: openai.OpenAI) -> None:
    namespace.apply(_service("v3"))
    last: Manifest = {}

    def shares() -> bool:
        nonlocal last
        last = namespace.the(SERVICE)
        rollout = last["status"]["rollout"]
        return bool(rollout["step"] == "Canary" and rollout.get("analysis"))

    wait_for("a fifth of requests to go to v3", shares, READY_WITHIN_S, seen=lambda: told(last))
    found = _answers(api, ASKED)
    print(f"{WEIGHT} % for v3: {dict(found)}")
    # Each question is a conversation of its own, whose draw is its hash: four standard deviations.
    assert abs(found["geography-v3"] - WEIGHT) <= 4 * (ASKED * WEIGHT * (100 - WEIGHT)) ** 0.5 / 100
    namespace.wait_until_ready(SERVICE, READY_WITHIN_S)
    assert _answers(api, 20) == {"geography-v3": 20}


def _goes_back(namespace: Namespace, api: openai.OpenAI) -> None:
    namespace.apply(_service("v1"))
    began = asked = time.monotonic()
    answered: list[str] = []
    while answered[-10:] != ["geography-v1"] * 10:
        assert time.monotonic() - began < 60, told(namespace.the(SERVICE))
        # When the first of ten in a row was asked: real vLLM takes a second for each of them.
        asked = asked if answered[-1:] == ["geography-v1"] else time.monotonic()
        answered += _answering(api, 1)
    took = asked - began
    print(f"back on v1 after {took:.1f} s")
    assert took <= BACK_WITHIN_S
    namespace.wait_until_ready(SERVICE, READY_WITHIN_S)
    assert condition(namespace.the(SERVICE), "Stalled").status != "True"


def _answers(api: openai.OpenAI, count: int) -> Counter[str]:
    """By which prompt so many requests were answered, by their own header."""
    return Counter(_answering(api, count))


def _answering(api: openai.OpenAI, count: int) -> Iterator[str]:
    for _ in range(count):
        # A conversation that begins like another one goes where that went.
        question = f"{QUESTION} {os.urandom(4).hex()}"
        answer = api.chat.completions.with_raw_response.create(
            model="chat", messages=[{"role": "user", "content": question}], max_tokens=1
        )
        yield answer.headers.get("x-pointsman-prompt", "")


def _service(version: str) -> Manifest:
    return service(
        "chat",
        model={"source": {"uri": SMOLLM2}},
        promptRef={"name": f"geography-{version}"},
        rollout=dict(ROLLOUT),
    )


def _prompt(version: str) -> Manifest:
    return {
        "apiVersion": "serving.pointsman.dev/v1alpha1",
        "kind": "PromptVersion",
        "metadata": {"name": f"geography-{version}"},
        "spec": {
            "family": "geography",
            "messages": [{"role": "system", "content": "You are {{person}}."}],
            "variables": [{"name": "person", "type": "string", "default": PERSONS[version]}],
            **({"parameters": PARAMETERS[version]} if version in PARAMETERS else {}),
        },
    }


def _suite() -> Manifest:
    return {
        "apiVersion": "serving.pointsman.dev/v1alpha1",
        "kind": "PromptSuite",
        "metadata": {"name": "geography"},
        "spec": {
            "family": "geography",
            "cases": [
                {
                    "name": "capital",
                    "messages": [{"role": "user", "content": QUESTION}],
                    "assertions": [{"contains": "Paris"}, {"maxTokens": 64}],
                    "maxTokens": 32,
                },
                {
                    "name": "no-rival",
                    "messages": [{"role": "user", "content": QUESTION}],
                    "assertions": [{"notContains": "Berlin"}, {"refusal": False}],
                    "maxTokens": 32,
                },
            ],
        },
    }


def _pods(namespace: Namespace) -> dict[str, int]:
    """The engines' pods by uid, with how often their containers were restarted."""
    return {
        pod["metadata"]["uid"]: sum(c["restartCount"] for c in pod["status"].get("containerStatuses", ()))
        for pod in namespace.items("pods", ENGINES)
    }
