"""O11: a tool that applies the same manifests every second fights with nobody."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.api import names
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.rested import differences, rested
from tests.simulation.stories import CHAT

Json = dict[str, Any]
TOOL = "argocd-controller"

MANIFESTS: dict[str, list[tuple[str, str, Json]]] = {
    "a service with the router made on demand": [("LLMService", "chat", CHAT)],
    "all three kinds": [
        ("LLMModel", "shared", CHAT["model"]),
        ("LLMRouter", "front", {"replicas": 1, "limits": {"maxConnections": 9}}),
        ("LLMService", "chat", {"modelRef": {"name": "shared"}, "routerRef": {"name": "front"}}),
    ],
    "a declared router that is called default": [
        ("LLMService", "chat", {**CHAT, "rollout": {"strategy": "Recreate"}}),
        ("LLMRouter", "default", {"cors": {"allowedOrigins": ["https://a.test"]}}),
    ],
}


async def synchronise(cluster: Cluster, manifests: list[tuple[str, str, Json]]) -> None:
    """What the tool does every second, whether or not anything changed."""
    for kind, name, spec in manifests:
        manifest = {
            "apiVersion": names.API_VERSION,
            "kind": kind,
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "labels": {"app.kubernetes.io/instance": "team-a"},
                "annotations": {"argocd.argoproj.io/tracking-id": f"team-a:{kind}:{name}"},
            },
            "spec": spec,
        }
        await cluster.kube.apply(manifest, manager=TOOL)


def changed(manifests: list[tuple[str, str, Json]]) -> list[tuple[str, str, Json]]:
    return [
        (kind, name, {**spec, "engine": {"maxModelLen": 512}} if kind == "LLMService" else spec)
        for kind, name, spec in manifests
    ]


async def followed(manifests: list[tuple[str, str, Json]], every_second: bool) -> Cluster:
    """First these manifests, then a change of them."""
    cluster = Cluster()
    for wanted in (manifests, changed(manifests)):
        await synchronise(cluster, wanted)
        for _ in range(20):
            if every_second:
                await synchronise(cluster, wanted)
            await cluster.round()
        await cluster.settle()
    return cluster


@pytest.mark.parametrize("manifests", MANIFESTS.values(), ids=MANIFESTS)
async def test_nobody_fights_and_the_end_is_the_same(manifests: list[tuple[str, str, Json]]) -> None:
    cluster = await followed(manifests, every_second=True)
    alone = await followed(manifests, every_second=False)
    assert list(differences(rested(alone), rested(cluster))) == []
    assert cluster.find("LLMService", "chat")["metadata"]["generation"] == 2
    assert cluster.condition("chat", "Ready")[0] == "True"
    for kind, name, spec in changed(manifests):
        found = cluster.find(kind, name)
        assert found["spec"] == spec
        assert found["metadata"]["labels"] == {"app.kubernetes.io/instance": "team-a"}


@pytest.mark.parametrize("manifests", MANIFESTS.values(), ids=MANIFESTS)
async def test_where_nothing_changes_nothing_is_written(manifests: list[tuple[str, str, Json]]) -> None:
    cluster = await followed(manifests, every_second=True)
    version = cluster.kube.store.version
    for _ in range(10):
        await synchronise(cluster, changed(manifests))
        await cluster.round()
    assert cluster.kube.store.version == version


@pytest.mark.parametrize("manifests", MANIFESTS.values(), ids=MANIFESTS)
async def test_of_what_the_tool_applies_the_operator_owns_status_and_its_finalizer(
    manifests: list[tuple[str, str, Json]],
) -> None:
    cluster = await followed(manifests, every_second=True)
    for kind, name, _ in manifests:
        stored = next(s for a, s in cluster.kube.store.objects.items() if (a[1], a[3]) == (kind, name))
        for manager, paths in stored.managers.items():
            owned = {path[0][1] if path[0][1] != "metadata" else path[1][1] for path in paths}
            if manager.name != TOOL:
                assert owned <= {"status", "finalizers"}, (manager, paths)
