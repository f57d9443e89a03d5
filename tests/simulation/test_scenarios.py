"""Whole stories on the twin: from what a user does to what the cluster and the status are then."""

from __future__ import annotations

from pointsman.api import names
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.stories import CHAT, edited, engines, revision_of, rollout, serving


async def test_ten_lines_become_a_service_that_is_ready_with_its_router_made_on_demand(
    cluster: Cluster,
) -> None:
    stable = await serving(cluster)
    assert engines(cluster) == [stable]
    assert rollout(cluster)["traffic"] == [{"revision": stable, "weight": 100}]
    assert cluster.find("LLMRouter", "default")["metadata"]["labels"][names.LABEL_ON_DEMAND] == "true"
    assert cluster.condition("chat", "Reconciling")[0] == "-"
    assert cluster.condition("default", "Ready", "LLMRouter")[:2] == ("True", "OnDemand")


async def test_a_converged_service_is_left_alone_even_an_hour_later(cluster: Cluster) -> None:
    await serving(cluster)
    writes = len([c for c in cluster.kube.calls if c.writes])
    for _ in range(5):
        await cluster.round()
    assert len([c for c in cluster.kube.calls if c.writes]) == writes


async def test_surge_brings_the_new_revision_up_before_the_old_one_goes(cluster: Cluster) -> None:
    old = await serving(cluster)
    await cluster.apply("LLMService", "chat", edited(engine={"maxModelLen": 1024}))
    seen = []
    for _ in range(20):
        await cluster.round()
        seen.append((rollout(cluster)["step"], sorted(engines(cluster))))
    new = rollout(cluster)["stable"]
    assert new != old
    assert ("Capacity", sorted([old, new])) in seen
    assert seen[-1] == ("Steady", [new])
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_the_old_revision_stays_while_a_router_has_not_acknowledged_the_change(
    cluster: Cluster,
) -> None:
    old = await serving(cluster)
    cluster.routers.deaf = True
    await cluster.apply("LLMService", "chat", edited(engine={"maxModelLen": 1024}))
    for _ in range(15):
        await cluster.round()
    assert old in engines(cluster)
    assert cluster.condition("chat", "RouterProgrammed")[:2] == ("False", "AwaitingRouter")
    cluster.routers.deaf = False
    await cluster.settle()
    assert old not in engines(cluster)


async def test_recreate_gives_the_accelerator_up_first_and_names_the_gap(cluster: Cluster) -> None:
    cluster.accelerators = 1
    spec = edited(
        hardware={"accelerator": {"resource": "nvidia.com/gpu", "count": 1}}, rollout={"strategy": "Recreate"}
    )
    old = await serving(cluster, spec)
    await cluster.apply("LLMService", "chat", {**spec, "engine": {"maxModelLen": 1024}})
    reasons, together = set(), []
    for _ in range(25):
        await cluster.round()
        reasons.add(cluster.condition("chat", "Available")[1])
        together.append(len(engines(cluster)))
    assert "RecreateGap" in reasons
    assert max(together) == 1
    assert rollout(cluster)["stable"] != old
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_surge_without_a_spare_accelerator_waits_says_why_and_what_would_help(cluster: Cluster) -> None:
    cluster.accelerators = 1
    spec = edited(hardware={"accelerator": {"resource": "nvidia.com/gpu", "count": 1}})
    old = await serving(cluster, spec)
    changed = {**spec, "engine": {"maxModelLen": 1024}}
    await cluster.apply("LLMService", "chat", changed)
    await cluster.settle()
    assert cluster.condition("chat", "Available")[0] == "True"
    status, reason, message = cluster.condition("chat", "CapacityAvailable")
    assert (status, reason) == ("False", "InsufficientGPU")
    assert "Insufficient nvidia.com/gpu" in message
    assert "Recreate" in message
    assert cluster.condition("chat", "RolloutHealthy")[1] == "WaitingForCapacity"
    assert rollout(cluster)["stable"] == old
    await cluster.apply("LLMService", "chat", {**changed, "rollout": {"strategy": "Recreate"}})
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[0] == "True"
    assert rollout(cluster)["stable"] != old


async def test_a_revert_in_the_middle_goes_back_to_the_pods_that_still_serve(cluster: Cluster) -> None:
    old = await serving(cluster)
    await cluster.apply("LLMService", "chat", edited(engine={"maxModelLen": 1024}))
    for _ in range(2):
        await cluster.round()
    assert len(engines(cluster)) == 2
    await cluster.apply("LLMService", "chat", CHAT)
    await cluster.settle()
    assert engines(cluster) == [old]
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_a_candidate_that_crashes_keeps_its_reason_and_the_old_one_its_traffic(
    cluster: Cluster,
) -> None:
    old = await serving(cluster)
    changed = edited(engine={"args": {"max-num-seqs": "many"}})
    candidate = revision_of(changed)
    said = '{"reason": "ArgumentsInvalid", "message": "max-num-seqs: must be a number"}'
    cluster.failing[candidate] = {
        "name": "engine",
        "ready": False,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": {"exitCode": 1, "message": said}},
    }
    await cluster.apply("LLMService", "chat", changed)
    await cluster.settle()
    assert cluster.condition("chat", "EngineHealthy") == (
        "False",
        "ArgumentsInvalid",
        "max-num-seqs: must be a number",
    )
    assert cluster.condition("chat", "Ready")[:2] == ("False", "ArgumentsInvalid")
    assert cluster.condition("chat", "Stalled")[0] == "True"
    assert cluster.condition("chat", "Available")[0] == "True"
    assert rollout(cluster)["traffic"][0] == {"revision": old, "weight": 100}


async def test_a_missing_model_is_named_and_what_served_before_keeps_serving(cluster: Cluster) -> None:
    await cluster.apply("LLMModel", "small", CHAT["model"])
    old = await serving(cluster, {"modelRef": {"name": "small"}})
    await cluster.apply("LLMService", "chat", {"modelRef": {"name": "gone"}})
    await cluster.settle()
    assert cluster.condition("chat", "ReferencesResolved")[:2] == ("False", "ReferenceNotFound")
    assert "'gone'" in cluster.condition("chat", "Ready")[2]
    assert cluster.condition("chat", "Available")[0] == "True"
    assert engines(cluster) == [old]
    await cluster.apply("LLMModel", "gone", CHAT["model"])
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[0] == "True"
    assert engines(cluster) == [old], "the same model under another name is the same revision"


async def test_a_remote_model_is_resolved_before_its_revision_is_born(cluster: Cluster) -> None:
    cluster.hub = None
    spec = {"model": {"source": {"uri": "hf://org/name", "revision": "main"}}}
    await cluster.apply("LLMService", "chat", spec)
    await cluster.settle()
    assert cluster.condition("chat", "ReferencesResolved")[:2] == ("Unknown", "ResolvingModel")
    assert not engines(cluster)
    assert cluster.all("Job")
    cluster.hub = {"commit": "c0ffee", "bytes": 2 * 1024**3}
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[0] == "True"
    assert not cluster.all("Job")
    frozen = cluster.all("ControllerRevision")[0]["data"]
    assert frozen["commit"] == "c0ffee"
    volumes = {v["name"]: v for v in frozen["template"]["spec"]["volumes"]}
    assert volumes["weights"]["emptyDir"]["sizeLimit"] == "3072Mi"


async def test_a_model_the_hub_does_not_know_is_reported_and_asked_for_again(cluster: Cluster) -> None:
    cluster.hub = {"reason": "WeightsNotFound", "message": "no repository org/name"}
    await cluster.apply("LLMService", "chat", {"model": {"source": {"uri": "hf://org/name"}}})
    for _ in range(10):
        await cluster.round()
    assert cluster.condition("chat", "ReferencesResolved") == (
        "False",
        "WeightsNotFound",
        "no repository org/name",
    )
    cluster.hub = {"commit": "c0ffee", "bytes": 1}
    for _ in range(90):
        await cluster.round()
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_a_model_name_stays_with_the_older_service(cluster: Cluster) -> None:
    await serving(cluster)
    await cluster.apply("LLMService", "other", edited(modelNames=["chat"]))
    await cluster.settle()
    status, reason, message = cluster.condition("other", "RouterProgrammed")
    assert (status, reason) == ("False", "ModelNameConflict")
    assert "'chat'" in message
    assert cluster.condition("other", "Stalled")[0] == "True"
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_engines_that_run_without_a_name_are_not_said_to_be_missing(cluster: Cluster) -> None:
    await serving(cluster)
    await cluster.apply("LLMService", "other", edited())
    await cluster.settle()
    await cluster.apply("LLMService", "chat", edited(modelNames=["chat", "other"]))
    await cluster.settle()
    for of in ("Available", "Ready"):
        assert cluster.condition("other", of)[:2] == ("False", "ModelNameConflict")


async def test_paused_stops_effects_and_not_status(cluster: Cluster) -> None:
    old = await serving(cluster)
    await cluster.apply("LLMService", "chat", edited(paused=True, engine={"maxModelLen": 1024}))
    await cluster.settle()
    assert engines(cluster) == [old]
    assert cluster.condition("chat", "Ready")[:2] == ("False", "Paused")
    assert cluster.condition("chat", "Reconciling")[0] == "-"
    assert cluster.find("LLMService", "chat")["status"]["observedGeneration"] == 2
    await cluster.apply("LLMService", "chat", edited(engine={"maxModelLen": 1024}))
    await cluster.settle()
    assert engines(cluster) != [old]


async def test_zero_replicas_is_ready_and_idle(cluster: Cluster) -> None:
    await serving(cluster)
    await cluster.apply("LLMService", "chat", edited(replicas=0))
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[:2] == ("True", "Idle")
    assert cluster.condition("chat", "Available")[0] == "False"


async def test_scaling_restarts_nothing(cluster: Cluster) -> None:
    old = await serving(cluster)
    await cluster.apply("LLMService", "chat", edited(replicas=3))
    await cluster.settle()
    assert engines(cluster) == [old]
    assert cluster.find("Deployment", old)["spec"]["replicas"] == 3
    assert cluster.condition("chat", "Ready")[0] == "True"


async def test_deleting_a_service_leaves_nothing_and_takes_the_on_demand_router_along(
    cluster: Cluster,
) -> None:
    await serving(cluster)
    await cluster.delete("LLMService", "chat")
    for _ in range(10):
        await cluster.round()
    left = [o.obj["kind"] for o in cluster.kube.store.objects.values() if o.obj["kind"] != "Event"]
    assert left == []


async def test_a_declared_router_outlives_its_services(cluster: Cluster) -> None:
    await cluster.apply("LLMRouter", "front", {"replicas": 1})
    await serving(cluster, edited(routerRef={"name": "front"}))
    assert cluster.find("LLMRouter", "default") is None
    await cluster.delete("LLMService", "chat")
    for _ in range(10):
        await cluster.round()
    assert cluster.find("LLMRouter", "front") is not None
    assert cluster.condition("front", "Ready", "LLMRouter")[:2] == ("True", "RouterReady")


async def test_a_router_on_demand_that_a_user_declares_is_theirs_though_the_operator_restarts(
    cluster: Cluster,
) -> None:
    await serving(cluster)
    await cluster.apply("LLMRouter", "default", {"replicas": 3})
    cluster.restart()
    await cluster.settle()
    metadata = cluster.find("LLMRouter", "default")["metadata"]
    assert (metadata.get("labels"), metadata.get("ownerReferences")) == (None, None)
    await cluster.delete("LLMService", "chat")
    for _ in range(10):
        await cluster.round()
    assert cluster.find("LLMRouter", "default") is not None


async def test_two_services_share_a_router_and_one_does_not_disturb_the_other(cluster: Cluster) -> None:
    await serving(cluster)
    before = cluster.find("LLMService", "chat")["status"]
    await serving(cluster, CHAT, "second")
    assert cluster.find("LLMService", "chat")["status"] == before
    assert len(cluster.find("LLMRouter", "default")["metadata"]["ownerReferences"]) == 2
    await cluster.delete("LLMService", "chat")
    for _ in range(10):
        await cluster.round()
    assert cluster.condition("second", "Ready")[0] == "True"
    assert len(cluster.find("LLMRouter", "default")["metadata"]["ownerReferences"]) == 1


async def test_a_service_moves_to_another_router_and_leaves_the_old_one(cluster: Cluster) -> None:
    await serving(cluster)
    await cluster.apply("LLMService", "chat", edited(routerRef={"name": "front"}))
    await cluster.settle()
    assert cluster.condition("chat", "Available")[0] == "True", "it stays where it was until the other exists"
    await cluster.apply("LLMRouter", "front", {})
    for _ in range(15):
        await cluster.round()
    assert cluster.condition("chat", "Ready")[0] == "True"
    assert rollout(cluster)["router"] == "front"
    assert cluster.find("LLMRouter", "default") is None


async def test_a_service_deleted_while_its_new_router_comes_is_forgotten_by_the_one_that_has_it(
    cluster: Cluster,
) -> None:
    await serving(cluster)
    await cluster.apply("LLMService", "chat", edited(routerRef={"name": "front"}))
    await cluster.settle()
    await cluster.apply("LLMRouter", "front", {})
    await cluster.delete("LLMService", "chat")
    await cluster.reconciler.reconcile(names.Key("LLMService", NAMESPACE, "chat"))
    assert [s.name for s in cluster.routers.running("default").services] == ["chat"]
    assert cluster.find("LLMService", "chat") is not None, "requests still come its way"
    for _ in range(10):
        await cluster.round()
    assert cluster.find("LLMService", "chat") is None
