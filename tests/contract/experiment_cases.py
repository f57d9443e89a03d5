"""What an experiment may not say: rules between its fields, each broken once."""

from __future__ import annotations

from typing import Any

from tests.contract.cases import Case

Json = dict[str, Any]


def _given(*metrics: Json, **given: Any) -> Json:
    return {"promptRef": {"name": "b"}, "metrics": list(metrics or ({"metric": "errorRate"},)), **given}


_KINDS = "metrics[].relevantPermille is for errorRate, blockedRate and flaggedRate"

EXPERIMENTS: dict[str, Case] = {
    "an experiment in nothing": Case(
        "experiment",
        {"promptRef": {"name": "b"}, "metrics": []},
        "spec.experiment.metrics: Invalid value: 0: spec.experiment.metrics in body should have at least 1",
    ),
    "an experiment in the length of answers": Case(
        "experiment",
        _given({"metric": "outputLength"}),
        "neither a longer nor a shorter answer is the better one",
    ),
    "a rate's percent": Case("experiment", _given({"metric": "errorRate", "relevantPercent": 5}), _KINDS),
    "a rate's median": Case("experiment", _given({"metric": "errorRate", "statistic": "P50"}), _KINDS),
    "a score's permille": Case(
        "experiment", _given({"metric": "feedbackScore", "relevantPermille": 5}), _KINDS
    ),
    "a metric twice": Case(
        "experiment",
        _given({"metric": "errorRate"}, {"metric": "errorRate", "relevantPermille": 20}),
        "no two of experiment.metrics may have the same metric and statistic",
    ),
    "an experiment with everything": Case(
        "experiment", _given(weight=100), "should be less than or equal to 99"
    ),
    "a challenger that is the control": Case(
        "",
        {"promptRef": {"name": "b"}, "experiment": _given()},
        "spec.experiment: Invalid value: experiment.promptRef must name another PromptVersion than promptRef",
    ),
    "a repetition at no time": Case(
        "experiment", _given(restartedAt="tomorrow"), "must be a time such as 2026-11-22T17:30:00Z"
    ),
}
