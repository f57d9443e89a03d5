"""The bench of canaries: fixed thresholds as their owners document them, and a small run from end to end."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bench.canary.__main__ import EFFECTS, report, simulate
from bench.canary.thresholds import ARGO, FLAGGER, Minutes, Rule, tuned
from bench.canary.traffic import LOOKS, TICKS, Effect, Rollout
from bench.canary.trial import trial
from pointsman.core.judging import Metric, Summary


def minutes(success: list[float], slowest: list[float] | None = None) -> Minutes:
    return Minutes(np.array([success]), np.array([slowest or [0.1] * len(success)]))


GOOD, BAD = 1.0, 0.9
RULES: dict[str, tuple[Rule, Minutes, int]] = {
    "Flagger, of a good one": (FLAGGER, minutes([GOOD] * 20), 0),
    "Flagger, at the fifth failed check": (FLAGGER, minutes([BAD] * 20), 5),
    "Flagger, whose counter no success takes back": (FLAGGER, minutes([BAD, GOOD] * 10), 9),
    "Flagger, by latency alone": (FLAGGER, minutes([GOOD] * 20, [0.6] * 20), 5),
    "Argo Rollouts, at the third measurement": (ARGO, minutes([BAD] * 20), 15),
    "Argo Rollouts, which five failing of a hundred don't concern": (ARGO, minutes([0.951] * 20), 0),
    "Argo Rollouts, by the mean of five minutes": (ARGO, minutes([BAD, GOOD, GOOD, GOOD, GOOD] * 4), 0),
}


@pytest.mark.parametrize(("rule", "seen", "minute"), RULES.values(), ids=RULES.keys())
def test_a_fixed_threshold_rejects(rule: Rule, seen: Minutes, minute: int) -> None:
    assert rule.rejected(seen).tolist() == [minute]


def test_thresholds_are_tuned_to_find_as_many() -> None:
    levels = np.linspace(0.90, 0.99, 100)[:, None] * np.ones((1, 20))
    seen = Minutes(levels, 1 - levels)
    rule = tuned("tuned", 3, seen, seen, (0.5, 0.25), LOOKS)
    assert np.mean(levels[:, 0] < rule.success) == pytest.approx(0.5, abs=0.02)
    assert np.mean(1 - levels[:, 0] > rule.slowest) == pytest.approx(0.25, abs=0.02)


def _mean(side: Summary, metric: Metric) -> float:
    """In buckets."""
    return sum(at * count for at, count in side.histograms[metric].items()) / side.values(metric)


def test_rollouts_repeat_and_effects_are_what_they_say() -> None:
    rollout = Rollout(3)
    plain, slow, failing = (
        rollout.run(effect).looks[LOOKS * TICKS - 1]
        for effect in (Effect("none"), Effect("slow", slower=2.0), Effect("failing", errors=0.5))
    )
    again = Rollout(3).run(Effect("none")).looks[LOOKS * TICKS - 1]
    assert again == plain
    assert plain.candidate.requests == pytest.approx(3000, rel=0.3)
    assert plain.stable.requests == pytest.approx(9 * plain.candidate.requests, rel=0.1)
    first = Metric.TIME_TO_FIRST_TOKEN
    means = [_mean(look.candidate, first) for look in (plain, slow)]
    assert means[1] - means[0] == pytest.approx(16, abs=0.1), "twice is sixteen buckets up"
    assert failing.candidate.errors == pytest.approx(plain.candidate.requests / 2, rel=0.1)
    assert plain.stable.errors / plain.stable.requests == pytest.approx(0.005, rel=0.7)


def test_who_leaves_counts_by_how_long_the_wait_was() -> None:
    rollout = Rollout(4)
    waits, leaves, hopeless = (
        rollout.run(effect).looks[LOOKS * TICKS - 1]
        for effect in (
            Effect("all wait"),
            Effect("some leave", patience=4.0),
            Effect("nearly all leave", slower=50.0, patience=4.0),
        )
    )
    first, each = Metric.TIME_TO_FIRST_TOKEN, Metric.TIME_PER_OUTPUT_TOKEN
    assert waits.candidate.values(first) == waits.candidate.requests
    for side in (leaves.candidate, leaves.stable):
        assert side.requests == side.values(each), "who saw no first token saw no other one"
    assert 0.85 < leaves.stable.requests / waits.stable.requests < 0.97
    assert hopeless.stable.histograms == leaves.stable.histograms, "the candidate's clients alone leave it"
    assert hopeless.candidate.requests < 0.05 * waits.candidate.requests
    # Half wait for more than four times what's usual, and a sixth for less than twice: who leaves by then
    # tells nothing.
    told = hopeless.candidate.values(first) / waits.candidate.requests
    assert told == pytest.approx(0.84, abs=0.03)
    usual, told = _mean(waits.stable, first), _mean(hopeless.candidate, first)
    assert 30 < told - usual < 45, "some five times what's usual"


def test_a_trial_ends_with_the_first_rejection() -> None:
    good, hopeless = trial(5, (Effect("none"), Effect("hopeless", slower=8.0, errors=0.9)))
    assert (good.rejected, hopeless.rejected) == (0, 1)
    assert good.passed > 0
    assert hopeless.passed == 0


def test_a_small_run_says_everything_in_its_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    status = report(simulate(6, workers=1))
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["bench"], last["rollouts"], last["passed"]) == ("canary", 6, status == 0)
    assert set(last["found"]["Pointsman"]) == {effect.name for effect in EFFECTS}
    assert last["found"]["Pointsman"]["+5 % errors"]["rejected"] == 1.0
    assert last["found"]["Pointsman"]["nothing wrong"]["rejected"] == 0.0
    assert len(last["found"]) == 7
