"""Digests of prompts and suites: what counts, what doesn't, and what status says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pointsman.api import sealing
from pointsman.api.prompt import PromptSpec, PromptVersion
from pointsman.api.prompt_suite import PromptSuite
from pointsman.core import prompt, prompting, suite
from pointsman.core.world import PromptWorld, SuiteWorld
from tests.contract.manifests import FULL
from tests.simulation.leaves import RESOURCES
from tests.unit.core.build import metadata

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FULL_PROMPT = FULL[RESOURCES["PromptVersion"]]
FULL_SUITE = FULL[RESOURCES["PromptSuite"]]


def digest(**changes: Any) -> str:
    return prompting.digest(PromptSpec.model_validate({**FULL_PROMPT, **changes}))


def test_a_digest_is_of_what_is_said_and_not_of_what_for() -> None:
    assert digest() == digest(family="sales") == digest(family=None) == digest(format="Simple")
    assert digest(parameters={"temperature": "0.3"}) != digest()
    assert digest(messages=[*FULL_PROMPT["messages"], {"role": "user", "content": "Hi."}]) != digest()


def test_a_sealed_prompt_has_the_same_digest() -> None:
    assert digest(**sealing.seal(FULL_PROMPT)) == digest()
    assert len(digest()) == 71
    assert len(prompting.short(digest())) == 8


def version(name: str, **spec: Any) -> PromptVersion:
    return PromptVersion.model_validate({"metadata": metadata(name), "spec": {**FULL_PROMPT, **spec}})


def test_a_prompts_status_has_its_digest() -> None:
    status = prompt.decide(PromptWorld(NOW, version("v1"))).status or {}
    assert status["digest"] == digest()
    assert [(c["type"], c["reason"]) for c in status["conditions"]] == [("Ready", "Accepted")]


FLAWS = {
    "a variable that isn't declared": (
        {"messages": [{"role": "user", "content": "Hello {{name}}"}], "variables": None},
        "spec.messages: 'name' stands in double braces and isn't declared in spec.variables",
    ),
    "a variable that no message uses": (
        {"messages": [{"role": "user", "content": "Hello {name}"}]},
        "spec.variables: 'customer' stands in no message",
    ),
}


@pytest.mark.parametrize(("change", "says"), FLAWS.values(), ids=FLAWS)
def test_a_flaw_that_no_schema_tells_is_told(change: dict[str, Any], says: str) -> None:
    status = prompt.decide(PromptWorld(NOW, version("v1", **change))).status or {}
    assert [(c["type"], c["reason"]) for c in status["conditions"]] == [
        ("Ready", "InvalidSpec"),
        ("Stalled", "InvalidSpec"),
    ]
    assert status["conditions"][0]["message"].startswith(says)


@pytest.mark.parametrize(("family", "count"), [("support", 1), ("sales", 0), (None, 2)])
def test_a_suite_counts_the_prompts_of_its_family(family: str | None, count: int) -> None:
    made = PromptSuite.model_validate(
        {"metadata": metadata("tests"), "spec": {**FULL_SUITE, "family": family}}
    )
    prompts = [version("v1"), version("v2", family=None)]
    status = suite.decide(SuiteWorld(NOW, made, prompts)).status or {}
    assert (status["cases"], status["prompts"]) == (2, count)


@pytest.mark.parametrize("schema", ["no JSON", "[]", "null", "[" * 5000, "{'a': 1}"])
def test_a_schema_that_is_none_is_told(schema: str) -> None:
    spec = {"cases": [{"name": "one", "assertions": [{"contains": "a"}, {"jsonSchema": schema}]}]}
    made = PromptSuite.model_validate({"metadata": metadata("tests"), "spec": spec})
    status = suite.decide(SuiteWorld(NOW, made)).status or {}
    assert [(c["type"], c["reason"]) for c in status["conditions"]] == [
        ("Ready", "InvalidSpec"),
        ("Stalled", "InvalidSpec"),
    ]
    assert status["conditions"][0]["message"].startswith("spec.cases[one].assertions[1].jsonSchema must be")
