"""Refusals of prompts and of suites."""

from __future__ import annotations

from typing import Any

from pointsman.api.names import PROMPTSUITE, PROMPTVERSION
from tests.contract.cases import Case
from tests.contract.manifests import Json

_STRAY = "wherever two braces open, a variable's name must follow, without blanks, and then two closing"
_ONE_ASSERTION = "give exactly one of exact, regex, contains, notContains, jsonSchema, maxTokens, refusal and"


def _says(content: str, says: str, **variables: Json) -> Case:
    """A prompt of one message, with variables by name."""
    return _prompt({"messages": [{"role": "user", "content": content}], **_declared(variables)}, says)


def _declared(variables: dict[str, Json]) -> Json:
    return {"variables": [{"name": name, **given} for name, given in variables.items()]} if variables else {}


def _prompt(spec: Json, says: str) -> Case:
    return Case("", spec, says, PROMPTVERSION)


def _variable(says: str, **given: Any) -> Case:
    return _says("{{x}}", says, x={"type": "string", **given})


def _parameter(name: str, value: object, says: str) -> Case:
    return Case("parameters", {name: value}, says, PROMPTVERSION)


def _case(says: str, **given: Any) -> Case:
    case = {"name": "one", "assertions": [{"contains": "a"}], **given}
    return Case(
        "cases", [{key: value for key, value in case.items() if value is not None}], says, PROMPTSUITE
    )


def _assertion(given: Json, says: str) -> Case:
    return _case(says, assertions=[given])


def _embedding(given: Json, says: str) -> Case:
    return _assertion({"similarity": {"to": "a", "minPermille": 900, "embedding": given}}, says)


STRING: Json = {"type": "string"}

PROMPTS: dict[str, Case] = {
    "a prompt's name with a point": Case(
        "family",
        "support",
        "metadata.name must hold only lower-case letters, digits and '-'",
        PROMPTVERSION,
        name="support.v7",
    ),
    "a prompt that says nothing": Case(
        "messages",
        [],
        "spec.messages: Invalid value: 0: spec.messages in body should have at least",
        PROMPTVERSION,
    ),
    "a message by nobody the template knows": _prompt(
        {"messages": [{"role": "developer", "content": "x"}]},
        'spec.messages[0].role: Unsupported value: "developer"',
    ),
    "a message too long for its place": _prompt(
        {"messages": [{"role": "user", "content": "x" * 16_385}]}, "spec.messages[0].content: Too long"
    ),
    "messages too long together": _prompt(
        {"messages": [{"role": "user", "content": "x" * 16_384}] * 5},
        "spec.messages: Invalid value: messages must have at most 65536 characters together",
    ),
    "a family with a blank": Case(
        "family",
        "our support",
        'spec.family: Invalid value: "our support": must be lower-case',
        PROMPTVERSION,
    ),
    "a format nobody knows": Case(
        "format",
        "Jinja",
        'spec.format: Unsupported value: "Jinja": supported values: "Simple"',
        PROMPTVERSION,
    ),
    "blanks between the braces": _says("{{ a }}", _STRAY, a=STRING),
    "braces that never close": _says("{{a", _STRAY, a=STRING),
    "three braces": _says("{{{a}}}", _STRAY, a=STRING),
    "braces of another template language": _says("{{#if a}}", _STRAY, a=STRING),
    "a variable's name with a blank": _says(
        "{{a}}", 'spec.variables[0].name: Invalid value: "a b": must be letters, digits', **{"a b": STRING}
    ),
    "two variables of one name": _prompt(
        {
            "messages": [{"role": "user", "content": "{{a}}"}],
            "variables": [{"name": "a", **STRING}, {"name": "a", **STRING}],
        },
        "spec.variables[1]: Duplicate value",
    ),
    "a variable of an unknown type": _variable(
        'spec.variables[0].type: Unsupported value: "text"', type="text"
    ),
    "a longest length of a number": _variable(
        "spec.variables[0]: Invalid value: maxLength and enum are for type string only",
        type="integer",
        maxLength=3,
    ),
    "choices of a truth value": _variable(
        "maxLength and enum are for type string only", type="boolean", enum=["true"]
    ),
    "a smallest string": _variable(
        "spec.variables[0]: Invalid value: minimum and maximum are for types integer and number only",
        minimum=1,
    ),
    "bounds the wrong way round": _variable(
        "spec.variables[0].minimum: Invalid value: minimum must not be larger than maximum",
        type="integer",
        minimum=2,
        maximum=1,
    ),
    "a default that is no integer": _variable(
        "spec.variables[0].default: Invalid value: default must be a value of the variable's type",
        type="integer",
        default="three",
    ),
    "a default that is no number": _variable(
        "default must be a value of the variable's type", type="number", default="1e3"
    ),
    "a default that is no truth value": _variable(
        "default must be a value of the variable's type", type="boolean", default="yes"
    ),
    "a default longer than allowed": _variable(
        "spec.variables[0].default: Invalid value: default must not be longer than maxLength",
        default="four",
        maxLength=3,
    ),
    "a default that can't be chosen": _variable(
        "spec.variables[0].default: Invalid value: default must be one of enum", default="c", enum=["a", "b"]
    ),
    "a default out of bounds": _variable(
        "spec.variables[0].default: Invalid value: default must be at least minimum and at most maximum",
        type="number",
        default="0.5",
        minimum=1,
    ),
    "a default as a bare number": _variable(
        "spec.variables[0].default in body must be of type string", type="integer", default=3
    ),
    "a temperature as a bare number": _parameter(
        "temperature", 0.7, "spec.parameters.temperature in body must be of type string"
    ),
    "a temperature out of bounds": _parameter(
        "temperature",
        "2.1",
        'spec.parameters.temperature: Invalid value: "2.1": must be a number from 0 to 2',
    ),
    "a share of nothing": _parameter("topP", "0.0", 'topP: Invalid value: "0.0": must be a number above 0'),
    "an answer of no tokens": _parameter("maxTokens", 0, "should be greater than or equal to 1"),
    "too many ends": _parameter("stop", ["a"] * 5, "spec.parameters.stop: Too many: 5"),
}

SUITES: dict[str, Case] = {
    "a suite of nothing": Case("cases", [], "spec.cases in body should have at least 1 items", PROMPTSUITE),
    "two cases of one name": Case(
        "cases",
        [{"name": "one", "assertions": [{"contains": "a"}]}] * 2,
        "spec.cases[1]: Duplicate value",
        PROMPTSUITE,
    ),
    "a case that asserts nothing": _case("spec.cases[0].assertions: Required value", assertions=None),
    "an assertion of nothing": _assertion({}, _ONE_ASSERTION),
    "an assertion of two things": _assertion({"exact": "a", "refusal": True}, _ONE_ASSERTION),
    "an assertion whose expression doesn't close": _assertion({"regex": "(a"}, "missing closing )"),
    "a similarity above one": _assertion(
        {"similarity": {"to": "a", "minPermille": 1001, "embedding": {"serviceRef": {"name": "e"}}}},
        "should be less than or equal to 1000",
    ),
    "an embedding by nobody": _embedding(
        {}, "embedding: Invalid value: give exactly one of serviceRef (an LLMService) and url"
    ),
    "an embedding by two": _embedding(
        {"serviceRef": {"name": "e"}, "url": "http://e/v1", "model": "e"},
        "give exactly one of serviceRef (an LLMService) and url",
    ),
    "an embedding at an address without a model": _embedding(
        {"url": "http://e/v1"},
        "embedding.model: Invalid value: model must be given with url, and only with it",
    ),
    "an embedding in a file": _embedding(
        {"url": "file:///e", "model": "e"}, "must be the http or https address of an OpenAI-compatible API"
    ),
    "a case that may always fail": _case(
        "spec.cases[0].mayFail: Invalid value: mayFail must be smaller than times", times=2, mayFail=2
    ),
    "a case asked once that may fail": _case("mayFail must be smaller than times", mayFail=1),
    "a suite that may always fail": Case(
        "mayFail",
        1,
        "spec.mayFail: Invalid value: mayFail must be smaller than the number of cases",
        PROMPTSUITE,
    ),
}
