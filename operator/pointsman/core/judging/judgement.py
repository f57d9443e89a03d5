"""The verdict of each gate over what was counted.

Whole rollouts are what false rejections are counted of: with several gates, each gets its share of the
declared probability (Bonferroni), and so does each direction of a gate that looks both ways. A wrong pass
needs no such share, because all gates have to pass (Berger, Multiparameter hypothesis testing and acceptance
sampling, Technometrics 24, 1982). Both bounds hold at every look at once (`boundary`), so the first verdict
counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final

from pointsman.core.judging import contrast, ratios
from pointsman.core.judging.boundary import at_once, boundary, student
from pointsman.core.judging.contrast import Contrast
from pointsman.core.judging.evidence import Evidence, interval_over
from pointsman.core.judging.gates import Gate, Worse
from pointsman.core.judging.saying import Judgement, Samples, Verdict, told, undecided
from pointsman.core.judging.summary import NOTHING, Look

FALSE_REJECTION: Final = 0.01
"""How many of a hundred rollouts with nothing wrong may be rejected, unless declared."""
FALSE_PASS: Final = 0.05
"""How many of those that are as bad as a gate's limit may pass it."""


def judge(
    gates: Sequence[Gate],
    looks: Sequence[Look],
    false_rejection: float = FALSE_REJECTION,
    evidence: Evidence | None = None,
    *,
    once: bool = False,
) -> tuple[Judgement, ...]:
    """The verdict over the looks of one step, the last being the present one.

    Whoever can't keep all looks keeps `evidence`, with the interval to the present look in it
    (`Evidence.after`), and passes that look alone. `once`: what it holds is judged now and never again, so
    that to reject it takes no bound for every moment, where the noise has been seen before.
    """
    known, previous = evidence or Evidence(), NOTHING
    for look in looks if evidence is None else ():
        if interval_over(previous, look):
            known, previous = known.after(gates, previous, look), look
    now = looks[-1] if looks else NOTHING
    shares = sum(_share(gate) for gate in gates)
    return tuple(_one(gate, known, now, false_rejection * _share(gate) / shares, once) for gate in gates)


def verdict(judgements: Sequence[Judgement]) -> Verdict:
    """Of all gates: one that fails rejects, and all have to pass."""
    found = {judgement.verdict for judgement in judgements}
    if Verdict.FAIL in found:
        return Verdict.FAIL
    return Verdict.INCONCLUSIVE if Verdict.INCONCLUSIVE in found else Verdict.PASS


def _share(gate: Gate) -> int:
    # What is rare tells least for its number, so rates get twice as much of what may go wrong.
    return 2 if gate.rate else 1


def _one(gate: Gate, evidence: Evidence, look: Look, error: float, once: bool) -> Judgement:
    first, *fewer = ratios.comparable(gate, look)
    found = _of(gate, evidence, first, error, once)
    for each in fewer:
        if found.estimate is not None and None in (found.lower, found.upper):
            found = _of(gate, evidence, each, error, once)
    return found


def _of(gate: Gate, evidence: Evidence, look: Look, error: float, once: bool) -> Judgement:
    samples = Samples(look.stable.values(gate.metric), look.candidate.values(gate.metric))
    if min(samples) < gate.minimum_samples:
        return undecided(gate, samples, f"at least {gate.minimum_samples:,} of each are needed")
    earlier = evidence.earlier(gate)
    rejecting, passing = _allowed(gate, evidence, contrast.worth(gate, earlier, look), error, once)
    below, above = (passing, rejecting) if gate.worse is Worse.LOWER else (rejecting, passing)
    found = contrast.contrast(gate, earlier, look, below, above)
    if found is None:
        return undecided(gate, samples, "nothing to compare")
    if gate.worse is Worse.EITHER:
        other = contrast.contrast(gate, earlier, look, passing, rejecting) or found
        return told(gate, found, samples, _either(gate, found, other))
    return told(gate, found, samples, _one_way(gate, found))


def _allowed(gate: Gate, evidence: Evidence, samples: float, error: float, once: bool) -> tuple[float, float]:
    """How many standard errors of independent samples an estimate may be off, before rejecting and
    passing."""
    excess, free = evidence.excess(gate), evidence.free(gate)
    worse = error / 2 if gate.worse is Worse.EITHER else error
    plain = once and gate.key in evidence.spreads
    rejecting = at_once(worse) if plain else boundary(samples / excess, worse, gate.tuning)
    passing = boundary(samples / excess, FALSE_PASS, gate.tuning)
    return student(rejecting, free) * sqrt(excess), student(passing, free) * sqrt(excess)


def _one_way(gate: Gate, found: Contrast) -> Verdict:
    nearest, furthest = found.lower, found.upper
    if gate.worse is Worse.LOWER:
        nearest, furthest = -found.upper, -found.lower
    if nearest > gate.threshold(gate.margin):
        return Verdict.FAIL
    return Verdict.PASS if furthest < gate.threshold(gate.limit) else Verdict.INCONCLUSIVE


def _either(gate: Gate, higher: Contrast, lower: Contrast) -> Verdict:
    """`higher` has the bounds of a gate that minds more, `lower` of one that minds less."""
    margin, limit = gate.threshold(gate.margin), gate.threshold(gate.limit)
    if higher.lower > margin or lower.upper < -margin:
        return Verdict.FAIL
    return Verdict.PASS if higher.upper < limit and lower.lower > -limit else Verdict.INCONCLUSIVE
