"""What makes a new revision, and what doesn't."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.api.common import Base
from pointsman.api.hardware import Hardware
from pointsman.api.model import ModelSpec
from pointsman.api.names import LLMSERVICE
from pointsman.api.revision_fields import REVISION_FIELDS, ROUTER_FIELDS, Part, declared
from pointsman.api.router import RouterSpec
from pointsman.api.service import ServiceSpec
from tests.contract.manifests import FULL

BASE: dict[str, Any] = FULL[LLMSERVICE]
MODEL = BASE["model"]


def of(**changes: Any) -> dict[str, Any]:
    """What is declared by the full spec with some fields changed; a field set to None is left out."""
    spec = {name: value for name, value in {**BASE, **changes}.items() if value is not None}
    return declared(ServiceSpec.model_validate(spec), ModelSpec.model_validate(spec.get("model", MODEL)))


def test_the_table_knows_every_field() -> None:
    top = {path for path in REVISION_FIELDS if "." not in path}
    assert {field.alias for field in ServiceSpec.model_fields.values()} == top


@pytest.mark.parametrize("path", [path for path in REVISION_FIELDS if "." in path])
def test_a_part_that_has_a_row_is_a_field(path: str) -> None:
    parent, _, name = path.partition(".")
    types: dict[str, type[Base]] = {"hardware": Hardware, "model": ModelSpec}
    type_ = types[parent]
    assert name in {field.alias for field in type_.model_fields.values()}


def test_the_routers_table_knows_every_field() -> None:
    assert {field.alias for field in RouterSpec.model_fields.values()} == set(ROUTER_FIELDS)


def test_everything_hashed_that_is_given_is_declared() -> None:
    hashed = {name for name, part in REVISION_FIELDS.items() if part is Part.HASHED and "." not in name}
    assert set(of()) == hashed


NEW_REVISION: dict[str, dict[str, Any]] = {
    "another model": {"model": {"source": {"uri": "hf://a/b"}}},
    "another branch": {"model": {**MODEL, "source": {**MODEL["source"], "revision": "v2"}}},
    "a larger volume": {"model": {**MODEL, "storage": {"size": "30Gi"}}},
    "another parser": {"model": {**MODEL, "defaults": {"toolCallParser": "mistral"}}},
    "more memory": {"hardware": {**BASE["hardware"], "resources": {"requests": {"memory": "48Gi"}}}},
    "another node": {"hardware": {**BASE["hardware"], "nodeSelector": {"zone": "b"}}},
    "another split": {"parallelism": {"tensor": 4}},
    "an engine argument": {"engine": {**BASE["engine"], "args": {"max-num-seqs": "32"}}},
    "an environment variable": {"engine": {**BASE["engine"], "env": {}}},
    "a longer drain": {"drainSeconds": 600},
    "a restart": {"restartedAt": "2026-11-23T00:00:00Z"},
    "a label on the pods": {"pod": {"labels": {"a": "b"}}},
}


@pytest.mark.parametrize("changes", NEW_REVISION.values(), ids=NEW_REVISION)
def test_makes_a_new_revision(changes: dict[str, Any]) -> None:
    assert of(**changes) != of()


SAME_REVISION: dict[str, dict[str, Any]] = {
    "other names for clients": {"modelNames": ["other"]},
    "more replicas": {"replicas": 5},
    "another router": {"routerRef": {"name": "public"}},
    "another way to the engines": {"routing": {"picking": {"policy": "RoundRobin"}}},
    "another strategy": {"rollout": {"strategy": "Surge"}},
    "a pause": {"paused": True},
    "an accelerator's memory": {"hardware": {**BASE["hardware"], "deviceMemory": "24Gi"}},
    "a fit that advises": {"hardware": {**BASE["hardware"], "fit": "Required"}},
    "other facts of the model": {"model": {**MODEL, "facts": {"parameters": 1}}},
    "the model moved into an LLMModel": {"model": None, "modelRef": {"name": "qwen"}},
    "the engine's type left to the server": {
        "engine": {name: value for name, value in BASE["engine"].items() if name != "type"}
    },
    "the same memory in other words": {
        "hardware": {
            **BASE["hardware"],
            "resources": {
                "requests": {"cpu": "4000m", "memory": "32768Mi", "ephemeral-storage": "50Gi"},
                "limits": {"memory": "64Gi"},
            },
        }
    },
    "fields in another order": dict(reversed(BASE.items())),
}


@pytest.mark.parametrize("changes", SAME_REVISION.values(), ids=SAME_REVISION)
def test_keeps_the_revision(changes: dict[str, Any]) -> None:
    assert of(**changes) == of()


@pytest.mark.parametrize("field", ["engine", "hardware", "pod", "parallelism"])
def test_an_empty_object_says_nothing(field: str) -> None:
    minimal: dict[str, Any] = {"model": {"source": {"uri": "file:///m"}}}
    model = ModelSpec.model_validate(minimal["model"])
    without = declared(ServiceSpec.model_validate(minimal), model)
    assert declared(ServiceSpec.model_validate({**minimal, field: {}}), model) == without
