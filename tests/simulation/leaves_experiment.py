"""O14, of an experiment: for each leaf two of them that differ in it, and a story that tells them apart."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.simulation.cluster import Cluster
from tests.simulation.judged import lasting
from tests.simulation.measuring import Manner
from tests.simulation.stories import CHAT, engines, serving
from tests.simulation.test_prompts import FIRST, SECOND

Path = tuple[str, ...]
Json = dict[str, Any]

_ERRORS: Final = {"metric": "errorRate"}
_SLOW: Final = {"metric": "timeToFirstToken"}


def _given(*metrics: Json, name: str = "support-v1", **given: Any) -> Json:
    return {"promptRef": {"name": name}, "metrics": list(metrics or (_ERRORS,)), **given}


PAIRS: Final[dict[Path, tuple[Json, Json]]] = {
    ("promptRef", "name"): (_given(), _given(name="support-v2")),
    ("weight",): (_given(), _given(weight=20)),
    ("metrics", "[]", "metric"): (_given(_ERRORS), _given(_SLOW)),
    ("metrics", "[]", "statistic"): (
        _given({**_SLOW, "statistic": "P50"}),
        _given({**_SLOW, "statistic": "P95"}),
    ),
    ("metrics", "[]", "relevantPermille"): (
        _given({**_ERRORS, "relevantPermille": 5}),
        _given({**_ERRORS, "relevantPermille": 500}),
    ),
    ("metrics", "[]", "relevantPercent"): (
        _given({**_SLOW, "relevantPercent": 5}),
        _given({**_SLOW, "relevantPercent": 90}),
    ),
    ("minSamples",): (_given(), _given(minSamples=100_000)),
    ("maxSeconds",): (_given(minSamples=100_000, maxSeconds=60), _given(minSamples=100_000)),
    ("falseRecommendationPermille",): (
        _given(falseRecommendationPermille=1),
        _given(falseRecommendationPermille=500),
    ),
    ("restartedAt",): (
        _given(restartedAt="2026-01-01T00:00:00Z"),
        _given(restartedAt="2026-01-02T00:00:00Z"),
    ),
}
"""By the path below spec.experiment."""

EXPERIMENTS: Final = {("LLMService", ("experiment", *path)): pair for path, pair in PAIRS.items()}


async def story(declared: Json) -> str:
    """What users and routers see of an experiment whose challenger is somewhat worse."""
    cluster = Cluster()
    await cluster.apply("PromptVersion", "support-v1", FIRST)
    await cluster.apply("PromptVersion", "support-v2", SECOND)
    await serving(cluster, CHAT)
    (engine,) = engines(cluster)
    cluster.routers.measuring.manners[engine] = Manner(failing=0.05)
    await cluster.apply("LLMService", "chat", {**CHAT, "experiment": declared})
    await lasting(cluster, 30)
    running = cluster.routers.running("default").services[0]
    told = [(variant.name, variant.weight) for variant in running.variants]
    await lasting(cluster, 150)
    found = cluster.find("LLMService", "chat")["status"]["experiment"]
    shown = {name: found.get(name) for name in ("metrics", "recommendation", "looks")}
    repeated = running.analysis.window if "restartedAt" in declared else ""
    return json.dumps([told, repeated, shown])
