"""What status holds of an experiment, with what the statistics keep between looks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pointsman.api.experiment import Experiment
from pointsman.api.experiment_status import ExperimentStatus, MetricStatus, Recommendation
from pointsman.core.analysis.record import Memory, moment, pack, unpack
from pointsman.core.conditions import MESSAGE_LIMIT, timestamp
from pointsman.core.experiment import asking
from pointsman.core.judging import Look
from pointsman.core.variant import Variant


@dataclass(frozen=True, slots=True)
class Record:
    """How far an experiment is."""

    control: str
    challenger: str
    window: str
    started: datetime | None = None
    """When its time began to count."""
    window_started: datetime | None = None
    observed: datetime | None = None
    looks: int = 0
    control_samples: int = 0
    challenger_samples: int = 0
    metrics: tuple[MetricStatus, ...] = ()
    recommendation: Recommendation | None = None
    message: str = ""
    concluded: datetime | None = None
    memory: Memory = field(default_factory=Memory)

    @property
    def declared(self) -> str:
        """The hash of what it was declared as."""
        return self.window.rpartition("/")[2].partition("-")[0]

    def is_of(self, control: Variant, challenger: Variant) -> bool:
        """Whether it compares the prompts of these, on whichever engines."""
        prompts = [(one.prompt, one.digest) for one in (control, challenger)]
        mine = [Variant.parse(name) for name in (self.control, self.challenger)]
        return [(one.prompt, one.digest) for one in mine] == prompts

    def counting(self, seen: Look) -> Record:
        """With the requests of this window, which are the last look's and more."""
        last = self.memory.last
        return replace(
            self,
            control_samples=self.control_samples + seen.stable.requests - last.stable.requests,
            challenger_samples=self.challenger_samples + seen.candidate.requests - last.candidate.requests,
        )


def begun(given: Experiment, control: Variant, challenger: Variant) -> Record:
    """A new one."""
    return Record(control.name, challenger.name, f"{challenger.name}/{asking.declared(given)}-0")


def resumed(known: Record, given: Experiment) -> Record:
    """After a pause: what was found until then stays evidence, beside what the next window shows. What came
    after its last look isn't known any more."""
    if known.window_started is None:
        return known
    before, _, number = known.window.rpartition("-")
    evidence = known.memory.evidence.with_step_ended(asking.gates(given), known.memory.last)
    following = int(number) + 1 if number.isdecimal() else 1
    return replace(
        known, window=f"{before}-{following}", window_started=None, memory=Memory(evidence=evidence)
    )


def parse(status: ExperimentStatus | None) -> Record | None:
    """What status holds; None where it holds nothing."""
    if status is None:
        return None
    return Record(
        control=status.control,
        challenger=status.challenger,
        window=status.window,
        started=moment(status.started_at),
        window_started=moment(status.window_started_at),
        observed=moment(status.observed_at),
        looks=status.looks,
        control_samples=status.control_samples,
        challenger_samples=status.challenger_samples,
        metrics=status.metrics,
        recommendation=status.recommendation,
        message=status.message,
        concluded=moment(status.concluded_at),
        memory=unpack(status.memory or ""),
    )


def document(record: Record | None, given: Experiment | None) -> dict[str, Any] | None:
    """The record as status has it; None where there is none, or nothing is declared."""
    if record is None or given is None:
        return None
    moments = {
        "startedAt": record.started,
        "windowStartedAt": record.window_started,
        "observedAt": record.observed,
        "concludedAt": record.concluded,
    }
    found = {
        "control": record.control,
        "challenger": record.challenger,
        "window": record.window,
        **{name: timestamp(at) for name, at in moments.items() if at is not None},
        "looks": record.looks,
        "controlSamples": record.control_samples,
        "challengerSamples": record.challenger_samples,
        "metrics": [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in record.metrics],
        "recommendation": record.recommendation.value if record.recommendation else None,
        "message": record.message[:MESSAGE_LIMIT],
        "memory": pack(record.memory, asking.gates(given)) if record.recommendation is None else None,
    }
    return {name: value for name, value in found.items() if value not in (None, [], "")}
