"""Short ways to the situations that stories begin with and to what they look at."""

from __future__ import annotations

from typing import Any

from pointsman.api import names
from pointsman.api.service import ServiceSpec
from pointsman.core import revision
from tests.simulation.cluster import Cluster

CHAT = {"model": {"source": {"uri": "file:///models/tiny"}}}


def edited(**changes: Any) -> dict[str, Any]:
    return {**CHAT, **changes}


def revision_of(spec: dict[str, Any]) -> str:
    """The revision that a spec with its model inline will be: its pods may come up as soon as it is born."""
    read = ServiceSpec.model_validate(spec)
    assert read.model is not None
    return revision.name_of("chat", read, read.model)


async def serving(cluster: Cluster, spec: dict[str, Any] = CHAT, name: str = "chat") -> str:
    """Applies a service, waits until it is Ready, and returns its stable revision."""
    await cluster.apply("LLMService", name, spec)
    await cluster.settle()
    assert cluster.condition(name, "Ready")[0] == "True", cluster.find("LLMService", name)["status"]
    return str(rollout(cluster, name)["stable"])


def rollout(cluster: Cluster, name: str = "chat") -> dict[str, Any]:
    return dict(cluster.find("LLMService", name)["status"]["rollout"])


def engines(cluster: Cluster) -> list[str]:
    return [
        d["metadata"]["name"]
        for d in cluster.all("Deployment")
        if d["metadata"]["labels"].get(names.LABEL_ROLE) == names.ROLE_ENGINE
    ]
