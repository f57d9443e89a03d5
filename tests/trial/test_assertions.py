"""Assertions: what holds of which answer, and what a person reads where one doesn't."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trial.conftest import Run
from tests.trial.scripted import Reply, Script, completion

PERSON = '{"type": "object", "required": ["age"], "properties": {"age": {"type": "integer"}}}'

HOLDS: dict[str, tuple[dict[str, Any], Reply]] = {
    "exact: the whole answer": ({"exact": "Paris"}, completion("Paris")),
    "exact: white space around it doesn't count": ({"exact": "Paris"}, completion(" Paris\n")),
    "contains: a piece of it": ({"contains": "Paris"}, completion("It is Paris, of course.")),
    "notContains: none of it": ({"notContains": "Lyon"}, completion("It is Paris.")),
    "regex: a piece of it matches": ({"regex": "(?i)paris\\b"}, completion("PARIS!")),
    "jsonSchema: JSON by it": ({"jsonSchema": PERSON}, completion('{"age": 3}')),
    "jsonSchema: in a fence of Markdown": ({"jsonSchema": PERSON}, completion('```json\n{"age": 3}\n```')),
    "maxTokens: as many": ({"maxTokens": 5}, completion("a b c d e", tokens=5)),
    "refusal: by what is said": ({"refusal": True}, completion("I’m sorry, but I can’t help with that.")),
    "refusal: by the message's own field": (
        {"refusal": True},
        completion(None, message={"refusal": "Not that."}),
    ),
    "refusal: by the content filter": ({"refusal": True}, completion("", finish_reason="content_filter")),
    "refusal: none": ({"refusal": False}, completion("Sure, here is how.")),
}


def suite(*assertions: dict[str, Any], **more: Any) -> dict[str, Any]:
    case = {"name": "capital", "request": {"messages": []}, "assertions": list(assertions), **more}
    return {"cases": [case]}


@pytest.mark.parametrize(("assertion", "reply"), HOLDS.values(), ids=HOLDS)
def test_it_holds(
    trial: Run, script: Script, target: dict[str, Any], assertion: dict[str, Any], reply: Reply
) -> None:
    script.by_path["/ask/chat"] = lambda _: reply
    code, found = trial({"target": target, "suite": suite(assertion)})
    assert (code, found) == (
        0,
        {"passed": True, "suite": {"cases": 1, "failed": 0, "mayFail": 0, "failing": []}},
    )


FAILS: dict[str, tuple[dict[str, Any], Reply, str, str]] = {
    "exact": ({"exact": "Paris"}, completion("Paris."), "“Paris”", "“Paris.”"),
    "contains": (
        {"contains": "Paris"},
        completion("paris"),
        "something that contains “Paris”",
        "“paris”",
    ),
    "notContains, where it was found": (
        {"notContains": "secret"},
        completion("x" * 400 + " the secret is out"),
        "nothing that contains “secret”",
        "the secret is out”",
    ),
    "regex": ({"regex": "^[0-9]+$"}, completion("٤٢"), "something that matches “^[0-9]+$”", "“٤٢”"),
    "regex that never ends": (
        {"regex": "(a|a)*b$"},
        completion("a" * 64 + "!"),
        "an answer that its regex can decide on",
        "more than 2 s of matching",
    ),
    "jsonSchema: no JSON": (
        {"jsonSchema": PERSON},
        completion("three"),
        "JSON by the schema",
        "no JSON: Expecting value",
    ),
    "jsonSchema: other JSON, with where": (
        {"jsonSchema": PERSON},
        completion('{"age": "three"}'),
        "JSON by the schema",
        "$.age: 'three' is not of type 'integer'",
    ),
    "jsonSchema that leads out of itself": (
        {"jsonSchema": '{"$ref": "http://127.0.0.1:1/schema"}'},
        completion("{}"),
        "JSON by the schema",
        "a schema whose reference leads nowhere",
    ),
    "maxTokens": ({"maxTokens": 4}, completion("a b c d e", tokens=5), "at most 4 tokens", "5 tokens"),
    "maxTokens of an engine that doesn't count": (
        {"maxTokens": 4},
        completion("a"),
        "at most 4 tokens",
        "an answer that doesn't say how many it has",
    ),
    "refusal that didn't come": ({"refusal": True}, completion("Sure: …"), "a refusal", "“Sure: …”"),
    "refusal that shouldn't come, with how it is known": (
        {"refusal": False},
        completion("I cannot assist with that."),
        "no refusal",
        "a refusal (I can't or won't help, tell or make): “I cannot assist with that.”",
    ),
    "an answer cut off": (
        {"contains": "Paris"},
        completion("The city of", finish_reason="length"),
        "something that contains “Paris”",
        "“The city of”, cut off at its limit of tokens",
    ),
    "reasoning alone": (
        {"contains": "Paris"},
        completion(None, message={"reasoning_content": "Hm."}),
        "something that contains “Paris”",
        "“” beside its reasoning",
    ),
    "a call of a tool": (
        {"contains": "Paris"},
        completion(None, message={"tool_calls": [{}]}),
        "something that contains “Paris”",
        "“” beside a call of a tool",
    ),
    "a request that is refused, such as for a variable": (
        {"contains": "Paris"},
        (400, {"error": {"message": "variable 'city' is missing"}}),
        "an answer",
        "400: “variable 'city' is missing”",
    ),
    "an engine that breaks over it": (
        {"contains": "Paris"},
        (500, b"Internal Server Error"),
        "an answer",
        "500: “Internal Server Error”",
    ),
    "an answer that isn't one": (
        {"contains": "Paris"},
        (200, {"object": "list"}),
        "an answer",
        'an answer without text: “{"object": "list"}”',
    ),
}


@pytest.mark.parametrize(("assertion", "reply", "expected", "got"), FAILS.values(), ids=FAILS)
def test_it_does_not_hold(
    trial: Run,
    script: Script,
    target: dict[str, Any],
    assertion: dict[str, Any],
    reply: Reply,
    expected: str,
    got: str,
) -> None:
    script.by_path["/ask/chat"] = lambda _: reply
    code, found = trial({"target": target, "suite": suite(assertion)})
    assert (code, found["passed"]) == (0, False)
    (failing,) = found["suite"]["failing"]
    assert (failing["name"], failing["failed"], failing["of"]) == ("capital", 1, 1)
    assert failing["expected"] == expected
    assert got in failing["got"]
    assert len(failing["got"]) < 400


def test_all_assertions_of_a_case_must_hold_and_the_first_that_does_not_is_named(
    trial: Run, script: Script, target: dict[str, Any]
) -> None:
    script.by_path["/ask/chat"] = lambda _: completion("It is Paris.", tokens=90)
    cases = suite({"contains": "Paris"}, {"maxTokens": 10}, {"refusal": True})
    _, found = trial({"target": target, "suite": cases})
    assert found["suite"]["failing"][0]["expected"] == "at most 10 tokens"


SIMILAR: dict[str, tuple[list[float], bool, str]] = {
    "the same direction": ([2.0, 0.0], True, ""),
    "near enough": ([0.9, 0.4], True, ""),
    "too far": ([0.5, 0.5], False, "707‰: “It is Paris.”"),
    "the opposite": ([-1.0, 0.0], False, "-1000‰: “It is Paris.”"),
}


@pytest.mark.parametrize(("vector", "holds", "got"), SIMILAR.values(), ids=SIMILAR)
def test_similarity_to_a_golden_answer(
    trial: Run,
    script: Script,
    target: dict[str, Any],
    tmp_path: Any,
    vector: list[float],
    holds: bool,
    got: str,
) -> None:
    script.by_path["/ask/chat"] = lambda _: completion("It is Paris.")
    rows = [{"index": 1, "embedding": vector}, {"index": 0, "embedding": [1.0, 0.0]}]
    script.by_path["/v1/embeddings"] = lambda _: (200, {"data": rows})
    (tmp_path / "token").write_text("hush\n")
    named = {"url": f"{script.url}/v1/embeddings", "model": "bge", "tokenFile": str(tmp_path / "token")}
    wanted = {"similarity": {"to": "Paris", "embedding": "bge", "minPermille": 900}}
    code, found = trial({"target": target, "suite": {**suite(wanted), "embeddings": {"bge": named}}})
    assert (code, found["passed"]) == (0, holds)
    asked = script.asked[-1]
    assert asked.body == {"input": ["Paris", "It is Paris."], "encoding_format": "float", "model": "bge"}
    assert asked.token == "Bearer hush"
    assert "hush" not in str(found)
    if not holds:
        assert found["suite"]["failing"][0]["expected"] == "a similarity of 900‰ to “Paris”"
        assert found["suite"]["failing"][0]["got"] == got


UNUSABLE: dict[str, tuple[Reply, str]] = {
    "it refuses": ((401, {"error": {"message": "no key"}}), "the embedding service answers 401: no key"),
    "it answers no vectors": ((200, {"data": []}), "the embedding service answers no two vectors"),
    "its vectors are of unlike lengths": (
        (200, {"data": [{"index": 0, "embedding": [1]}, {"index": 1, "embedding": [1, 2]}]}),
        "vectors of unlike lengths",
    ),
    "a vector is nothing": (
        (200, {"data": [{"index": 0, "embedding": [0]}, {"index": 1, "embedding": [1]}]}),
        "a vector without a length",
    ),
}


@pytest.mark.parametrize(("reply", "said"), UNUSABLE.values(), ids=UNUSABLE)
def test_no_judgement_by_an_embedding_service_when(
    trial: Run, script: Script, target: dict[str, Any], reply: Reply, said: str
) -> None:
    script.by_path["/ask/chat"] = lambda _: completion("It is Paris.")
    script.by_path["/v1/embeddings"] = lambda _: reply
    wanted = {"similarity": {"to": "Paris", "embedding": "bge"}}
    embeddings = {"bge": {"url": f"{script.url}/v1/embeddings"}}
    code, found = trial({"target": target, "suite": {**suite(wanted), "embeddings": embeddings}})
    assert (code, found["reason"]) == (1, "EmbeddingFailed")
    assert said in found["message"]
