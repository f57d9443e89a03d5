"""One rollout, once for each effect: when the product's own judgement rejects it, and what else could be
seen.

Looks come one by one and through the same functions as in the operator (`core/analysis/looking.py`): every
ten seconds the interval goes into the memory, every minute the gates are judged, over all of it and over
what is new, and the first rejection ends it. A pass doesn't, since a step that has passed is
followed by others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.canary.traffic import OWN, TICKS, Counts, Effect, Floats, Rollout
from pointsman.core.analysis import stretch, turning
from pointsman.core.analysis.record import Memory
from pointsman.core.judging import DEFAULTS, FALSE_REJECTION, Look, Metric, Verdict, verdict

GATES: Final = tuple(
    DEFAULTS[metric]
    for metric in (Metric.ERROR_RATE, Metric.TIME_TO_FIRST_TOKEN, Metric.TIME_PER_OUTPUT_TOKEN)
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one rollout of one effect came to. Looks count from one; zero: never."""

    rejected: int
    passed: int
    requests: Counts
    """The candidate's, at each look since the beginning."""
    success: Floats
    slowest: Floats


def trial(seed: int, effects: Sequence[Effect], own: float = OWN) -> tuple[Seen, ...]:
    """A rollout that anyone can repeat, under each effect."""
    rollouts = {arrivals: Rollout(seed, own, arrivals) for arrivals in {each.arrivals for each in effects}}
    return tuple(_seen(rollouts[effect.arrivals], effect) for effect in effects)


def _seen(rollout: Rollout, effect: Effect) -> Seen:
    run = rollout.run(effect)
    rejected, passed = judged(run.looks)
    return Seen(rejected, passed, rollout.requests(), run.success, run.slowest)


def judged(looks: Sequence[Look]) -> tuple[int, int]:
    """The looks at which it's rejected and at which it first passes."""
    memory, passed = Memory(), 0
    for tick, told in enumerate(looks, start=1):
        if stretch.torn(memory, told):
            memory = stretch.mended(memory, told)
            continue
        look = stretch.seen(memory, told)
        memory = turning.sampled(memory, GATES, look)
        if tick % TICKS:
            continue
        minute = tick // TICKS
        found = verdict(turning.judge(GATES, memory, look, minute, FALSE_REJECTION))
        memory = turning.remembered(memory, look)
        if found is Verdict.FAIL:
            return minute, passed
        if found is Verdict.PASS and not passed:
            passed = minute
    return 0, passed
