"""Cases: what the garbage collector does with children when their owner goes."""

from __future__ import annotations

import pytest

from pointsman.api.names import CONFIGMAP, LLMROUTER, Resource
from pointsman.kube import NotFound, Object
from tests.conformance.stage import Stage, obj, owner
from tests.conformance.table import Table

GARBAGE = Table()
case = GARBAGE.case


@case("garbage: in the background, children go after their owner")
async def _(s: Stage) -> None:
    parent = await s.kube.create(obj(LLMROUTER, s.ns, "r", spec={}))
    await s.kube.create(obj(CONFIGMAP, s.ns, "child", owners=[owner(parent)]))
    await s.kube.delete(LLMROUTER, s.ns, "r", uid=parent["metadata"]["uid"])
    with pytest.raises(NotFound):
        await s.kube.get(LLMROUTER, s.ns, "r")
    assert await s.eventually(lambda: _gone(s, CONFIGMAP, "child"))


@case("garbage: in the foreground, the owner stays visible until a blocking child is gone")
async def _(s: Stage) -> None:
    parent = await s.kube.create(obj(LLMROUTER, s.ns, "r", spec={}))
    await s.kube.create(
        obj(CONFIGMAP, s.ns, "child", owners=[owner(parent)], finalizers=["example.org/held"])
    )
    uid = parent["metadata"]["uid"]
    await _known_to_the_collector(s, parent)
    await s.kube.delete(LLMROUTER, s.ns, "r", uid=uid, propagation="Foreground")
    assert await s.eventually(lambda: _going(s, CONFIGMAP, "child"))
    waiting = await s.kube.get(LLMROUTER, s.ns, "r")
    assert waiting["metadata"]["finalizers"] == ["foregroundDeletion"]
    child = await s.kube.get(CONFIGMAP, s.ns, "child")
    await s.kube.patch_finalizers(
        CONFIGMAP, s.ns, "child", [], resource_version=child["metadata"]["resourceVersion"]
    )
    assert await s.eventually(lambda: _gone(s, LLMROUTER, "r"))


@case("garbage: orphaned children stay and forget their owner")
async def _(s: Stage) -> None:
    parent = await s.kube.create(obj(LLMROUTER, s.ns, "r", spec={}))
    await s.kube.create(obj(CONFIGMAP, s.ns, "child", owners=[owner(parent)]))
    await _known_to_the_collector(s, parent)
    await s.kube.delete(LLMROUTER, s.ns, "r", uid=parent["metadata"]["uid"], propagation="Orphan")
    assert await s.eventually(lambda: _gone(s, LLMROUTER, "r"))
    assert "ownerReferences" not in (await s.kube.get(CONFIGMAP, s.ns, "child"))["metadata"]


@case("garbage: a child of two owners outlives the first")
async def _(s: Stage) -> None:
    first = await s.kube.create(obj(LLMROUTER, s.ns, "one", spec={}))
    second = await s.kube.create(obj(LLMROUTER, s.ns, "two", spec={}))
    both = [owner(first, controller=False), owner(second, controller=False)]
    await s.kube.create(obj(CONFIGMAP, s.ns, "child", owners=both))
    await s.kube.delete(LLMROUTER, s.ns, "one", uid=first["metadata"]["uid"])

    async def one_left() -> bool:
        child = await s.kube.get(CONFIGMAP, s.ns, "child")
        return [o["name"] for o in child["metadata"]["ownerReferences"]] == ["two"]

    assert await s.eventually(one_left)
    await s.kube.delete(LLMROUTER, s.ns, "two", uid=second["metadata"]["uid"])
    assert await s.eventually(lambda: _gone(s, CONFIGMAP, "child"))


async def _gone(s: Stage, resource: Resource, name: str) -> bool:
    try:
        await s.kube.get(resource, s.ns, name)
    except NotFound:
        return True
    return False


async def _going(s: Stage, resource: Resource, name: str) -> bool:
    return "deletionTimestamp" in (await s.kube.get(resource, s.ns, name))["metadata"]


async def _known_to_the_collector(s: Stage, parent: Object) -> None:
    """Returns once the real collector has seen the ConfigMaps there are.

    It works from watches: an owner that goes before its child was seen has no child in its eyes.
    It takes one kind's changes in their order, so when it has removed one with a dead owner, it knows those
    before.
    """
    dead = {**owner(parent), "uid": "00000000-0000-0000-0000-000000000000"}
    await s.kube.create(obj(CONFIGMAP, s.ns, "later", owners=[dead]))
    assert await s.eventually(lambda: _gone(s, CONFIGMAP, "later"))
