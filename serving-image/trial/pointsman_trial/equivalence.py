"""Compares two variants that should answer alike: the same greedy requests to both, letter by letter."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from typing import Any, Final

from pointsman_trial.answers import Answer, Panel, question
from pointsman_trial.asking import Asker, CannotJudge
from pointsman_trial.bounded import quoted
from pointsman_trial.document import Equivalence
from pointsman_trial.result import Divergence, EquivalenceResult
from pointsman_trial.together import in_order

OVERRIDE: Final = ("temperature", "seed")
"""What stands, whatever the prompt fixes: answers that were drawn tell nothing of engines."""
BEFORE, AFTER = 24, 48
"""Characters shown around where answers part."""


def run(equivalence: Equivalence, panel: Panel, asker: Asker, at_once: int) -> EquivalenceResult:
    """How many requests both answer alike, and where they part first. Raises CannotJudge."""

    def ask(request: Mapping[str, Any]) -> tuple[Answer, Answer]:
        return _both(panel, request, equivalence.max_tokens)

    agreed, first = 0, None
    for number, (stable, candidate) in enumerate(in_order(ask, equivalence.requests, at_once), 1):
        asker.check(f"prompt {number}")
        _check_question(number, stable, candidate)
        parted = divergence(number, stable, candidate)
        agreed += parted is None
        first = first or parted
    return EquivalenceResult(len(equivalence.requests), agreed, equivalence.min_agreement_percent, first)


def _both(panel: Panel, request: Mapping[str, Any], max_tokens: int) -> tuple[Answer, Answer]:
    """Both answers, by tokens where the engines tell them; some refuse to."""
    asked = question(request, seed=0, greedy=True, max_tokens=max_tokens, by_token=True)
    found = panel.stable(asked, OVERRIDE), panel.candidate(asked, OVERRIDE)
    if not any(answer.fault for answer in found):
        return found
    plainly = {key: value for key, value in asked.items() if key != "logprobs"}
    return panel.stable(plainly, OVERRIDE), panel.candidate(plainly, OVERRIDE)


def _check_question(number: int, stable: Answer, candidate: Answer) -> None:
    """Raises CannotJudge where both say alike that the question is wrong: that tells nothing of either."""
    if stable.rejected and stable.status == candidate.status:
        raise CannotJudge("QuestionRefused", f"both variants refuse prompt {number} by {stable.fault}")


def divergence(number: int, stable: Answer, candidate: Answer) -> Divergence | None:
    """Where two answers part, None where they don't. An answer that didn't come is like no other."""
    if stable.fault or candidate.fault:
        return Divergence(number, 0, None, stable.shown(), candidate.shown())
    if stable.text == candidate.text:
        return None
    common = _common(stable.text, candidate.text)
    tokens = _common(stable.pieces, candidate.pieces) if stable.pieces and candidate.pieces else None
    return Divergence(number, common, tokens, _around(stable.text, common), _around(candidate.text, common))


def _common(one: Any, other: Any) -> int:
    """How many items two sequences begin with in common."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _around(text: str, at: int) -> str:
    start = max(0, at - BEFORE)
    piece = ("…" if start else "") + text[start : at + AFTER] + ("…" if at + AFTER < len(text) else "")
    return quoted(piece) if text[at:] else quoted(piece) + ", ended"
