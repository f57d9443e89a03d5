"""What a rollout may not say: rules between its fields, each broken once."""

from __future__ import annotations

from typing import Any

from tests.contract.cases import Case

Json = dict[str, Any]


def _canary(**given: Any) -> Json:
    return {"strategy": "Canary", **given}


def _gate(**given: Any) -> Json:
    return _canary(gates=[given])


_KINDS = "gates[].maxDifferencePermille is for errorRate, blockedRate and flaggedRate"

ROLLOUTS: dict[str, Case] = {
    "a strategy nobody knows": Case(
        "rollout",
        {"strategy": "Rolling"},
        'spec.rollout.strategy: Unsupported value: "Rolling": supported values: "Surge"',
    ),
    "steps of a surge": Case(
        "rollout",
        {"steps": [{"weight": 10}]},
        "spec.rollout.steps: Invalid value: rollout.steps is for strategy Canary alone",
    ),
    "gates of a surge": Case(
        "rollout", {"gates": []}, "rollout.gates is for strategy Canary or BlueGreen alone"
    ),
    "an analysis of a Recreate": Case(
        "rollout",
        {"strategy": "Recreate", "analysis": {"intervalSeconds": 60}},
        "rollout.analysis is for strategy Canary or BlueGreen alone",
    ),
    "a canary that bakes": Case(
        "rollout", _canary(bakeSeconds=60), "rollout.bakeSeconds is for strategy BlueGreen alone"
    ),
    "a canary approved as a whole": Case(
        "rollout", _canary(approval="Manual"), "rollout.approval is for strategy BlueGreen alone"
    ),
    "a suite of a Recreate": Case(
        "rollout",
        {"strategy": "Recreate", "suiteRef": {"name": "support"}},
        "rollout.suiteRef is for strategy Surge, Canary or BlueGreen alone",
    ),
    "a likeness of a Recreate": Case(
        "rollout",
        {"strategy": "Recreate", "equivalence": {"prompts": ["2 + 2 ="]}},
        "rollout.equivalence is for strategy Surge, Canary or BlueGreen alone",
    ),
    "no step": Case("rollout", _canary(steps=[]), "should have at least 1 items"),
    "steps that don't rise": Case(
        "rollout",
        _canary(steps=[{"weight": 20}, {"weight": 10}]),
        "each weight of rollout.steps must be larger than the one before",
    ),
    "a step twice": Case(
        "rollout",
        _canary(steps=[{"weight": 20}, {"weight": 20}]),
        "each weight of rollout.steps must be larger than the one before",
    ),
    "a step of everything": Case(
        "rollout", _canary(steps=[{"weight": 100}]), "should be less than or equal to 99"
    ),
    "copies beside traffic": Case(
        "rollout",
        _canary(steps=[{"weight": 10, "shadow": 10}]),
        "steps[].shadow: give it with weight 0, and only with that",
    ),
    "a step of nothing": Case(
        "rollout",
        _canary(steps=[{"weight": 0}]),
        "steps[].shadow: give it with weight 0, and only with that",
    ),
    "a gate nobody knows": Case("rollout", _gate(metric="happiness"), "Unsupported value"),
    "a gate twice": Case(
        "rollout",
        _canary(gates=[{"metric": "errorRate"}, {"metric": "errorRate", "minSamples": 10}]),
        "no two of rollout.gates may have the same metric and statistic",
    ),
    "a ratio of errors": Case("rollout", _gate(metric="errorRate", maxRatioPercent=120), _KINDS),
    "a median of errors": Case("rollout", _gate(metric="errorRate", statistic="P50"), _KINDS),
    "a difference of times": Case(
        "rollout", _gate(metric="timeToFirstToken", maxDifferencePermille=5), _KINDS
    ),
    "a drop of times": Case("rollout", _gate(metric="timeToFirstToken", maxDropPercent=5), _KINDS),
    "a ratio of scores": Case("rollout", _gate(metric="feedbackScore", maxRatioPercent=120), _KINDS),
    "a candidate that may be as good and no better": Case(
        "rollout",
        _gate(metric="outputLength", maxRatioPercent=100),
        "should be greater than or equal to 101",
    ),
    "looks every second": Case(
        "rollout", _canary(analysis={"intervalSeconds": 1}), "should be greater than or equal to 10"
    ),
    "an approval of nobody": Case("rollout", _canary(approve=""), "should be at least 1 chars long"),
}
