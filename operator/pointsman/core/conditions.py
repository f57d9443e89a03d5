"""Conditions from verdicts: what was found becomes what status says, without flapping.

A verdict is one fact about one pass. `merge` turns verdicts into conditions, keeping the time of the last
transition unless the status flips, so that an unchanged world gives an unchanged status to the byte.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pointsman.api.common import Condition
from pointsman.api.conditions import ConditionType, Reason

ONLY_WHILE_TRUE = frozenset({ConditionType.RECONCILING, ConditionType.STALLED})
"""kstatus' abnormal-true conditions: absent means False."""

MESSAGE_LIMIT = 1000
"""Longest message; the schema allows 1,024 characters."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact that was found and what can be said about it."""

    reason: Reason
    message: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One condition as this pass sees it."""

    type: ConditionType
    holds: bool | None
    """True, False, or None for Unknown."""
    reason: Reason
    message: str = ""


def foreign(strangers: Sequence[Mapping[str, Any]]) -> Verdict | None:
    """Ready, while objects that aren't ours bear the names of ours; None where none does."""
    if not strangers:
        return None
    what = f"{strangers[0]['kind']} {strangers[0]['metadata']['name']!r}"
    return Verdict(
        ConditionType.READY,
        False,
        Reason.OBJECT_NOT_OWNED,
        f"{what} exists and isn't ours; rename or delete it",
    )


def merge(
    previous: Sequence[Condition], verdicts: Iterable[Verdict], *, generation: int, now: datetime
) -> list[dict[str, Any]]:
    """The conditions to write, sorted by type."""
    before = {condition.type: condition for condition in previous}
    return [
        _condition(verdict, before.get(verdict.type), generation, now)
        for verdict in sorted(verdicts, key=lambda v: v.type.value)
        if verdict.holds or verdict.type not in ONLY_WHILE_TRUE
    ]


def amend(
    documents: Sequence[Mapping[str, Any]], verdicts: Sequence[Verdict], *, generation: int, now: datetime
) -> list[dict[str, Any]]:
    """Conditions with some of them said otherwise. Of the abnormal-true ones only those said stay."""
    previous = [Condition.model_validate(document) for document in documents]
    said = {verdict.type.value for verdict in verdicts} | {kind.value for kind in ONLY_WHILE_TRUE}
    kept = [dict(document) for document in documents if document["type"] not in said]
    merged = merge(previous, verdicts, generation=generation, now=now)
    return sorted([*kept, *merged], key=lambda document: str(document["type"]))


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second, as the API server writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _condition(verdict: Verdict, before: Condition | None, generation: int, now: datetime) -> dict[str, Any]:
    status = {True: "True", False: "False", None: "Unknown"}[verdict.holds]
    unchanged = before is not None and before.status == status
    return {
        "type": verdict.type.value,
        "status": status,
        "reason": verdict.reason.value,
        "message": verdict.message[:MESSAGE_LIMIT],
        "lastTransitionTime": before.last_transition_time if before and unchanged else timestamp(now),
        "observedGeneration": generation,
    }
