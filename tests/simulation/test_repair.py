"""What hands, crashes and other releases do to our objects, and how they are mended."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.api import names
from pointsman.kube.protocol import Forbidden
from pointsman.kube.twin import Call
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.stories import CHAT, edited, rollout, serving


async def test_a_child_edited_or_deleted_by_hand_is_restored(cluster: Cluster) -> None:
    old = await serving(cluster)
    await cluster.kube.edit(names.DEPLOYMENT, NAMESPACE, old, {"spec": {"replicas": 7}})
    service = cluster.find("Service", "chat-engine")
    await cluster.kube.delete(names.SERVICE, NAMESPACE, "chat-engine", uid=service["metadata"]["uid"])
    await cluster.settle()
    assert cluster.find("Deployment", old)["spec"]["replicas"] == 1
    assert cluster.find("Service", "chat-engine") is not None
    template = cluster.find("Deployment", old)["spec"]["template"]
    found = cluster.find("Deployment", old)
    await cluster.kube.delete(names.DEPLOYMENT, NAMESPACE, old, uid=found["metadata"]["uid"])
    await cluster.settle()
    assert cluster.find("Deployment", old)["spec"]["template"] == template


async def test_a_port_that_a_hand_renumbered_is_restored(cluster: Cluster) -> None:
    await serving(cluster)
    ports = [{"name": "http", "port": 81, "targetPort": "http", "protocol": "TCP"}]
    await cluster.kube.edit(names.SERVICE, NAMESPACE, "default-router", {"spec": {"ports": ports}})
    await cluster.settle()
    assert [p["port"] for p in cluster.find("Service", "default-router")["spec"]["ports"]] == [80]
    assert cluster.condition("default", "Ready", "LLMRouter")[0] == "True"


async def test_status_that_was_lost_is_found_again_without_moving_a_pod(cluster: Cluster) -> None:
    old = await serving(cluster)
    uid = cluster.find("Deployment", old)["metadata"]["uid"]
    found = cluster.find("LLMService", "chat")
    lost = dict.fromkeys(found["status"])
    await cluster.kube.patch_status(names.LLMSERVICE, NAMESPACE, "chat", lost, resource_version=None)
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[0] == "True"
    assert cluster.find("Deployment", old)["metadata"]["uid"] == uid


async def test_a_revision_that_was_lost_is_written_again_from_its_deployment(cluster: Cluster) -> None:
    old = await serving(cluster)
    template = cluster.find("Deployment", old)["spec"]["template"]
    generation = cluster.find("Deployment", old)["metadata"]["generation"]
    frozen = cluster.find("ControllerRevision", old)
    await cluster.kube.delete(names.CONTROLLERREVISION, NAMESPACE, old, uid=frozen["metadata"]["uid"])
    await cluster.settle()
    assert cluster.find("ControllerRevision", old)["data"]["template"] == template
    assert cluster.find("Deployment", old)["metadata"]["generation"] == generation


async def test_an_operator_that_renders_pods_differently_changes_no_pod_template(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pointsman.core import pod_template

    old = await serving(cluster)
    before = cluster.find("Deployment", old)["spec"]["template"]
    original = pod_template.render

    def another(inputs: pod_template.Inputs) -> dict[str, Any]:
        return {**original(inputs), "metadata": {**original(inputs)["metadata"], "annotations": {"v": "2"}}}

    monkeypatch.setattr(pod_template, "render", another)
    cluster.restart()
    await cluster.settle()
    assert cluster.find("Deployment", old)["spec"]["template"] == before
    await cluster.apply("LLMService", "chat", edited(engine={"maxModelLen": 1024}))
    await cluster.settle()
    new = cluster.find("Deployment", rollout(cluster)["stable"])
    assert new["spec"]["template"]["metadata"]["annotations"] == {"v": "2"}


async def test_an_object_that_the_server_refuses_is_named_in_the_status(cluster: Cluster) -> None:
    def refuse(call: Call) -> None:
        if (call.verb, call.kind) == ("apply", "PodDisruptionBudget"):
            raise Forbidden("admission webhook denied the request: no budgets on Fridays")

    cluster.kube.before = refuse
    await cluster.apply("LLMService", "chat", CHAT)
    for _ in range(3):
        await cluster.round()
    status, reason, message = cluster.condition("chat", "Ready")
    assert (status, reason) == ("False", "ApplyRefused")
    assert message.startswith("PodDisruptionBudget 'chat-engine' is refused: admission webhook denied")
    cluster.kube.before = None
    await cluster.settle()
    assert cluster.condition("chat", "Ready")[0] == "True"
