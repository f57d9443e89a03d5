"""How a change comes in: the strategy, a canary's steps, what is compared on the way, and a person's word.

Everything here is live: it takes effect on the change that is on its way. Who approves or aborts names the
candidate, so nothing approves the next one unseen.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field

from pointsman.api.checks import MOST_CHECKS, Check
from pointsman.api.common import Base, Int, LocalRef
from pointsman.api.prompt_suite import CaseVariable
from pointsman.api.schema import API_DEFAULT, ListAtomic, ListMap, Rule

WEEK: Final = 604_800
MOST_STEPS: Final = 16
MOST_GATES: Final = 8

VariantName = Annotated[str, Field(max_length=128)]
NamedVariant = Annotated[str, Field(min_length=1, max_length=128)]


class Strategy(StrEnum):
    """How a new variant takes the place of the old one."""

    SURGE = "Surge"
    RECREATE = "Recreate"
    CANARY = "Canary"
    BLUE_GREEN = "BlueGreen"


BESIDE: Final = frozenset({Strategy.SURGE, Strategy.CANARY, Strategy.BLUE_GREEN})
"""Strategies that keep the stable variant beside the candidate: when that fails a trial, somebody serves."""
JUDGED: Final = frozenset({Strategy.CANARY, Strategy.BLUE_GREEN})
"""Strategies that compare the candidate with the stable variant."""


class Approval(StrEnum):
    """Who lets a change go on."""

    AUTOMATIC = "Automatic"
    MANUAL = "Manual"


class Metric(StrEnum):
    """What a gate compares."""

    ERROR_RATE = "errorRate"
    TIME_TO_FIRST_TOKEN = "timeToFirstToken"
    TIME_PER_OUTPUT_TOKEN = "timePerOutputToken"
    OUTPUT_LENGTH = "outputLength"
    BLOCKED_RATE = "blockedRate"
    FLAGGED_RATE = "flaggedRate"
    FEEDBACK_SCORE = "feedbackScore"


RATES: Final = frozenset({Metric.ERROR_RATE, Metric.BLOCKED_RATE, Metric.FLAGGED_RATE})
"""Metrics that are parts of all requests."""


class Statistic(StrEnum):
    """Which number stands for many values."""

    P50 = "P50"
    P95 = "P95"
    MEAN = "Mean"


class Action(StrEnum):
    """What follows from a comparison that has found nothing for too long."""

    WAIT = "Wait"
    HOLD = "Hold"
    REJECT = "Reject"


class CanaryStep(Base):
    """One step of a canary."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.shadow) == (self.weight == 0)",
            holds=lambda step: (step.shadow is not None) == (step.weight == 0),
            message="steps[].shadow: give it with weight 0, and only with that",
            field="shadow",
        ),
    )

    weight: Annotated[Int, Field(ge=0, le=99)]
    """Percent of the requests that the candidate answers."""
    shadow: Annotated[Int, Field(ge=1, le=100)] | None = None
    """Percent of the requests that are copied to the candidate, its answers discarded. Only with weight 0."""
    min_seconds: Annotated[Int, Field(ge=0, le=WEEK)] | None = None
    """How many seconds the step lasts at least, from when every router has taken it. Unset: 60."""
    min_samples: Annotated[Int, Field(ge=0, le=10_000_000)] | None = None
    """How many requests the candidate must have answered in the step. Unset: as many as the gates need."""
    approval: Approval | None = None
    """Manual: when all gates have passed, the step waits for rollout.approve. Unset: Automatic."""


def _fits_metric(gate: Gate) -> bool:
    rate, score = gate.metric in RATES, gate.metric is Metric.FEEDBACK_SCORE
    return not (
        (rate and gate.statistic is not None)
        or (not rate and gate.max_difference_permille is not None)
        or ((rate or score) and gate.max_ratio_percent is not None)
        or (not score and gate.max_drop_percent is not None)
    )


class Gate(Base):
    """One comparison of the candidate with the stable variant, over the same time."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=(
                "self.metric in ['errorRate', 'blockedRate', 'flaggedRate'] "
                "? !has(self.statistic) && !has(self.maxRatioPercent) && !has(self.maxDropPercent) "
                ": !has(self.maxDifferencePermille) && "
                "(self.metric == 'feedbackScore' ? !has(self.maxRatioPercent) : !has(self.maxDropPercent))"
            ),
            holds=_fits_metric,
            message=(
                "gates[].maxDifferencePermille is for errorRate, blockedRate and flaggedRate, maxDropPercent "
                "for feedbackScore, maxRatioPercent for times and lengths; rates have no statistic"
            ),
        ),
    )

    metric: Metric
    """What is compared. errorRate: answers that failed by the engine's fault. timeToFirstToken,
    timePerOutputToken: as clients see them. outputLength: tokens of an answer; one that's shorter is as
    suspect as one that's longer. blockedRate, flaggedRate: what a safety policy did. feedbackScore: what
    POST /v1/feedback reported."""
    statistic: Statistic | None = None
    """Which number stands for many values. Mean is the geometric one, but for scores. Unset: P50 of times,
    Mean of lengths and scores."""
    max_ratio_percent: Annotated[Int, Field(ge=101, le=1000)] | None = None
    """Of times and lengths: how large the candidate's may be, in percent of the stable one's. It's rejected
    when it is shown to be larger, and passes when it is shown to be smaller. Unset: rejected above 110,
    passes below 130; for lengths 120 and 150."""
    max_difference_permille: Annotated[Int, Field(ge=1, le=1000)] | None = None
    """Of rates: how many more of a thousand requests there may be. Unset: errors are rejected above 0, once
    that is certain, and pass below 10; blocked and flagged ones above 5 and below 20."""
    max_drop_percent: Annotated[Int, Field(ge=1, le=99)] | None = None
    """Of scores: how much lower the candidate's may be. Unset: rejected above 5, passes below 15."""
    min_samples: Annotated[Int, Field(ge=10, le=10_000_000)] | None = None
    """How many values of each variant it needs in a step before it says anything. Unset: 100, of scores
    50."""


class Equivalence(Base):
    """That a change gives the same answers as before: for another engine version, image or quantization."""

    prompts: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=8192)], ...],
        Field(min_length=1, max_length=64),
        ListAtomic(),
    ]
    """What both variants are asked, each as a user's message in a chat of its own; the likeliest token is
    taken each time, whatever temperature the prompt fixes."""
    variables: (
        Annotated[tuple[CaseVariable, ...], Field(min_length=1, max_length=32), ListMap("name")] | None
    ) = None
    """Values of the prompt's variables, the same with each of prompts, where the service has a promptRef.
    Those that it doesn't name are left out, as a client would."""
    min_agreement_percent: Annotated[Int, Field(ge=1, le=100)] | None = None
    """How many percent of the answers must be the same to the letter. Unset: 100."""


class WarmUp(Base):
    """What is set aside of engines that are new: their prefix cache is cold."""

    requests: Annotated[Int, Field(ge=0, le=100_000)] | None = None
    """The first requests to each engine that is new to a variant, as each router counts them. Unset: 50."""
    seconds: Annotated[Int, Field(ge=0, le=3600)] | None = None
    """The first seconds of each step, of both variants. Unset: 0."""


class Inconclusive(Base):
    """What follows when nothing could be found out for a long time."""

    after_seconds: Annotated[Int, Field(ge=10, le=WEEK)] | None = None
    """How many seconds of a step are long; of a check, from its first try without a verdict. Unset: 3600."""
    action: Action | None = None
    """Wait: goes on waiting. Hold: waits for rollout.approve, which then lets the step pass. Reject: goes
    back to the stable variant. The same of a check that comes to no verdict. Unset: Wait."""


class Analysis(Base):
    """How the candidate is compared."""

    interval_seconds: Annotated[Int, Field(ge=10, le=3600)] | None = None
    """Seconds between looks. Unset: 60."""
    false_rejection_permille: Annotated[Int, Field(ge=1, le=500)] | None = None
    """How many of a thousand rollouts with nothing wrong may be rejected, over all gates, steps and looks.
    Unset: 10."""
    warm_up: WarmUp | None = None
    """What is set aside."""
    inconclusive: Inconclusive | None = None
    """What follows when nothing could be found out for a long time."""


def _only(field: str, holds: str, strategies: frozenset[Strategy], words: str) -> Rule:
    """A rule that a field of Rollout is for some strategies alone."""
    wanted = ", ".join(f"'{one}'" for one in sorted(strategies))
    return Rule(
        cel=f"!has(self.{field}) || self.strategy in [{wanted}]",
        holds=lambda it: getattr(it, holds) is None or it.strategy in strategies,
        message=f"rollout.{field} is for strategy {words} alone",
        field=holds,
    )


def _increase(rollout: Rollout) -> bool:
    weights = [step.weight for step in rollout.steps or ()]
    return sorted(set(weights)) == weights


def _differ(rollout: Rollout) -> bool:
    keys = [(gate.metric, gate.statistic) for gate in rollout.gates or ()]
    return len(set(keys)) == len(keys)


class Rollout(Base):
    """How a change is rolled out."""

    rules: ClassVar[tuple[Rule, ...]] = (
        _only("steps", "steps", frozenset({Strategy.CANARY}), "Canary"),
        _only("gates", "gates", JUDGED, "Canary or BlueGreen"),
        _only("analysis", "analysis", JUDGED, "Canary or BlueGreen"),
        _only("checks", "checks", JUDGED, "Canary or BlueGreen"),
        _only("suiteRef", "suite_ref", BESIDE, "Surge, Canary or BlueGreen"),
        _only("equivalence", "equivalence", BESIDE, "Surge, Canary or BlueGreen"),
        _only("approval", "approval", frozenset({Strategy.BLUE_GREEN}), "BlueGreen"),
        _only("bakeSeconds", "bake_seconds", frozenset({Strategy.BLUE_GREEN}), "BlueGreen"),
        Rule(
            cel=(
                "!has(self.steps) || (self.steps.map(step, step.weight).isSorted() && "
                "self.steps.all(one, self.steps.exists_one(other, other.weight == one.weight)))"
            ),
            holds=_increase,
            message="each weight of rollout.steps must be larger than the one before",
            field="steps",
        ),
        Rule(
            cel=(
                "!has(self.gates) || self.gates.all(one, self.gates.exists_one(other, "
                "other.metric == one.metric && (has(other.statistic) ? other.statistic : '') == "
                "(has(one.statistic) ? one.statistic : '')))"
            ),
            holds=_differ,
            message="no two of rollout.gates may have the same metric and statistic",
            field="gates",
        ),
    )

    strategy: Strategy = Field(default=Strategy.SURGE, json_schema_extra={API_DEFAULT: True})
    """Surge: the new variant comes up beside the old one, takes the traffic, then the old one drains; needs
    room for both. Recreate: the old one drains and goes first; needs no spare accelerator, and nobody is
    served in between. Canary: as Surge, but the traffic moves by steps, and a candidate that is worse is
    rejected. BlueGreen: all of it comes up, then all traffic moves at once, and the old one stays ready for
    a while. A change of the prompt alone moves no pods."""
    steps: (
        Annotated[tuple[CanaryStep, ...], Field(min_length=1, max_length=MOST_STEPS), ListAtomic()] | None
    ) = None
    """A canary's steps. Unset: 5, 20 and 50 percent."""
    gates: Annotated[tuple[Gate, ...], Field(max_length=MOST_GATES), ListAtomic()] | None = None
    """What the candidate is compared in. Unset: errorRate, timeToFirstToken and timePerOutputToken. An empty
    list: nothing."""
    analysis: Analysis | None = None
    """How it is compared."""
    checks: (
        Annotated[tuple[Check, ...], Field(min_length=1, max_length=MOST_CHECKS), ListMap("name")] | None
    ) = None
    """Webhooks and Jobs of one's own that have to say yes: in each step of a canary, and with BlueGreen
    before the switch and at the end of the bake. They are asked once the step's time, samples and gates have
    passed, before a person is."""
    suite_ref: LocalRef | None = None
    """PromptSuite whose cases the candidate must pass before it gets any traffic."""
    equivalence: Equivalence | None = None
    """What the candidate must answer as the stable variant does, before it gets any traffic. Where nothing is
    stable yet there is nothing to compare with, and a change of the prompt alone isn't compared: it is meant
    to change answers."""
    approve: NamedVariant | None = None
    """Candidate (status.rollout.candidate) that may pass what waits for approval."""
    abort: NamedVariant | None = None
    """Candidate (status.rollout.candidate) that is rejected, whatever the gates say."""
    approval: Approval | None = None
    """BlueGreen. Manual: the switch waits for rollout.approve. Unset: Automatic."""
    bake_seconds: Annotated[Int, Field(ge=0, le=WEEK)] | None = None
    """BlueGreen. How many seconds the old variant stays ready after the switch, at least. Unset: 600."""
