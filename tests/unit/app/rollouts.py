"""LLMServices with the status of a rollout, as the API server has them: one for each thing to be shown."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

Json = dict[str, Any]
NOW = datetime(2026, 1, 1, 12, 5, 0, tzinfo=UTC)
STABLE, CANDIDATE = "chat-9f9f9f9f.support-v7.0a1b2c3d", "chat-1a2b3c4d.support-v8.4e5f6a7b"

STEPS = [
    {"weight": 0, "shadow": 20, "minSeconds": 120},
    {"weight": 10, "minSeconds": 300, "minSamples": 500},
    {"weight": 50, "minSeconds": 600, "approval": "Manual"},
]
ERRORS: Json = {
    "metric": "errorRate",
    "verdict": "Pass",
    "stable": "0.0021",
    "candidate": "0.0032",
    "estimate": "0.0011",
    "low": "-0.0041",
    "high": "0.0072",
    "allowed": "0.001",
    "limit": "0.01",
    "stableSamples": 2130,
    "candidateSamples": 431,
    "message": "…",
}
SLOW: Json = {
    "metric": "timeToFirstToken",
    "statistic": "P50",
    "verdict": "Inconclusive",
    "stable": "0.4123",
    "candidate": "1.031",
    "estimate": "1.18",
    "low": "1.02",
    "high": "1.35",
    "allowed": "1.1",
    "limit": "1.3",
    "stableSamples": 2080,
    "candidateSamples": 381,
    "message": "…",
}
FEW: Json = {
    "metric": "feedbackScore",
    "statistic": "Mean",
    "verdict": "Inconclusive",
    "allowed": "0.95",
    "limit": "0.85",
    "stableSamples": 60,
    "candidateSamples": 7,
    "message": "feedbackScore Mean: 7 against 60 samples; at least 50 of each are needed",
}


def condition(kind: str, status: bool, reason: str, message: str = "") -> Json:
    return {"type": kind, "status": str(status), "reason": reason, "message": message}


def service(
    rollout: Json, status: Json, *conditions: Json, available: bool = True, observed: int = 4
) -> Json:
    """A service of generation 4."""
    serves = condition("Available", available, "Serving" if available else "NoReadyReplicas")
    return {
        "apiVersion": "serving.pointsman.dev/v1alpha1",
        "kind": "LLMService",
        "metadata": {"name": "chat", "namespace": "team-a", "generation": 4, "resourceVersion": "17"},
        "spec": {"rollout": rollout},
        "status": {
            "observedGeneration": observed,
            "replicas": 5,
            "readyReplicas": 5,
            "conditions": [serves, *conditions],
            "rollout": status,
        },
    }


def moving(step: str, index: int, weight: int, **more: Any) -> Json:
    """status.rollout while a candidate is on its way; its step began four minutes ago."""
    shares = [{"revision": STABLE, "weight": 100 - weight}, {"revision": CANDIDATE, "weight": weight}]
    return {
        "stable": STABLE,
        "candidate": CANDIDATE,
        "step": step,
        "stepIndex": index,
        "stepStartedAt": "2026-01-01T12:01:00Z",
        "traffic": shares,
        **more,
    }


def analysed(index: int, *gates: Json) -> Json:
    return {
        "window": f"{CANDIDATE}/{index}",
        "startedAt": "2026-01-01T12:01:40Z",
        "observedAt": "2026-01-01T12:04:48Z",
        "looks": 3,
        "stableSamples": 2130,
        "candidateSamples": 431,
        "setAside": 50,
        "gates": list(gates),
    }


TRIAL = {
    "variant": CANDIDATE,
    "name": "chat-1a2b3c4d-trial-0123456",
    "verdict": "Pass",
    "cases": 12,
    "failed": 1,
    "prompts": 20,
    "agreed": 20,
}
CHECKS = [
    {"name": "budget", "webhook": {"url": "https://ci.test"}},
    {"name": "evaluation", "job": {"image": "eval:1"}},
]
NOBODY = "Unanswered: gate 'budget' got no answer in 3 tries; the last: 503: "
SPENT: Json = {
    "name": "budget",
    "variant": CANDIDATE,
    "step": "Canary",
    "stepIndex": 1,
    "verdict": "Inconclusive",
    "message": NOBODY,
    "at": "2026-01-01T12:03:20Z",
    "job": "chat-1a2b3c4d-check-0123456",
}
FINE: Json = {
    **SPENT,
    "name": "evaluation",
    "stepIndex": 0,
    "verdict": "Pass",
    "message": "0.97 of 0.95",
    "at": "2026-01-01T12:00:20Z",
}
OF_ANOTHER: Json = {**FINE, "name": "other", "variant": "chat-00000000"}
CANARY = {"strategy": "Canary", "steps": STEPS}
TRIED = {**CANARY, "suiteRef": {"name": "support"}}
ANALYSING = condition(
    "Ready", False, "Analysing", "the candidate is compared at 10 %: timeToFirstToken is not certain yet"
)
REJECTION = {
    "variant": CANDIDATE,
    "reason": "CanaryRejected",
    "message": "timeToFirstToken P50 is 2.01 x the stable one's [1.82, 2.21], allowed 1.1; "
    "431 against 2,130 samples",
    "at": "2026-01-01T12:04:50Z",
}
SETTLED = {"stable": STABLE, "step": "Steady", "traffic": [{"revision": STABLE, "weight": 100}]}

CHALLENGER = "chat-9f9f9f9f.support-v8.4e5f6a7b"
LIKED: Json = {
    "metric": "feedbackScore",
    "statistic": "Mean",
    "verdict": "Better",
    "control": "0.61",
    "challenger": "0.68",
    "estimate": "1.115",
    "low": "1.04",
    "high": "1.19",
    "relevant": "0.95",
    "controlSamples": 812,
    "challengerSamples": 790,
    "message": "…",
}
AS_SELDOM: Json = {
    "metric": "errorRate",
    "verdict": "Unknown",
    "control": "0.002",
    "challenger": "0.0025",
    "estimate": "0.0005",
    "low": "-0.004",
    "high": "0.0061",
    "relevant": "0.005",
    "controlSamples": 4010,
    "challengerSamples": 3970,
    "message": "…",
}
COMPARED: Json = {
    "control": STABLE,
    "challenger": CHALLENGER,
    "window": f"{CHALLENGER}/0a1b2c3d-0",
    "startedAt": "2026-01-01T11:00:00Z",
    "windowStartedAt": "2026-01-01T11:00:00Z",
    "observedAt": "2026-01-01T12:04:48Z",
    "looks": 64,
    "controlSamples": 4010,
    "challengerSamples": 3970,
    "metrics": [LIKED, AS_SELDOM],
    "message": "…",
}
ADVISED: Json = {
    **COMPARED,
    "metrics": [LIKED, {**AS_SELDOM, "verdict": "NotWorse", "high": "0.0044"}],
    "recommendation": "Challenger",
    "concludedAt": "2026-01-01T12:04:48Z",
}


def experimenting(status: Json, *conditions: Json) -> Json:
    """A service that is settled, with an experiment between two prompts."""
    made = service(CANARY, SETTLED, condition("Ready", True, "Answering"), *conditions)
    made["spec"]["experiment"] = {
        "promptRef": {"name": "support-v8"},
        "metrics": [{"metric": "feedbackScore"}, {"metric": "errorRate"}],
    }
    made["status"]["experiment"] = status
    return made


SHOWN: dict[str, Json] = {
    "canary-analysing": service(
        TRIED,
        moving("Canary", 1, 10, analysis=analysed(1, ERRORS, SLOW, FEW), trial=TRIAL),
        ANALYSING,
    ),
    "canary-checks": service(
        {**CANARY, "checks": CHECKS},
        moving("Canary", 1, 10, analysis=analysed(1, ERRORS), checks=[SPENT, FINE, OF_ANOTHER]),
        condition("Ready", False, "CheckUnanswered", f"check 'budget' comes to no verdict: {NOBODY}"),
    ),
    "blue-green-checks": service(
        {"strategy": "BlueGreen", "approval": "Manual", "checks": CHECKS},
        moving("Baking", 0, 100, checks=[{**FINE, "step": "Baking"}, {**SPENT, "verdict": "Fail"}]),
        condition("Ready", False, "ChecksRunning", "checks are asked: 'budget'"),
    ),
    "blue-green-measuring": service(
        {"strategy": "BlueGreen", "approval": "Manual"},
        moving("Canary", 0, 0, analysis=analysed(0)),
        condition("Ready", False, "Analysing", "the stable variant is measured before the switch"),
    ),
    "canary-shadow": service(
        CANARY,
        moving("Canary", 0, 0)
        | {
            "traffic": [
                {"revision": CANDIDATE, "weight": 0, "shadow": 20},
                {"revision": STABLE, "weight": 100},
            ]
        },
        condition("Ready", False, "AwaitingRouter", "routers have yet to acknowledge the configuration"),
    ),
    "canary-approval": service(
        CANARY,
        moving("Canary", 2, 50, analysis=analysed(2, ERRORS)),
        condition(
            "Ready", False, "AwaitingApproval", "all gates pass; rollout.approve has to name the candidate"
        ),
    ),
    "canary-capacity": service(
        TRIED,
        moving("Capacity", 1, 0),
        condition("Ready", False, "EngineStarting", "engines are starting: Loading"),
    ),
    "trial-capacity": service(
        TRIED,
        moving("Capacity", 0, 0),
        condition("Ready", False, "EngineStarting", "engines are starting"),
    ),
    "trial": service(
        TRIED, moving("Trial", 0, 0), condition("Ready", False, "TrialRunning", "suite support is asked")
    ),
    "defaults": service(
        {"strategy": "Canary"}, moving("Canary", 2, 50, analysis=analysed(2, SLOW)), ANALYSING
    ),
    "last-capacity": service(
        {"strategy": "Canary"},
        moving("Capacity", 3, 50),
        condition("Ready", False, "EngineStarting", "engines are starting"),
    ),
    "rejected": service(
        CANARY,
        {**SETTLED, "failed": [CANDIDATE], "rejections": [REJECTION]},
        condition("Ready", False, "CanaryRejected", REJECTION["message"]),
        condition("Stalled", True, "CanaryRejected"),
    ),
    "blue-green-baking": service(
        {"strategy": "BlueGreen", "bakeSeconds": 3600},
        moving("Baking", 0, 100),
        condition("Ready", False, "Analysing", "the new one has all traffic, and the old one stays ready"),
    ),
    "surge": service(
        {}, moving("Traffic", 0, 100), condition("Ready", False, "AwaitingRouter", "routers are told")
    ),
    "recreate": service(
        {"strategy": "Recreate"},
        {**moving("Draining", 0, 0), "traffic": []},
        condition("Ready", False, "RecreateGap", "the old revision has stopped"),
        available=False,
    ),
    "experiment-running": experimenting(
        COMPARED,
        condition(
            "ExperimentConcluded",
            False,
            "ExperimentRunning",
            "PromptVersion 'support-v8' has 50 % of conversations and is compared",
        ),
    ),
    "experiment-concluded": experimenting(
        ADVISED,
        condition("ExperimentConcluded", True, "ChallengerBetter", "set promptRef to support-v8"),
    ),
    "settled": service(CANARY, SETTLED, condition("Ready", True, "Answering")),
    "not-yet-looked-at": service(CANARY, SETTLED, condition("Ready", True, "Answering"), observed=3),
    "new": {"metadata": {"name": "chat", "namespace": "team-a", "generation": 1}, "spec": {}},
}
"""By the name of the file that holds what is drawn."""
