"""What a rollout may not say: rules between its fields, each broken once."""

from __future__ import annotations

from typing import Any

from tests.contract.cases import Case

Json = dict[str, Any]


def _canary(**given: Any) -> Json:
    return {"strategy": "Canary", **given}


def _gate(**given: Any) -> Json:
    return _canary(gates=[given])


def _check(**given: Any) -> Json:
    return _canary(checks=[{"name": "a", **given}])


def _webhook(**given: Any) -> Json:
    return _check(webhook={"url": "https://ci.example.com", **given})


def _job(**given: Any) -> Json:
    return _check(job={"image": "eval:1", **given})


_URL = "must be an http or https address without user and password"
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
    "checks of a surge": Case(
        "rollout",
        {"checks": [{"name": "a", "job": {"image": "eval:1"}}]},
        "rollout.checks is for strategy Canary or BlueGreen alone",
    ),
    "no check": Case("rollout", _canary(checks=[]), "should have at least 1 items"),
    "nine checks": Case(
        "rollout",
        _canary(checks=[{"name": f"a{n}", "job": {"image": "eval:1"}} for n in range(9)]),
        "must have at most 8 items",
    ),
    "a check twice": Case(
        "rollout", _canary(checks=[{"name": "a", "job": {"image": "eval:1"}}] * 2), "Duplicate value"
    ),
    "a check of nothing": Case("rollout", _check(), "give exactly one of webhook and job"),
    "a check of both": Case(
        "rollout",
        _check(webhook={"url": "https://ci.example.com"}, job={"image": "eval:1"}),
        "give exactly one of webhook and job",
    ),
    "a check with a name in capitals": Case(
        "rollout", _canary(checks=[{"name": "A", "job": {"image": "eval:1"}}]), "must be lower-case letters"
    ),
    "a webhook with a password": Case("rollout", _webhook(url="https://me:pw@ci.example.com"), _URL),
    "a webhook of another kind": Case("rollout", _webhook(url="file:///etc/passwd"), _URL),
    "a yes nobody knows": Case("rollout", _webhook(accept="Maybe"), "Unsupported value"),
    "a webhook that may take a day": Case(
        "rollout", _webhook(timeoutSeconds=86400), "should be less than or equal to 600"
    ),
    "a token of no key": Case(
        "rollout", _webhook(tokenSecretRef={"name": "ci", "key": "a/b"}), "must be a key of a Secret"
    ),
    "a Job of no image": Case("rollout", _job(image="--help"), "must be an image reference"),
    "a Job that names what it's told": Case(
        "rollout",
        _job(env={"POINTSMAN_URL": "http://other"}),
        "job.env must not set what begins with POINTSMAN_",
    ),
    "a Job with a variable of no name": Case(
        "rollout", _job(env={"1": "a"}), "each name in job.env must be letters, digits and '_'"
    ),
    "an approval of nobody": Case("rollout", _canary(approve=""), "should be at least 1 chars long"),
}
