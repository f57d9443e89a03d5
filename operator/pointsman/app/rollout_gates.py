"""The gates of a rollout as a table: each one's value, how certain it is, what is allowed, its verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pointsman.app.drawing import Line, Piece, Tone, clean, table

RATES = frozenset({"errorRate", "blockedRate", "flaggedRate"})
TIMES = frozenset({"timeToFirstToken", "timePerOutputToken"})
VERDICTS: Mapping[str, tuple[str, Tone]] = {
    "Pass": ("✓ passes", Tone.GOOD),
    "Fail": ("✗ fails", Tone.BAD),
    "Inconclusive": ("… not yet", Tone.WARN),
}
HEAD = ("gate", "stable", "candidate", "difference", "rejected beyond", "passes within", "samples", "")
RIGHT = frozenset({1, 2, 4, 5, 6})
Gate = Mapping[str, Any]


def gates(found: list[Gate]) -> list[Line]:
    """One row for each gate; of one that can't say anything yet, why."""
    if not found:
        return []
    return table([[Piece(title, Tone.DIM) for title in HEAD], *(_row(gate) for gate in found)], RIGHT)


def _row(gate: Gate) -> list[Piece]:
    word, tone = VERDICTS.get(str(gate.get("verdict")), (clean(str(gate.get("verdict"))), Tone.PLAIN))
    samples = f"{int(gate.get('candidateSamples') or 0):,}/{int(gate.get('stableSamples') or 0):,}"
    metric = str(gate.get("metric"))
    name = f"{metric} {gate['statistic']}" if gate.get("statistic") else metric
    texts = [
        clean(name),
        value(metric, gate.get("stable")),
        value(metric, gate.get("candidate")),
        difference(metric, gate),
        change(metric, gate.get("allowed")),
        change(metric, gate.get("limit")),
        samples,
    ]
    return [*(Piece(text) for text in texts), Piece(word, tone)]


def difference(metric: str, gate: Gate) -> str:
    """The estimate between its bounds; what it lacks, where there is none."""
    if gate.get("estimate") is None:
        # The last part of its sentence is the reason.
        return clean(str(gate.get("message", ""))).rpartition("; ")[2]
    low, high = (change(metric, gate.get(end), bare=True) for end in ("low", "high"))
    return f"{change(metric, gate['estimate'])} [{low}, {high}]"


def value(metric: str, text: Any) -> str:
    """A variant's own value in its unit."""
    if metric in RATES:
        return _number(text, lambda rate: f"{_digits(100 * rate)} %")
    if metric in TIMES:
        return _number(text, lambda s: f"{_digits(1000 * s)} ms" if s < 1 else f"{_digits(s)} s")
    if metric == "outputLength":
        return _number(text, lambda tokens: f"{tokens:.0f} tok")
    return _number(text, _digits)


def change(metric: str, text: Any, *, bare: bool = False) -> str:
    """A difference in points, or a ratio."""
    if metric in RATES:
        return _number(text, lambda d: f"{100 * d:+.3g}" + ("" if bare else " pt"))
    return _number(text, lambda ratio: f"{ratio:.2f}" + ("" if bare else "×"))


def _number(text: Any, shown: Callable[[float], str]) -> str:
    """A decimal string of status; `?` where there is none, or none that can be read."""
    try:
        return shown(float(text))
    except (TypeError, ValueError):
        return "?"


def _digits(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
