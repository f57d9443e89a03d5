"""What a model must know: asked by the real entrypoint of a scripted engine, before anybody may ask it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pointsman_engine.outcome import Reason, StartFailure
from pointsman_engine.proof import Question, is_right, read_questions
from tests.engine.entrypoint import Entrypoint

Start = Callable[..., Entrypoint]

CAPITAL = {"name": "capital", "message": "Capital of France?", "answer": {"contains": "Paris"}}
SUM = {"name": "sum", "prompt": "2 + 2 =", "answer": {"regex": "^ *4\\b"}, "maxTokens": 4}
WORD = {"name": "word", "prompt": "Say yes.", "answer": {"exact": "yes"}}
RIGHT = {"Capital of France?": "It is Paris.", "2 + 2 =": " 4.", "Say yes.": " yes\n"}


def proof(*entries: dict[str, Any]) -> dict[str, str]:
    return {"POINTSMAN_PROOF": json.dumps(entries)}


def test_right_answers_make_it_ready_and_are_asked_greedily_before(entrypoint: Start, tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    pod = entrypoint(script={"answers": RIGHT, "asked": str(asked)}, env=proof(CAPITAL, SUM, WORD))
    status = pod.until("Ready")
    assert status["timings"]["proof"] > 0
    questions = [json.loads(line) for line in asked.read_text().splitlines()][1:]
    assert [q["path"] for q in questions] == ["/v1/chat/completions", "/v1/completions", "/v1/completions"]
    assert [q["max_tokens"] for q in questions] == [64, 4, 64]
    assert all((q["temperature"], q["seed"], q["model"]) == (0, 0, "chat") for q in questions)
    assert pod.log().index("phase Proving") < pod.log().index("phase Ready")


REFUSED: dict[str, tuple[dict[str, Any], list[dict[str, Any]], list[str]]] = {
    "a wrong answer, with the proof's name, what was expected and what came": (
        {"answers": {"Capital of France?": "L'Étoile, la Marseillaise"}},
        [CAPITAL],
        ["proof 'capital': expected something that contains “Paris”, got “L'Étoile, la Marseillaise”"],
    ),
    "the first of several, and how many are wrong": (
        {"answers": {**RIGHT, "2 + 2 =": "5", "Say yes.": "yes, and no"}},
        [CAPITAL, SUM, WORD],
        ["proof 'sum': expected something that matches “^ *4", "got “5”", "(2 of 3 proofs failed)"],
    ),
    "a long answer, shortened": (
        {"answers": {"Say yes.": "no " * 2000}},
        [WORD],
        ["proof 'word': expected “yes”, got “no no no", "…”"],
    ),
    "an answer that had no room": (
        {"answers": {"2 + 2 =": {"choices": [{"text": "Let us", "finish_reason": "length"}]}}},
        [SUM],
        ["got “Let us”, cut off after 4 tokens (maxTokens)"],
    ),
    "reasoning without an answer": (
        {"answers": {"Capital of France?": {"choices": [{"message": {"reasoning": "Hm"}}]}}},
        [CAPITAL],
        ["got “” beside its reasoning"],
    ),
    "an answer without text": (
        {"answers": {"Capital of France?": {"embedding": [0.5]}}},
        [CAPITAL],
        ["the engine's answer to proof 'capital' has no text", "embedding"],
    ),
    "a model that completes no text": (
        {"completion": 404, "error": {"error": {"message": "no such route"}}},
        [SUM],
        ["proof 'sum' can't be asked: this model doesn't answer /v1/completions (404: “no such route”)"],
    ),
    "a model without a chat template": (
        {"chat": 400, "error": {"message": "no chat template"}},
        [CAPITAL],
        ["proof 'capital' can't be asked", "(400: “no chat template”)", "by prompt instead of message"],
    ),
    "an expression that never ends": (
        {"answers": {"2 + 2 =": "a" * 64 + "!"}},
        [{**SUM, "answer": {"regex": "(a|a)*b$"}}],
        ["proof 'sum': its regex takes more than 2 s"],
    ),
}


@pytest.mark.parametrize(("script", "entries", "said"), REFUSED.values(), ids=REFUSED)
def test_it_never_becomes_ready(
    entrypoint: Start, script: dict[str, Any], entries: list[dict[str, Any]], said: list[str]
) -> None:
    pod = entrypoint(script=script, env=proof(*entries))
    failure = pod.failure()
    assert failure["reason"] == "WrongAnswers"
    for words in said:
        assert words in failure["message"]
    assert len(failure["message"]) <= 1000
    assert "phase Ready" not in pod.log()


def test_an_engine_that_breaks_over_a_question_has_failed_not_answered_wrongly(entrypoint: Start) -> None:
    failure = entrypoint(script={"chat": 500}, env=proof(CAPITAL)).failure()
    assert failure == {"reason": "EngineFailed", "message": "the engine answers proof 'capital' by 500"}


def test_an_engine_that_ends_over_a_question_tells_its_own_reason(entrypoint: Start) -> None:
    said = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
    failure = entrypoint(script={"dies": [said]}, env=proof(CAPITAL)).failure()
    assert failure["reason"] == "OutOfMemory"


def test_every_start_is_asked_anew(entrypoint: Start) -> None:
    right = entrypoint(script={"answers": RIGHT}, env=proof(WORD))
    right.until("Ready")
    right.terminate()
    assert right.wait() == 0
    assert entrypoint(env=proof(WORD)).failure()["reason"] == "WrongAnswers"


@pytest.mark.parametrize(
    "text", ["{", '[{"name": "a"}]', '[{"name": "a", "prompt": "b", "answer": {}}]', "3"]
)
def test_a_proof_that_can_not_be_read_ends_the_start(entrypoint: Start, text: str) -> None:
    failure = entrypoint(env={"POINTSMAN_PROOF": text}).failure()
    assert failure["reason"] == "ArgumentsInvalid"
    assert "POINTSMAN_PROOF can't be read" in failure["message"]


@pytest.mark.parametrize(
    ("kind", "expected", "text", "right"),
    [
        ("exact", "Paris", " Paris\n", True),
        ("exact", "Paris", "Paris.", False),
        ("contains", "Paris", "In Paris, France", True),
        ("contains", "Paris", "paris", False),
        ("regex", "(?i)paris", "PARIS", True),
        ("regex", r"^\d+$", "42", True),
        ("regex", r"^\d+$", "٤٢", False),
    ],
)
def test_an_answer_is_judged(kind: str, expected: str, text: str, right: bool) -> None:
    assert is_right(Question("q", "?", True, kind, expected), text) is right


def test_an_expression_that_python_does_not_know_says_so() -> None:
    with pytest.raises(StartFailure) as refused:
        is_right(Question("q", "?", True, "regex", "a**"), "a")
    assert refused.value.reason is Reason.WRONG_ANSWERS
    assert "its regex can't be used" in refused.value.message


def test_no_proof_asks_nothing() -> None:
    assert read_questions("") == ()
