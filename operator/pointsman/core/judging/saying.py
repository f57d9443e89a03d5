"""What a judgement says: its numbers as people read them, and one line that names them all.

The line goes into conditions, events and a terminal; it holds what was found, between which bounds, what's
allowed, and how many samples stand behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import exp
from typing import Final, NamedTuple

from pointsman.core.judging.contrast import Contrast
from pointsman.core.judging.gates import Gate, Worse
from pointsman.core.judging.summary import Metric
from pointsman.core.judging.values import Statistic

BOUNDLESS: Final = 20.0
"""The logarithm of a ratio from which on a bound says nothing."""


class Verdict(StrEnum):
    """What a gate says."""

    PASS = "Pass"
    FAIL = "Fail"
    INCONCLUSIVE = "Inconclusive"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a gate has found. Numbers are as people read them: fractions, seconds, tokens, ratios."""

    metric: Metric
    statistic: Statistic
    verdict: Verdict
    stable: float | None
    """Its own value in the step under way; of times that of streams, where there are any to compare."""
    candidate: float | None
    estimate: float | None
    """Of a rate the candidate's less the stable one's, of anything else the candidate's by the stable
    one's."""
    lower: float | None
    """Bounds of the estimate, valid at every look at once: the one on the worse side's near end is wrong as
    seldom as a rejection may be, the other one as seldom as a pass."""
    upper: float | None
    margin: float
    """What's allowed, in the estimate's unit."""
    limit: float
    stable_samples: int
    candidate_samples: int
    reason: str


class Samples(NamedTuple):
    """How many values there are of each variant in the step under way."""

    stable: int
    candidate: int

    def __str__(self) -> str:
        return f"{self.candidate:,} against {self.stable:,} samples"


def undecided(gate: Gate, samples: Samples, why: str) -> Judgement:
    return Judgement(
        gate.metric,
        gate.statistic,
        Verdict.INCONCLUSIVE,
        stable=None,
        candidate=None,
        estimate=None,
        lower=None,
        upper=None,
        margin=shown(gate, gate.threshold(gate.margin)),
        limit=shown(gate, gate.threshold(gate.limit)),
        stable_samples=samples.stable,
        candidate_samples=samples.candidate,
        reason=f"{name(gate)}: {samples}; {why}",
    )


def told(gate: Gate, found: Contrast, samples: Samples, verdict: Verdict) -> Judgement:
    sign = -1 if gate.worse is Worse.LOWER else 1
    return Judgement(
        gate.metric,
        gate.statistic,
        verdict,
        stable=own(gate, found.stable),
        candidate=own(gate, found.candidate),
        estimate=shown(gate, found.estimate),
        lower=shown(gate, found.lower) if abs(found.lower) < BOUNDLESS else None,
        upper=shown(gate, found.upper) if abs(found.upper) < BOUNDLESS else None,
        margin=shown(gate, sign * gate.threshold(gate.margin)),
        limit=shown(gate, sign * gate.threshold(gate.limit)),
        stable_samples=samples.stable,
        candidate_samples=samples.candidate,
        reason=f"{_sentence(gate, found, verdict)}; {samples}",
    )


def _sentence(gate: Gate, found: Contrast, verdict: Verdict) -> str:
    return f"{name(gate)} is {_difference(gate, found)}, {_bar(gate, verdict)}"


def _difference(gate: Gate, found: Contrast) -> str:
    numbers = [number(gate, found.estimate), number(gate, found.lower), number(gate, found.upper)]
    estimate, lower, upper = numbers
    if gate.rate:
        own = f"{digits(100 * found.candidate)} % against {digits(100 * found.stable)} %"
        return f"{own}, {estimate} points more [{lower}, {upper}]"
    kinds = ", ".join(f"{kind.value} {number(gate, ratio)} x" for kind, ratio in found.kinds)
    return f"{estimate} x the stable one's [{lower}, {upper}]" + (f" ({kinds})" if kinds else "")


def _bar(gate: Gate, verdict: Verdict) -> str:
    sign = -1 if gate.worse is Worse.LOWER else 1
    margin = number(gate, sign * gate.threshold(gate.margin))
    limit = number(gate, sign * gate.threshold(gate.limit))
    if verdict is Verdict.FAIL:
        return f"allowed {margin}"
    if verdict is Verdict.PASS:
        return f"{limit} is ruled out"
    return f"neither beyond {margin} nor within {limit} for certain"


def name(gate: Gate) -> str:
    """What a gate is called."""
    return gate.metric.value if gate.rate else f"{gate.metric.value} {gate.statistic.value}"


def number(gate: Gate, value: float) -> str:
    """A difference in points of a hundred, or a ratio."""
    if not abs(value) < BOUNDLESS:
        return "?"
    return digits(100 * value if gate.rate else exp(value))


def digits(value: float) -> str:
    """As many as tell something."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def shown(gate: Gate, value: float) -> float:
    """An estimate as people read it: a difference, or a ratio."""
    return _rounded(value if gate.rate else exp(value))


def own(gate: Gate, value: float) -> float:
    """A variant's own value as people read it."""
    if gate.rate:
        return _rounded(value)
    return _rounded(exp(value) * (1000 if gate.metric is Metric.OUTPUT_LENGTH else 1))


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
