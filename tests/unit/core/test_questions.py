"""From a PromptSuite to what is asked: variables in their types, embedding services, and digests."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.api import sealing
from pointsman.api.prompt import PromptSpec
from pointsman.api.prompt_suite import PromptSuite
from pointsman.api.rollout import Equivalence
from pointsman.core import questions
from pointsman.core.trial import Embedding, Trial
from pointsman_trial import document as theirs
from tests.unit.core.build import metadata, service

PROMPT = PromptSpec.model_validate(
    {
        "messages": [{"role": "system", "content": "{{name}} {{days}} {{share}} {{kind}}"}],
        "variables": [
            {"name": "name", "type": "string"},
            {"name": "days", "type": "integer"},
            {"name": "share", "type": "number"},
            {"name": "kind", "type": "boolean"},
        ],
    }
)


def suite(*cases: dict[str, Any], **more: Any) -> PromptSuite:
    return PromptSuite.model_validate({"metadata": metadata("support"), "spec": {"cases": cases, **more}})


def case(name: str = "a", *assertions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "assertions": assertions or [{"exact": "yes"}], **more}


VALUES: dict[str, tuple[str, str, Any]] = {
    "a string": ("name", "3", "3"),
    "an integer": ("days", "3", 3),
    "a number": ("share", "0.5", 0.5),
    "a number without a fraction": ("share", "2", 2),
    "true": ("kind", "true", True),
    "false": ("kind", "false", False),
    "no integer, which the router refuses by its name": ("days", "three", "three"),
    "no truth, which the router refuses by its name": ("kind", "maybe", "maybe"),
    "of a variable that the prompt doesn't have": ("other", "3", "3"),
}


@pytest.mark.parametrize(("name", "text", "sent"), VALUES.values(), ids=VALUES)
def test_a_variables_value_is_sent_in_the_type_that_the_prompt_declares(
    name: str, text: str, sent: Any
) -> None:
    declared = suite(case(variables=[{"name": name, "value": text}]))
    (asked,) = questions.suite(declared, PROMPT, ()).cases
    assert asked.request == {"messages": [], "prompt_variables": {name: sent}}
    assert type(asked.request["prompt_variables"][name]) is type(sent)


def test_without_a_prompt_values_are_texts() -> None:
    declared = suite(case(variables=[{"name": "days", "value": "3"}]))
    (asked,) = questions.suite(declared, None, ()).cases
    assert asked.request["prompt_variables"] == {"days": "3"}


def similar(**embedding: Any) -> dict[str, Any]:
    return {"similarity": {"to": "x", "minPermille": 900, "embedding": embedding}}


def test_each_embedding_service_is_asked_by_one_name() -> None:
    elsewhere = {"url": "http://e.test/v1/", "model": "bge"}
    declared = suite(
        case("a", similar(**elsewhere), similar(serviceRef={"name": "embed"})),
        case("b", similar(**elsewhere)),
    )
    address = {"addresses": [{"url": "http://default-router.team-a.svc"}]}
    embed = service("embed", modelNames=["bge-small"])
    peer = embed.model_copy(update={"status": type(embed.status).model_validate(address)})
    found = questions.suite(declared, None, [peer])
    assert found.embeddings == {
        "embedding-1": Embedding("http://e.test/v1/embeddings", "bge"),
        "embedding-2": Embedding("http://default-router.team-a.svc/v1/embeddings", "bge-small"),
    }
    named = [one["similarity"]["embedding"] for asked in found.cases for one in asked.assertions]
    assert named == ["embedding-1", "embedding-2", "embedding-1"]
    assert questions.missing_embedding(declared, [peer]) == ""
    assert questions.missing_embedding(declared, []) == "embed"


def named(declared: PromptSuite, prompt: PromptSpec | None = None) -> str:
    trial = Trial("chat", "default", "chat-1", "chat", suite=questions.suite(declared, prompt, ()))
    theirs.parse(trial.document())
    return trial.name


def test_another_prompts_types_are_another_trial_and_a_sealed_suite_is_the_same() -> None:
    declared = suite(case(variables=[{"name": "days", "value": "3"}]))
    sealed = PromptSuite.model_validate(sealing.seal(declared.model_dump(mode="json", by_alias=True)))
    assert sealed != declared
    assert named(declared) == named(sealed)
    assert named(declared) != named(declared, PROMPT)


@pytest.mark.parametrize("prompt", [None, PROMPT], ids=["without a prompt", "with one"])
def test_what_is_asked_is_sealed_as_what_was_declared(prompt: PromptSpec | None) -> None:
    given = {"variables": [{"name": "days", "value": "3"}, {"name": "kind", "value": "true"}]}
    said = {"messages": [{"role": "user", "content": "secret"}], "maxTokens": 7}
    declared = suite(case("a", {"jsonSchema": '{"type": "object"}'}, {"contains": "x"}, **given, **said))
    again = PromptSuite.model_validate(sealing.seal(declared.model_dump(mode="json", by_alias=True)))

    def written(one: PromptSuite) -> str:
        asked = questions.suite(one, prompt, ())
        same = Equivalence.model_validate({"prompts": ["secret"], **given})
        alike = questions.equivalence(same, prompt)
        return Trial(
            "chat", "r", "chat-1", "chat", stable="chat-0", suite=asked, equivalence=alike
        ).document()

    text = sealing.seal({"trial.json": written(declared)})["trial.json"]
    assert "secret" not in text
    assert sealing.seal({"trial.json": written(again)})["trial.json"] == text


def test_prompts_that_must_be_answered_alike_are_sealed_too() -> None:
    variables = [{"name": "name", "value": "secret"}]
    declared = Equivalence.model_validate(
        {"prompts": ["secret"], "minAgreementPercent": 90, "variables": variables}
    )
    sealed = sealing.seal({"equivalence": declared.to_wire()})["equivalence"]
    assert "secret" not in str(sealed)
    again = Equivalence.model_validate(sealed)
    asked = questions.equivalence(declared, PROMPT)
    assert asked.digest == questions.equivalence(again, PROMPT).digest
    assert asked.min_agreement_percent == 90


def test_each_prompt_is_asked_with_the_same_values_in_the_types_that_the_service_has() -> None:
    variables = [{"name": "days", "value": "3"}, {"name": "name", "value": "4"}]
    declared = Equivalence.model_validate({"prompts": ["a", "b"], "variables": variables})
    asked = questions.equivalence(declared, PROMPT)
    assert asked.requests == [
        {
            "messages": [{"role": "user", "content": text}],
            "prompt_variables": {"days": 3, "name": "4"},
        }
        for text in ("a", "b")
    ]
    assert asked.digest != questions.equivalence(declared, None).digest, "another prompt's types are another"


def test_without_values_it_does_not_matter_what_the_prompt_is() -> None:
    declared = Equivalence.model_validate({"prompts": ["a"]})
    asked = questions.equivalence(declared, PROMPT)
    assert asked == questions.equivalence(declared, None)
    assert asked.requests == [{"messages": [{"role": "user", "content": "a"}]}]
