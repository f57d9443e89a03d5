"""The tables of the API are whole: conditions, permissions, kinds, names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pointsman
from pointsman.api.conditions import BEYOND, CONDITIONS, ConditionType, Reason
from pointsman.api.kinds import KINDS, KindRow
from pointsman.api.names import (
    NAME_LIMIT,
    RESOURCES,
    engine_name,
    resolve_name,
    revision_name,
    router_admin_name,
    router_name,
)
from pointsman.api.rbac import DISCOVERY, RBAC
from pointsman.api.runbook import CHAPTERS, RUNBOOK
from pointsman.crdgen.files import rules

PACKAGE = Path(pointsman.__file__).parent


def test_every_condition_and_reason_is_explained() -> None:
    assert set(CONDITIONS) == set(ConditionType)
    assert set(RUNBOOK) == set(Reason)


def test_a_reason_stands_in_one_chapter() -> None:
    assert sum(len(entries) for entries in CHAPTERS.values()) == len(RUNBOOK)


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_every_reason_is_given_somewhere(reason: Reason) -> None:
    sources = (path for path in PACKAGE.rglob("*.py") if "api" not in path.parts)
    assert any(f"Reason.{reason.name}" in path.read_text() for path in sources)


@pytest.mark.parametrize("word", [*ConditionType, *Reason], ids=str)
def test_a_type_or_reason_is_one_camel_case_word(word: str) -> None:
    assert re.fullmatch(r"([A-Z]+[a-z]*)+", word)
    assert len(word) <= 64


TEXTS = [
    *CONDITIONS.values(),
    BEYOND,
    *(text for entry in RUNBOOK.values() for text in (entry.means, entry.does, entry.help)),
]


@pytest.mark.parametrize("text", sorted(set(TEXTS)))
def test_an_explanation_is_made_of_sentences(text: str) -> None:
    assert text.endswith(".")
    assert "  " not in text


@pytest.mark.parametrize("row", KINDS, ids=lambda row: row.resource.kind)
def test_every_kind_is_ready_or_not(row: KindRow) -> None:
    assert ConditionType.READY in row.conditions


def test_what_comes_and_goes_is_not_there_from_the_first_visit() -> None:
    ever_present = {type_ for row in KINDS for type_ in row.conditions}
    coming = {ConditionType.RECONCILING, ConditionType.STALLED, ConditionType.EXPERIMENT_CONCLUDED}
    assert set(ConditionType) - ever_present == coming


def test_nobody_may_what_the_operator_never_needs() -> None:
    for it in RBAC:
        assert it.resource not in {"secrets", "pods/exec", "pods/log", "nodes", "*"}
        assert not {"*", "escalate", "bind", "impersonate", "deletecollection"} & set(it.verbs)
        assert it.group != "*"
        assert it.why


def test_discovery_only_lists() -> None:
    assert {(it.resource, it.verbs) for it in DISCOVERY} == {("nodes", ("list",)), ("pods", ("list",))}


def test_a_resource_stands_in_the_table_once() -> None:
    keys = [(it.group, it.resource) for it in RBAC]
    assert len(keys) == len(set(keys))


def test_the_charts_rules_are_the_table() -> None:
    granted = {
        (group, resource, verb)
        for rule in rules()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted == {(it.group, it.resource, verb) for it in RBAC for verb in it.verbs}


def test_specs_of_ours_are_never_written() -> None:
    """patch on a kind is for finalizers; only routers are made and removed, on demand."""
    written = {it.resource for it in RBAC if it.group == "serving.pointsman.dev" and "create" in it.verbs}
    assert written == {"llmrouters"}


@pytest.mark.parametrize(
    "name",
    [
        revision_name("s" * NAME_LIMIT, "0" * 8),
        resolve_name(revision_name("s" * NAME_LIMIT, "0" * 8)),
        engine_name("s" * NAME_LIMIT),
        router_name("r" * NAME_LIMIT),
        router_admin_name("r" * NAME_LIMIT),
    ],
    ids=["revision", "resolve Job", "engine Service", "router", "admin Service"],
)
def test_a_childs_name_fits_a_label(name: str) -> None:
    assert len(name) <= 63


def test_every_resource_has_its_api_version() -> None:
    assert RESOURCES["Service"].api_version == "v1"
    assert RESOURCES["Deployment"].api_version == "apps/v1"
    assert RESOURCES["LLMService"].api_version == "serving.pointsman.dev/v1alpha1"
