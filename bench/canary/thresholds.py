"""Fixed thresholds, as Flagger and Argo Rollouts judge by, over the same minutes.

Flagger (docs.flagger.app/usage/metrics, fluxcd.io/flagger/usage/metrics): each minute, of the canary alone,
`request-success-rate` at least 99 % and `request-duration` (its 99th percentile) at most 500 ms; every
failed check adds one to a counter that successes don't take back, and at `threshold: 5` (the number in its
tutorials) it rolls back. Argo Rollouts (docs/features/analysis.md, "Background Analysis"): a success rate of
at least 0.95, every five minutes over five minutes; "if there are three such measurements, the analysis is
considered Failed".

Both are taken at their best: the duration is that of the first token, since whole answers take many seconds;
the last failed check acts at once; and no check fails for a lack of samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.canary.traffic import Floats

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Minutes:
    """What all rollouts of one effect showed, a row each, minute by minute."""

    success: Floats
    slowest: Floats


@dataclass(frozen=True, slots=True)
class Rule:
    """A peer's way to judge."""

    name: str
    success: float
    """The least part of requests that have to succeed."""
    slowest: float
    """The longest that the 99th percentile may be, in seconds."""
    every: int
    """Minutes between checks, and in each."""
    failures: int
    """How many failed checks reject."""

    def rejected(self, minutes: Minutes) -> Numbers:
        """At which minute each rollout is rejected; zero: never."""
        success = _over(minutes.success, self.every)
        slowest = _over(minutes.slowest, self.every)
        failed = np.cumsum((success < self.success) | (slowest > self.slowest), axis=1)
        reached = failed >= self.failures
        return np.where(reached.any(axis=1), (np.argmax(reached, axis=1) + 1) * self.every, 0)


NEVER: Final = float("inf")
FLAGGER: Final = Rule("Flagger, as documented", success=0.99, slowest=0.5, every=1, failures=5)
ARGO: Final = Rule("Argo Rollouts, as documented", success=0.95, slowest=NEVER, every=5, failures=3)


def tuned(
    name: str, failures: int, bad: Minutes, slow: Minutes, wanted: tuple[float, float], within: int
) -> Rule:
    """Checks every minute, with thresholds that find as many as the product does.

    `bad`: rollouts that fail one more of a hundred; `slow`: whose first tokens take half as long again;
    `wanted`: the parts of them to be found within so many minutes.
    """

    def found(rule: Rule, minutes: Minutes) -> float:
        rejected = rule.rejected(minutes)
        return float(np.mean((rejected > 0) & (rejected <= within)))

    def by_success(value: float) -> Rule:
        return Rule(name, value, NEVER, 1, failures)

    def by_slowest(value: float) -> Rule:
        return Rule(name, 0.0, value, 1, failures)

    success = _least(lambda value: found(by_success(value), bad) >= wanted[0], 0.9, 1.0)
    slowest = _most(lambda value: found(by_slowest(value), slow) >= wanted[1], 0.01, 10.0)
    return Rule(name, success, slowest, 1, failures)


def _least(enough: Callable[[float], bool], low: float, high: float) -> float:
    for _ in range(30):
        between = (low + high) / 2
        low, high = (low, between) if enough(between) else (between, high)
    return high


def _most(enough: Callable[[float], bool], low: float, high: float) -> float:
    for _ in range(30):
        between = (low + high) / 2
        low, high = (between, high) if enough(between) else (low, between)
    return low


def _over(minutes: Floats, every: int) -> Floats:
    """Each check's window: the mean of its minutes, which only rates are asked for."""
    whole = minutes.shape[1] // every * every
    return np.asarray(minutes[:, :whole].reshape(len(minutes), -1, every).mean(axis=2))
