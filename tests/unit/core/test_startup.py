"""The ledger of starts: what goes into a row, and what follows from the rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.api.service_status import LoadingStatus, StartupRecord
from pointsman.core import startup
from pointsman.core.observed import EngineSignals, parse_signals
from pointsman.core.startup import Kind

NOW = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
TIMINGS = {"preflight": 4.0, "download": 20.4, "load": 30.0, "compile": 9.6, "firstToken": 0.4, "total": 66.0}


def engine(phase: str = "Ready", *, pod: str = "a", ready: bool = True, **fields: Any) -> EngineSignals:
    return EngineSignals(
        pod, ready=ready, phase=phase, timings=fields.pop("timings", TIMINGS if ready else {}), **fields
    )


def row(revision: str = "old", total: int = 100, **fields: Any) -> StartupRecord:
    return StartupRecord(revision=revision, total=total, **fields)


def pod(name: str = "a", restarts: int = 0) -> dict[str, Any]:
    """Made at :00, placed at :07, its engine begun at :40; another's container beside it began at :10."""
    began = {"startedAt": "2026-01-01T00:00:10Z"}
    return {
        "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "status": {
            "conditions": [{"type": "PodScheduled", "lastTransitionTime": "2026-01-01T00:00:07Z"}],
            "containerStatuses": [
                {"name": "auth-proxy", "restartCount": 0, "state": {"running": began}},
                {
                    "name": "engine",
                    "restartCount": restarts,
                    "state": {"running": {"startedAt": "2026-01-01T00:00:40Z"}},
                },
            ],
        },
    }


def test_a_row_holds_what_the_engine_measured_and_what_its_pods_times_tell() -> None:
    told = [engine(bytes_total=1000)]
    assert startup.recorded([], "new", told, [pod("b"), pod("a")]) == [
        {
            "revision": "new",
            "scheduling": 7,
            "image": 33,
            "preflight": 4,
            "weights": 20,
            "load": 30,
            "compile": 10,
            "firstToken": 0,
            "total": 106,
            "weightBytes": 1000,
        }
    ]


def test_the_slowest_engine_is_written_down() -> None:
    told = [engine(pod="a"), engine(pod="b", timings={"load": 80.0, "total": 90.0})]
    (made,) = startup.recorded([], "new", told, [])
    assert (made["load"], made["total"]) == (80, 90)


def test_a_container_that_was_started_again_says_nothing_of_its_image() -> None:
    (made,) = startup.recorded([], "new", [engine()], [pod(restarts=1)])
    assert ("image" in made, made["scheduling"], made["total"]) == (False, 7, 73)


def test_an_entrypoint_without_a_total_is_summed_up() -> None:
    (made,) = startup.recorded([], "new", [engine(timings={"load": 5.0, "preflight": 2.0})], [])
    assert made["total"] == 7


def test_a_row_is_never_rewritten_and_the_three_newest_stay() -> None:
    rows = [row("c", 3), row("b", 2), row("a", 1)]
    assert [r["revision"] for r in startup.recorded(rows, "b", [engine()], [])] == ["c", "b", "a"]
    assert [r["revision"] for r in startup.recorded(rows, "d", [engine()], [])] == ["d", "c", "b"]


NOT_YET = {
    "nobody tells": [],
    "one of two still proves": [engine(), engine("Proving", pod="b")],
    "one of two is on its way out": [engine(), engine("Draining", pod="b")],
    "figures are missing": [engine(timings={})],
}


@pytest.mark.parametrize("told", NOT_YET.values(), ids=NOT_YET)
def test_a_start_is_measured_when_all_have_told(told: list[EngineSignals]) -> None:
    assert not startup.due([], "new", told)
    assert startup.recorded([], "new", told, []) == []


def test_a_start_is_awaited_while_routers_lag_behind_the_cluster() -> None:
    lagging = [engine("Loading")]
    assert startup.is_awaited([], "new", lagging)
    assert not startup.is_awaited([row("new")], "new", lagging)
    assert not startup.is_awaited([], "new", [engine("Loading", ready=False)]), "the cluster will tell"
    assert not startup.is_awaited([], "new", [engine("")]), "an engine that never tells is not waited for"


def test_of_several_routers_the_one_that_knows_more_of_an_engine_is_believed() -> None:
    def told(phase: str, loaded: int) -> Any:
        engine = {"pod": "a", "phase": phase, "bytesLoaded": loaded, "bytesTotal": 10}
        services = {"chat": {"variants": {"r": {"engines": [engine]}}}}
        return parse_signals({"address": "x", "reachable": True, "body": {"services": services}})

    routers = [told("Loading", 3), told("", 0), told("Loading", 7), told("Preflight", 0)]
    assert [e.bytes_loaded for e in startup.engines(routers, "chat", "r")] == [7]
    assert startup.engines(routers, "chat", "other") == []


def test_routers_are_told_what_a_start_took_before_or_the_last_one() -> None:
    rows = [row("new", 100, scheduling=20, image=30), row("old", 70)]
    assert startup.hinted(rows, "new") == 50
    assert startup.hinted(rows, "old") == 70
    assert startup.hinted(rows, "unborn") == 50
    assert startup.hinted([], "unborn") is None


KINDS = {
    "old": Kind("hf://a", "cuda"),
    "older": Kind("hf://a", "cuda"),
    "on a CPU": Kind("hf://a", "cpu"),
    "of another model": Kind("hf://b", "cuda"),
}
NEW, LARGE, OTHER = Kind("hf://a", "cuda"), Kind("hf://c", "cuda", 20), Kind("hf://c", "cuda")
EXPECTED: dict[str, tuple[list[StartupRecord], Kind, int | None]] = {
    "nothing measured": ([], NEW, None),
    "its own start, whatever else was measured": ([row("old", 70), row("new", 90)], NEW, 90),
    "the newest of the same model": ([row("old", 400), row("older", 250)], NEW, 400),
    "what came before the engine doesn't count": ([row(total=3000, scheduling=2700)], NEW, 300),
    "in proportion to the weights": ([row(total=20, weight_bytes=1)], LARGE, 400),
    "also to those of another model": ([row("of another model", 20, weight_bytes=10)], LARGE, 40),
    "another model, the row's size unknown": ([row(total=20)], LARGE, None),
    "another model of unknown size": ([row(total=20, weight_bytes=10)], OTHER, None),
    "another sort of device": ([row("on a CPU", 20, weight_bytes=10)], LARGE, None),
    "a revision that is forgotten": ([row("forgotten", 20, weight_bytes=10)], LARGE, None),
    "an older row that compares": ([row("on a CPU", 20), row("older", 250)], NEW, 250),
}


@pytest.mark.parametrize(("rows", "kind", "seconds"), EXPECTED.values(), ids=EXPECTED)
def test_a_start_is_expected_to_take_what_the_last_one_like_it_took(
    rows: list[StartupRecord], kind: Kind, seconds: int | None
) -> None:
    assert startup.expected(rows, "new", {**KINDS, "new": kind}) == seconds


def test_of_a_revision_that_is_not_born_nothing_is_expected() -> None:
    assert startup.expected([row()], "new", KINDS) is None


BUDGETS = {
    "nothing to compare with": (None, 3600),
    "three times what is expected": (300, 900),
    "never less than ten minutes": (5, 600),
    "never more than the operator allows": (2000, 3600),
}


@pytest.mark.parametrize(("likely", "seconds"), BUDGETS.values(), ids=BUDGETS)
def test_the_budget(likely: int | None, seconds: int) -> None:
    assert startup.budget(likely, 3600) == seconds


@given(st.integers(0, 2**31 - 1), st.integers(0, 2**60), st.integers(0, 2**60), st.integers(1, 10**6))
def test_what_is_expected_and_a_budget_stay_within_their_bounds(
    total: int, old: int, new: int, most: int
) -> None:
    kinds = {**KINDS, "new": Kind("hf://a", "cuda", new)}
    likely = startup.expected([row(total=total, weight_bytes=old)], "new", kinds)
    assert likely is not None
    assert 0 <= likely < 2**31
    assert min(startup.LEAST_BUDGET_SECONDS, most) <= startup.budget(likely, most) <= most


def loading(before: LoadingStatus | None, *told: EngineSignals, later: float = 0) -> Any:
    return startup.loading(before, "new", told, NOW + timedelta(seconds=later))


def starting(phase: str, loaded: int = 0, pod: str = "a") -> EngineSignals:
    return engine(phase, pod=pod, ready=False, bytes_loaded=loaded, bytes_total=100)


BEFORE = LoadingStatus.model_validate(loading(None, starting("Loading", 20)))


def test_loading_is_told_of_the_slowest_engine() -> None:
    found = loading(None, starting("Loading", 5), starting("Downloading", 90, pod="b"), engine(pod="c"))
    assert found == {
        "revision": "new",
        "stage": "Downloading",
        "bytesLoaded": 90,
        "bytesTotal": 100,
        "observedAt": "2026-01-01T00:01:00Z",
    }


def test_nothing_is_told_before_an_engine_tells() -> None:
    assert loading(None) is None
    assert loading(None, engine("", ready=False)) is None


KEPT: dict[str, tuple[list[EngineSignals], float]] = {
    "within ten seconds, though it moved": ([starting("Loading", 60)], 9),
    "within ten seconds, though it does something else": ([starting("Proving", 100)], 9),
    "within ten seconds, though nobody tells": ([], 9),
    "later, where nothing moved": ([starting("Loading", 20)], 3600),
    "later, where nobody tells": ([], 3600),
    "later, where routers have yet to hear from engines": ([engine("", ready=False)], 3600),
}


@pytest.mark.parametrize(("told", "later"), KEPT.values(), ids=KEPT)
def test_loading_stays_as_it_was_told(told: list[EngineSignals], later: float) -> None:
    assert loading(BEFORE, *told, later=later) == loading(None, starting("Loading", 20))


MOVED: dict[str, tuple[list[EngineSignals], dict[str, Any]]] = {
    "more bytes, and how fast": (
        [starting("Loading", 60)],
        {"stage": "Loading", "bytesLoaded": 60, "bytesTotal": 100, "bytesPerSecond": 2},
    ),
    "fewer bytes of another start": (
        [starting("Loading", 10)],
        {"stage": "Loading", "bytesLoaded": 10, "bytesTotal": 100},
    ),
    "another stage": (
        [starting("Proving", 100)],
        {"stage": "Proving", "bytesLoaded": 100, "bytesTotal": 100},
    ),
    "what told is ready, and nobody else tells": (
        [engine("Ready"), engine("", pod="b", ready=False)],
        {"stage": "Pending"},
    ),
}


@pytest.mark.parametrize(("told", "found"), MOVED.values(), ids=MOVED)
def test_loading_is_told_anew_after_ten_seconds(told: list[EngineSignals], found: dict[str, Any]) -> None:
    at = {"revision": "new", "observedAt": "2026-01-01T00:01:20Z"}
    assert loading(BEFORE, *told, later=20) == {**found, **at}


@pytest.mark.parametrize("later", [1, 20])
def test_of_another_revision_nothing_stays_while_nobody_tells(later: float) -> None:
    assert startup.loading(BEFORE, "newer", [], NOW + timedelta(seconds=later)) is None
    found = startup.loading(BEFORE, "newer", [starting("Loading", 5)], NOW + timedelta(seconds=20))
    assert found is not None
    assert (found["revision"], found["bytesLoaded"]) == ("newer", 5)


def test_status_holds_what_is_written_to_the_letter() -> None:
    """What its schema doesn't know, or spells otherwise, would be dropped and written anew in each pass."""
    told = [engine(bytes_total=1000, timings={**TIMINGS, "proof": 3.0})]
    (made,) = startup.recorded([], "new", told, [pod()])
    assert set(made) == {field.alias for field in StartupRecord.model_fields.values()}
    assert wire(StartupRecord.model_validate(made)) == made
    moved = loading(BEFORE, starting("Loading", 60), later=20)
    assert set(moved) == {field.alias for field in LoadingStatus.model_fields.values()}
    assert wire(LoadingStatus.model_validate(moved)) == moved


def wire(model: StartupRecord | LoadingStatus) -> dict[str, Any]:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)
