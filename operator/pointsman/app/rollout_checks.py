"""The checks of a rollout as a table: who was asked, in which step, and what was said."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from pointsman.app.drawing import Line, Piece, Tone, clean, line, table
from pointsman.app.rollout_seen import Seen, lasting, moment

VERDICTS: Final[Mapping[str, tuple[str, Tone]]] = {
    "Pass": ("✓ yes", Tone.GOOD),
    "Fail": ("✗ no", Tone.BAD),
    "Inconclusive": ("… no verdict", Tone.WARN),
}


def checks(seen: Seen) -> list[Line]:
    """One row for each check that has said something of the candidate; nothing where none has."""
    told = [one for one in seen.rollout.get("checks") or () if one.get("variant") == seen.candidate]
    if not told or not seen.candidate:
        return []
    return [line(Piece("checks", Tone.BOLD)), *table([_row(seen, one) for one in told])]


def _row(seen: Seen, told: Mapping[str, Any]) -> list[Piece]:
    word, tone = VERDICTS.get(str(told.get("verdict")), (clean(str(told.get("verdict"))), Tone.PLAIN))
    ago = max(seen.now - moment(told["at"]), timedelta()) if told.get("at") else timedelta()
    return [
        Piece(clean(str(told.get("name"))), Tone.BOLD),
        Piece(_step(seen, told), Tone.DIM),
        Piece(word, tone),
        Piece(f"{lasting(ago)} ago", Tone.DIM),
        Piece(clean(str(told.get("message") or ""))),
    ]


def _step(seen: Seen, told: Mapping[str, Any]) -> str:
    """The step in the words of the ladder."""
    if told.get("step") == "Baking":
        return "baking"
    index = int(told.get("stepIndex") or 0)
    return f"step {index + 1}" if seen.strategy == "Canary" else "measuring"
