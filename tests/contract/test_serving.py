"""Our kinds on a real API server: explained, scaled, applied by several hands, and nothing of ours pruned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from pointsman.api.kinds import KINDS
from pointsman.api.names import (
    LLMMODEL,
    LLMROUTER,
    LLMSERVICE,
    MANAGER_STATUS,
    PROMPTSUITE,
    PROMPTVERSION,
    RESOURCES,
    Resource,
)
from pointsman.api.service_status import ServiceStatus
from tests.contract.manifests import FULL, MINIMAL, Json, changed, manifest
from tests.contract.server import Server

if TYPE_CHECKING:
    from e2e.cluster import ControlPlane

pytestmark = pytest.mark.apiserver

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(
    path.relative_to(ROOT)
    for path in (ROOT / "examples").rglob("*.yaml")
    if path.parent.name != "router-alone"
)
MODELS = {row.resource: row.model for row in KINDS}
NOW = "2026-11-22T17:30:00Z"

STATUS: dict[Resource, Json] = {
    LLMSERVICE: {
        "observedGeneration": 1,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Answering",
                "message": "A request was answered.",
                "lastTransitionTime": NOW,
                "observedGeneration": 1,
            }
        ],
        "model": "hf://Qwen/Qwen3-8B",
        "replicas": 2,
        "readyReplicas": 1,
        "selector": "pointsman.dev/service=chat",
        "addresses": [{"url": "http://default-router.contract.svc"}],
        "engine": {"image": "x", "commit": "0" * 40, "arguments": ["--port=8000"]},
        "rollout": {
            "stable": "chat-0a1b2c3d",
            "candidate": "chat-4e5f6a7b",
            "step": "Canary",
            "stepIndex": 1,
            "stepStartedAt": NOW,
            "generation": 1,
            "traffic": [
                {"revision": "chat-0a1b2c3d", "weight": 90},
                {"revision": "chat-4e5f6a7b", "weight": 10},
            ],
            "candidateWeight": 10,
            "failed": ["chat-8c9d0e1f"],
            "rejections": [
                {"variant": "chat-8c9d0e1f", "reason": "CanaryRejected", "message": "Slow.", "at": NOW}
            ],
            "analysis": {
                "window": "chat-4e5f6a7b/1",
                "step": "Canary",
                "startedAt": NOW,
                "observedAt": NOW,
                "looks": 2,
                "stableSamples": 5400,
                "candidateSamples": 600,
                "setAside": 50,
                "gates": [
                    {
                        "metric": "timeToFirstToken",
                        "statistic": "P50",
                        "verdict": "Inconclusive",
                        "stable": "0.41",
                        "candidate": "0.43",
                        "estimate": "1.05",
                        "low": "0.93",
                        "high": "1.18",
                        "allowed": "1.1",
                        "limit": "1.3",
                        "stableSamples": 5400,
                        "candidateSamples": 550,
                        "message": "Not certain yet.",
                    }
                ],
                "memory": "eJyrBQAAeQB6",
            },
        },
        "proof": {"generation": 1, "hash": "0123456789ab", "variant": "chat-0a1b2c3d", "kind": "chat"},
        "startup": [
            {
                "revision": "chat-0a1b2c3d",
                "scheduling": 1,
                "image": 20,
                "preflight": 8,
                "weights": 60,
                "load": 30,
                "compile": 25,
                "firstToken": 0,
                "proof": 2,
                "total": 146,
                "weightBytes": 2**40,
            },
            {"revision": "chat-4e5f6a7b", "total": 99},
        ],
        "loading": {
            "revision": "chat-4e5f6a7b",
            "stage": "Downloading",
            "bytesLoaded": 2**39,
            "bytesTotal": 2**40,
            "bytesPerSecond": 2**30,
            "observedAt": NOW,
        },
    },
    LLMMODEL: {"observedGeneration": 1, "services": 2, "conditions": []},
    LLMROUTER: {
        "observedGeneration": 1,
        "replicas": 2,
        "readyReplicas": 2,
        "selector": "pointsman.dev/router=default",
        "addresses": [{"url": "http://default-router.contract.svc"}],
        "services": 1,
        "configHash": "0123456789ab",
    },
    PROMPTVERSION: {"observedGeneration": 1, "digest": "sha256:" + "0" * 64, "services": 2},
    PROMPTSUITE: {"observedGeneration": 1, "digest": "sha256:" + "0" * 64, "cases": 1, "prompts": 3},
}
"""Every field of each kind's status once."""


@pytest.fixture
def stored(server: Server) -> Iterator[Any]:
    """Stores objects for one test."""
    made: list[tuple[Resource, str]] = []

    def store(resource: Resource, spec: Json, name: str = "chat") -> Json:
        answer = server.create(resource, manifest(resource, spec, name))
        assert answer.accepted, answer.message
        made.append((resource, name))
        return answer.body

    yield store
    for resource, name in made:
        server.delete(resource, name)


@pytest.mark.parametrize("path", EXAMPLES, ids=str)
def test_an_example_is_accepted(server: Server, path: Path) -> None:
    for document in yaml.safe_load_all((ROOT / path).read_text()):
        answer = server.create(RESOURCES[document["kind"]], document, dry=True)
        assert answer.accepted, answer.message


@pytest.mark.parametrize("resource", FULL, ids=lambda it: it.kind)
def test_nothing_of_a_full_spec_is_pruned(server: Server, resource: Resource) -> None:
    answer = server.create(resource, manifest(resource, FULL[resource]), dry=True)
    assert answer.accepted, answer.message
    assert answer.body["spec"] == FULL[resource]


@pytest.mark.parametrize("resource", STATUS, ids=lambda it: it.kind)
def test_nothing_of_a_full_status_is_pruned(server: Server, stored: Any, resource: Resource) -> None:
    stored(resource, MINIMAL[resource])
    answer = server.merge(resource, "chat", {"status": STATUS[resource]}, "status")
    assert answer.accepted, answer.message
    assert answer.body["status"] == STATUS[resource]


@pytest.mark.parametrize("resource", STATUS, ids=lambda it: it.kind)
def test_a_full_status_is_read_and_written_the_same(resource: Resource) -> None:
    wire = {**manifest(resource, FULL[resource]), "status": STATUS[resource]}
    status = MODELS[resource].model_validate(wire).status.to_wire()
    assert status == {name: value for name, value in STATUS[resource].items() if value != []}


def test_an_empty_status_may_be_written(server: Server, stored: Any) -> None:
    stored(LLMSERVICE, MINIMAL[LLMSERVICE])
    answer = server.merge(LLMSERVICE, "chat", {"status": ServiceStatus().to_wire()}, "status")
    assert answer.accepted, answer.message


def test_the_server_fills_in_the_apis_constants_alone(server: Server) -> None:
    spec = {**MINIMAL[LLMSERVICE], "engine": {}, "rollout": {}, "hardware": {}}
    answer = server.create(LLMSERVICE, manifest(LLMSERVICE, spec), dry=True)
    assert answer.body["spec"] == {**spec, "engine": {"type": "vLLM"}, "rollout": {"strategy": "Surge"}}


def _condition(type_: str, status: str = "True") -> Json:
    return {"type": type_, "status": status, "reason": "Answering", "lastTransitionTime": NOW}


def test_two_managers_own_a_condition_each(server: Server, stored: Any) -> None:
    stored(LLMSERVICE, MINIMAL[LLMSERVICE])
    bare = {key: value for key, value in manifest(LLMSERVICE, {}).items() if key != "spec"}
    ours = {**bare, "status": {"conditions": [_condition("Ready")]}}
    theirs = {**bare, "status": {"conditions": [_condition("Audited")]}}
    assert server.apply(LLMSERVICE, ours, MANAGER_STATUS, "status").accepted
    answer = server.apply(LLMSERVICE, theirs, "someone", "status")
    assert {it["type"] for it in answer.body["status"]["conditions"]} == {"Ready", "Audited"}
    conflict = {**bare, "status": {"conditions": [_condition("Ready", "False")]}}
    assert server.apply(LLMSERVICE, conflict, "someone", "status").code == 409


def test_a_condition_stands_in_status_once(server: Server, stored: Any) -> None:
    stored(LLMSERVICE, MINIMAL[LLMSERVICE])
    twice = {"status": {"conditions": [_condition("Ready"), _condition("Ready", "False")]}}
    answer = server.merge(LLMSERVICE, "chat", twice, "status")
    assert "Duplicate value" in answer.message


def test_a_scalar_of_status_applied_by_one_manager_is_kept_by_another(server: Server, stored: Any) -> None:
    stored(LLMSERVICE, MINIMAL[LLMSERVICE])
    bare = {key: value for key, value in manifest(LLMSERVICE, {}).items() if key != "spec"}
    server.apply(LLMSERVICE, {**bare, "status": {"observedGeneration": 1}}, MANAGER_STATUS, "status")
    answer = server.apply(LLMSERVICE, {**bare, "status": {"replicas": 3}}, "someone", "status")
    assert answer.body["status"] == {"observedGeneration": 1, "replicas": 3}


def test_writing_status_leaves_the_generation_alone(server: Server, stored: Any) -> None:
    before = stored(LLMSERVICE, MINIMAL[LLMSERVICE])["metadata"]["generation"]
    answer = server.merge(LLMSERVICE, "chat", {"status": STATUS[LLMSERVICE]}, "status")
    assert answer.body["metadata"]["generation"] == before


def test_a_patch_of_spec_leaves_status_alone(server: Server, stored: Any) -> None:
    stored(LLMSERVICE, MINIMAL[LLMSERVICE])
    server.merge(LLMSERVICE, "chat", {"status": {"replicas": 3}}, "status")
    answer = server.merge(LLMSERVICE, "chat", {"spec": {"replicas": 1}, "status": {"replicas": 9}})
    assert (answer.body["spec"]["replicas"], answer.body["status"]["replicas"]) == (1, 3)


def test_a_stored_object_that_breaks_no_rule_may_be_changed_elsewhere(server: Server, stored: Any) -> None:
    stored(LLMSERVICE, FULL[LLMSERVICE])
    answer = server.merge(LLMSERVICE, "chat", {"spec": {"replicas": 3}})
    assert answer.accepted, answer.message


@pytest.mark.parametrize(
    "change",
    [
        {"family": "sales"},
        {"messages": [{"role": "user", "content": "Another."}]},
        {"parameters": {"seed": 1}},
        {"variables": None},
    ],
    ids=lambda it: next(iter(it)),
)
def test_a_prompt_cannot_be_changed(server: Server, stored: Any, change: Json) -> None:
    stored(PROMPTVERSION, FULL[PROMPTVERSION])
    answer = server.merge(PROMPTVERSION, "chat", {"spec": change})
    assert not answer.accepted
    assert "spec: Invalid value: spec can't be changed: make another PromptVersion" in answer.message
    labelled = server.merge(PROMPTVERSION, "chat", {"metadata": {"labels": {"stage": "production"}}})
    assert labelled.accepted, "what isn't the prompt may change"


def test_a_suite_can_be_changed(server: Server, stored: Any) -> None:
    stored(PROMPTSUITE, FULL[PROMPTSUITE])
    assert server.merge(PROMPTSUITE, "chat", {"spec": {"seed": 1}}).accepted


@pytest.mark.parametrize("resource", [LLMSERVICE, LLMROUTER], ids=lambda it: it.kind)
def test_an_autoscaler_reads_and_writes_scale(server: Server, stored: Any, resource: Resource) -> None:
    stored(resource, changed(MINIMAL[resource], "replicas", 1))
    server.merge(resource, "chat", {"status": STATUS[resource]}, "status")
    scale = server.get(resource, "chat", "scale").body
    assert scale["spec"] == {"replicas": 1}
    assert scale["status"] == {"replicas": 2, "selector": STATUS[resource]["selector"]}
    answer = server.merge(resource, "chat", {"spec": {"replicas": 3}}, "scale")
    assert answer.accepted, answer.message
    assert server.get(resource, "chat").body["spec"]["replicas"] == 3


def test_kubectl_scales(server: Server, stored: Any, apiserver: ControlPlane) -> None:
    stored(LLMSERVICE, MINIMAL[LLMSERVICE])
    apiserver.kubectl.run("scale", "llmsvc/chat", "--replicas=0", "--namespace=contract")
    assert server.get(LLMSERVICE, "chat").body["spec"]["replicas"] == 0


def test_kubectl_shows_useful_columns(server: Server, stored: Any, apiserver: ControlPlane) -> None:
    stored(LLMSERVICE, MINIMAL[LLMSERVICE])
    server.merge(LLMSERVICE, "chat", {"status": STATUS[LLMSERVICE]}, "status")
    head, row = apiserver.kubectl.run("get", "llmsvc", "chat", "--namespace=contract").splitlines()
    assert head.split() == ["NAME", "STABLE", "CANDIDATE", "STEP", "WEIGHT", "READY", "REASON", "AGE"]
    assert row.split()[:7] == [
        "chat",
        "chat-0a1b2c3d",
        "chat-4e5f6a7b",
        "Canary",
        "10",
        "True",
        "Answering",
    ]


def test_one_category_lists_all_kinds(server: Server, stored: Any, apiserver: ControlPlane) -> None:
    for resource in MINIMAL:
        stored(resource, MINIMAL[resource])
    names = apiserver.kubectl.run("get", "pointsman", "--namespace=contract", "--output=name").split()
    assert len(names) == len(MINIMAL)


EXPLAINED = {
    "llmservice.spec.hardware": (
        "What each engine pod runs on.",
        "accelerator",
        "Labels that a node must have.",
    ),
    "llmservice.spec.replicas": ("How many engine pods. Unset: 1.",),
    "llmsvc.spec.engine.args": ("without the leading dashes",),
    "llmservice.status.rollout.step": ("Capacity: its engines come up.",),
    "llmmodel.spec.source.uri": ("hf://organisation/name",),
    "llmrouter.spec.allowedPeers": ("Who may talk to the router.",),
    "llmrouter.spec.limits.maxBodyBytes": ("Body of one request. Unset: 67,108,864. Beyond: 413.",),
    "llmrouter.spec.tls": ("never in plain text", "secretRef"),
    "promptver.spec.variables": ("in the field prompt_variables of a request", "maxLength"),
    "promptsuite.spec.cases.assertions": ("similarity", "jsonSchema"),
    "llmservice.spec.routing.picking.policy": ("LeastLoaded", "Unset: PrefixAffinity."),
}


@pytest.mark.parametrize("path", EXPLAINED)
@pytest.mark.usefixtures("server")
def test_kubectl_explains(apiserver: ControlPlane, path: str) -> None:
    text = " ".join(apiserver.kubectl.run("explain", path).split())
    for words in EXPLAINED[path]:
        assert words in text
