"""Plans: what is applied, deleted, refused, and in which order."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pointsman.core.inventory import APPLY_ORDER, plan


def obj(kind: str, name: str = "x", **metadata: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "uid": f"uid-{kind}-{name}", **metadata}}


def test_what_is_owned_and_no_longer_wanted_is_deleted_by_its_uid() -> None:
    made = plan([obj("Service")], [obj("Service"), obj("Deployment")])
    assert [(d.kind, d.uid, d.propagation) for d in made.delete] == [
        ("Deployment", "uid-Deployment-x", "Foreground")
    ]


def test_what_is_retained_is_neither_applied_nor_deleted() -> None:
    made = plan([], [obj("Deployment")], retained=frozenset({("Deployment", "x")}))
    assert not made.apply
    assert not made.delete


def test_what_is_leaving_already_is_left_to_its_end() -> None:
    leaving = obj("Deployment", deletionTimestamp="2026-01-01T00:00:00Z")
    made = plan([obj("Deployment")], [leaving])
    assert not made.apply
    assert not made.delete


def test_a_strangers_name_is_refused() -> None:
    made = plan([obj("Service")], [], strangers=[obj("Service")])
    assert made.refused == (("Service", "x"),)
    assert not made.apply


@given(st.permutations(APPLY_ORDER))
def test_configuration_comes_before_what_reads_it_and_goes_after_it(kinds: list[str]) -> None:
    objects = [obj(kind) for kind in kinds]
    assert [m["kind"] for m in plan(objects, []).apply] == list(APPLY_ORDER)
    assert [d.kind for d in plan([], objects).delete] == list(reversed(APPLY_ORDER))
