"""What people and programs report of an answer: `POST /v1/feedback`.

An answer's id ends in the tag of the variant that gave it (`picking.naming`), so a report needs no memory
of the answer: any router takes it, after any restart. What is remembered, within bounds, is which answers
were reported already, so that one who presses a button twice counts once. Whoever may ask may report: an id
proves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson
from xxhash import xxh3_64_intdigest as digest

from pointsman_router import errors
from pointsman_router.answering import modelname
from pointsman_router.clients.request import Request
from pointsman_router.errors import Problem, RefusedError
from pointsman_router.picking.naming import tag_in
from pointsman_router.table import Table, VariantState

MAX_ID: Final = 512
MAX_LABELS: Final = 16
MAX_LABEL: Final = 64
BLOCKED: Final = "blocked"
FLAGGED: Final = "flagged"
"""Labels that count as what they say; others are taken and not counted."""
_REMEMBERED: Final = 65_536
_MEMBERS: Final = frozenset({"id", "score", "labels"})
ACCEPTED: Final = 202


@dataclass(frozen=True, slots=True)
class Report:
    """One report of one answer."""

    answer: int
    """A hash of its id."""
    variant: VariantState
    score: float | None
    labels: frozenset[str]


def read(request: Request, table: Table) -> tuple[Report, bytes]:
    """A report, and what its sender is told. Raises RefusedError."""
    document = modelname.read_json(request.body, table.limits)
    unknown = sorted(set(document) - _MEMBERS)
    if unknown:
        raise _bad(f"unknown member {errors.quote(unknown[0])}; known are id, labels, score", unknown[0])
    name = document.get("id")
    if type(name) is not str or not 0 < len(name) <= MAX_ID:
        raise _bad(f"id must be the id of an answer, of up to {MAX_ID} characters", "id")
    score, labels = _score(document.get("score")), _labels(document.get("labels"))
    if score is None and not labels:
        raise _bad("give a score, labels, or both", "score")
    key = name.encode("utf-8", "surrogatepass")
    service, variant = table.tags.get(tag_in(key), (None, None))
    may = service is not None and (request.key is None or any(map(request.key.may_use, service.names)))
    if variant is None or not may:
        raise RefusedError(_unknown(name))
    told = orjson.dumps({"object": "feedback", "id": name, "variant": variant.name})
    return Report(digest(key), variant, score, labels), told


class Reports:
    """Counts reports, each answer's once."""

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[int, None] = {}

    def take(self, report: Report) -> int:
        """Counts it, if it's the first one of its answer; gives the status it's answered with."""
        seen = self._seen
        if report.answer in seen:
            return ACCEPTED
        if len(seen) >= _REMEMBERED:
            del seen[next(iter(seen))]
        seen[report.answer] = None
        variant, score = report.variant, report.score
        if score is not None:
            variant.stats.feedback.observe(score)
        if variant.measure is not None:
            counts = variant.measure.counts
            if score is not None:
                counts.feedback_score.add((score,))
            counts.blocked += BLOCKED in report.labels
            counts.flagged += FLAGGED in report.labels
        return ACCEPTED


def _score(value: Any) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise _bad("score must be a number from 0 to 1", "score")
    return float(value)


def _labels(value: Any) -> frozenset[str]:
    if value is None:
        return frozenset()
    if type(value) is not list or len(value) > MAX_LABELS:
        raise _bad(f"labels must be a list of up to {MAX_LABELS} words", "labels")
    if not all(type(label) is str and 0 < len(label) <= MAX_LABEL for label in value):
        raise _bad(f"labels must be words of up to {MAX_LABEL} characters", "labels")
    return frozenset(value)


def _bad(message: str, param: str) -> RefusedError:
    return RefusedError(Problem(400, message, code="invalid_feedback", param=errors.quote(param)))


def _unknown(name: str) -> Problem:
    return Problem(
        404,
        f"No variant that is served now gave an answer with the id {errors.quote(name)}. Ids say who gave an "
        "answer where the engine makes them of X-Request-Id, as vLLM does for chats and completions.",
        code="answer_not_found",
        param="id",
    )
