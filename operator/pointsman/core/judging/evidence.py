"""What has to be kept between looks: a few numbers for each gate, as status stores them.

Counts since a step's measuring began come from the routers anew each time. What they don't tell is kept here:
what earlier steps have shown, and how much more than chance the difference moves (`spread`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pointsman.core.judging import contrast
from pointsman.core.judging.contrast import Stage
from pointsman.core.judging.gates import Gate
from pointsman.core.judging.spread import Belief, Spread
from pointsman.core.judging.summary import Look

STAGES_KEPT: Final = 16
"""Steps that are told apart. Of more, the two earliest are taken as one."""

INTERVAL_REQUESTS: Final = 25
"""How many requests of each variant an interval needs to tell something. Where there's little traffic, the
noise is known the sooner the fewer these are; of half of them the median is still one."""

INTERVAL_SECONDS: Final = 10.0
"""How long an interval is at least."""

TIMES: Final = Belief(excess=1.5, longer=2.0, worth=4.0, groups=3.0)
OTHERS: Final = Belief(excess=1.0, longer=1.0, worth=20.0, groups=6.0)
"""Times have moods, so little is believed of them, and that isn't good. Errors, lengths and scores more often
come one by one, and of some there are too few to see it."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of all gates, by their keys. Bounded: sixteen steps of six numbers and twelve more, for each gate."""

    spreads: Mapping[str, Spread] = field(default_factory=dict)
    stages: Mapping[str, tuple[Stage, ...]] = field(default_factory=dict)

    def excess(self, gate: Gate) -> float:
        """How many requests are worth one independent one."""
        return self.spreads.get(gate.key, Spread()).excess(_belief(gate))

    def free(self, gate: Gate) -> float:
        """On how many degrees of freedom that stands."""
        return self.spreads.get(gate.key, Spread()).free(_belief(gate))

    def earlier(self, gate: Gate) -> tuple[Stage, ...]:
        return self.stages.get(gate.key, ())

    def after(self, gates: Sequence[Gate], previous: Look, look: Look) -> Evidence:
        """With the interval between two looks of one step, if it's over (`interval_over`)."""
        if not interval_over(previous, look):
            return self
        between = look.since(previous)
        found = dict(self.spreads)
        for gate in gates:
            seen = contrast.interval(gate, between, look)
            if seen is not None:
                found[gate.key] = found.get(gate.key, Spread()).and_one(*seen)
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
            "spreads": {key: list(spread.numbers()) for key, spread in self.spreads.items()},
            "stages": {key: [list(stage.numbers()) for stage in each] for key, each in self.stages.items()},
        }

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Evidence:
        """Of JSON that `document` made."""
        return cls(
            {key: Spread.of(numbers) for key, numbers in document.get("spreads", {}).items()},
            {
                key: tuple(Stage.of(numbers) for numbers in each)
                for key, each in document.get("stages", {}).items()
            },
        )


def interval_over(previous: Look, look: Look) -> bool:
    """Whether enough has passed since the look before to be taken in, and the present look to replace it.

    Whoever has lost the look before begins anew with the present one: an interval that's missing widens
    nothing.
    """
    between = look.since(previous)
    # Of a candidate whose clients all give up no request ever ends, and its intervals are to.
    enough = min(between.candidate.telling, between.stable.telling)
    return enough >= INTERVAL_REQUESTS and between.seconds >= INTERVAL_SECONDS


def _belief(gate: Gate) -> Belief:
    return TIMES if gate.time else OTHERS
