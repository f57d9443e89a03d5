"""What must be so of an answer: one row for each kind of assertion, with its words for a person.

Every row is a pure judgement of one answer but `similarity`, which asks an embedding service.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from pointsman_trial import schemas
from pointsman_trial.answers import Answer
from pointsman_trial.asking import Asker
from pointsman_trial.bounded import SECONDS, quoted, shorten, within
from pointsman_trial.document import Assertion, Similarity, Suite
from pointsman_trial.embeddings import nearness
from pointsman_trial.refusals import phrase_in


@dataclass(frozen=True, slots=True)
class Failed:
    """An assertion that doesn't hold: what was expected, and what came instead."""

    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges answers by one suite's services."""

    suite: Suite
    asker: Asker

    def first_failed(self, answer: Answer, assertions: tuple[Assertion, ...]) -> Failed | None:
        """The first assertion that doesn't hold of an answer, None where all do."""
        if answer.fault:
            return Failed("an answer", answer.fault)
        return next((failed for one in assertions if (failed := self._judge(answer, one))), None)

    def _judge(self, answer: Answer, assertion: Assertion) -> Failed | None:
        if assertion.similarity is not None:
            return self._similarity(answer, assertion.similarity)
        try:
            return within(lambda: _ROWS[assertion.kind](answer, assertion))
        except TimeoutError:
            said = f"more than {SECONDS:.0f} s of matching on {answer.shown()}"
            return Failed(f"an answer that its {assertion.label} can decide on", said)

    def _similarity(self, answer: Answer, wanted: Similarity) -> Failed | None:
        found = nearness(self.asker, self.suite.embedding(wanted.embedding), wanted.to, answer.text)
        if found >= wanted.min_permille:
            return None
        expected = f"a similarity of {wanted.min_permille}‰ to {quoted(wanted.to, 80)}"
        return Failed(expected, f"{found}‰: {answer.shown()}")


def _exact(answer: Answer, assertion: Assertion) -> Failed | None:
    wanted = assertion.exact or ""
    return None if answer.text.strip() == wanted.strip() else Failed(quoted(wanted), answer.shown())


def _regex(answer: Answer, assertion: Assertion) -> Failed | None:
    wanted = assertion.regex or ""
    if re.search(wanted, answer.text, re.ASCII):
        return None
    return Failed(f"something that matches {quoted(wanted)}", answer.shown())


def _contains(answer: Answer, assertion: Assertion) -> Failed | None:
    wanted = assertion.contains or ""
    return (
        None if wanted in answer.text else Failed(f"something that contains {quoted(wanted)}", answer.shown())
    )


def _not_contains(answer: Answer, assertion: Assertion) -> Failed | None:
    unwanted = assertion.not_contains or ""
    at = answer.text.find(unwanted)
    if at < 0:
        return None
    # Around the find, which may be far into a long answer.
    around = answer.text[max(0, at - 40) : at + len(unwanted) + 40]
    return Failed(f"nothing that contains {quoted(unwanted)}", quoted(around) + answer.note)


def _json_schema(answer: Answer, assertion: Assertion) -> Failed | None:
    said = schemas.mismatch(assertion.json_schema or "{}", answer.text)
    return Failed("JSON by the schema", f"{shorten(said, 160)}: {answer.shown()}") if said else None


def _max_tokens(answer: Answer, assertion: Assertion) -> Failed | None:
    limit = assertion.max_tokens or 0
    if answer.tokens is None:
        return Failed(f"at most {limit} tokens", "an answer that doesn't say how many it has")
    return None if answer.tokens <= limit else Failed(f"at most {limit} tokens", f"{answer.tokens} tokens")


def _refusal(answer: Answer, assertion: Assertion) -> Failed | None:
    by = answer.refused_by or phrase_in(answer.text)
    if bool(by) == assertion.refusal:
        return None
    if assertion.refusal:
        return Failed("a refusal", answer.shown())
    return Failed("no refusal", f"a refusal ({by}): {answer.shown()}")


_ROWS: dict[str, Callable[[Answer, Assertion], Failed | None]] = {
    "exact": _exact,
    "regex": _regex,
    "contains": _contains,
    "not_contains": _not_contains,
    "json_schema": _json_schema,
    "max_tokens": _max_tokens,
    "refusal": _refusal,
}
