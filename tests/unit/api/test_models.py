"""Reading and writing objects: what the wire has is what the models hold."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from pointsman.api.hardware import Parallelism, Resources
from pointsman.api.kinds import KINDS
from pointsman.api.model import ModelSource
from pointsman.api.names import Resource
from pointsman.api.rollout import Strategy
from pointsman.api.router import LLMRouter
from pointsman.api.service import LLMService, ServiceSpec
from tests.contract.manifests import FULL, manifest

MODELS = {row.resource: row.model for row in KINDS}
FILE: dict[str, Any] = {"model": {"source": {"uri": "file:///m"}}}


@pytest.mark.parametrize("resource", FULL, ids=lambda it: it.kind)
def test_a_full_spec_is_read_and_written_the_same(resource: Resource) -> None:
    read = MODELS[resource].model_validate(manifest(resource, FULL[resource]))
    written = MODELS[resource].model_validate(manifest(resource, read.to_wire()["spec"]))
    assert written.spec == read.spec


def test_fields_of_a_newer_version_are_ignored() -> None:
    assert ServiceSpec.model_validate({**FILE, "laterRef": {"name": "x"}}) == ServiceSpec.model_validate(FILE)


def test_an_object_as_the_server_has_it_is_read() -> None:
    service = LLMService.model_validate(
        {
            "apiVersion": "serving.pointsman.dev/v1alpha1",
            "kind": "LLMService",
            "metadata": {
                "name": "chat",
                "namespace": "team-a",
                "uid": "u",
                "generation": 3,
                "resourceVersion": "7",
                "creationTimestamp": "2026-11-22T17:30:00Z",
                "deletionTimestamp": "2026-11-22T17:31:00Z",
                "finalizers": ["pointsman.dev/cleanup"],
                "managedFields": [{"manager": "kubectl"}],
            },
            "spec": FILE,
        }
    )
    assert service.metadata.deletion_timestamp == "2026-11-22T17:31:00Z"
    assert service.metadata.finalizers == ("pointsman.dev/cleanup",)
    assert service.status.conditions == ()


def test_a_router_needs_no_spec() -> None:
    assert LLMRouter.model_validate({"metadata": {"name": "default"}}).spec.replicas is None


def test_a_model_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        ServiceSpec.model_validate(FILE).replicas = 2


def test_a_number_for_a_quantity_is_held_as_a_string() -> None:
    assert Resources.model_validate({"limits": {"cpu": 4}}).limits == {"cpu": "4"}


@pytest.mark.parametrize("value", ["5", 5.0, True], ids=["a string", "a float", "a truth value"])
def test_only_an_integer_is_an_integer(value: object) -> None:
    with pytest.raises(ValidationError):
        ServiceSpec.model_validate({**FILE, "replicas": value})


@pytest.mark.parametrize(
    ("spec", "strategy"), [({}, Strategy.SURGE), ({"rollout": {"strategy": "Recreate"}}, Strategy.RECREATE)]
)
def test_the_strategy_is_surge_unless_given(spec: dict[str, Any], strategy: Strategy) -> None:
    assert ServiceSpec.model_validate({**FILE, **spec}).strategy is strategy


@pytest.mark.parametrize(
    ("uri", "scheme"), [("hf://a/b", "hf"), ("pvc://claim/a/b", "pvc"), ("file:///models/x", "file")]
)
def test_a_source_knows_its_scheme(uri: str, scheme: str) -> None:
    assert ModelSource(uri=uri).scheme == scheme


def test_parallelism_counts_accelerators() -> None:
    assert Parallelism(tensor=2, pipeline=2).accelerators == 4


def test_a_refused_argument_is_named() -> None:
    with pytest.raises(ValidationError, match=r"args\[dtype\]: use engine.dtype instead"):
        ServiceSpec.model_validate({**FILE, "engine": {"args": {"dtype": "float16"}}})


def test_what_is_unset_or_empty_isnt_written() -> None:
    spec = ServiceSpec.model_validate({**FILE, "hardware": {"nodeSelector": {}}})
    assert spec.to_wire() == FILE
