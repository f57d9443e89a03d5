"""Capacity discovery: nodes and pods of the cluster are read while pods find no place, and never else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pointsman.api import names
from pointsman.kube.protocol import Forbidden
from pointsman.kube.store import address_of
from pointsman.kube.twin import Call
from tests.simulation.cluster import SETTINGS, Cluster
from tests.simulation.stories import edited
from tests.simulation.trouble import Trouble, TroubledCluster

ASKING = edited(hardware={"accelerator": {"resource": "nvidia.com/gpu", "count": 1}})
ACCOUNT = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu"


@pytest.fixture
def discovering() -> TroubledCluster:
    """A cluster of one node whose accelerators somebody else's pods have, and an operator that may look."""
    cluster = TroubledCluster()
    cluster.restart(replace(SETTINGS, capacity_discovery=True))
    said = {"type": "PodScheduled", "status": "False", "message": f"{ACCOUNT}."}
    cluster.newborn = Trouble(conditions=(said,))
    put(cluster, names.NODE, "", "node", status={"allocatable": {"nvidia.com/gpu": "2"}})
    asks = [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "2"}}}]
    put(cluster, names.POD, "team-b", "theirs", spec={"nodeName": "node", "containers": asks})
    return cluster


def put(cluster: Cluster, resource: names.Resource, namespace: str, name: str, **parts: Any) -> None:
    # The cluster takes a pod whose owner is gone away.
    node = cluster.find("Node", "node")
    owners = [{"uid": node["metadata"]["uid"]}] if node else []
    obj = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "namespace": namespace, "ownerReferences": owners},
        **parts,
    }
    cluster.kube.store.insert(address_of(resource, namespace, name), obj, {})


def looks(cluster: Cluster) -> int:
    return len([call for call in cluster.kube.calls if call.kind == "Node"])


async def test_nodes_are_looked_at_only_while_pods_find_no_place(discovering: TroubledCluster) -> None:
    await discovering.apply("LLMService", "chat", ASKING)
    for _ in range(12):
        await discovering.round()
    status, reason, message = discovering.condition("chat", "CapacityAvailable")
    assert (status, reason) == ("False", "InsufficientGPU")
    assert message == (
        f"{ACCOUNT}; a pod asks for 1 nvidia.com/gpu on one node; nodes that bear it: 1 of 1, open to the "
        "pod: 1, free on those: 0 in all, at most 0 on one"
    )
    assert 1 <= looks(discovering) <= 3, "one look serves for ten seconds"
    discovering.troubles.clear()
    await discovering.settle()
    before = looks(discovering)
    for _ in range(30):
        await discovering.round()
    assert looks(discovering) == before
    assert discovering.condition("chat", "Ready")[0] == "True"


async def test_without_the_right_to_look_the_schedulers_account_must_do(discovering: TroubledCluster) -> None:
    def forbid(call: Call) -> None:
        if call.kind == "Node":
            raise Forbidden("nodes is forbidden")

    discovering.kube.before = forbid
    await discovering.apply("LLMService", "chat", ASKING)
    for _ in range(10):
        await discovering.round()
    assert discovering.condition("chat", "CapacityAvailable")[1:] == ("InsufficientGPU", ACCOUNT)


async def test_nobody_looks_where_it_is_not_switched_on() -> None:
    cluster = Cluster()
    cluster.accelerators = 0
    await cluster.apply("LLMService", "chat", ASKING)
    for _ in range(10):
        await cluster.round()
    assert looks(cluster) == 0
    assert cluster.condition("chat", "CapacityAvailable")[1] == "InsufficientGPU"
