"""Which of two prompts is better? The same comparison as a gate's, put both ways.

A gate asks whether a candidate is worse. An experiment asks in the first metric whether the challenger is
better or worse, and in the others (the guards) whether it's worse. Each of these is a one-sided comparison
with zero, whose bound holds at all looks at once (`boundary`), so the first one that is certain may end it.
When nothing differs, a recommendation is wrong only if at least one of those bounds is crossed, ever; what
may go wrong is divided among them (Bonferroni), so it stays below what was declared, whatever the number of
looks, the moment somebody stops, and how the metrics hang together.

That nothing relevant differs is shown by two one-sided comparisons with the difference that matters
(Schuirmann, A comparison of the two one-sided tests procedure and the power approach, Journal of
Pharmacokinetics and Biopharmaceutics 15, 1987), by bounds that hold at all looks too. Both have to hold, and
at most one of them can be wrong, so none needs a share of the other's (Berger, 1982; as in `judgement`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from typing import Final

from pointsman.core.judging import contrast, saying
from pointsman.core.judging.boundary import boundary, student
from pointsman.core.judging.contrast import Contrast
from pointsman.core.judging.evidence import Evidence
from pointsman.core.judging.gates import Gate, Worse
from pointsman.core.judging.saying import Samples
from pointsman.core.judging.summary import Look

FALSE_ALIKE: Final = 0.05
"""How many of those that differ by as much as matters may be called alike, or not worse."""


class Standing(StrEnum):
    """How the challenger stands in one metric."""

    BETTER = "Better"
    WORSE = "Worse"
    ALIKE = "Alike"
    NOT_WORSE = "NotWorse"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found in one metric. Numbers are as people read them."""

    gate: Gate
    standing: Standing
    samples: Samples
    """Of the control and the challenger, over all windows."""
    reason: str
    relevant: float
    """The difference that matters, on its worse side, in the estimate's unit."""
    control: float | None = None
    challenger: float | None = None
    estimate: float | None = None
    lower: float | None = None
    """Bounds of the estimate: each valid at every look at once, and wrong as seldom as was declared."""
    upper: float | None = None


def compare(gates: Sequence[Gate], look: Look, evidence: Evidence, error: float) -> tuple[Comparison, ...]:
    """The challenger (a look's candidate) against the control (its stable variant). The first gate decides,
    in both directions; the others guard in one. A gate's limit is the difference that matters."""
    sides = [2 if gate is gates[0] else 1 for gate in gates]
    whole = sum(side * _share(gate) for side, gate in zip(sides, gates, strict=True))
    return tuple(_one(gate, look, evidence, error * _share(gate) / whole) for gate in gates)


def _share(gate: Gate) -> int:
    # What is rare tells least for its number, so rates get twice as much of what may go wrong.
    return 2 if gate.rate else 1


def _one(gate: Gate, look: Look, evidence: Evidence, error: float) -> Comparison:
    earlier = evidence.earlier(gate)
    samples = Samples(
        sum(stage.stable for stage in earlier) + look.stable.values(gate.metric),
        sum(stage.candidate for stage in earlier) + look.candidate.values(gate.metric),
    )
    if min(samples) < gate.minimum_samples:
        return _unknown(gate, samples, f"at least {gate.minimum_samples:,} of each are needed")
    worth, excess = contrast.worth(gate, earlier, look) / evidence.excess(gate), evidence.excess(gate)
    strict, loose = (
        contrast.contrast(gate, earlier, look, off, off)
        for each in (error, FALSE_ALIKE)
        for off in [student(boundary(worth, each, gate.tuning), evidence.free(gate)) * sqrt(excess)]
    )
    if strict is None or loose is None:
        return _unknown(gate, samples, "nothing to compare")
    standing = _standing(gate, strict, loose)
    return Comparison(
        gate,
        standing,
        samples,
        f"{_sentence(gate, strict, standing)}; {samples}",
        _relevant(gate),
        saying.own(gate, strict.stable),
        saying.own(gate, strict.candidate),
        saying.shown(gate, strict.estimate),
        _bound(gate, strict.lower),
        _bound(gate, strict.upper),
    )


def _unknown(gate: Gate, samples: Samples, why: str) -> Comparison:
    return Comparison(
        gate, Standing.UNKNOWN, samples, f"{saying.name(gate)}: {samples}; {why}", _relevant(gate)
    )


def _relevant(gate: Gate) -> float:
    threshold = gate.threshold(gate.limit)
    return saying.shown(gate, -threshold if gate.worse is Worse.LOWER else threshold)


def _standing(gate: Gate, strict: Contrast, loose: Contrast) -> Standing:
    """A difference that is certain and doesn't matter is none."""
    relevant = gate.threshold(gate.limit)
    least, most = _worse(gate, loose)
    if -relevant < least and most < relevant:
        return Standing.ALIKE
    surely, at_most = _worse(gate, strict)
    if surely > 0:
        return Standing.WORSE
    if at_most < 0:
        return Standing.BETTER
    return Standing.NOT_WORSE if most < relevant else Standing.UNKNOWN


def _worse(gate: Gate, found: Contrast) -> tuple[float, float]:
    """By how much the challenger is worse, at least and at most."""
    if gate.worse is Worse.LOWER:
        return -found.upper, -found.lower
    return found.lower, found.upper


def _bound(gate: Gate, value: float) -> float | None:
    return saying.shown(gate, value) if abs(value) < saying.BOUNDLESS else None


_WORDS: Final = {
    Standing.BETTER: "better",
    Standing.WORSE: "worse",
    Standing.ALIKE: "no difference that matters",
    Standing.NOT_WORSE: "not worse by what matters",
    Standing.UNKNOWN: "nothing is certain yet",
}


def _sentence(gate: Gate, found: Contrast, standing: Standing) -> str:
    between = ", ".join(saying.number(gate, value) for value in (found.lower, found.upper))
    estimate = saying.number(gate, found.estimate)
    if gate.rate:
        own = (saying.digits(100 * value) for value in (found.candidate, found.stable))
        difference = f"{' % against '.join(own)} %, {estimate} points more [{between}]"
    else:
        difference = f"{estimate} x the control's [{between}]"
    return f"{saying.name(gate)} is {difference}: {_WORDS[standing]}"
