"""What makes a revision: every hashed field does, no live field does, no spelling does."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.core.revision import HISTORY, Revision, expired, name_of
from tests.unit.core.build import TINY, model, service

GPU = {"accelerator": {"resource": "nvidia.com/gpu", "count": 2}}


def name(**spec: Any) -> str:
    made = service(**spec)
    assert made.spec.model is not None
    return name_of("chat", made.spec, made.spec.model)


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"source": {"uri": "file:///models/other"}}},
        {"model": {**TINY, "defaults": {"toolCallParser": "hermes"}}},
        {"model": {**TINY, "storage": {"size": "4Gi"}}},
        {"hardware": GPU},
        {"hardware": {"resources": {"requests": {"cpu": "1"}}}},
        {"hardware": {"nodeSelector": {"zone": "a"}}},
        {"engine": {"version": "0.33.0"}},
        {"engine": {"image": "x/y:1"}},
        {"engine": {"maxModelLen": 1024}},
        {"engine": {"args": {"max-num-seqs": "8"}}},
        {"engine": {"env": {"OMP_NUM_THREADS": "1"}}},
        {"drainSeconds": 10},
        {"restartedAt": "2026-01-01T00:00:00Z"},
        {"pod": {"labels": {"team": "a"}}},
    ],
    ids=lambda change: str(next(iter(change.items()))),
)
def test_a_declared_input_makes_another_revision(change: dict[str, Any]) -> None:
    assert name(**change) != name()


@pytest.mark.parametrize(
    "change",
    [
        {"modelNames": ["a", "b"]},
        {"replicas": 7},
        {"routerRef": {"name": "front"}},
        {"routing": {"timeouts": {"connectSeconds": 5}}},
        {"rollout": {"strategy": "Recreate"}},
        {"paused": True},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_live_field_does_not(change: dict[str, Any]) -> None:
    assert name(**change) == name()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            {"hardware": {"resources": {"limits": {"cpu": "1"}}}},
            {"hardware": {"resources": {"limits": {"cpu": "1000m"}}}},
        ),
        ({"hardware": {}}, {}),
        ({"engine": {"type": "vLLM"}}, {}),
        ({"engine": {"args": {"a-b": "1", "c-d": "2"}}}, {"engine": {"args": {"c-d": "2", "a-b": "1"}}}),
    ],
    ids=["an amount in other units", "an empty group", "the API's default", "another order of keys"],
)
def test_another_spelling_of_the_same_is_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert name(**one) == name(**other)


def test_moving_the_model_out_into_an_object_of_its_own_changes_nothing() -> None:
    referring = service(modelRef={"name": "small"})
    assert name_of("chat", referring.spec, model().spec) == name()


def test_the_name_is_stable_over_releases() -> None:
    """A change of this literal restarts every engine of every user."""
    assert name() == "chat-56be42ea"


def test_history_is_bounded_and_never_forgets_what_is_in_use() -> None:
    remembered = [Revision(f"r{n}", n, "", "", "", (), {}) for n in range(12)]
    gone = expired(remembered, frozenset({"r0"}))
    assert "r0" not in gone
    assert len(remembered) - len(gone) == HISTORY + 1
    assert gone == {f"r{n}" for n in range(1, 7)}
