"""A rollout's state comes back from status, and from what children are marked with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pointsman.api import names
from pointsman.api.conditions import Reason
from pointsman.api.service_status import RolloutStatus, Step
from pointsman.core import remembered
from pointsman.core.rollout import Rejection, State
from pointsman.core.variant import Share, Variant

NOW = datetime(2026, 1, 1, tzinfo=UTC)
A, B = Variant("a"), Variant("b")
A2 = Variant("a", "support-v2", "0badcafe")
REJECTED = Rejection(B, Reason.CANARY_REJECTED, "twice as slow", NOW)


def child(name: str, annotations: dict[str, str] | None = None, track: str = "") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {names.LABEL_TRACK: track}, "annotations": annotations or {}}
    }


def test_status_gives_the_state_back() -> None:
    state = State(
        A, B, Step.CANARY, 1, since=NOW, traffic=(Share(A, 100), Share(B, 0, 20)), rejections=(REJECTED,)
    )
    status = RolloutStatus.model_validate(
        {name: value for name, value in remembered.document(state).items() if value is not None}
    )
    assert remembered.state(status, (), ()) == state
    assert (status.candidate_weight, status.failed) == (0, ("b",))


def test_variants_that_share_engines_are_told_by_their_deployment() -> None:
    changing = State(A, A2, Step.CANARY)
    marks = remembered.variants_of(changing, "a")
    found = remembered.state(None, [child("a", marks, "stable")], ())
    assert (found.stable, found.candidate) == (A, A2)
    assert remembered.variants_of(State(A, B), "a") == {}, "its name says it all"
    assert remembered.variants_of(State(A, B), "b") == {}


def test_what_was_rejected_is_told_by_its_record() -> None:
    marks = remembered.rejections_of(State(A, rejections=(REJECTED,)), "b")
    found = remembered.state(None, [child("a", track="stable")], [child("b", marks), child("a")])
    assert found == State(A, rejections=(REJECTED,))
    assert remembered.rejections_of(State(A, rejections=(REJECTED,)), "a") == {}


@pytest.mark.parametrize(
    "mark", ["", "{", "7", '"text"', "[7]", '[{"variant": 7, "at": "yesterday"}]', '{"variant": "b"}', "null"]
)
def test_marks_that_a_hand_wrote_are_read_as_far_as_they_go(mark: str) -> None:
    found = remembered.state(
        None,
        [child("a", {names.ANNOTATION_VARIANTS: mark}, "stable")],
        [child("a", {names.ANNOTATION_REJECTIONS: mark})],
    )
    assert found.stable == A
