"""Short ways to changes that are judged, and to what happens while time passes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from pointsman.api import names
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.stories import CHAT, revision_of, rollout, serving

STEPS = [{"weight": 10}, {"weight": 50}]
CANARY: dict[str, Any] = {**CHAT, "replicas": 4, "rollout": {"strategy": "Canary", "steps": STEPS}}
GREEN: dict[str, Any] = {**CHAT, "replicas": 4, "rollout": {"strategy": "BlueGreen", "bakeSeconds": 120}}


def changed(spec: dict[str, Any], **given: Any) -> dict[str, Any]:
    """The spec with another engine, and more said of its rollout."""
    return {**spec, "drainSeconds": 7, "rollout": {**spec["rollout"], **given}}


async def begun(cluster: Cluster, spec: dict[str, Any] = CANARY, **given: Any) -> tuple[str, str]:
    """A service that serves, and a change of it: the stable revision and the candidate."""
    old = await serving(cluster, spec)
    await cluster.apply("LLMService", "chat", changed(spec, **given))
    return old, revision_of(changed(spec))


async def lasting(cluster: Cluster, seconds: int) -> list[str]:
    """Lets time pass, and tells the steps that were seen, each once in a row."""
    seen: list[str] = []
    end = cluster.now + timedelta(seconds=seconds)
    while cluster.now < end:
        await idle(cluster, end)
        at = rollout(cluster)
        line = f"{at['step']} {at.get('stepIndex', '-')}: {at.get('candidateWeight', '-')}"
        if seen[-1:] != [line]:
            seen.append(line)
    return seen


async def idle(cluster: Cluster, end: datetime) -> None:
    """A round, and the time after it in which nobody has anything to do."""
    version = cluster.kube.store.version
    reports = await cluster.round()
    if cluster.kube.store.version == version:
        rest = min(report.requeue_after or 60.0 for report in reports) - 1
        cluster.now = max(min(cluster.now + timedelta(seconds=rest), end), cluster.now)


async def until(cluster: Cluster, step: str, index: int = 0, seconds: int = 900) -> None:
    end = cluster.now + timedelta(seconds=seconds)
    while cluster.now < end:
        at = rollout(cluster)
        if at["step"] == step and at.get("stepIndex", 0) == index:
            return
        await idle(cluster, end)
    raise AssertionError(f"never came to {step} {index}: {rollout(cluster)}")


def replicas(cluster: Cluster, revision: str) -> int:
    return int(cluster.find("Deployment", revision)["spec"]["replicas"])


async def lose_status(cluster: Cluster) -> None:
    found = cluster.find("LLMService", "chat")
    await cluster.kube.patch_status(
        names.LLMSERVICE,
        NAMESPACE,
        "chat",
        dict.fromkeys(found["status"]),
        resource_version=found["metadata"]["resourceVersion"],
    )
