"""O9: whatever a user applies, what serves goes on serving, and status says what is the matter."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pointsman.api.kinds import KINDS
from pointsman.core import routing
from tests.simulation import specs
from tests.simulation.cluster import Cluster
from tests.simulation.examples import some
from tests.simulation.stories import CHAT, serving
from tests.simulation.virtual import run

Json = dict[str, Any]
ROUNDS = 14
CHILDREN = (
    "Deployment",
    "ControllerRevision",
    "Service",
    "ConfigMap",
    "NetworkPolicy",
    "PodDisruptionBudget",
)
MODELS = {row.resource.kind: row.model for row in KINDS}


async def served(**spec: Any) -> Cluster:
    """Two services that serve, one with a model of its own."""
    cluster = Cluster()
    await cluster.apply("LLMRouter", "front", {})
    await cluster.apply("LLMModel", "shared", CHAT["model"])
    await cluster.apply("LLMService", "elder", CHAT)
    await serving(cluster, {"modelRef": {"name": "shared"}, **spec})
    assert cluster.condition("elder", "Ready")[0] == "True"
    return cluster


def gives_up(spec: Json) -> bool:
    """Whether a spec says itself that nobody is to be served in between."""
    return spec.get("replicas") == 0 or spec.get("rollout", {}).get("strategy") == "Recreate"


def routed(cluster: Cluster, name: str) -> int:
    """Ready engines behind the revisions that have a service's traffic."""
    rollout = cluster.find("LLMService", name)["status"]["rollout"]
    return sum(cluster.ready_pods(t["revision"]) for t in rollout.get("traffic", ()) if t["weight"])


def explained(cluster: Cluster, kind: str, name: str) -> None:
    """Status can be stored, is of this generation, and a Ready that isn't True has its reason."""
    found = cluster.find(kind, name)
    MODELS[kind].model_validate(found)
    assert found["status"]["observedGeneration"] == found["metadata"]["generation"]
    status, reason, message = cluster.condition(name, "Ready", kind)
    assert status == "True" or (reason and message), (status, reason, message)


async def apply_service(spec: Json) -> None:
    cluster = await served()
    await cluster.apply("LLMService", "chat", spec)
    for _ in range(ROUNDS):
        await cluster.round()
        assert cluster.condition("elder", "Available")[0] == "True"
        assert gives_up(spec) or routed(cluster, "chat") > 0
        assert gives_up(spec) or cluster.condition("chat", "Available")[0] == "True"
    explained(cluster, "LLMService", "chat")


async def apply_model(spec: Json) -> None:
    cluster = await served()
    await cluster.apply("LLMModel", "shared", spec)
    for _ in range(ROUNDS):
        await cluster.round()
        assert routed(cluster, "chat") > 0
        assert cluster.condition("chat", "Available")[0] == "True"
    explained(cluster, "LLMModel", "shared")
    explained(cluster, "LLMService", "chat")


async def apply_router(spec: Json) -> None:
    cluster = await served(routerRef={"name": "front"})
    await cluster.apply("LLMRouter", "front", spec)
    for _ in range(ROUNDS):
        await cluster.round()
        assert routed(cluster, "chat") > 0
    explained(cluster, "LLMRouter", "front")
    explained(cluster, "LLMService", "chat")
    assert cluster.condition("chat", "Ready")[0] == "True"


@some(18)
@given(spec=specs.accepted("LLMService"))
def test_any_change_of_a_service_leaves_someone_to_serve(spec: Json) -> None:
    run(apply_service(spec))


@some(12)
@given(spec=specs.accepted("LLMModel"))
def test_any_change_of_a_model_leaves_someone_to_serve(spec: Json) -> None:
    run(apply_model(spec))


@some(12)
@given(spec=specs.accepted("LLMRouter"))
def test_any_change_of_a_router_leaves_its_services_served(spec: Json) -> None:
    run(apply_router(spec))


def children(cluster: Cluster) -> dict[str, str]:
    """Every child with its version: a write would have changed it."""
    found = [child for kind in CHILDREN for child in cluster.all(kind)]
    return {f"{c['kind']}/{c['metadata']['name']}": c["metadata"]["resourceVersion"] for c in found}


async def refused(kind: str, name: str, spec: Json) -> None:
    """An object that today's rules refuse, stored while there were others."""
    cluster = await served()
    before = children(cluster)
    await cluster.apply(kind, name, spec)
    for _ in range(5):
        await cluster.round()
    assert children(cluster) == before
    assert cluster.condition(name, "Ready", kind)[:2] == ("False", "InvalidSpec")
    assert cluster.condition(name, "Stalled", kind)[0] == "True"


async def test_a_router_made_on_demand_stays_for_a_service_that_cant_be_read() -> None:
    cluster = Cluster()
    await serving(cluster, CHAT)
    await cluster.apply("LLMService", "chat", {})
    await cluster.settle()
    assert cluster.find("LLMRouter", "default") is not None
    running = routing.unpack(cluster.find("ConfigMap", "default-router"))
    assert running is not None
    assert [service.name for service in running.services] == ["chat"]
    await cluster.delete("LLMService", "chat")
    await cluster.settle()
    assert cluster.find("LLMService", "chat") is None
    assert cluster.find("LLMRouter", "default") is None


SUBJECTS = {"LLMService": "chat", "LLMModel": "shared", "LLMRouter": "front"}


@some(15)
@given(data=st.data(), kind=st.sampled_from(sorted(SUBJECTS)))
def test_what_is_refused_changes_nothing(data: st.DataObject, kind: str) -> None:
    run(refused(kind, SUBJECTS[kind], data.draw(specs.refused(kind))))
