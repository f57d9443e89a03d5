"""What no schema can refuse: a condition names it and what would be right; what served keeps serving."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.stories import revision_of

TINY = {"source": {"uri": "file:///models/tiny"}}
CHAT: dict[str, Any] = {"model": TINY}
PRIVATE = {"source": {"uri": "hf://org/private", "secretRef": {"name": "hub-token"}}}

MISSING_SECRET = 'MountVolume.SetUp failed for volume "hub" : secret "hub-token" not found'
NOT_A_NUMBER = "--max-num-seqs: 'many' is not a number"
CRASHED = {
    "name": "engine",
    "ready": False,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {
        "terminated": {
            "exitCode": 1,
            "message": json.dumps({"reason": "ArgumentsInvalid", "message": NOT_A_NUMBER}),
        }
    },
}

TABLE: list[tuple[str, dict[str, Any], str, str, str]] = [
    (
        "an LLMModel that is missing",
        {"modelRef": {"name": "gone"}},
        "ReferencesResolved",
        "ReferenceNotFound",
        "spec.modelRef: there is no LLMModel 'gone' in this namespace; create it or correct the name",
    ),
    (
        "an LLMRouter that is missing",
        {**CHAT, "routerRef": {"name": "gone"}},
        "ReferencesResolved",
        "ReferenceNotFound",
        "spec.routerRef: there is no LLMRouter 'gone' in this namespace; create it or correct the name",
    ),
    (
        "a Secret that is missing",
        {"model": PRIVATE},
        "ReferencesResolved",
        "SecretNotFound",
        "Secret 'hub-token' does not exist; create it with the key 'token'",
    ),
    (
        "an accelerator that no image is known for",
        {**CHAT, "hardware": {"accelerator": {"resource": "acme.example/npu", "count": 1}}},
        "EngineHealthy",
        "ImageUnknown",
        "no engine image is known for acme.example/npu; set spec.engine.image",
    ),
    (
        "an argument that the engine's own parser refuses",
        {**CHAT, "engine": {"args": {"max-num-seqs": "many"}}},
        "EngineHealthy",
        "ArgumentsInvalid",
        NOT_A_NUMBER,
    ),
    (
        "a model name that an older service claims",
        {**CHAT, "modelNames": ["chat", "taken"]},
        "RouterProgrammed",
        "ModelNameConflict",
        "model name 'taken' is claimed by the older LLMService 'elder'; choose another in spec.modelNames",
    ),
]


@pytest.mark.parametrize(
    ("spec", "kind", "reason", "message"), [r[1:] for r in TABLE], ids=[r[0] for r in TABLE]
)
async def test_a_condition_refuses_and_the_service_that_ran_before_keeps_serving(
    spec: dict[str, Any], kind: str, reason: str, message: str
) -> None:
    cluster = Cluster()
    await cluster.apply("LLMService", "elder", {"model": TINY, "modelNames": ["taken"]})
    await cluster.apply("LLMService", "chat", CHAT)
    await cluster.settle()
    cluster.unmounted = MISSING_SECRET
    served = cluster.find("LLMService", "chat")["status"]["rollout"]["stable"]
    if reason == "ArgumentsInvalid":
        cluster.failing[revision_of(spec)] = CRASHED
    await cluster.apply("LLMService", "chat", spec)
    await cluster.settle()
    assert cluster.condition("chat", kind) == ("False", reason, message)
    assert cluster.condition("chat", "Ready")[0] == "False"
    assert cluster.condition("chat", "Available")[0] == "True"
    assert cluster.ready_pods(served) == 1


def foreign(kind: str, name: str, **rest: Any) -> Callable[[], dict[str, Any]]:
    api = {"Service": "v1", "Deployment": "apps/v1", "PodDisruptionBudget": "policy/v1"}[kind]
    return lambda: {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"whose": "theirs"}},
        **rest,
    }


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget"])
async def test_a_foreign_object_in_the_way_is_named_and_left_alone(kind: str) -> None:
    cluster = Cluster()
    await cluster.kube.create(foreign(kind, "chat-engine", spec={"selector": {}})(), manager="them")
    await cluster.apply("LLMService", "chat", CHAT)
    await cluster.settle()
    status, reason, message = cluster.condition("chat", "Ready")
    assert (status, reason) == ("False", "ObjectNotOwned")
    assert message == f"{kind} 'chat-engine' exists and isn't ours; rename or delete it"
    assert cluster.condition("chat", "Stalled")[0] == "True"
    assert cluster.find(kind, "chat-engine")["metadata"]["labels"] == {"whose": "theirs"}
