"""O14, of what matters while a change is judged: for each leaf two rollouts that differ in it, and a
story."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from tests.simulation.cluster import Cluster
from tests.simulation.judged import lasting
from tests.simulation.measuring import Manner
from tests.simulation.stories import CHAT, revision_of, rollout, serving

Path = tuple[str, ...]
Json = dict[str, Any]

NEW: Final = revision_of({**CHAT, "drainSeconds": 7})
STEP: Final[Json] = {"weight": 10, "minSeconds": 30}


def _steps(**given: Any) -> Json:
    return {"strategy": "Canary", "gates": [], "steps": [{**STEP, **given}, {"weight": 50}]}


def _gate(**given: Any) -> Json:
    return {"strategy": "Canary", "gates": [given]}


def _analysis(**given: Any) -> Json:
    return {"strategy": "Canary", "analysis": given}


def _patience(**given: Any) -> Json:
    return _gate(metric="errorRate", minSamples=10_000_000) | _analysis(inconclusive=given)


def _checks(**given: Any) -> Json:
    return _steps(minSeconds=0) | {"checks": [{"name": "a", **given}]}


def _webhook(**given: Any) -> Json:
    return _checks(webhook={"url": "https://ci.test/gate", **given})


def _job(**given: Any) -> Json:
    return _checks(job={"image": "eval:1", **given})


def _token(key: str | None = None, name: str = "ci") -> Json:
    return {"tokenSecretRef": {"name": name} | ({"key": key} if key else {})}


_SLOW: Final = "timeToFirstToken"

PAIRS: Final[dict[Path, tuple[Json, Json]]] = {
    ("steps", "[]", "weight"): (_steps(), _steps(weight=20)),
    ("steps", "[]", "shadow"): (_steps(weight=0, shadow=20), _steps(weight=0, shadow=40)),
    ("steps", "[]", "minSeconds"): (_steps(), _steps(minSeconds=100)),
    ("steps", "[]", "minSamples"): (_steps(), _steps(minSamples=1_000_000)),
    ("steps", "[]", "approval"): (_steps(approval="Automatic"), _steps(approval="Manual")),
    ("gates", "[]", "metric"): (_gate(metric="errorRate"), _gate(metric="blockedRate")),
    ("gates", "[]", "statistic"): (
        _gate(metric=_SLOW, statistic="P50"),
        _gate(metric=_SLOW, statistic="P95"),
    ),
    ("gates", "[]", "maxRatioPercent"): (
        _gate(metric=_SLOW, maxRatioPercent=120),
        _gate(metric=_SLOW, maxRatioPercent=300),
    ),
    ("gates", "[]", "maxDifferencePermille"): (
        _gate(metric="errorRate", maxDifferencePermille=10),
        _gate(metric="errorRate", maxDifferencePermille=400),
    ),
    ("gates", "[]", "maxDropPercent"): (
        _gate(metric="feedbackScore", maxDropPercent=10),
        _gate(metric="feedbackScore", maxDropPercent=20),
    ),
    ("gates", "[]", "minSamples"): (
        _gate(metric="errorRate", minSamples=10),
        _gate(metric="errorRate", minSamples=1_000_000),
    ),
    ("analysis", "intervalSeconds"): (_analysis(intervalSeconds=20), _analysis(intervalSeconds=300)),
    ("analysis", "falseRejectionPermille"): (
        _analysis(falseRejectionPermille=1),
        _analysis(falseRejectionPermille=500),
    ),
    ("analysis", "warmUp", "requests"): (
        _analysis(warmUp={"requests": 5}),
        _analysis(warmUp={"requests": 6}),
    ),
    ("analysis", "warmUp", "seconds"): (_analysis(warmUp={"seconds": 5}), _analysis(warmUp={"seconds": 6})),
    ("analysis", "inconclusive", "afterSeconds"): (
        _patience(action="Hold", afterSeconds=70),
        _patience(action="Hold", afterSeconds=700),
    ),
    ("analysis", "inconclusive", "action"): (
        _patience(action="Reject", afterSeconds=70),
        _patience(action="Hold", afterSeconds=70),
    ),
    ("checks", "[]", "name"): (
        _webhook(),
        _webhook() | {"checks": [{**_webhook()["checks"][0], "name": "b"}]},
    ),
    ("checks", "[]", "webhook", "url"): (_webhook(), _webhook(url="https://ci.test/other")),
    ("checks", "[]", "webhook", "accept"): (_webhook(), _webhook(accept="Status")),
    ("checks", "[]", "webhook", "tokenSecretRef", "name"): (
        _webhook(**_token()),
        _webhook(**_token(name="other")),
    ),
    ("checks", "[]", "webhook", "tokenSecretRef", "key"): (
        _webhook(**_token()),
        _webhook(**_token("bearer")),
    ),
    ("checks", "[]", "webhook", "timeoutSeconds"): (_webhook(), _webhook(timeoutSeconds=5)),
    ("checks", "[]", "job", "image"): (_job(), _job(image="eval:2")),
    ("checks", "[]", "job", "command", "[]"): (_job(command=["a"]), _job(command=["b"])),
    ("checks", "[]", "job", "args", "[]"): (_job(args=["a"]), _job(args=["b"])),
    ("checks", "[]", "job", "env"): (_job(env={"A": "1"}), _job(env={"A": "2"})),
    ("checks", "[]", "job", "tokenSecretRef", "name"): (_job(**_token()), _job(**_token(name="other"))),
    ("checks", "[]", "job", "tokenSecretRef", "key"): (_job(**_token()), _job(**_token("bearer"))),
    ("checks", "[]", "job", "serviceAccountName"): (_job(), _job(serviceAccountName="evaluator")),
    ("checks", "[]", "job", "resources", "requests"): (
        _job(resources={"requests": {"cpu": "1"}}),
        _job(resources={"requests": {"cpu": "2"}}),
    ),
    ("checks", "[]", "job", "resources", "limits"): (
        _job(resources={"limits": {"memory": "1Gi"}}),
        _job(resources={"limits": {"memory": "2Gi"}}),
    ),
    ("checks", "[]", "job", "timeoutSeconds"): (_job(), _job(timeoutSeconds=60)),
    ("approve",): (
        _steps(approval="Manual") | {"approve": NEW},
        _steps(approval="Manual") | {"approve": "chat-00000000"},
    ),
    ("abort",): (_steps() | {"abort": NEW}, _steps() | {"abort": "chat-00000000"}),
    ("approval",): (
        {"strategy": "BlueGreen", "gates": [], "approval": "Manual"},
        {"strategy": "BlueGreen", "gates": [], "approval": "Automatic"},
    ),
    ("bakeSeconds",): (
        {"strategy": "BlueGreen", "gates": [], "bakeSeconds": 0},
        {"strategy": "BlueGreen", "gates": [], "bakeSeconds": 600},
    ),
}
"""By the path below spec.rollout."""

JUDGED: Final = {("LLMService", ("rollout", *path)): pair for path, pair in PAIRS.items()}


async def story(declared: Json) -> str:
    """What users and routers see of a change whose candidate is somewhat worse."""
    cluster = Cluster()
    cluster.check = None
    spec = {**CHAT, "rollout": declared}
    await serving(cluster, spec)
    cluster.routers.measuring.manners[NEW] = Manner(slower=1.5, failing=0.02)
    await cluster.apply("LLMService", "chat", {**spec, "drainSeconds": 7})
    seen = await lasting(cluster, 20)
    running = cluster.routers.running("default").services[0]
    told = f"{running.analysis} {[(v.weight, v.shadow) for v in running.variants]}"
    seen += await lasting(cluster, 120)
    found = rollout(cluster).get("analysis") or {}
    shown = {name: found.get(name) for name in ("looks", "gates")}
    text = json.dumps([seen, told, shown, _asked(cluster), cluster.condition("chat", "Ready")])
    return re.sub(r"-check-[0-9a-f]{7}", "-check-NAME", text)


def _asked(cluster: Cluster) -> list[Any]:
    """What checks are, and what they're told."""
    made = [one for kind in ("Job", "ConfigMap") for one in cluster.all(kind)]
    return [[one.get("spec"), one.get("data")] for one in made if "-check-" in one["metadata"]["name"]]
