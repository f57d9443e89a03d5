"""Cases: reading, creating, deleting, status, finalizers, selectors."""

from __future__ import annotations

import asyncio

import pytest

from pointsman.api.names import (
    CONFIGMAP,
    CONTROLLERREVISION,
    CORE_EVENT,
    DEPLOYMENT,
    EVENT,
    LLMROUTER,
    POD,
    ROLEBINDING,
    Resource,
)
from pointsman.kube import AlreadyExists, Conflict, Invalid, NotFound
from tests.conformance.stage import NAMESPACE, Stage, deployment_spec, obj
from tests.conformance.table import Table

OBJECTS = Table()
case = OBJECTS.case


@case("get: what isn't there is NotFound")
async def _(s: Stage) -> None:
    with pytest.raises(NotFound):
        await s.kube.get(CONFIGMAP, s.ns, "none")


@case("list: of nothing is empty")
async def _(s: Stage) -> None:
    assert await s.kube.list(LLMROUTER, s.ns) == []


@case("create: gives uid, version and time, and get shows the same")
async def _(s: Stage) -> None:
    made = await s.kube.create(obj(CONFIGMAP, s.ns, "a", data={"k": "v"}))
    assert made["metadata"]["uid"]
    assert made["metadata"]["resourceVersion"]
    assert made["metadata"]["creationTimestamp"].endswith("Z")
    assert await s.kube.get(CONFIGMAP, s.ns, "a") == made


@case("create: a name that is taken is AlreadyExists")
async def _(s: Stage) -> None:
    await s.kube.create(obj(CONFIGMAP, s.ns, "a"))
    with pytest.raises(AlreadyExists):
        await s.kube.create(obj(CONFIGMAP, s.ns, "a"))


@case("create: in a namespace that isn't there is NotFound")
async def _(s: Stage) -> None:
    with pytest.raises(NotFound):
        await s.kube.create(obj(CONFIGMAP, "no-such-namespace", "a"))


@case("create: a name with capitals is Invalid")
async def _(s: Stage) -> None:
    with pytest.raises(Invalid):
        await s.kube.create(obj(CONFIGMAP, s.ns, "Not-A-Name"))


@case("create: a label value of 64 characters is Invalid")
async def _(s: Stage) -> None:
    with pytest.raises(Invalid):
        await s.kube.create(obj(CONFIGMAP, s.ns, "a", labels={"l": "x" * 64}))


@case("create: status is left out")
async def _(s: Stage) -> None:
    made = await s.kube.create(obj(LLMROUTER, s.ns, "r", spec={}, status={"replicas": 3}))
    assert "replicas" not in made.get("status", {})


@case("create: a kind that isn't served is Invalid or NotFound, and `served` doesn't list it")
async def _(s: Stage) -> None:
    unknown = Resource("example.org", "v1", "Nothing", "nothings")
    with pytest.raises((Invalid, NotFound)):
        await s.kube.create(obj(unknown, s.ns, "a"))
    assert "LLMRouter" in await s.kube.served(LLMROUTER.api_version)
    assert await s.kube.served("example.org/v1") == frozenset()


@case("create: a selector, a frozen revision and a role reference can't be changed later")
async def _(s: Stage) -> None:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}
    await s.kube.apply(obj(DEPLOYMENT, s.ns, "d", spec=deployment_spec()), manager="m")
    await s.kube.apply(obj(CONTROLLERREVISION, s.ns, "c", data={"a": "1"}, revision=1), manager="m")
    await s.kube.apply(obj(ROLEBINDING, s.ns, "b", roleRef=role), manager="m")
    other = {"matchLabels": {"app": "x", "more": "y"}}
    changed = deployment_spec(selector=other)
    changed["template"]["metadata"]["labels"]["more"] = "y"
    for edited in (
        obj(DEPLOYMENT, s.ns, "d", spec=changed),
        obj(CONTROLLERREVISION, s.ns, "c", data={"a": "2"}, revision=1),
        obj(ROLEBINDING, s.ns, "b", roleRef={**role, "name": "other"}),
    ):
        with pytest.raises(Invalid):
            await s.kube.apply(edited, manager="m")


@case("apply: an annotation joins a frozen revision, whose data is given again as it was read")
async def _(s: Stage) -> None:
    data = {"z": {"b": [1, {"y": 2.5, "x": None}]}, "a": "ü", "number": 70553706496}
    await s.kube.apply(obj(CONTROLLERREVISION, s.ns, "c", data=data, revision=3), manager="m")
    (read,) = await s.kube.list(CONTROLLERREVISION, s.ns)
    again = obj(CONTROLLERREVISION, s.ns, "c", data=read["data"], revision=read["revision"])
    again["metadata"]["annotations"] = {"example.com/note": "{}"}
    written = await s.kube.apply(again, manager="m")
    assert written["metadata"]["annotations"]["example.com/note"] == "{}"
    assert (written["data"], written["revision"]) == (read["data"], 3)


@case("create again: another uid")
async def _(s: Stage) -> None:
    first = await s.kube.create(obj(CONFIGMAP, s.ns, "a"))
    await s.kube.delete(CONFIGMAP, s.ns, "a", uid=first["metadata"]["uid"])
    second = await s.kube.create(obj(CONFIGMAP, s.ns, "a"))
    assert first["metadata"]["uid"] != second["metadata"]["uid"]


@case("list: items carry their type, sorted by name")
async def _(s: Stage) -> None:
    for name in ("b", "c", "a"):
        await s.kube.create(obj(LLMROUTER, s.ns, name, spec={}))
    found = await s.kube.list(LLMROUTER, s.ns)
    assert [i["metadata"]["name"] for i in found] == ["a", "b", "c"]
    assert {(i["apiVersion"], i["kind"]) for i in found} == {(LLMROUTER.api_version, "LLMRouter")}


@case("list: of all namespaces holds this one's")
async def _(s: Stage) -> None:
    await s.kube.create(obj(LLMROUTER, s.ns, "everywhere", spec={}))
    found = await s.kube.list(LLMROUTER, None)
    assert (s.ns, "everywhere") in {(i["metadata"]["namespace"], i["metadata"]["name"]) for i in found}


@case("list: more than a page comes whole")
async def _(s: Stage) -> None:
    names = [f"n{number:04}" for number in range(510)]
    for start in range(0, len(names), 51):
        batch = names[start : start + 51]
        made = (s.kube.create(obj(CONFIGMAP, s.ns, name, labels={"many": "yes"})) for name in batch)
        await asyncio.gather(*made)
    found = await s.kube.list(CONFIGMAP, s.ns, labels="many=yes")
    assert [i["metadata"]["name"] for i in found] == names


@case("list: label selectors")
async def _(s: Stage) -> None:
    labels = {"one": {"app": "x", "tier": "a"}, "two": {"app": "x", "tier": "b"}, "three": {"app": "y"}}
    for name, given in labels.items():
        await s.kube.create(obj(LLMROUTER, s.ns, name, spec={}, labels=given))
    expected = {
        "app=x": {"one", "two"},
        "app==x,tier=b": {"two"},
        "app!=x": {"three"},
        "tier": {"one", "two"},
        "!tier": {"three"},
        "tier in (a, c)": {"one"},
        "tier notin (a)": {"two", "three"},
        "app=z": set(),
    }
    for selector, names in expected.items():
        found = await s.kube.list(LLMROUTER, s.ns, labels=selector)
        assert {i["metadata"]["name"] for i in found} == names, selector


@case("list: by name")
async def _(s: Stage) -> None:
    for name in ("a", "b"):
        await s.kube.create(obj(CONFIGMAP, s.ns, name))
    found = await s.kube.list(CONFIGMAP, s.ns, fields="metadata.name=b")
    assert [i["metadata"]["name"] for i in found] == ["b"]


@case("list: pods of all namespaces that aren't over")
async def _(s: Stage) -> None:
    pod = obj(POD, s.ns, "p", spec={"containers": [{"name": "c", "image": "i"}]})
    await s.kube.create(pod)
    found = await s.kube.list(POD, None, fields="status.phase!=Succeeded,status.phase!=Failed")
    assert (s.ns, "p") in {(i["metadata"]["namespace"], i["metadata"]["name"]) for i in found}
    over = await s.kube.list(POD, None, fields="status.phase=Failed")
    assert (s.ns, "p") not in {(i["metadata"]["namespace"], i["metadata"]["name"]) for i in over}


@case("list: a selector that can't be read, or a field that can't be selected by, is Invalid")
async def _(s: Stage) -> None:
    await s.kube.create(obj(CONFIGMAP, s.ns, "a"))
    with pytest.raises(Invalid):
        await s.kube.list(CONFIGMAP, s.ns, labels="a in (")
    with pytest.raises(Invalid):
        await s.kube.list(CONFIGMAP, s.ns, fields="data.k=v")


@case("status: a patch leaves spec and generation alone and gives a new version")
async def _(s: Stage) -> None:
    made = await s.kube.create(obj(LLMROUTER, s.ns, "r", spec={"replicas": 2}))
    version = made["metadata"]["resourceVersion"]
    after = await s.kube.patch_status(LLMROUTER, s.ns, "r", {"replicas": 1}, resource_version=version)
    assert after["status"]["replicas"] == 1
    assert after["spec"] == made["spec"]
    assert after["metadata"]["generation"] == made["metadata"]["generation"] == 1
    assert after["metadata"]["resourceVersion"] != version


@case("status: the same again changes nothing")
async def _(s: Stage) -> None:
    await s.kube.create(obj(LLMROUTER, s.ns, "r", spec={}))
    first = await s.kube.patch_status(LLMROUTER, s.ns, "r", {"replicas": 1}, resource_version=None)
    again = await s.kube.patch_status(LLMROUTER, s.ns, "r", {"replicas": 1}, resource_version=None)
    assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


@case("status: an old version is a Conflict and writes nothing")
async def _(s: Stage) -> None:
    made = await s.kube.create(obj(LLMROUTER, s.ns, "r", spec={}))
    await s.edit(LLMROUTER, "r", {"spec": {"replicas": 3}})
    with pytest.raises(Conflict):
        await s.kube.patch_status(
            LLMROUTER, s.ns, "r", {"replicas": 9}, resource_version=made["metadata"]["resourceVersion"]
        )
    assert "replicas" not in (await s.kube.get(LLMROUTER, s.ns, "r")).get("status", {})


@case("status: null takes a field away, a list is replaced")
async def _(s: Stage) -> None:
    def condition(kind: str) -> dict[str, object]:
        return {
            "type": kind,
            "status": "True",
            "reason": "Accepted",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
            "observedGeneration": 1,
        }

    await s.kube.create(obj(LLMROUTER, s.ns, "r", spec={}))
    full = {"replicas": 1, "readyReplicas": 1, "conditions": [condition("Ready"), condition("Available")]}
    await s.kube.patch_status(LLMROUTER, s.ns, "r", full, resource_version=None)
    less = {"readyReplicas": None, "conditions": [condition("Ready")]}
    after = await s.kube.patch_status(LLMROUTER, s.ns, "r", less, resource_version=None)
    assert after["status"]["replicas"] == 1
    assert "readyReplicas" not in after["status"]
    assert [c["type"] for c in after["status"]["conditions"]] == ["Ready"]


@case("status: a kind without one, or an object that isn't there, is NotFound")
async def _(s: Stage) -> None:
    await s.kube.create(obj(CONFIGMAP, s.ns, "a"))
    with pytest.raises(NotFound):
        await s.kube.patch_status(CONFIGMAP, s.ns, "a", {"x": 1}, resource_version=None)
    with pytest.raises(NotFound):
        await s.kube.patch_status(LLMROUTER, s.ns, "none", {"replicas": 1}, resource_version=None)


@case("status: an edit of the object doesn't touch it")
async def _(s: Stage) -> None:
    await s.kube.create(obj(LLMROUTER, s.ns, "r", spec={}))
    await s.kube.patch_status(LLMROUTER, s.ns, "r", {"replicas": 1}, resource_version=None)
    after = await s.edit(LLMROUTER, "r", {"spec": {"replicas": 2}, "status": {"replicas": 7}})
    assert (after["spec"]["replicas"], after["status"]["replicas"]) == (2, 1)


@case("finalizers: an old version is a Conflict, the present one replaces the list")
async def _(s: Stage) -> None:
    made = await s.kube.create(obj(LLMROUTER, s.ns, "r", spec={}))
    version = made["metadata"]["resourceVersion"]
    held = await s.kube.patch_finalizers(
        LLMROUTER, s.ns, "r", ["pointsman.dev/cleanup"], resource_version=version
    )
    assert held["metadata"]["finalizers"] == ["pointsman.dev/cleanup"]
    assert held["metadata"]["generation"] == 1
    with pytest.raises(Conflict):
        await s.kube.patch_finalizers(LLMROUTER, s.ns, "r", [], resource_version=version)


@case("delete: an object with a finalizer stays, marked, until the finalizer goes")
async def _(s: Stage) -> None:
    made = await s.kube.create(obj(LLMROUTER, s.ns, "r", spec={}, finalizers=["pointsman.dev/cleanup"]))
    await s.kube.delete(LLMROUTER, s.ns, "r", uid=made["metadata"]["uid"])
    marked = await s.kube.get(LLMROUTER, s.ns, "r")
    assert marked["metadata"]["deletionTimestamp"]
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 0
    assert marked["metadata"]["generation"] == 2
    await s.kube.delete(LLMROUTER, s.ns, "r", uid=made["metadata"]["uid"])
    marked = await s.kube.get(LLMROUTER, s.ns, "r")
    await s.kube.patch_finalizers(
        LLMROUTER, s.ns, "r", [], resource_version=marked["metadata"]["resourceVersion"]
    )
    with pytest.raises(NotFound):
        await s.kube.get(LLMROUTER, s.ns, "r")


@case("delete: what is going takes no new finalizer, but status and spec can be written")
async def _(s: Stage) -> None:
    made = await s.kube.create(obj(LLMROUTER, s.ns, "r", spec={}, finalizers=["pointsman.dev/cleanup"]))
    await s.kube.delete(LLMROUTER, s.ns, "r", uid=made["metadata"]["uid"])
    marked = await s.kube.get(LLMROUTER, s.ns, "r")
    with pytest.raises(Invalid):
        await s.kube.patch_finalizers(
            LLMROUTER,
            s.ns,
            "r",
            ["pointsman.dev/cleanup", "example.org/new"],
            resource_version=marked["metadata"]["resourceVersion"],
        )
    after = await s.kube.patch_status(LLMROUTER, s.ns, "r", {"replicas": 1}, resource_version=None)
    assert after["status"]["replicas"] == 1


@case("delete: with another uid is a Conflict, of nothing is NotFound")
async def _(s: Stage) -> None:
    made = await s.kube.create(obj(CONFIGMAP, s.ns, "a"))
    with pytest.raises(Conflict):
        await s.kube.delete(CONFIGMAP, s.ns, "a", uid="00000000-0000-0000-0000-000000000000")
    assert await s.kube.get(CONFIGMAP, s.ns, "a") == made
    await s.kube.delete(CONFIGMAP, s.ns, "a", uid=made["metadata"]["uid"])
    with pytest.raises(NotFound):
        await s.kube.delete(CONFIGMAP, s.ns, "a", uid=made["metadata"]["uid"])


@case("events: written by the new API, found by the core API and the object they are about")
async def _(s: Stage) -> None:
    event = obj(
        EVENT,
        s.ns,
        "r.1",
        regarding={"apiVersion": LLMROUTER.api_version, "kind": "LLMRouter", "name": "r", "namespace": s.ns},
        type="Warning",
        reason="Because",
        action="Reconcile",
        note="so it is",
        eventTime="2026-01-01T00:00:00.000000Z",
        reportingController="pointsman.dev/operator",
        reportingInstance="x",
    )
    await s.kube.apply(event, manager="m")
    again = {**event, "series": {"count": 2, "lastObservedTime": "2026-01-01T00:01:00.000000Z"}}
    await s.kube.apply(again, manager="m")
    fields = "involvedObject.kind=LLMRouter,type=Warning"
    (found,) = await s.kube.list(CORE_EVENT, s.ns, fields=fields)
    assert (found["message"], found["involvedObject"]["name"]) == ("so it is", "r")
    assert found["apiVersion"] == "v1"
    assert found["series"]["count"] == 2
    assert await s.kube.list(CORE_EVENT, s.ns, fields="involvedObject.kind=Pod") == []


@case("cluster-wide kinds are addressed without a namespace")
async def _(s: Stage) -> None:
    await s.kube.apply(obj(NAMESPACE, None, f"{s.ns}-more", labels={"a": "b"}), manager="m")
    assert (await s.kube.get(NAMESPACE, None, f"{s.ns}-more"))["metadata"]["labels"]["a"] == "b"


@case("preview: what would be created, and isn't")
async def _(s: Stage) -> None:
    found = await s.kube.preview(obj(CONFIGMAP, s.ns, "p", data={"x": "1"}))
    assert found["data"] == {"x": "1"}
    assert found["metadata"]["uid"]
    with pytest.raises(NotFound):
        await s.kube.get(CONFIGMAP, s.ns, "p")


@case("preview: what would be changed, and isn't")
async def _(s: Stage) -> None:
    made = await s.kube.create(obj(CONFIGMAP, s.ns, "p", data={"x": "1", "y": "1"}))
    found = await s.kube.preview(obj(CONFIGMAP, s.ns, "p"), {"data": {"x": "2", "y": None}})
    assert found["data"] == {"x": "2"}
    assert found["metadata"]["uid"] == made["metadata"]["uid"]
    there = await s.kube.get(CONFIGMAP, s.ns, "p")
    assert (there["data"], there["metadata"]["resourceVersion"]) == (
        {"x": "1", "y": "1"},
        made["metadata"]["resourceVersion"],
    )


@case("preview: of what is there already is an AlreadyExists, of what isn't a NotFound")
async def _(s: Stage) -> None:
    await s.kube.create(obj(CONFIGMAP, s.ns, "p", data={"x": "1"}))
    with pytest.raises(AlreadyExists):
        await s.kube.preview(obj(CONFIGMAP, s.ns, "p", data={"x": "2"}))
    with pytest.raises(NotFound):
        await s.kube.preview(obj(CONFIGMAP, s.ns, "q"), {"data": {"x": "2"}})


@case("overwrite: another uid is Invalid")
async def _(s: Stage) -> None:
    made = await s.kube.create(obj(CONFIGMAP, s.ns, "a", data={"x": "1"}))
    wrong = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(Invalid):
        await s.kube.overwrite(obj(CONFIGMAP, s.ns, "a", data={"x": "2"}, uid=wrong))
    await s.kube.overwrite(obj(CONFIGMAP, s.ns, "a", data={"x": "2"}, uid=made["metadata"]["uid"]))
    assert (await s.kube.get(CONFIGMAP, s.ns, "a"))["data"] == {"x": "2"}
