"""What the operator reports about an experiment: how far it is, what it found, and what it recommends."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from pointsman.api.common import Base, Count, Decimal, Text, Timestamp
from pointsman.api.experiment import MOST_CRITERIA
from pointsman.api.rollout import Metric, Statistic, VariantName
from pointsman.api.schema import ListAtomic


class Recommendation(StrEnum):
    """How an experiment ended."""

    CHALLENGER = "Challenger"
    CONTROL = "Control"
    NO_DIFFERENCE = "NoDifference"
    UNDECIDED = "Undecided"


class Standing(StrEnum):
    """How the challenger stands in one metric."""

    BETTER = "Better"
    WORSE = "Worse"
    ALIKE = "Alike"
    NOT_WORSE = "NotWorse"
    UNKNOWN = "Unknown"


class MetricStatus(Base):
    """What was found in one metric so far."""

    metric: Metric
    """What it compares."""
    statistic: Statistic | None = None
    """Which number stands for many values; none for rates."""
    verdict: Standing
    """Better, Worse: it's certain that the challenger is. Alike: it's certain that they don't differ by what
    matters. NotWorse: it's certain that the challenger isn't worse by what matters. Unknown: none of it."""
    control: Decimal | None = None
    """The control's own value: of rates a part, of times seconds."""
    challenger: Decimal | None = None
    """The challenger's own value."""
    estimate: Decimal | None = None
    """Of rates the challenger's less the control's, of anything else their ratio."""
    low: Decimal | None = None
    """Lower bound of the estimate, valid at every look at once."""
    high: Decimal | None = None
    """Upper bound of the estimate."""
    relevant: Decimal | None = None
    """The difference that matters, in the estimate's unit, on its worse side."""
    control_samples: Count = 0
    """Values of the control."""
    challenger_samples: Count = 0
    """Values of the challenger."""
    message: Text = ""
    """The same in one sentence."""


class ExperimentStatus(Base):
    """How far the experiment is, and what it recommends. Kept as long as it's declared."""

    control: VariantName
    """Variant that is stable."""
    challenger: VariantName
    """Variant of the same engines that answers by the other prompt."""
    window: Annotated[str, Field(max_length=160)]
    """What routers count under, or counted last: the challenger, a hash of what was declared, and how many
    times it went on after a pause."""
    started_at: Timestamp | None = None
    """When every router divided traffic for the first time; none before."""
    window_started_at: Timestamp | None = None
    """The same of this window."""
    observed_at: Timestamp | None = None
    """When the last look was; none before the first."""
    looks: Count = 0
    """How many looks there were."""
    control_samples: Count = 0
    """Requests that the control answered, over all windows."""
    challenger_samples: Count = 0
    """Requests that the challenger answered."""
    metrics: Annotated[tuple[MetricStatus, ...], Field(max_length=MOST_CRITERIA), ListAtomic()] = ()
    """What was found in each metric, in the declared order."""
    recommendation: Recommendation | None = None
    """Challenger: it is better in the first metric and worse in none. Control: the challenger is worse in one
    of them. NoDifference: in the first there is none that matters. Undecided: the time was over first. None
    while it goes on."""
    message: Text = ""
    """Why it stands so, and what keeps it from going on where something does."""
    concluded_at: Timestamp | None = None
    """When it ended. From then on the stable variant has all traffic again."""
    memory: Annotated[str, Field(max_length=32_768)] | None = None
    """What the comparison keeps between looks. Not for reading."""
