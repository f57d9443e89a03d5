"""O10: a hand at a field that we own is undone; a field that isn't ours stays as it is."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

import pytest

from pointsman.api import names
from pointsman.core import patch
from pointsman.kube.protocol import Invalid
from pointsman.kube.store import Address
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.drift import children, content, edits
from tests.simulation.stories import serving
from tests.simulation.worlds import PROXIED

SPEC: dict[str, Any] = {
    "model": {"source": {"uri": "pvc://models/tiny"}},
    "hardware": {
        "accelerator": {"resource": "nvidia.com/gpu", "count": 1},
        "nodeSelector": {"zone": "a"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
    },
    "engine": {"env": {"LEVEL": "1"}},
    "pod": {"labels": {"team": "a"}, "annotations": {"example.com/owner": "a"}},
}


WRITTEN_ONCE = ("ControllerRevision",)
"""Kinds that are history: the server lets nobody change their data, and nothing else of them is read."""


async def served() -> Cluster:
    cluster = Cluster(PROXIED)
    await cluster.apply(
        "LLMRouter", "default", {"service": {"annotations": {"cloud": "internal"}}, "tls": {}}
    )
    await serving(cluster, SPEC)
    return cluster


async def edit(cluster: Cluster, address: Address, obj: Any) -> bool:
    """What `kubectl edit` does; False where the server refuses it."""
    found = cluster.kube.store.objects[address].obj
    try:
        await cluster.kube.edit(names.RESOURCES[address[1]], NAMESPACE, address[3], patch.between(found, obj))
    except Invalid:
        return False
    return True


async def test_every_field_that_we_own_is_restored() -> None:
    cluster = await served()
    wanted = {address: content(stored.obj) for address, stored in children(cluster).items()}
    # One edit of each child at a time: they don't depend on each other.
    lists = [
        [(address, *one) for one in edits(stored)]
        for address, stored in children(cluster).items()
        if address[1] not in WRITTEN_ONCE
    ]
    tried, refused = 0, 0
    for together in zip_longest(*lists):
        done = []
        for address, path, obj in filter(None, together):
            if await edit(cluster, address, obj):
                done.append((address, path))
            else:
                refused += 1
        for _ in range(3):
            await cluster.round()
        tried += len(done)
        for address, path in done:
            found = cluster.kube.store.objects.get(address)
            assert found is not None, (address, path)
            assert content(found.obj) == wanted[address], (address, path)
    assert tried > 300, tried
    assert refused < tried / 10, refused


async def test_a_revision_is_written_once_and_found_without_its_label_too() -> None:
    cluster = await served()
    ((address, stored),) = [(a, s) for a, s in children(cluster).items() if a[1] in WRITTEN_ONCE]
    data, engines = stored.obj["data"], cluster.find("Deployment", address[3])
    unlabelled = {"metadata": {"labels": {names.LABEL_SERVICE: None}}}
    await cluster.kube.edit(names.CONTROLLERREVISION, NAMESPACE, address[3], unlabelled)
    await cluster.settle()
    assert cluster.kube.store.objects[address].obj["data"] == data
    assert content(cluster.find("Deployment", address[3])) == content(engines)
    assert cluster.condition("chat", "Ready")[0] == "True"
    with pytest.raises(Invalid):
        await cluster.kube.edit(names.CONTROLLERREVISION, NAMESPACE, address[3], {"data": {"image": "x"}})


async def test_what_a_hand_disowned_is_no_longer_ours_and_status_says_so() -> None:
    cluster = await served()
    await cluster.kube.edit(
        names.SERVICE,
        NAMESPACE,
        "chat-engine",
        {"metadata": {"ownerReferences": None}, "spec": {"ports": []}},
    )
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[:2] == ("False", "ObjectNotOwned")
    assert cluster.find("Service", "chat-engine")["spec"]["ports"] == []


FOREIGN: dict[str, dict[str, Any]] = {
    "Deployment": {"spec": {"minReadySeconds": 5, "template": {"spec": {"hostname": "theirs"}}}},
    "Service": {"spec": {"externalTrafficPolicy": "Local"}},
    "NetworkPolicy": {},
    "PodDisruptionBudget": {"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}},
    "ConfigMap": {"data": {"theirs": "x"}},
}


async def test_a_field_that_isnt_ours_stays_and_is_nothing_to_fight_about() -> None:
    cluster = await served()
    for address in children(cluster):
        labels = {"metadata": {"labels": {"theirs": "x"}, "annotations": {"theirs": "x"}}}
        theirs = {**FOREIGN.get(address[1], {}), **labels}
        await cluster.kube.edit(names.RESOURCES[address[1]], NAMESPACE, address[3], theirs)
    edited = {address: content(stored.obj) for address, stored in children(cluster).items()}
    for _ in range(3):
        await cluster.round()
    version = cluster.kube.store.version
    cluster.restart(PROXIED)
    for _ in range(3):
        await cluster.round()
    assert {address: content(stored.obj) for address, stored in children(cluster).items()} == edited
    assert cluster.kube.store.version == version
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_every_child_that_a_hand_deleted_comes_back() -> None:
    cluster = await served()
    wanted = set(children(cluster))
    for address, stored in children(cluster).items():
        resource = names.RESOURCES[address[1]]
        await cluster.kube.delete(resource, NAMESPACE, address[3], uid=stored.obj["metadata"]["uid"])
        await cluster.settle()
        assert set(children(cluster)) == wanted, address
    assert cluster.condition("chat", "Ready")[0] == "True"
