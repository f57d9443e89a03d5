"""Carrying out a plan: order, force, what's skipped, where it stops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pointsman.api.names import CONFIGMAP, CONTROLLERREVISION, DEPLOYMENT, LLMROUTER, SERVICE
from pointsman.core.inventory import Deletion, Plan
from pointsman.engine.apply import Applier
from pointsman.kube import Conflict, Forbidden, NotFound, Retryable
from pointsman.kube.twin import Call, MemoryKube

NS = "team-a"


def manifest(kind: str, name: str, **body: Any) -> dict[str, Any]:
    version = {"Deployment": "apps/v1", "ControllerRevision": "apps/v1"}.get(kind, "v1")
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": NS}, **body}


def config(name: str = "c", **data: str) -> dict[str, Any]:
    return manifest("ConfigMap", name, data=data or {"k": "v"})


def deployment(image: str = "example/one:1") -> dict[str, Any]:
    containers = [{"name": "main", "image": image}]
    return manifest("Deployment", "d", spec={"template": {"spec": {"containers": containers}}})


def writes(kube: MemoryKube) -> list[tuple[str, str]]:
    return [(call.verb, call.name) for call in kube.calls if call.writes]


async def observed(kube: MemoryKube) -> list[Any]:
    found = [await kube.list(r, NS) for r in (CONFIGMAP, DEPLOYMENT, CONTROLLERREVISION, SERVICE)]
    return [obj for objects in found for obj in objects]


async def test_what_is_new_is_applied_and_what_is_unchanged_is_not_sent() -> None:
    kube, outcomes = MemoryKube(), []
    applier = Applier(kube, observe=lambda kind, outcome: outcomes.append((kind, outcome)))
    plan = Plan(apply=(config(), deployment()))
    first = await applier.execute(plan, NS, observed=[])
    assert first.changed == (("ConfigMap", "c"), ("Deployment", "d"))
    kube.calls.clear()
    second = await applier.execute(plan, NS, observed=await observed(kube))
    assert (second.applied, second.unchanged) == (0, first.changed)
    assert writes(kube) == []
    assert outcomes == [("ConfigMap", "changed"), ("Deployment", "changed")] + [
        ("ConfigMap", "skipped"),
        ("Deployment", "skipped"),
    ]


async def test_a_controllers_annotation_is_no_reason_to_apply() -> None:
    kube = MemoryKube()
    applier = Applier(kube)
    plan = Plan(apply=(deployment(),))
    await applier.execute(plan, NS, observed=[])
    written = {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "1"}}}
    await kube.edit(DEPLOYMENT, NS, "d", written)
    kube.calls.clear()
    await applier.execute(plan, NS, observed=await observed(kube))
    assert writes(kube) == []


async def test_a_changed_status_is_no_reason_to_apply() -> None:
    kube = MemoryKube()
    applier = Applier(kube)
    plan = Plan(apply=(deployment(),))
    await applier.execute(plan, NS, observed=[])
    await kube.patch_status(DEPLOYMENT, NS, "d", {"readyReplicas": 1}, resource_version=None)
    kube.calls.clear()
    await applier.execute(plan, NS, observed=await observed(kube))
    assert writes(kube) == []


@pytest.mark.parametrize(
    "patch",
    [
        pytest.param({"spec": {"replicas": 5}}, id="somebody's scaling"),
        pytest.param({"metadata": {"labels": {"x": "y"}}}, id="somebody's label"),
        pytest.param({"metadata": {"ownerReferences": None, "annotations": {"a": "b"}}}, id="an annotation"),
    ],
)
async def test_a_hand_in_the_content_is_a_reason_to_apply(patch: dict[str, Any]) -> None:
    kube = MemoryKube()
    applier = Applier(kube)
    plan = Plan(apply=(deployment(),))
    await applier.execute(plan, NS, observed=[])
    await kube.edit(DEPLOYMENT, NS, "d", patch)
    kube.calls.clear()
    await applier.execute(plan, NS, observed=await observed(kube))
    assert writes(kube) == [("apply", "d")]


async def test_a_hand_that_changed_our_field_loses() -> None:
    kube = MemoryKube()
    applier = Applier(kube)
    plan = Plan(apply=(config(k="ours"),))
    await applier.execute(plan, NS, observed=[])
    await kube.edit(CONFIGMAP, NS, "c", {"data": {"k": "theirs", "more": "stays"}})
    done = await applier.execute(plan, NS, observed=await observed(kube))
    assert done.changed == (("ConfigMap", "c"),)
    assert (await kube.get(CONFIGMAP, NS, "c"))["data"] == {"k": "ours", "more": "stays"}


async def test_after_a_restart_everything_is_applied_once_and_nothing_changes() -> None:
    kube = MemoryKube()
    plan = Plan(apply=(config(), deployment()))
    await Applier(kube).execute(plan, NS, observed=[])
    before = await observed(kube)
    done = await Applier(kube).execute(plan, NS, observed=before)
    assert (done.applied, len(done.unchanged)) == (0, 2)
    assert await observed(kube) == before


async def test_what_was_forgotten_tells_itself_that_it_is_unchanged() -> None:
    kube = MemoryKube()
    applier = Applier(kube, limit=1)
    plan = Plan(apply=(config("a"), config("b")))
    await applier.execute(plan, NS, observed=[])
    kube.calls.clear()
    await applier.execute(plan, NS, observed=await observed(kube))
    assert writes(kube) == []


async def test_after_a_start_what_is_unchanged_is_not_sent_and_what_a_hand_changed_is() -> None:
    kube = MemoryKube()
    plan = Plan(apply=(config("a"), config("b")))
    await Applier(kube).execute(plan, NS, observed=[])
    await kube.edit(CONFIGMAP, NS, "b", {"data": {"k": "by hand"}})
    kube.calls.clear()
    await Applier(kube).execute(plan, NS, observed=await observed(kube))
    assert writes(kube) == [("apply", "b")]


async def test_a_watch_that_shows_our_own_work_is_recognised() -> None:
    kube = MemoryKube()
    applier = Applier(kube)
    await applier.execute(Plan(apply=(config(), deployment())), NS, observed=[])
    done = {obj["kind"]: obj for obj in await observed(kube)}
    assert all(applier.recognises(obj) for obj in done.values())
    for kind, tells in (("ConfigMap", False), ("Deployment", True)):
        later = {**done[kind], "metadata": {**done[kind]["metadata"], "resourceVersion": "99"}}
        assert applier.recognises({**later, "status": {"new": 1}}) is not tells, kind
    edited = await kube.edit(CONFIGMAP, NS, "c", {"data": {"k": "by hand"}})
    assert not applier.recognises(edited)
    assert not Applier(kube).recognises(done["ConfigMap"]), "what is forgotten is looked at"


async def test_pods_do_not_start_on_what_somebody_else_wrote_meanwhile() -> None:
    kube = MemoryKube()
    await kube.apply(config(k="theirs"), manager="somebody")
    done = await Applier(kube).execute(Plan(apply=(config(), deployment())), NS, observed=[])
    assert done.refused == (("ConfigMap", "c"),)
    assert await kube.list(DEPLOYMENT, NS) == []


async def test_workloads_come_after_what_their_pods_read() -> None:
    kube = MemoryKube()
    plan = Plan(apply=(deployment(), config(), manifest("ControllerRevision", "r", data={}, revision=1)))
    await Applier(kube).execute(plan, NS, observed=[])
    assert [name for _, name in writes(kube)] == ["c", "r", "d"]


async def test_a_role_is_there_before_it_is_bound_even_where_the_server_learns_of_it_late() -> None:
    tries: list[str] = []

    def late(call: Call) -> None:
        tries.append(call.kind)
        if call.kind == "RoleBinding" and tries.count("RoleBinding") < 3:
            raise NotFound('roles "r" not found')

    def rbac(kind: str) -> dict[str, Any]:
        return manifest(kind, "r") | {"apiVersion": "rbac.authorization.k8s.io/v1"}

    kube = MemoryKube(before=late)
    plan = Plan(apply=(rbac("RoleBinding"), rbac("Role"), deployment()))
    done = await Applier(kube).execute(plan, NS, observed=[])
    assert done.complete
    assert tries == ["Role", "RoleBinding", "RoleBinding", "RoleBinding", "Deployment"]


async def test_an_object_that_appeared_meanwhile_is_left_to_its_maker() -> None:
    kube = MemoryKube()
    await kube.create(config(k="theirs"), manager="somebody")
    await kube.create(config("old"), manager="pointsman")
    old = await kube.get(CONFIGMAP, NS, "old")
    plan = Plan(
        apply=(config(k="ours"),),
        delete=(Deletion("ConfigMap", "old", old["metadata"]["uid"], "Background"),),
    )
    done = await Applier(kube).execute(plan, NS, observed=[old])
    assert done.refused == (("ConfigMap", "c"),)
    assert not done.complete
    assert (await kube.get(CONFIGMAP, NS, "c"))["data"] == {"k": "theirs"}
    assert await kube.get(CONFIGMAP, NS, "old"), "nothing goes while its successor is missing"


async def test_what_the_plan_refused_stops_deletions_too() -> None:
    kube = MemoryKube()
    old = await kube.create(config("old"))
    plan = Plan(
        delete=(Deletion("ConfigMap", "old", old["metadata"]["uid"], "Background"),),
        refused=(("Deployment", "d"),),
    )
    done = await Applier(kube).execute(plan, NS, observed=[old])
    assert (done.refused, done.removed) == ((("Deployment", "d"),), ())


async def test_deletions_carry_the_uid_that_was_looked_at() -> None:
    kube = MemoryKube()
    await kube.create(config("old"))
    plan = Plan(delete=(Deletion("ConfigMap", "old", "another-uid", "Background"),))
    with pytest.raises(Conflict):
        await Applier(kube).execute(plan, NS, observed=[])
    assert await kube.get(CONFIGMAP, NS, "old")


async def test_what_is_gone_already_counts_as_deleted() -> None:
    plan = Plan(delete=(Deletion("ConfigMap", "old", "uid", "Background"),))
    done = await Applier(MemoryKube()).execute(plan, NS, observed=[])
    assert (done.removed, done.deleted, done.complete) == ((("ConfigMap", "old"),), 1, True)


async def test_a_quota_stops_the_plan_and_is_told_in_the_servers_words() -> None:
    def quota(call: Call) -> None:
        if call.verb == "apply" and call.name == "c":
            raise Forbidden("exceeded quota: configmaps")

    kube = MemoryKube(before=quota)
    done = await Applier(kube).execute(Plan(apply=(config(), deployment())), NS, observed=[])
    assert [(f.key, f.error.message) for f in done.failed] == [
        (("ConfigMap", "c"), "exceeded quota: configmaps")
    ]
    with pytest.raises(NotFound):
        await kube.get(DEPLOYMENT, NS, "d")


async def test_a_server_that_cant_answer_ends_the_pass() -> None:
    def busy(call: Call) -> None:
        raise Retryable("too many requests", 3.0)

    with pytest.raises(Retryable):
        await Applier(MemoryKube(before=busy)).execute(Plan(apply=(config(),)), NS, observed=[])


async def test_nothing_is_under_way_any_more_when_a_pass_ends_early() -> None:
    kube = MemoryKube()
    landed, apply = [], kube.apply

    async def slow(obj: Any, **how: Any) -> Any:
        if obj["metadata"]["name"] == "first":
            raise Retryable("later", 1.0)
        await asyncio.sleep(0.05)
        landed.append(obj["metadata"]["name"])
        return await apply(obj, **how)

    kube.apply = slow  # type: ignore[method-assign]
    with pytest.raises(Retryable):
        await Applier(kube).execute(Plan(apply=(config("first"), config("second"))), NS, observed=[])
    assert landed == ["second"]


async def test_what_was_applied_is_handed_back_with_its_new_version() -> None:
    kube = MemoryKube()
    done = await Applier(kube).execute(Plan(apply=(config(),)), NS, observed=[])
    assert done.objects == {("ConfigMap", "c"): await kube.get(CONFIGMAP, NS, "c")}


async def test_a_router_made_on_demand_is_skipped_like_any_other() -> None:
    kube = MemoryKube()
    router = {
        "apiVersion": LLMROUTER.api_version,
        "kind": "LLMRouter",
        "metadata": {"name": "default", "namespace": NS, "labels": {"pointsman.dev/on-demand": "true"}},
        "spec": {},
    }
    applier = Applier(kube)
    await applier.execute(Plan(apply=(router,)), NS, observed=[])
    there = await kube.get(LLMROUTER, NS, "default")
    kube.calls.clear()
    await applier.execute(Plan(apply=(router,)), NS, observed=[there])
    assert writes(kube) == []


async def test_whoever_has_taken_the_name_of_ours_since_we_looked_keeps_it() -> None:
    kube = MemoryKube()
    await Applier(kube).execute(Plan(apply=(config(),)), NS, observed=[])
    seen = await observed(kube)
    await kube.delete(CONFIGMAP, NS, "c", uid=seen[0]["metadata"]["uid"])
    theirs = await kube.create(config(k="theirs"), manager="them")
    with pytest.raises(Conflict):
        await Applier(kube).execute(Plan(apply=(config(k="new"),)), NS, observed=seen)
    assert await kube.get(CONFIGMAP, NS, "c") == theirs


async def test_the_mark_on_an_object_does_not_depend_on_which_object_it_is() -> None:
    kube = MemoryKube()
    await Applier(kube).execute(Plan(apply=(config(),)), NS, observed=[])
    first = await observed(kube)
    await Applier(kube).execute(Plan(apply=(config(k="new"),)), NS, observed=first)
    kube.calls.clear()
    done = await Applier(kube).execute(Plan(apply=(config(k="new"),)), NS, observed=await observed(kube))
    assert (done.applied, writes(kube)) == (0, [])
