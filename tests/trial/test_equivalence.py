"""Equivalence: how many answers agree, and where the first ones part."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trial.conftest import Run
from tests.trial.scripted import Asked, Reply, Script, by_tokens, completion, said

SAME = completion("The capital is Paris.")
PARTS: dict[str, tuple[Reply, Reply, dict[str, Any] | None]] = {
    "not at all": (SAME, SAME, None),
    "at a word": (
        SAME,
        completion("The capital is Lyon."),
        {
            "prompt": 1,
            "afterCharacters": 15,
            "stable": "“The capital is Paris.”",
            "candidate": "“The capital is Lyon.”",
        },
    ),
    "at a token, where engines tell them": (
        by_tokens("The", " capital", " is", " Paris"),
        by_tokens("The", " capital", " is", " Pau"),
        {
            "prompt": 1,
            "afterCharacters": 17,
            "afterTokens": 3,
            "stable": "“The capital is Paris”",
            "candidate": "“The capital is Pau”",
        },
    ),
    "where one ends": (
        completion("Paris"),
        completion("Paris, of course"),
        {
            "prompt": 1,
            "afterCharacters": 5,
            "stable": "“Paris”, ended",
            "candidate": "“Paris, of course”",
        },
    ),
    "far into it, with what stands around": (
        completion("x" * 100 + "A" + "y" * 100),
        completion("x" * 100 + "B" + "y" * 100),
        {
            "prompt": 1,
            "afterCharacters": 100,
            "stable": "“…" + "x" * 24 + "A" + "y" * 47 + "…”",
            "candidate": "“…" + "x" * 24 + "B" + "y" * 47 + "…”",
        },
    ),
    "where one refuses the request": (
        SAME,
        (400, {"error": {"message": "too long"}}),
        {
            "prompt": 1,
            "afterCharacters": 0,
            "stable": "“The capital is Paris.”",
            "candidate": "400: “too long”",
        },
    ),
}


def requests(*questions: str) -> list[dict[str, Any]]:
    return [{"messages": [{"role": "user", "content": question}]} for question in questions]


@pytest.mark.parametrize(("stable", "candidate", "first"), PARTS.values(), ids=PARTS)
def test_answers_part(
    trial: Run,
    script: Script,
    target: dict[str, Any],
    stable: Reply,
    candidate: Reply,
    first: dict[str, Any] | None,
) -> None:
    script.by_path["/ask/chat"] = lambda asked: stable if asked.variant == "chat-1" else candidate
    code, found = trial({"target": target, "equivalence": {"requests": requests("a")}})
    assert (code, found["passed"]) == (0, first is None)
    agreed = {"prompts": 1, "agreed": int(first is None), "neededPercent": 100}
    assert found["equivalence"] == agreed | ({"first": first} if first else {})


def test_both_are_asked_the_same_greedily(trial: Run, script: Script, target: dict[str, Any]) -> None:
    script.by_path["/ask/chat"] = lambda _: SAME
    trial({"target": target, "equivalence": {"requests": requests("a"), "maxTokens": 8}})
    one, other = script.asked
    assert one.body == other.body
    assert (one.body["temperature"], one.body["seed"], one.body["max_tokens"]) == (0, 0, 8)
    assert {one.variant, other.variant} == {"chat-1", "chat-2.p.abc"}
    assert one.override == other.override == "temperature,seed", "whatever the prompt fixes"


def test_an_engine_that_tells_no_tokens_is_asked_without(
    trial: Run, script: Script, target: dict[str, Any]
) -> None:
    script.by_path["/ask/chat"] = lambda asked: (400, {}) if "logprobs" in asked.body else SAME
    code, found = trial({"target": target, "equivalence": {"requests": requests("a")}})
    assert (code, found["passed"]) == (0, True)


LACKING: Reply = (400, {"error": {"message": "prompt_variables: it lacks 'days'"}})
BOTH: dict[str, tuple[Reply, Reply, bool]] = {
    "alike": (LACKING, LACKING, True),
    "otherwise": (LACKING, (422, {"error": {"message": "no"}}), False),
    "the candidate alone": (SAME, LACKING, False),
    "the stable one alone": (LACKING, SAME, False),
    "by an error of their own": ((500, {}), (500, {}), False),
}


@pytest.mark.parametrize(("stable", "candidate", "undecided"), BOTH.values(), ids=BOTH)
def test_a_question_that_both_refuse_alike_says_nothing_of_the_candidate(
    trial: Run, script: Script, target: dict[str, Any], stable: Reply, candidate: Reply, undecided: bool
) -> None:
    def answer(asked: Asked) -> Reply:
        if said(asked) != "b":
            return SAME
        return stable if asked.variant == "chat-1" else candidate

    script.by_path["/ask/chat"] = answer
    code, found = trial({"target": target, "equivalence": {"requests": requests("a", "b")}})
    if undecided:
        message = "both variants refuse prompt 2 by 400: “prompt_variables: it lacks 'days'”"
        assert (code, found) == (1, {"reason": "QuestionRefused", "message": message})
    else:
        assert (code, found["passed"], found["equivalence"]["agreed"]) == (0, False, 1)


ENOUGH = {"fewer than needed": (81, False), "as many as needed": (80, True), "more": (50, True)}


@pytest.mark.parametrize(("needed", "passed"), ENOUGH.values(), ids=ENOUGH)
def test_agreement(trial: Run, script: Script, target: dict[str, Any], needed: int, passed: bool) -> None:
    def answer(asked: Asked) -> Reply:
        return completion("other") if (said(asked), asked.variant) == ("c", "chat-1") else SAME

    script.by_path["/ask/chat"] = answer
    asked = {"requests": requests(*"abcde"), "minAgreementPercent": needed}
    _, found = trial({"target": target, "equivalence": asked})
    assert found["passed"] is passed
    assert (found["equivalence"]["agreed"], found["equivalence"]["first"]["prompt"]) == (4, 3)
