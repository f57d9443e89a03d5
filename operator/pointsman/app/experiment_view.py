"""An experiment between prompts as a table: how the challenger stands in each metric, and what is advised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from pointsman.app.drawing import Line, Piece, Tone, clean, line, table
from pointsman.app.rollout_gates import change, difference, value
from pointsman.app.rollout_seen import Seen, lasting, moment

STANDINGS: Mapping[str, tuple[str, Tone]] = {
    "Better": ("✓ better", Tone.GOOD),
    "Worse": ("✗ worse", Tone.BAD),
    "Alike": ("✓ alike", Tone.GOOD),
    "NotWorse": ("✓ not worse", Tone.GOOD),
    "Unknown": ("… not yet", Tone.WARN),
}
ADVICE: Mapping[str, tuple[str, Tone]] = {
    "Challenger": ("take the challenger", Tone.GOOD),
    "Control": ("stay with the control", Tone.BAD),
    "NoDifference": ("no difference that matters", Tone.PLAIN),
    "Undecided": ("undecided", Tone.WARN),
}
HEAD = ("metric", "control", "challenger", "difference", "matters beyond", "samples", "")
RIGHT = frozenset({1, 2, 4, 5})


def experiment(seen: Seen) -> list[Line]:
    """Nothing where none is declared."""
    told = seen.condition("ExperimentConcluded")
    return [_title(seen), *_metrics(seen), *_end(seen, told)] if told else []


def _title(seen: Seen) -> Line:
    found, declared = seen.experiment, seen.service["spec"].get("experiment") or {}
    name = clean(str((declared.get("promptRef") or {}).get("name", "")))
    counted = (
        f"{int(found.get('challengerSamples') or 0):,} requests to the challenger, "
        f"{int(found.get('controlSamples') or 0):,} to the control{_lasted(seen)}"
    )
    return line(Piece("experiment", Tone.BOLD), f"  {name}", Piece(f"  {counted}", Tone.DIM))


def _lasted(seen: Seen) -> str:
    found = seen.experiment
    if not found.get("startedAt"):
        return ""
    until = moment(found["concludedAt"]) if found.get("concludedAt") else seen.now
    return f", in {lasting(max(until - moment(found['startedAt']), timedelta()))}"


def _metrics(seen: Seen) -> list[Line]:
    found = list(seen.experiment.get("metrics") or ())
    if not found:
        return []
    return table([[Piece(title, Tone.DIM) for title in HEAD], *(_row(one) for one in found)], RIGHT)


def _row(found: Mapping[str, Any]) -> list[Piece]:
    word, tone = STANDINGS.get(str(found.get("verdict")), (clean(str(found.get("verdict"))), Tone.PLAIN))
    metric = str(found.get("metric"))
    texts = [
        clean(f"{metric} {found['statistic']}" if found.get("statistic") else metric),
        value(metric, found.get("control")),
        value(metric, found.get("challenger")),
        difference(metric, found),
        change(metric, found.get("relevant")),
        f"{int(found.get('challengerSamples') or 0):,}/{int(found.get('controlSamples') or 0):,}",
    ]
    return [*(Piece(text) for text in texts), Piece(word, tone)]


def _end(seen: Seen, told: Mapping[str, Any]) -> Iterator[Line]:
    message = clean(str(told.get("message", "")))
    advised = str(seen.experiment.get("recommendation") or "")
    if not advised:
        yield line(Piece(f"  {message}", Tone.DIM))
        return
    word, tone = ADVICE.get(advised, (clean(advised), Tone.PLAIN))
    yield line("  recommended: ", Piece(word, tone))
    yield line(f"  {message}")
    yield line(Piece("  Nothing was switched: the stable variant has all requests again.", Tone.DIM))
