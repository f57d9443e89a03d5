"""What an object's conditions say, and what changed between two looks: the lines that people watch.

Pure functions of status documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]

SUMMARY = ("Available", "Ready")
"""Shown last, since the others explain them."""
REPEATED = ("Reconciling", "Stalled")
"""Say again what Ready says, for tools."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a status."""

    type: str
    status: str
    """True, False or Unknown."""
    reason: str
    message: str

    def __str__(self) -> str:
        tail = f": {self.message}" if self.message else ""
        return f"{self.type}={self.status} {self.reason}{tail}"


def shares(rollout: Document) -> dict[str, int]:
    """The percent of requests that each revision has, by `status.rollout`."""
    return {share["revision"]: share["weight"] for share in rollout["traffic"]}


def conditions(document: Document) -> dict[str, Condition]:
    """The conditions of an object, by type."""
    listed = (document.get("status") or {}).get("conditions") or ()
    return {
        c["type"]: Condition(c["type"], c["status"], c.get("reason", ""), c.get("message", ""))
        for c in listed
    }


def condition(document: Document, type_: str) -> Condition:
    """One of them; where it is missing, Unknown as Kubernetes reads it."""
    return conditions(document).get(type_, Condition(type_, "Unknown", "", ""))


def is_ready(document: Document) -> bool:
    """Whether Ready is True and speaks of the object as it is now."""
    observed = (document.get("status") or {}).get("observedGeneration")
    return bool(
        condition(document, "Ready").status == "True"
        and observed == document.get("metadata", {}).get("generation")
    )


def changed(before: Document, after: Document) -> Iterator[Condition]:
    """The conditions that a person who saw `before` would want to see of `after`, the summary last."""
    known = conditions(before)
    for name, now in sorted(conditions(after).items(), key=lambda item: (item[0] in SUMMARY, item[0])):
        if name not in REPEATED and known.get(name) != now:
            yield now


def told(document: Document) -> str:
    """All conditions in one paragraph, for a failing test."""
    return "; ".join(str(c) for c in conditions(document).values()) or "no condition"
