"""Cases: server-side apply, its owners, its merging, and what counts as a change."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.api.names import (
    CONFIGMAP,
    CONTROLLERREVISION,
    DEPLOYMENT,
    JOB,
    LLMROUTER,
    NETWORKPOLICY,
    PDB,
    ROLE,
    ROLEBINDING,
    SERVICE,
    SERVICEACCOUNT,
    Resource,
)
from pointsman.kube import Conflict, Invalid, NotFound
from tests.conformance.stage import Stage, containers_of, deployment_spec, obj, owner
from tests.conformance.table import Table

APPLYING = Table()
case = APPLYING.case

SAMPLES: dict[Resource, dict[str, Any]] = {
    CONFIGMAP: {"data": {"k": "v"}},
    CONTROLLERREVISION: {"data": {"a": {"b": [1, 2]}}, "revision": 1},
    LLMROUTER: {"spec": {"replicas": 2}},
    NETWORKPOLICY: {
        "spec": {
            "podSelector": {"matchLabels": {"app": "x"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {}}], "ports": [{"port": 80, "protocol": "TCP"}]}],
        }
    },
    PDB: {"spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "x"}}}},
    ROLE: {"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]},
    ROLEBINDING: {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": "n"}],
    },
    SERVICE: {
        "spec": {
            "clusterIP": "None",
            "selector": {"app": "x"},
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
        }
    },
    SERVICEACCOUNT: {"automountServiceAccountToken": False},
}


def _identical(resource: Resource, body: dict[str, Any]) -> None:
    @case(f"apply: the same {resource.kind} again changes nothing")
    async def _(s: Stage) -> None:
        intent = obj(resource, s.ns, "same", labels={"l": "1"}, **body)
        versions = [(await s.kube.apply(intent, manager="m"))["metadata"]["resourceVersion"]]
        # A controller may write a status in between (of a new budget it does), but not time after time.
        while len(versions) < 20:
            again = await s.kube.apply(intent, manager="m")
            versions.append(again["metadata"]["resourceVersion"])
            if versions[-1] == versions[-2]:
                return
        raise AssertionError(f"every apply was a change: {versions}")


for _resource, _body in SAMPLES.items():
    _identical(_resource, _body)


@case("apply: the same Deployment or Job again starts no new generation")
async def _(s: Stage) -> None:
    template = {
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "example/one:1"}]}
    }
    samples = ((DEPLOYMENT, deployment_spec()), (JOB, {"suspend": True, "template": template}))
    for resource, spec in samples:
        intent = obj(resource, s.ns, "same", spec=spec)
        await s.kube.apply(intent, manager="m")
        again = await s.kube.apply(intent, manager="m")
        assert again["metadata"]["generation"] == 1


@case("apply: a field that's no longer stated goes with its only owner")
async def _(s: Stage) -> None:
    await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "1", "y": "2"}, labels={"l": "1"}), manager="m")
    after = await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "1"}), manager="m")
    assert after["data"] == {"x": "1"}
    assert "labels" not in after["metadata"]


@case("apply: another applier's fields stay")
async def _(s: Stage) -> None:
    await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "1"}), manager="m")
    await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"y": "2"}), manager="other")
    after = await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "3"}), manager="m")
    assert after["data"] == {"x": "3", "y": "2"}


@case("apply: a field two appliers state stays until both have dropped it")
async def _(s: Stage) -> None:
    for manager in ("m", "other"):
        await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "1"}), manager=manager, force=False)
    after = await s.kube.apply(obj(CONFIGMAP, s.ns, "a"), manager="m")
    assert after["data"] == {"x": "1"}
    after = await s.kube.apply(obj(CONFIGMAP, s.ns, "a"), manager="other")
    assert "data" not in after


@case("apply: a field a hand added stays")
async def _(s: Stage) -> None:
    await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "1"}), manager="m")
    await s.edit(CONFIGMAP, "a", {"data": {"y": "2"}, "metadata": {"annotations": {"by": "hand"}}})
    after = await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "1"}), manager="m")
    assert after["data"] == {"x": "1", "y": "2"}
    assert after["metadata"]["annotations"] == {"by": "hand"}


@case("apply: a field a hand changed is a Conflict that names it and its owner, and comes back by force")
async def _(s: Stage) -> None:
    intent = obj(CONFIGMAP, s.ns, "a", data={"x": "1"})
    await s.kube.apply(intent, manager="m")
    await s.edit(CONFIGMAP, "a", {"data": {"x": "9"}}, by="somebody")
    with pytest.raises(Conflict) as caught:
        await s.kube.apply(intent, manager="m", force=False)
    assert "somebody" in caught.value.message
    assert ".data.x" in caught.value.message
    after = await s.kube.apply(intent, manager="m")
    assert after["data"] == {"x": "1"}


@case("apply: a field a hand took away comes back")
async def _(s: Stage) -> None:
    intent = obj(CONFIGMAP, s.ns, "a", data={"x": "1"}, labels={"l": "1"})
    await s.kube.apply(intent, manager="m")
    await s.edit(CONFIGMAP, "a", {"data": {"x": None}, "metadata": {"labels": None}})
    after = await s.kube.apply(intent, manager="m", force=False)
    assert after["data"] == {"x": "1"}
    assert after["metadata"]["labels"] == {"l": "1"}


@case("overwrite: a port that a hand renumbered makes every apply invalid until it's written over")
async def _(s: Stage) -> None:
    intent = obj(SERVICE, s.ns, "o", spec={"ports": [{"name": "http", "port": 80}]})
    await s.kube.apply(intent, manager="m")
    await s.edit(SERVICE, "o", {"spec": {"ports": [{"name": "http", "port": 81, "protocol": "TCP"}]}})
    with pytest.raises(Invalid):
        await s.kube.apply(intent, manager="m")
    await s.kube.overwrite(intent)
    mended = await s.kube.apply(intent, manager="m")
    assert [port["port"] for port in mended["spec"]["ports"]] == [80]
    assert not [
        m for m in mended["metadata"].get("managedFields") or () if m["manager"] == "pointsman-repair"
    ]


@case("overwrite: of what isn't there is a NotFound")
async def _(s: Stage) -> None:
    with pytest.raises(NotFound):
        await s.kube.overwrite(obj(CONFIGMAP, s.ns, "o", data={"k": "v"}))


@case("apply: over somebody's object without force, only where nothing differs")
async def _(s: Stage) -> None:
    await s.kube.create(obj(CONFIGMAP, s.ns, "a", data={"x": "theirs"}), manager="them")
    with pytest.raises(Conflict):
        await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "ours"}), manager="m", force=False)
    after = await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "theirs"}), manager="m", force=False)
    assert after["data"] == {"x": "theirs"}


@case("apply: what was created under the same name by a plain write stays after it's dropped")
async def _(s: Stage) -> None:
    await s.kube.create(obj(CONFIGMAP, s.ns, "a", data={"x": "1", "y": "2"}), manager="m")
    await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "1", "y": "2"}), manager="m")
    after = await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "1"}), manager="m")
    assert after["data"] == {"x": "1", "y": "2"}


@case("apply: the present version passes, an old one is a Conflict")
async def _(s: Stage) -> None:
    made = await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "1"}), manager="m")
    version = made["metadata"]["resourceVersion"]
    after = await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "2"}, version=version), manager="m")
    assert after["data"] == {"x": "2"}
    with pytest.raises(Conflict):
        await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "3"}, version=version), manager="m")


@case("apply: another uid is a Conflict")
async def _(s: Stage) -> None:
    made = await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "1"}), manager="m")
    right, wrong = made["metadata"]["uid"], "00000000-0000-0000-0000-000000000000"
    with pytest.raises(Conflict):
        await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "2"}, uid=wrong), manager="m")
    after = await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "2"}, uid=right), manager="m")
    assert after["data"] == {"x": "2"}


@case("apply: a uid for an object that isn't there is a Conflict and makes nothing")
async def _(s: Stage) -> None:
    uid = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(Conflict):
        await s.kube.apply(obj(CONFIGMAP, s.ns, "a", data={"x": "1"}, uid=uid), manager="m")
    with pytest.raises(NotFound):
        await s.kube.get(CONFIGMAP, s.ns, "a")


@case("apply: status in the intent is ignored")
async def _(s: Stage) -> None:
    await s.kube.apply(obj(LLMROUTER, s.ns, "r", spec={}), manager="m")
    await s.kube.patch_status(LLMROUTER, s.ns, "r", {"replicas": 1}, resource_version=None)
    after = await s.kube.apply(obj(LLMROUTER, s.ns, "r", spec={}, status={"replicas": 5}), manager="m")
    assert after["status"]["replicas"] == 1


@case("generation: follows spec, not labels")
async def _(s: Stage) -> None:
    for resource in (DEPLOYMENT, NETWORKPOLICY, PDB, LLMROUTER):
        spec = SAMPLES.get(resource, {"spec": deployment_spec()})["spec"]
        await s.kube.apply(obj(resource, s.ns, "g", spec=spec), manager="m")
        labelled = await s.kube.apply(obj(resource, s.ns, "g", spec=spec, labels={"l": "1"}), manager="m")
        assert labelled["metadata"]["generation"] == 1, resource.kind
        changes: dict[Resource, dict[str, Any]] = {
            DEPLOYMENT: {"minReadySeconds": 5},
            NETWORKPOLICY: {"policyTypes": ["Ingress", "Egress"]},
            PDB: {"maxUnavailable": 2},
            LLMROUTER: {"replicas": 3},
        }
        change = changes[resource]
        after = await s.kube.apply(obj(resource, s.ns, "g", spec={**spec, **change}), manager="m")
        assert after["metadata"]["generation"] == 2, resource.kind


@case("generation: ConfigMaps, Services and ControllerRevisions have none")
async def _(s: Stage) -> None:
    for resource in (CONFIGMAP, SERVICE, CONTROLLERREVISION):
        made = await s.kube.apply(obj(resource, s.ns, "n", **SAMPLES[resource]), manager="m")
        assert "generation" not in made["metadata"]


@case("owners: two appliers each keep their own reference")
async def _(s: Stage) -> None:
    one = await s.kube.create(obj(LLMROUTER, s.ns, "one", spec={}))
    two = await s.kube.create(obj(LLMROUTER, s.ns, "two", spec={}))
    refs = [owner(one, controller=False), owner(two, controller=False)]
    await s.kube.apply(obj(CONFIGMAP, s.ns, "c", owners=[refs[0]]), manager="m1")
    both = await s.kube.apply(obj(CONFIGMAP, s.ns, "c", owners=[refs[1]]), manager="m2")
    assert {o["name"] for o in both["metadata"]["ownerReferences"]} == {"one", "two"}
    left = await s.kube.apply(obj(CONFIGMAP, s.ns, "c"), manager="m1")
    assert [o["name"] for o in left["metadata"]["ownerReferences"]] == ["two"]


@case("owners: one applier's list is what it states now")
async def _(s: Stage) -> None:
    one = await s.kube.create(obj(LLMROUTER, s.ns, "one", spec={}))
    two = await s.kube.create(obj(LLMROUTER, s.ns, "two", spec={}))
    refs = [owner(one, controller=False), owner(two, controller=False)]
    await s.kube.apply(obj(CONFIGMAP, s.ns, "c", owners=refs), manager="m")
    after = await s.kube.apply(obj(CONFIGMAP, s.ns, "c", owners=refs[1:]), manager="m")
    assert [o["name"] for o in after["metadata"]["ownerReferences"]] == ["two"]


def _main(*env: str, image: str = "example/one:1") -> dict[str, Any]:
    listed = [{"name": pair.partition("=")[0], "value": pair.partition("=")[2]} for pair in env]
    return {"name": "main", "image": image, **({"env": listed} if listed else {})}


async def _foreign_template(s: Stage, containers: list[dict[str, Any]]) -> None:
    await s.kube.apply(
        obj(
            DEPLOYMENT,
            s.ns,
            "d",
            spec={"template": {"spec": {"containers": containers}}},
        ),
        manager="injector",
    )


@case("pods: variables merge by name, and somebody else's stay")
async def _(s: Stage) -> None:
    await s.kube.apply(obj(DEPLOYMENT, s.ns, "d", spec=deployment_spec(_main("A=1", "B=2"))), manager="m")
    await _foreign_template(s, [{"name": "main", "env": [{"name": "X", "value": "y"}]}])
    after = await s.kube.apply(obj(DEPLOYMENT, s.ns, "d", spec=deployment_spec(_main("A=1"))), manager="m")
    env = {e["name"]: e["value"] for e in containers_of(after)["main"]["env"]}
    assert env == {"A": "1", "X": "y"}


@case("pods: another order of variables is a new generation")
async def _(s: Stage) -> None:
    await s.kube.apply(obj(DEPLOYMENT, s.ns, "d", spec=deployment_spec(_main("A=1", "B=2"))), manager="m")
    after = await s.kube.apply(
        obj(DEPLOYMENT, s.ns, "d", spec=deployment_spec(_main("B=2", "A=1"))), manager="m"
    )
    assert [e["name"] for e in containers_of(after)["main"]["env"]] == ["B", "A"]
    assert after["metadata"]["generation"] == 2


@case("pods: a sidecar somebody injected stays")
async def _(s: Stage) -> None:
    await s.kube.apply(obj(DEPLOYMENT, s.ns, "d", spec=deployment_spec(_main())), manager="m")
    await _foreign_template(s, [{"name": "side", "image": "example/side:1"}])
    after = await s.kube.apply(
        obj(DEPLOYMENT, s.ns, "d", spec=deployment_spec(_main(image="example/one:2"))), manager="m"
    )
    assert set(containers_of(after)) == {"main", "side"}
    assert containers_of(after)["main"]["image"] == "example/one:2"


@case("pods: renaming a container drops the old one with what others put inside")
async def _(s: Stage) -> None:
    await s.kube.apply(obj(DEPLOYMENT, s.ns, "d", spec=deployment_spec(_main())), manager="m")
    container = {**_main("X=y")}
    await s.edit(DEPLOYMENT, "d", {"spec": {"template": {"spec": {"containers": [container]}}}})
    renamed = {**_main(), "name": "renamed"}
    after = await s.kube.apply(obj(DEPLOYMENT, s.ns, "d", spec=deployment_spec(renamed)), manager="m")
    assert set(containers_of(after)) == {"renamed"}


@case("pods: ports are told apart by number and protocol")
async def _(s: Stage) -> None:
    ports = [
        {"containerPort": 53, "protocol": "UDP", "name": "u"},
        {"containerPort": 53, "protocol": "TCP", "name": "t"},
    ]
    both = {**_main(), "ports": ports}
    await s.kube.apply(obj(DEPLOYMENT, s.ns, "d", spec=deployment_spec(both)), manager="m")
    one = {**_main(), "ports": ports[1:]}
    after = await s.kube.apply(obj(DEPLOYMENT, s.ns, "d", spec=deployment_spec(one)), manager="m")
    assert [p["name"] for p in containers_of(after)["main"]["ports"]] == ["t"]


@case("pods: volumes merge by name, mounts by path")
async def _(s: Stage) -> None:
    def spec(*names: str) -> dict[str, Any]:
        mounts = [{"name": name, "mountPath": f"/{name}"} for name in names]
        result = deployment_spec({**_main(), "volumeMounts": mounts})
        result["template"]["spec"]["volumes"] = [{"name": name, "emptyDir": {}} for name in names]
        return result

    await s.kube.apply(obj(DEPLOYMENT, s.ns, "d", spec=spec("a", "b")), manager="m")
    after = await s.kube.apply(obj(DEPLOYMENT, s.ns, "d", spec=spec("b")), manager="m")
    assert [v["name"] for v in after["spec"]["template"]["spec"]["volumes"]] == ["b"]
    assert [m["mountPath"] for m in containers_of(after)["main"]["volumeMounts"]] == ["/b"]


@case("replicas: somebody's scaling is a Conflict, is taken back by force, and falls to 1 when dropped")
async def _(s: Stage) -> None:
    intent = obj(DEPLOYMENT, s.ns, "d", spec={**deployment_spec(), "replicas": 2, "paused": True})
    await s.kube.apply(intent, manager="m")
    await s.edit(DEPLOYMENT, "d", {"spec": {"replicas": 3}}, by="scaler")
    with pytest.raises(Conflict):
        await s.kube.apply(intent, manager="m", force=False)
    after = await s.kube.apply(intent, manager="m")
    assert after["spec"]["replicas"] == 2
    del intent["spec"]["replicas"]
    after = await s.kube.apply(intent, manager="m")
    assert after["spec"]["replicas"] == 1


@case("replicas: shared with another applier, they stay when we drop them")
async def _(s: Stage) -> None:
    intent = obj(DEPLOYMENT, s.ns, "d", spec={**deployment_spec(), "replicas": 2, "paused": True})
    await s.kube.apply(intent, manager="m")
    await s.kube.apply(obj(DEPLOYMENT, s.ns, "d", spec={"replicas": 2}), manager="scaler")
    del intent["spec"]["replicas"]
    after = await s.kube.apply(intent, manager="m")
    assert after["spec"]["replicas"] == 2


@case("services: the selector is one value, ports are told apart by number")
async def _(s: Stage) -> None:
    def spec(selector: dict[str, str], *ports: int) -> dict[str, Any]:
        listed = [{"name": f"p{port}", "port": port, "protocol": "TCP"} for port in ports]
        return {"clusterIP": "None", "selector": selector, "ports": listed}

    await s.kube.apply(obj(SERVICE, s.ns, "s", spec=spec({"app": "x", "v": "1"}, 80, 81)), manager="m")
    after = await s.kube.apply(obj(SERVICE, s.ns, "s", spec=spec({"app": "x"}, 81)), manager="m")
    assert after["spec"]["selector"] == {"app": "x"}
    assert [p["port"] for p in after["spec"]["ports"]] == [81]


@case("finalizers: an applier adds its own to the set")
async def _(s: Stage) -> None:
    await s.kube.create(obj(CONFIGMAP, s.ns, "a", finalizers=["example.org/theirs"]))
    after = await s.kube.apply(obj(CONFIGMAP, s.ns, "a", finalizers=["example.org/ours"]), manager="m")
    assert set(after["metadata"]["finalizers"]) == {"example.org/ours", "example.org/theirs"}
    after = await s.kube.apply(obj(CONFIGMAP, s.ns, "a"), manager="m")
    assert after["metadata"]["finalizers"] == ["example.org/theirs"]
    after = await s.kube.patch_finalizers(
        CONFIGMAP, s.ns, "a", [], resource_version=after["metadata"]["resourceVersion"]
    )
    assert "finalizers" not in after["metadata"]
