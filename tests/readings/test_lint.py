"""kube-score finds nothing in what we render but what is accepted with a reason."""

from __future__ import annotations

import pytest

from tests.readings.linting import Acceptance, Finding, accepted, findings, lint

LOW = Finding("user", "a low user ID", "Deployment", "engine", "here")
CASES = {
    "of the whole kind": (Acceptance("user", ("Deployment",), "why"), True),
    "of one container": (Acceptance("user", ("Deployment/engine",), "why"), True),
    "of another container": (Acceptance("user", ("Deployment/router",), "why"), False),
    "of another kind": (Acceptance("user", ("Job",), "why"), False),
    "another check": (Acceptance("group", ("Deployment",), "why"), False),
    "these words of a check": (Acceptance("user", ("Deployment",), "why", "a low user ID"), True),
    "other words of it": (Acceptance("user", ("Deployment",), "why", "no user ID"), False),
}


@pytest.mark.parametrize(("acceptance", "covers"), CASES.values(), ids=CASES)
def test_an_acceptance_covers_what_it_names(acceptance: Acceptance, covers: bool) -> None:
    assert acceptance.covers(LOW) is covers


def test_each_acceptance_has_its_reason() -> None:
    assert [row.check for row in accepted() if len(row.reason) < 30] == []


@pytest.mark.timeout(600)  # kube-score is built here, the first time
def test_nothing_is_found_and_nothing_is_accepted_in_vain() -> None:
    looked_at, problems = lint()
    assert problems == []
    assert looked_at > 100


@pytest.mark.timeout(600)
def test_what_is_wrong_is_found() -> None:
    container = {"name": "engine", "image": "example.com/engine:latest"}
    bare = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "bare"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}},
        },
    }
    found = [one for one in findings([bare], "test") if not any(row.covers(one) for row in accepted())]
    assert {one.check for one in found} >= {
        "container-image-tag",
        "pod-networkpolicy",
        "container-security-context-readonlyrootfilesystem",
    }
