"""kstatus, Flux, Argo CD, Helm and kubectl make of every situation what it means."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from e2e.cluster import ControlPlane
from pointsman.api import names
from tests.readings import tools
from tests.readings.meaning import WORDS, Meaning, Tool
from tests.readings.situations import SITUATIONS
from tests.readings.stage import Situation
from tests.readings.table import Row, read

NAMES = [f"{s.kind}: {s.name}" for s in SITUATIONS]


@pytest.fixture(scope="module")
def rows(apiserver: ControlPlane) -> dict[Situation, Row]:
    """All readings, taken together: most of their time is Helm's patience."""
    return {row.situation: row for row in asyncio.run(read(apiserver, SITUATIONS))}


@pytest.mark.apiserver
@pytest.mark.timeout(600)  # builds kstatus, the first time
@pytest.mark.parametrize("situation", SITUATIONS, ids=NAMES)
def test_every_tool_reads_a_situation_as_it_is_meant(
    situation: Situation, rows: dict[Situation, Row]
) -> None:
    row = rows[situation]
    assert {tool: row.words[tool] for tool in row.disagreeing()} == {}


def test_every_kind_and_every_meaning_is_among_the_situations() -> None:
    assert len({(s.kind, s.name) for s in SITUATIONS}) == len(SITUATIONS) >= 20
    assert {s.means for s in SITUATIONS} == set(Meaning)
    assert {s.kind for s in SITUATIONS} == {"LLMService", "LLMModel", "LLMRouter"}


def test_an_object_without_any_status_would_count_as_done() -> None:
    """Why the schema gives every object an observedGeneration: else a wait ends before the first pass."""
    unseen = {
        "apiVersion": names.API_VERSION,
        "kind": "LLMService",
        "metadata": {"name": "chat", "namespace": "team-a", "generation": 1},
    }
    assert [word.word for word in tools.kstatus([unseen])[0].values()] == ["Current", "Current"]
    shown = {**unseen, "status": {"observedGeneration": 0}}
    assert [word.word for word in tools.kstatus([shown])[0].values()] == ["InProgress", "InProgress"]


def condition(kind: str, status: str = "True", reason: str = "Why", message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


READY, NOT_READY = condition("Ready"), condition("Ready", "False", "ImagePullFailed", "not found")
SCRIPTED: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "nothing is said at all": ({}, ("Progressing", "the operator has not seen this generation yet")),
    "another generation was ready": (
        {"observedGeneration": 1, "conditions": [READY]},
        ("Progressing", "the operator has not seen this generation yet"),
    ),
    "this generation is ready": ({"observedGeneration": 2, "conditions": [READY]}, ("Healthy", "Why")),
    "it is seen, and nothing is said of it": (
        {"observedGeneration": 2},
        ("Progressing", "nothing is reported yet"),
    ),
    "it is on its way, and why is told": (
        {"observedGeneration": 2, "conditions": [NOT_READY, condition("Reconciling")]},
        ("Progressing", "ImagePullFailed: not found"),
    ),
    "it is stalled": (
        {"observedGeneration": 2, "conditions": [NOT_READY, condition("Stalled", "True", "A", "edit it")]},
        ("Degraded", "A: edit it"),
    ),
    "it is no longer stalled": (
        {"observedGeneration": 2, "conditions": [READY, condition("Stalled", "False")]},
        ("Healthy", "Why"),
    ),
    "it is paused": (
        {
            "observedGeneration": 2,
            "conditions": [condition("Ready", "False", "Paused", "held back")],
        },
        ("Suspended", "Paused: held back"),
    ),
}


@pytest.mark.parametrize(("status", "expected"), SCRIPTED.values(), ids=SCRIPTED)
def test_argo_cds_script_says(status: dict[str, Any], expected: tuple[str, str]) -> None:
    found = {"metadata": {"name": "chat", "generation": 2}, "status": status}
    assert tools.script(found) == tools.Word(*expected)


def test_argo_cds_script_knows_what_is_being_deleted() -> None:
    metadata = {"generation": 1, "deletionTimestamp": "2026-01-01T00:00:00Z"}
    status = {"observedGeneration": 1, "conditions": [READY]}
    assert tools.script({"metadata": metadata, "status": status}).word == "Progressing"


def test_every_tool_has_a_word_for_every_meaning_and_none_for_two_that_differ() -> None:
    """Only what waits in two ways for the same (a deletion, a `kubectl wait`) may share a word."""
    for tool in (Tool.KSTATUS, Tool.FLUX, Tool.HELM):
        words = [word for meaning in Meaning for word in WORDS[tool][meaning]]
        assert len(words) == len(set(words)) == len(Meaning)
