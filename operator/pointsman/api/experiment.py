"""An experiment: two prompts answer at the same time, are compared, and one is recommended.

Nothing is switched by it. Whoever takes the challenger writes it into promptRef, which is a rollout as any
other; whoever drops it takes the experiment away.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field

from pointsman.api.common import TIMESTAMP, Base, Int, LocalRef
from pointsman.api.rollout import RATES, Metric, Statistic
from pointsman.api.schema import ListAtomic, Matches, Rule

MOST_CRITERIA: Final = 8
LONGEST_SECONDS: Final = 7_776_000
"""Ninety days."""


def _fits_metric(given: Criterion) -> bool:
    if given.metric in RATES:
        return given.statistic is None and given.relevant_percent is None
    return given.relevant_permille is None


class Criterion(Base):
    """One number in which the prompts are compared."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.metric != 'outputLength'",
            holds=lambda given: given.metric is not Metric.OUTPUT_LENGTH,
            message="metrics[].metric: neither a longer nor a shorter answer is the better one",
            field="metric",
        ),
        Rule(
            cel=(
                "self.metric in ['errorRate', 'blockedRate', 'flaggedRate'] "
                "? !has(self.statistic) && !has(self.relevantPercent) : !has(self.relevantPermille)"
            ),
            holds=_fits_metric,
            message=(
                "metrics[].relevantPermille is for errorRate, blockedRate and flaggedRate, relevantPercent "
                "for times and scores; rates have no statistic"
            ),
        ),
    )

    metric: Metric
    """What is compared, as in rollout.gates. Of rates and times the lower one is better, of feedbackScore the
    higher one; outputLength has no better."""
    statistic: Statistic | None = None
    """Which number stands for many values. Unset: P50 of times, Mean of scores."""
    relevant_permille: Annotated[Int, Field(ge=1, le=1000)] | None = None
    """Of rates: how many of a thousand requests make a difference that matters. Unset: 5 for errors, 10 for
    blocked and flagged ones."""
    relevant_percent: Annotated[Int, Field(ge=1, le=99)] | None = None
    """Of times and scores: how many percent make a difference that matters. Unset: 10 of times, 5 of
    scores."""


def _differ(experiment: Experiment) -> bool:
    keys = [(one.metric, one.statistic) for one in experiment.metrics]
    return len(set(keys)) == len(keys)


class Experiment(Base):
    """A challenger beside the prompt of promptRef (or beside none): the control."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=(
                "self.metrics.all(one, self.metrics.exists_one(other, "
                "other.metric == one.metric && (has(other.statistic) ? other.statistic : '') == "
                "(has(one.statistic) ? one.statistic : '')))"
            ),
            holds=_differ,
            message="no two of experiment.metrics may have the same metric and statistic",
            field="metrics",
        ),
    )

    prompt_ref: LocalRef
    """PromptVersion that challenges the one of spec.promptRef."""
    weight: Annotated[Int, Field(ge=1, le=99)] | None = None
    """Percent of conversations that the challenger answers. Unset: 50."""
    metrics: Annotated[tuple[Criterion, ...], Field(min_length=1, max_length=MOST_CRITERIA), ListAtomic()]
    """What they are compared in. The first decides; in none of the others may the challenger be worse."""
    min_samples: Annotated[Int, Field(ge=10, le=10_000_000)] | None = None
    """How many values of each prompt a metric needs before it says anything. Unset: 100."""
    max_seconds: Annotated[Int, Field(ge=60, le=LONGEST_SECONDS)] | None = None
    """How many seconds after its beginning it ends, Undecided where nothing was found. Unset: 604800, a
    week."""
    false_recommendation_permille: Annotated[Int, Field(ge=1, le=500)] | None = None
    """How many of a thousand experiments in which the prompts don't differ may end with a recommendation for
    one of them, over all metrics and looks. Unset: 50."""
    restarted_at: (
        Annotated[
            str,
            Field(max_length=40),
            Matches(TIMESTAMP, "must be a time such as 2026-11-22T17:30:00Z"),
        ]
        | None
    ) = None
    """Time of a wanted repetition (RFC 3339). Any change of spec.experiment begins another experiment; this
    one does with nothing else changed."""
