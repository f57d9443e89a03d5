"""Which of two prompts is better: how each metric stands, what is advised, and how seldom that's wrong."""

from __future__ import annotations

import random
from dataclasses import replace
from math import sqrt

import pytest

from pointsman.api.experiment import Experiment
from pointsman.api.experiment_status import Recommendation
from pointsman.core import judging
from pointsman.core.experiment import asking
from pointsman.core.judging import NOTHING, Evidence, Look, Metric, Standing, Summary, compare
from tests.unit.core.judging_counts import answers, scored, scores


def asked(*metrics: str, **given: object) -> Experiment:
    document = {"promptRef": {"name": "b"}, "metrics": [{"metric": metric} for metric in metrics], **given}
    return Experiment.model_validate(document)


def standings(given: Experiment, control: Summary, challenger: Summary) -> list[str]:
    look = Look(600.0, control, challenger)
    return [one.standing.value for one in compare(asking.gates(given), look, Evidence(), asking.error(given))]


GOOD = scored(answers(4000, 40), 20_000, 20_000)
NAMES = ["fails", "fails less", "slow", "quick", "as quick", "as liked", "liked", "disliked", "unheard"]


@pytest.mark.parametrize(
    ("metric", "challenger", "standing"),
    [
        ("errorRate", answers(4000, 200), "Worse"),
        ("errorRate", answers(4000, 4), "Better"),
        ("timeToFirstToken", answers(4000, 40, first=0.4), "Worse"),
        ("timeToFirstToken", answers(4000, 40, first=0.1), "Better"),
        ("timeToFirstToken", answers(4000, 40), "Unknown"),
        ("feedbackScore", scored(GOOD, 20_000, 20_000), "Alike"),
        ("feedbackScore", scored(GOOD, 2800, 1200), "Better"),
        ("feedbackScore", scored(GOOD, 1400, 2600), "Worse"),
        ("feedbackScore", scored(GOOD, 30, 30), "Unknown"),
    ],
    ids=NAMES,
)
def test_better_is_what_the_metric_says(metric: str, challenger: Summary, standing: str) -> None:
    assert standings(asked(metric), GOOD, challenger) == [standing]


def test_a_certain_difference_that_does_not_matter_is_none() -> None:
    given = {"metric": "timeToFirstToken", "relevantPercent": 50}
    wide = asked("timeToFirstToken", metrics=[given])
    assert standings(wide, answers(40_000), answers(40_000, first=0.22)) == ["Alike"]
    assert standings(asked("timeToFirstToken"), answers(40_000), answers(40_000, first=0.23)) == ["Worse"]


def test_too_few_samples_say_nothing_however_far_apart() -> None:
    assert standings(asked("errorRate"), answers(4000), answers(99, 99)) == ["Unknown"]
    assert standings(asked("errorRate", minSamples=10), answers(4000), answers(99, 99)) == ["Worse"]


def test_what_an_earlier_window_has_shown_counts_on() -> None:
    given = asked("errorRate")
    gates = asking.gates(given)
    look = Look(600.0, answers(4000, 40), answers(4000, 200))
    evidence = Evidence().with_step_ended(gates, look)
    later = Look(60.0, answers(60), answers(60))
    (found,) = compare(gates, later, evidence, asking.error(given))
    assert (found.standing, found.samples) == (Standing.WORSE, (4060, 4060))


def test_with_more_metrics_each_has_to_be_surer() -> None:
    look = Look(600.0, GOOD, GOOD)
    (alone,) = compare(asking.gates(asked("feedbackScore")), look, Evidence(), 0.05)
    first, *_ = compare(asking.gates(asked("feedbackScore", "errorRate")), look, Evidence(), 0.05)
    assert alone.lower is not None
    assert first.lower is not None
    assert first.lower < alone.lower


def found(*all_of_them: Standing) -> list[judging.Comparison]:
    gate = judging.DEFAULTS[Metric.FEEDBACK_SCORE]
    looks = Look(60.0, GOOD, GOOD)
    (some,) = compare((gate,), looks, Evidence(), 0.05)
    return [replace(some, standing=one) for one in all_of_them]


B, W, A, N, U = Standing.BETTER, Standing.WORSE, Standing.ALIKE, Standing.NOT_WORSE, Standing.UNKNOWN


@pytest.mark.parametrize(
    ("standing", "advised"),
    [
        ((B,), Recommendation.CHALLENGER),
        ((W,), Recommendation.CONTROL),
        ((A,), Recommendation.NO_DIFFERENCE),
        ((N,), None),
        ((U,), None),
        ((B, N, A, B), Recommendation.CHALLENGER),
        ((B, U), None),
        ((B, W), Recommendation.CONTROL),
        ((A, W), Recommendation.CONTROL),
        ((U, W), Recommendation.CONTROL),
        ((A, U), Recommendation.NO_DIFFERENCE),
        ((N, B), None),
    ],
    ids=str,
)
def test_the_first_metric_decides_and_the_others_guard(
    standing: tuple[Standing, ...], advised: Recommendation | None
) -> None:
    told = asking.recommended(found(*standing))
    assert (told[0] if told else None) is advised


def drawn(chance: random.Random, requests: int) -> Summary:
    """A minute of one prompt's answers: as many errors and thumbs up as chance has it."""
    errors = sum(chance.random() < 0.05 for _ in range(requests))
    good = sum(chance.random() < 0.6 for _ in range(requests))
    return Summary(requests, errors, histograms={Metric.FEEDBACK_SCORE: scores(good, requests - good)})


def ended(chance: random.Random, given: Experiment, looks: int) -> Recommendation | None:
    """How an experiment of two prompts that don't differ ends, looked at as the operator does."""
    gates, evidence, seen = asking.gates(given), Evidence(), NOTHING
    for _ in range(looks):
        later = seen.plus(Look(60.0, drawn(chance, 120), drawn(chance, 120)))
        evidence, seen = evidence.after(gates, seen, later), later
        told = asking.recommended(compare(gates, seen, evidence, asking.error(given)))
        if told is not None:
            return told[0]
    return None


def test_of_experiments_without_a_difference_no_more_than_declared_recommend_one() -> None:
    given = asked("feedbackScore", "errorRate", falseRecommendationPermille=100, minSamples=50)
    chance, runs = random.Random(11), 60
    told = [ended(chance, given, 15) for _ in range(runs)]
    wrong = sum(one in (Recommendation.CHALLENGER, Recommendation.CONTROL) for one in told)
    # The bound, and three standard errors of the simulation itself.
    assert wrong / runs <= 0.1 + 3 * sqrt(0.1 * 0.9 / runs)
