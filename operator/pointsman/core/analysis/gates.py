"""The spec's gates as questions to the statistics, and the answers as status has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from pointsman.api import rollout as api
from pointsman.core import judging
from pointsman.core.conditions import MESSAGE_LIMIT
from pointsman.core.judging import Gate, Judgement, Statistic

USUAL = (api.Metric.ERROR_RATE, api.Metric.TIME_TO_FIRST_TOKEN, api.Metric.TIME_PER_OUTPUT_TOKEN)
"""What is compared where no gates are declared."""

STATISTICS = {
    api.Statistic.P50: Statistic.P50,
    api.Statistic.P95: Statistic.P95,
    api.Statistic.MEAN: Statistic.MEAN,
}
"""What the statistics call what specs and status name."""
_SHOWN = {ours.value: name for name, ours in STATISTICS.items()}

FALSE_REJECTION_PERMILLE = 10


def gates(spec: api.Rollout) -> tuple[Gate, ...]:
    """What is asked of a candidate. A declared bound is both: beyond it a candidate is rejected once that is
    certain, and it passes once that is ruled out."""
    given = spec.gates if spec.gates is not None else tuple(api.Gate(metric=metric) for metric in USUAL)
    return tuple(map(_gate, given))


def _gate(given: api.Gate) -> Gate:
    usual = judging.DEFAULTS[judging.Metric(given.metric.value)]
    bound = _bound(given)
    return Gate(
        usual.metric,
        STATISTICS[given.statistic] if given.statistic else usual.statistic,
        usual.margin if bound is None else bound,
        usual.limit if bound is None else bound,
        given.min_samples or usual.minimum_samples,
    )


def _bound(given: api.Gate) -> int | None:
    if given.max_ratio_percent is not None:
        return given.max_ratio_percent - 100
    return given.max_difference_permille if given.max_drop_percent is None else given.max_drop_percent


def false_rejection(spec: api.Rollout) -> float:
    """The probability that a candidate with nothing wrong is rejected, over the whole rollout."""
    given = spec.analysis.false_rejection_permille if spec.analysis else None
    return (given or FALSE_REJECTION_PERMILLE) / 1000


def keys(asked: Sequence[Gate]) -> list[tuple[api.Metric, api.Statistic | None]]:
    """By what each gate is told from the others in status."""
    return [(api.Metric(gate.metric.value), _SHOWN.get(gate.statistic.value)) for gate in asked]


def statuses(judgements: Sequence[Judgement]) -> list[dict[str, Any]]:
    """What was found, as status has it."""
    return [_status(one) for one in judgements]


def _status(found: Judgement) -> dict[str, Any]:
    numbers = {
        "stable": found.stable,
        "candidate": found.candidate,
        "estimate": found.estimate,
        "low": found.lower,
        "high": found.upper,
        "allowed": found.margin,
        "limit": found.limit,
    }
    return {
        **told(found.metric, found.statistic, found.verdict, numbers),
        "stableSamples": found.stable_samples,
        "candidateSamples": found.candidate_samples,
        "message": found.reason[:MESSAGE_LIMIT],
    }


def told(
    metric: judging.Metric, statistic: Statistic, verdict: StrEnum, numbers: Mapping[str, float | None]
) -> dict[str, Any]:
    """What status says of any comparison: CRDs have no floats, so numbers are texts."""
    shown = _SHOWN.get(statistic.value)
    return {
        "metric": metric.value,
        **({"statistic": shown.value} if shown else {}),
        "verdict": verdict.value,
        **{name: f"{value:.6g}" for name, value in numbers.items() if value is not None},
    }
