"""Refusals of a model's proof."""

from __future__ import annotations

from tests.contract.cases import Case
from tests.contract.manifests import Json


def _answer(answer: Json, says: str) -> Case:
    return Case("model/proof", [{"name": "capital", "message": "Which?", "answer": answer}], says)


_GRAMMAR = "must be a regular expression of literals, classes, groups, alternatives and single quantifiers"
_NOT_ONE = "spec.model.proof[0].answer: Invalid value: give exactly one of exact, contains and regex"

PROOFS: dict[str, Case] = {
    "a proof that neither says nor prompts": Case(
        "model/proof",
        [{"name": "capital", "answer": {"exact": "Paris"}}],
        "spec.model.proof[0]: Invalid value: give exactly one of message (a chat) and prompt (a completion)",
    ),
    "a proof that is a chat and a completion": Case(
        "model/proof",
        [{"name": "capital", "message": "Which?", "prompt": "It is", "answer": {"exact": "Paris"}}],
        "spec.model.proof[0]: Invalid value: give exactly one of message (a chat) and prompt (a completion)",
    ),
    "a proof without an answer": Case(
        "model/proof",
        [{"name": "capital", "message": "Which?"}],
        "spec.model.proof[0].answer: Required value",
    ),
    "a proof's name with a blank": Case(
        "model/proof",
        [{"name": "the capital", "message": "Which?", "answer": {"exact": "Paris"}}],
        'spec.model.proof[0].name: Invalid value: "the capital": must be lower-case letters, digits and',
    ),
    "two proofs of one name": Case(
        "model/proof",
        [{"name": "capital", "message": "Which?", "answer": {"exact": "Paris"}}] * 2,
        "spec.model.proof[1]: Duplicate value",
    ),
    "more proofs than a start has time for": Case(
        "model/proof",
        [{"name": f"q{n}", "message": "Which?", "answer": {"exact": "Paris"}} for n in range(9)],
        "spec.model.proof: Too many: 9: must have at most 8 items",
    ),
    "an answer that is nothing": _answer({}, _NOT_ONE),
    "an answer of two kinds": _answer({"exact": "Paris", "contains": "Paris"}, _NOT_ONE),
    "an expression that doesn't close": _answer({"regex": "(Paris"}, "missing closing )"),
    "an expression that looks ahead": _answer({"regex": "(?=Paris)"}, _GRAMMAR),
    "an expression that repeats repeating": _answer({"regex": "(a*)**"}, _GRAMMAR),
    "an expression with classes that Python doesn't know": _answer({"regex": "[[:alpha:]]"}, _GRAMMAR),
    "an expression that counts to thousands": _answer({"regex": "a{1000}"}, _GRAMMAR),
}
