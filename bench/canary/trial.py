"""One rollout, once for each effect: when the product's own judgement rejects it, and what else could be
seen.

Looks come one by one, as in the operator: every ten seconds the interval goes into the evidence, every
minute the gates are judged, and the first rejection ends it. A pass doesn't, since a step that has passed is
followed by others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.canary.traffic import OWN, TICKS, Counts, Effect, Floats, Rollout, Run
from pointsman.core.judging import (
    DEFAULTS,
    FALSE_REJECTION,
    NOTHING,
    Evidence,
    Look,
    Metric,
    Verdict,
    interval_over,
    judge,
    verdict,
)

GATES: Final = tuple(
    DEFAULTS[metric]
    for metric in (Metric.ERROR_RATE, Metric.TIME_TO_FIRST_TOKEN, Metric.TIME_PER_OUTPUT_TOKEN)
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one rollout of one effect came to. Looks count from one; zero: never."""

    rejected: int
    passed: int
    success: Floats
    slowest: Floats


@dataclass(frozen=True, slots=True)
class Tried:
    """One rollout under all effects."""

    requests: Counts
    """The candidate's, at each look since the beginning."""
    seen: tuple[Seen, ...]


def trial(seed: int, effects: Sequence[Effect], own: float = OWN) -> Tried:
    """A rollout that anyone can repeat."""
    rollout = Rollout(seed, own)
    return Tried(rollout.requests(), tuple(_seen(rollout.run(effect)) for effect in effects))


def _seen(run: Run) -> Seen:
    rejected, passed = judged(run.looks)
    return Seen(rejected, passed, run.success, run.slowest)


def judged(looks: Sequence[Look]) -> tuple[int, int]:
    """The looks at which it's rejected and at which it first passes."""
    evidence, before, passed = Evidence(), NOTHING, 0
    for tick, look in enumerate(looks, start=1):
        if interval_over(before, look):
            evidence, before = evidence.after(GATES, before, look), look
        if tick % TICKS:
            continue
        found = verdict(judge(GATES, [look], FALSE_REJECTION, evidence))
        if found is Verdict.FAIL:
            return tick // TICKS, passed
        if found is Verdict.PASS and not passed:
            passed = tick // TICKS
    return 0, passed
