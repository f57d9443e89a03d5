"""kstatus, Flux, Argo CD, Helm and kubectl make of every situation what it means."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster import ControlPlane
from pointsman.api import names
from pointsman.api.kinds import KINDS
from tests.readings import tools
from tests.readings.meaning import WORDS, Meaning, Tool
from tests.readings.situations import SITUATIONS
from tests.readings.stage import Situation
from tests.readings.table import Row, read

pytestmark = pytest.mark.timeout(900)  # kstatus is built here, the first time

ROOT = Path(__file__).resolve().parents[2]
NAMES = [f"{s.kind}: {s.name}" for s in SITUATIONS]


@pytest.fixture(scope="module")
def rows(apiserver: ControlPlane) -> dict[Situation, Row]:
    """All readings, taken together: most of their time is Helm's patience."""
    return {row.situation: row for row in asyncio.run(read(apiserver, SITUATIONS))}


@pytest.mark.apiserver
@pytest.mark.parametrize("situation", SITUATIONS, ids=NAMES)
def test_every_tool_reads_a_situation_as_it_is_meant(
    situation: Situation, rows: dict[Situation, Row]
) -> None:
    row = rows[situation]
    assert {tool: row.words[tool] for tool in row.disagreeing()} == {}


@pytest.mark.apiserver
def test_the_expressions_shown_for_flux_wait_for_users_being_served(rows: dict[Situation, Row]) -> None:
    shown = yaml.safe_load_all((ROOT / "docs/gitops/flux-kustomization.yaml").read_text())
    (check,) = [check for one in shown for check in one["spec"].get("healthCheckExprs", ())]
    assert (check["apiVersion"], check["kind"]) == (names.API_VERSION, "LLMService")
    services = [row for situation, row in rows.items() if situation.kind == "LLMService"]
    said = tools.expressions([row.found for row in services], check)
    assert {row.situation.name: word for row, word in zip(services, said, strict=True)} == {
        row.situation.name: _served(row.found) for row in services
    }
    assert set(said) == {"Current", "InProgress", "Failed"}


@pytest.mark.apiserver
@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("ready", 0, "condition met"),
        ("an argument is wrong, the old serves", 1, "condition met\nnot a number"),
    ],
    ids=["ready", "failed"],
)
def test_the_script_shown_for_ci_ends_at_once(
    name: str, status: int, says: str, rows: dict[Situation, Row], apiserver: ControlPlane, tmp_path: Path
) -> None:
    page = (ROOT / "docs/gitops/README.md").read_text()
    (script,) = [b for b in re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S) if "wait -n" in b]
    metadata = next(r.found["metadata"] for situation, r in rows.items() if situation.name == name)
    kubectl = tmp_path / "kubectl"
    words = apiserver.kubectl.argv(f"--namespace={metadata['namespace']}")
    kubectl.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    kubectl.chmod(0o755)
    done = subprocess.run(
        ["bash", "-euc", re.sub(r"\bchat\b", metadata["name"], script)],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, says in done.stdout) == (status, True), (done.stdout, done.stderr)


def _served(found: Mapping[str, Any]) -> str:
    """What an LLMService is to who waits for users being served, by whichever revision."""
    status = found["status"]
    held = {c["type"] for c in status.get("conditions", ()) if c["status"] == "True"}
    if status["observedGeneration"] != found["metadata"]["generation"] or not held & {"Available", "Stalled"}:
        return "InProgress"
    return "Current" if "Available" in held else "Failed"


def test_every_kind_and_every_meaning_is_among_the_situations() -> None:
    assert len({(s.kind, s.name) for s in SITUATIONS}) == len(SITUATIONS) >= 20
    assert {s.means for s in SITUATIONS} == set(Meaning)
    assert {s.kind for s in SITUATIONS} == {row.resource.kind for row in KINDS}


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
