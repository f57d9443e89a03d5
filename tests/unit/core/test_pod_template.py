"""What a declared service becomes as a pod: arguments, resources, volumes, security."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pointsman.core.pod_template import Inputs, arguments, image, render
from tests.pss import violations
from tests.unit.core.build import SETTINGS, TINY, service

GPU = {"accelerator": {"resource": "nvidia.com/gpu", "count": 2}}
HUB = {"source": {"uri": "hf://org/name", "revision": "main", "secretRef": {"name": "hub-token"}}}
CLAIM = {"source": {"uri": "pvc://weights/llama/8b"}}


def inputs(**spec: Any) -> Inputs:
    made = service(**spec)
    assert made.spec.model is not None
    return Inputs("chat", "chat-12345678", made.spec, made.spec.model, SETTINGS, "c0ffee", 1024**3)


def container(**spec: Any) -> dict[str, Any]:
    found: dict[str, Any] = render(inputs(**spec))["spec"]["containers"][0]
    return found


ARGUMENTS = [
    ("the context length", {"engine": {"maxModelLen": 2048}}, "--max-model-len=2048"),
    (
        "a fraction of device memory in percent",
        {"engine": {"gpuMemoryUtilization": 85}},
        "--gpu-memory-utilization=0.85",
    ),
    ("float16 on a CPU", {}, "--dtype=float16"),
    ("a declared dtype before the default", {"engine": {"dtype": "float32"}}, "--dtype=float32"),
    ("tensor parallel over all accelerators", {"hardware": GPU}, "--tensor-parallel-size=2"),
    (
        "declared parallelism",
        {"hardware": GPU, "parallelism": {"pipeline": 2}},
        "--pipeline-parallel-size=2",
    ),
    ("a user's argument", {"engine": {"args": {"max-num-seqs": "8"}}}, "--max-num-seqs=8"),
    ("a switch on", {"engine": {"args": {"enforce-eager": "true"}}}, "--enforce-eager"),
    ("a switch off", {"engine": {"args": {"enable-prefix-caching": "false"}}}, "--no-enable-prefix-caching"),
    ("tools", {"model": {**TINY, "defaults": {"toolCallParser": "hermes"}}}, "--enable-auto-tool-choice"),
    ("the directory of fetched weights", {"model": HUB}, "--model=/weights/model"),
    ("the path on a claim", {"model": CLAIM}, "--model=/weights/llama/8b"),
    ("the service's own name", {"modelNames": ["public"]}, "--served-model-name=chat"),
    (
        "a quarter of memory as CPU cache",
        {"hardware": {"resources": {"limits": {"memory": "4Gi"}}}},
        f"--kv-cache-memory-bytes={1024**3}",
    ),
]


@pytest.mark.parametrize(
    ("spec", "expected"), [row[1:] for row in ARGUMENTS], ids=[row[0] for row in ARGUMENTS]
)
def test_an_engine_is_told(spec: dict[str, Any], expected: str) -> None:
    assert expected in arguments(inputs(**spec))


def test_no_cpu_default_reaches_an_accelerator() -> None:
    told = arguments(inputs(hardware=GPU))
    assert not [a for a in told if a.startswith(("--dtype", "--kv-cache"))]


@pytest.mark.parametrize(
    "spec", [{}, {"hardware": GPU}, {"model": HUB}, {"model": CLAIM}], ids=["cpu", "gpu", "hub", "claim"]
)
def test_every_engine_pod_keeps_the_restricted_standard_and_holds_no_token(spec: dict[str, Any]) -> None:
    pod = render(inputs(**spec))["spec"]
    assert violations(pod) == []
    assert pod["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, "registry.test/cpu:9"),
        ({"hardware": GPU}, "registry.test/gpu:9"),
        ({"engine": {"version": "0.33.0"}}, "registry.test/cpu:0.33.0"),
        ({"engine": {"image": "mine:1"}}, "mine:1"),
        ({"hardware": {"accelerator": {"resource": "acme.example/npu", "count": 1}}}, ""),
    ],
    ids=["by the CPU", "by the accelerator", "by the declared version", "as given", "unknown accelerator"],
)
def test_the_image_is_chosen(spec: dict[str, Any], expected: str) -> None:
    assert image(service(**spec).spec, SETTINGS) == expected


def test_accelerators_are_limits_and_host_resources_are_as_declared() -> None:
    resources = container(
        hardware={**GPU, "resources": {"requests": {"cpu": "4"}, "limits": {"memory": "8Gi"}}}
    )["resources"]
    assert resources == {"requests": {"cpu": "4"}, "limits": {"memory": "8Gi", "nvidia.com/gpu": "2"}}


def test_draining_fits_into_the_grace_period() -> None:
    pod = render(inputs(drainSeconds=120))["spec"]
    assert pod["terminationGracePeriodSeconds"] == 150
    assert {"name": "POINTSMAN_DRAIN_SECONDS", "value": "120"} in pod["containers"][0]["env"]


def test_the_startup_budget_is_an_hour_unless_the_operator_says_otherwise() -> None:
    probe = container()["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 3600


def test_a_newborns_own_budget_goes_before_it() -> None:
    probe = render(replace(inputs(), startup_seconds=604))["spec"]["containers"][0]["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == 605


def test_a_proof_is_asked_in_the_pod_as_it_was_declared() -> None:
    proof = [{"name": "sum", "prompt": "$(HOME) costs $$5, in €:", "answer": {"regex": "5$"}, "maxTokens": 4}]
    (value,) = [e["value"] for e in container(model={**TINY, "proof": proof})["env"] if "PROOF" in e["name"]]
    assert json.loads(value) == proof
    assert "$" not in value, "Kubernetes would fill it in"
    assert "POINTSMAN_PROOF" not in {entry["name"] for entry in container()["env"]}


def test_fetched_weights_have_a_volume_with_a_size_that_the_scheduler_counts() -> None:
    pod = render(inputs(model=HUB))["spec"]
    volumes = {v["name"]: v for v in pod["volumes"]}
    assert volumes["weights"]["emptyDir"]["sizeLimit"] == "2048Mi"
    assert pod["containers"][0]["resources"]["requests"]["ephemeral-storage"] == "2048Mi"
    assert volumes["hub"]["secret"]["secretName"] == "hub-token"


def test_environment_is_sorted_because_another_order_would_be_another_template() -> None:
    names = [entry["name"] for entry in container(engine={"env": {"ZED": "1", "ALPHA": "2"}})["env"]]
    assert names == sorted(names)


def test_images_are_pulled_with_the_services_secrets_and_the_operators() -> None:
    made = inputs(pod={"imagePullSecrets": [{"name": "mine"}, {"name": "shared"}]})
    pod = render(replace(made, settings=replace(SETTINGS, image_pull_secrets=("shared", "house"))))["spec"]
    assert pod["imagePullSecrets"] == [{"name": "mine"}, {"name": "shared"}, {"name": "house"}]
