"""The spec's metrics as questions to the statistics, the answers as status has them, and what follows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final

from pointsman.api.experiment import Criterion, Experiment
from pointsman.api.experiment_status import Recommendation
from pointsman.core import judging
from pointsman.core.analysis.gates import STATISTICS, told
from pointsman.core.conditions import MESSAGE_LIMIT
from pointsman.core.judging import Comparison, Gate, Standing

WEIGHT: Final = 50
MIN_SAMPLES: Final = 100
MAX_SECONDS: Final = 604_800
FALSE_RECOMMENDATION_PERMILLE: Final = 50
RELEVANT: Final = {
    judging.Metric.ERROR_RATE: 5,
    judging.Metric.BLOCKED_RATE: 10,
    judging.Metric.FLAGGED_RATE: 10,
    judging.Metric.TIME_TO_FIRST_TOKEN: 10,
    judging.Metric.TIME_PER_OUTPUT_TOKEN: 10,
    judging.Metric.FEEDBACK_SCORE: 5,
}
"""The difference that matters where none is declared: of a thousand requests, else in percent. It's smaller
than what a canary's gate rules out, since here nothing is at stake while it goes on."""


def declared(given: Experiment) -> str:
    """Eight hex digits over all of it: another one begins another experiment."""
    document = given.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def gates(given: Experiment) -> tuple[Gate, ...]:
    """What is asked, in the declared order."""
    least = given.min_samples or MIN_SAMPLES
    return tuple(_gate(one, least) for one in given.metrics)


def _gate(given: Criterion, least: int) -> Gate:
    usual = judging.DEFAULTS[judging.Metric(given.metric.value)]
    statistic = STATISTICS[given.statistic] if given.statistic else usual.statistic
    relevant = given.relevant_permille or given.relevant_percent or RELEVANT.get(usual.metric, usual.limit)
    return Gate(usual.metric, statistic, 0, relevant, least)


def error(given: Experiment) -> float:
    """The probability of a recommendation for one of two prompts that don't differ."""
    return (given.false_recommendation_permille or FALSE_RECOMMENDATION_PERMILLE) / 1000


def recommended(found: Sequence[Comparison]) -> tuple[Recommendation, str] | None:
    """What they come to, and why; None while it goes on. The first decides, the others guard."""
    decides, guards = found[0], found[1:]
    worse = [one for one in found if one.standing is Standing.WORSE]
    if worse:
        return Recommendation.CONTROL, "; ".join(one.reason for one in worse)
    if decides.standing is Standing.ALIKE:
        return Recommendation.NO_DIFFERENCE, decides.reason
    spared = all(one.standing is not Standing.UNKNOWN for one in guards)
    if decides.standing is Standing.BETTER and spared:
        others = "; in none of the others is it worse by what matters" if guards else ""
        return Recommendation.CHALLENGER, f"{decides.reason}{others}"
    return None


def statuses(found: Sequence[Comparison]) -> list[dict[str, Any]]:
    """What was found, as status has it."""
    return [_status(one) for one in found]


def _status(found: Comparison) -> dict[str, Any]:
    numbers = {
        "control": found.control,
        "challenger": found.challenger,
        "estimate": found.estimate,
        "low": found.lower,
        "high": found.upper,
        "relevant": found.relevant,
    }
    return {
        **told(found.gate.metric, found.gate.statistic, found.standing, numbers),
        "controlSamples": found.samples.stable,
        "challengerSamples": found.samples.candidate,
        "message": found.reason[:MESSAGE_LIMIT],
    }
