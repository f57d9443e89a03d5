"""What has to be kept between looks: a few numbers for each gate, as status stores them.

Counts since a step's measuring began come from the routers anew each time. What they don't tell is kept
here: what earlier steps have shown, and how much more than chance the difference moves from one interval to
the next. Requests of a burst are slow together, so a thousand of them tell less than a thousand independent
ones; the excess is measured, and every interval of confidence is widened by it.

Source of the widening: Cochran's Q over the intervals' own estimates, divided by its degrees of freedom
(Birge, The calculation of errors by the method of least squares, Physical Review 40, 1932; Cochran, The
combination of estimates from different experiments, Biometrics 10, 1954), kept running by West's update
(Communications of the ACM 22, 1979). What slows both variants alike cancels, since they're measured over the
same time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pointsman.core.judging import contrast
from pointsman.core.judging.contrast import Stage
from pointsman.core.judging.gates import Gate
from pointsman.core.judging.summary import Look

STAGES_KEPT: Final = 16
"""Steps that are told apart. Of more, the two earliest are taken as one."""

INTERVAL_REQUESTS: Final = 50
"""How many requests of each variant an interval needs to tell something."""

_BELIEVED: Final = 1.5
_BELIEF: Final = 4.0
"""What is believed of the excess before anything was seen, and how many intervals that belief is worth."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How intervals' estimates differ from each other."""

    intervals: int = 0
    precision: float = 0.0
    mean: float = 0.0
    excess: float = 0.0
    """Cochran's Q."""

    def and_one(self, estimate: float, variance: float) -> Spread:
        """With another interval's estimate."""
        weight = 1 / variance
        precision = self.precision + weight
        off = estimate - self.mean
        return Spread(
            self.intervals + 1,
            precision,
            self.mean + off * weight / precision,
            self.excess + off * off * weight * self.precision / precision,
        )

    @property
    def factor(self) -> float:
        """How many requests are worth one independent one."""
        free = max(self.intervals - 1, 0)
        return max((_BELIEF * _BELIEVED + self.excess) / (_BELIEF + free), 1.0)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of all gates, by their keys. Bounded: sixteen steps of six numbers and four more, for each gate."""

    spreads: Mapping[str, Spread] = field(default_factory=dict)
    stages: Mapping[str, tuple[Stage, ...]] = field(default_factory=dict)

    def spread(self, gate: Gate) -> Spread:
        return self.spreads.get(gate.key, Spread())

    def earlier(self, gate: Gate) -> tuple[Stage, ...]:
        return self.stages.get(gate.key, ())

    def after(self, gates: Sequence[Gate], previous: Look, look: Look) -> Evidence:
        """With the interval between two looks of one step.

        An interval should be longer than bursts are: 30 seconds and more. Whoever has lost the previous look
        begins with the next one; what is missed widens nothing.
        """
        between = look.since(previous)
        if min(between.candidate.requests, between.stable.requests) < INTERVAL_REQUESTS:
            return self
        found = dict(self.spreads)
        for gate in gates:
            seen = contrast.interval(gate, between, look)
            if seen is not None:
                found[gate.key] = self.spread(gate).and_one(*seen)
        return replace(self, spreads=found)

    def with_step_ended(self, gates: Sequence[Gate], look: Look) -> Evidence:
        """When a step ends, with its last look: what it has shown stands beside what the next one shows."""
        found = dict(self.stages)
        for gate in gates:
            stage = contrast.stage(gate, look)
            if stage is not None:
                kept = (*self.earlier(gate), stage)
                found[gate.key] = (
                    kept if len(kept) <= STAGES_KEPT else (contrast.joined(kept[0], kept[1]), *kept[2:])
                )
        return replace(self, stages=found)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "spreads": {key: list(_spread_numbers(spread)) for key, spread in self.spreads.items()},
            "stages": {key: [list(stage.numbers()) for stage in each] for key, each in self.stages.items()},
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Evidence:
        """Of JSON that `document` made."""
        return cls(
            {key: Spread(int(n), *rest) for key, (n, *rest) in document.get("spreads", {}).items()},
            {
                key: tuple(Stage.of(numbers) for numbers in each)
                for key, each in document.get("stages", {}).items()
            },
        )


def _spread_numbers(spread: Spread) -> tuple[float, ...]:
    return (spread.intervals, spread.precision, spread.mean, spread.excess)
