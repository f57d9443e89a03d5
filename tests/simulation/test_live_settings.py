"""Settings of the request path, changed while all is served: no pod is replaced, and nobody is told that a
change is in force before routers say so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pointsman.api import names
from pointsman.api.names import LLMROUTER, LLMSERVICE
from pointsman.core import routing
from pointsman_router import config
from tests.contract.manifests import changed
from tests.contract.settings import LEAVES, Leaf
from tests.simulation.cluster import SETTINGS, Cluster
from tests.simulation.stories import CHAT, edited, rollout, serving

BEHIND: dict[str, Any] = edited(routerRef={"name": "front"})


@pytest.fixture
async def served() -> Cluster:
    """A service behind a declared router, all at rest."""
    cluster = Cluster()
    await cluster.apply("LLMRouter", "front", {})
    await serving(cluster, BEHIND)
    return cluster


def pods(cluster: Cluster) -> dict[str, Any]:
    """What pods are made of, and which revisions there are."""
    templates = {d["metadata"]["name"]: d["spec"]["template"] for d in cluster.all("Deployment")}
    return {**templates, "revisions": [r["metadata"]["name"] for r in cluster.all("ControllerRevision")]}


def document(cluster: Cluster) -> config.RouterConfig:
    stored = routing.unpack(cluster.find("ConfigMap", names.router_name("front")))
    assert stored is not None
    return stored


async def change(cluster: Cluster, leaf: Leaf) -> None:
    if leaf.resource is LLMROUTER:
        await cluster.apply("LLMRouter", "front", changed({}, leaf.path, leaf.given))
    else:
        await cluster.apply("LLMService", "chat", changed(BEHIND, leaf.path, leaf.given))


@pytest.mark.parametrize("path", LEAVES)
async def test_a_setting_takes_effect_without_a_restart_and_is_waited_for(served: Cluster, path: str) -> None:
    leaf = LEAVES[path]
    before, ran = pods(served), document(served)
    served.routers.deaf = True
    await change(served, leaf)
    for _ in range(5):
        await served.round()
    assert document(served) != ran
    awaited = served.condition("chat", "RouterProgrammed")[:2]
    if leaf.resource is LLMSERVICE:
        assert awaited == ("False", "AwaitingRouter")
        assert served.condition("chat", "Ready")[0] == "False"
    else:
        assert awaited[0] == "True", "a setting of clients is its router's business alone"
        assert served.condition("front", "Ready", "LLMRouter")[:2] == ("False", "AwaitingRouter")
    assert served.condition("chat", "Available")[0] == "True"
    served.routers.deaf = False
    await served.settle()
    assert served.condition("chat", "Ready")[0] == "True"
    assert served.condition("front", "Ready", "LLMRouter")[0] == "True"
    assert pods(served) == before


async def test_taking_settings_back_leaves_what_was_there_before(served: Cluster) -> None:
    ran = document(served)
    for leaf in LEAVES.values():
        await change(served, leaf)
    await served.settle()
    await served.apply("LLMRouter", "front", {})
    await served.apply("LLMService", "chat", BEHIND)
    await served.settle()
    assert config.dump(document(served))["services"][0].keys() == config.dump(ran)["services"][0].keys()
    assert document(served).limits == ran.limits


async def test_a_rollout_of_a_service_does_not_make_its_router_unready(served: Cluster) -> None:
    served.routers.deaf = True
    await served.apply("LLMService", "chat", {**BEHIND, "engine": {"maxModelLen": 1024}})
    for _ in range(10):
        await served.round()
        assert served.condition("front", "Ready", "LLMRouter")[0] == "True"


@pytest.mark.parametrize(
    "edit",
    [{"routing": {"retries": {"maxAttempts": 1}}}, {"modelNames": ["other"]}],
    ids=["its way to the engines", "its names"],
)
async def test_what_is_live_waits_too_while_a_service_is_paused(
    served: Cluster, edit: dict[str, Any]
) -> None:
    ran = document(served)
    await served.apply("LLMService", "chat", {**BEHIND, **edit, "paused": True})
    await served.settle()
    assert document(served) == ran
    assert served.condition("chat", "Ready")[:2] == ("False", "Paused")
    await served.apply("LLMService", "chat", {**BEHIND, **edit})
    await served.settle()
    assert document(served) != ran
    assert served.condition("chat", "Ready")[0] == "True"


async def test_a_pause_changes_nothing_of_what_is_in_force(served: Cluster) -> None:
    ran = document(served)
    await served.apply("LLMService", "chat", {**BEHIND, "paused": True})
    await served.settle()
    assert document(served) == ran
    assert served.condition("chat", "Available")[0] == "True"


# TLS


def port_of(cluster: Cluster) -> Any:
    return cluster.find("Service", "front-router")["spec"]["ports"]


def addresses(cluster: Cluster, kind: str, name: str) -> list[str]:
    return [address["url"] for address in cluster.find(kind, name)["status"]["addresses"]]


async def test_tls_is_turned_on_and_off_without_a_restart_and_addresses_say_so(served: Cluster) -> None:
    before = pods(served)
    await served.apply("LLMRouter", "front", {"tls": {}})
    await served.settle()
    assert [(p["name"], p["port"]) for p in port_of(served)] == [("https", 443)]
    for kind, name in (("LLMRouter", "front"), ("LLMService", "chat")):
        assert addresses(served, kind, name) == ["https://front-router.team-a.svc"]
        assert served.condition(name, "Ready", kind)[0] == "True"
    await served.apply("LLMRouter", "front", {})
    await served.settle()
    assert [(p["name"], p["port"]) for p in port_of(served)] == [("http", 80)]
    assert addresses(served, "LLMService", "chat") == ["http://front-router.team-a.svc"]
    assert pods(served) == before


async def test_a_new_generation_is_proven_through_the_way_in_that_speaks_tls(served: Cluster) -> None:
    await served.apply("LLMRouter", "front", {"tls": {}})
    await served.settle()
    await served.apply("LLMService", "chat", {**BEHIND, "modelNames": ["chat", "support"]})
    await served.settle()
    assert served.condition("chat", "Ready")[0] == "True"
    assert served.find("LLMService", "chat")["status"]["proof"]["generation"] == 2


@pytest.mark.parametrize(
    ("tls", "secret"),
    [({}, "front-router-tls"), ({"secretRef": {"name": "wildcard"}}, "wildcard")],
    ids=["of the usual name", "of another name"],
)
async def test_a_missing_secret_is_named_and_taken_up_once_it_is_there(
    served: Cluster, tls: dict[str, Any], secret: str
) -> None:
    served.routers.certified = False
    await served.apply("LLMRouter", "front", {"tls": tls})
    for _ in range(5):
        await served.round()
    assert served.condition("front", "Ready", "LLMRouter") == (
        "False",
        "CertificateUnavailable",
        f"Secret '{secret}' must hold the certificate as tls.crt and its key as tls.key: "
        "/etc/pointsman/tls/tls.crt: no such file",
    )
    assert served.condition("front", "Stalled", "LLMRouter")[0] == "-", "no edit of the router is needed"
    for kind in ("RouterProgrammed", "Available", "Ready"):
        status, reason, message = served.condition("chat", kind)
        assert (status, reason) == ("False", "RouterNotReady")
        assert message.startswith("no pod of LLMRouter 'front' takes requests: Secret ")
    assert served.condition("front", "Available", "LLMRouter")[0] == "False", (
        "plain text isn't served instead"
    )
    asked = pods(served)
    served.routers.certified = True
    await served.settle()
    assert served.condition("front", "Ready", "LLMRouter")[0] == "True"
    assert served.condition("chat", "Ready")[0] == "True"
    assert pods(served) == asked


async def test_what_a_bad_certificate_says_is_forgotten_with_tls(served: Cluster) -> None:
    served.routers.certified = False
    await served.apply("LLMRouter", "front", {"tls": {}})
    for _ in range(5):
        await served.round()
    await served.apply("LLMRouter", "front", {})
    await served.settle()
    assert served.condition("front", "Ready", "LLMRouter")[0] == "True"


async def test_a_service_that_moves_is_proven_at_the_port_of_the_router_it_moves_to(served: Cluster) -> None:
    await served.apply("LLMRouter", "secure", {"tls": {}})
    await served.settle()
    await served.apply("LLMService", "chat", edited(routerRef={"name": "secure"}))
    await served.settle()
    assert served.condition("chat", "Ready")[0] == "True"
    assert addresses(served, "LLMService", "chat") == ["https://secure-router.team-a.svc"]
    assert rollout(served)["router"] == "secure"


async def test_only_an_image_or_resources_replace_a_routers_pods(served: Cluster) -> None:
    before = pods(served)["front-router"]
    for spec in (
        {"replicas": 3},
        {"allowedPeers": [{"cidr": "10.0.0.0/8"}]},
        {"trustedProxies": ["10.0.0.0/8"]},
    ):
        await served.apply("LLMRouter", "front", spec)
        await served.settle()
        assert pods(served)["front-router"] == before
    await served.apply("LLMRouter", "front", {"resources": {"requests": {"cpu": "1"}}})
    await served.settle()
    roomier = pods(served)["front-router"]
    assert roomier != before
    served.restart(replace(SETTINGS, router_image="pointsman.local/router:next"))
    await served.settle()
    assert pods(served)["front-router"]["spec"]["containers"][0]["image"] == "pointsman.local/router:next"


async def test_a_router_made_on_demand_is_made_without_any_setting() -> None:
    cluster = Cluster()
    await serving(cluster, CHAT)
    assert "spec" not in cluster.find("LLMRouter", "default")
    await cluster.apply("LLMRouter", "default", {"limits": {"headSeconds": 5}})
    await cluster.settle()
    assert names.LABEL_ON_DEMAND not in (cluster.find("LLMRouter", "default")["metadata"].get("labels") or {})


async def test_a_longer_drain_reaches_routers_without_replacing_one(served: Cluster) -> None:
    before = pods(served)["front-router"]
    await serving(served, {**BEHIND, "drainSeconds": 900})
    assert document(served).drain_seconds == 900
    assert pods(served)["front-router"] == before
    await serving(served, {**BEHIND, "drainSeconds": 60})
    assert document(served).drain_seconds == 0, "what they're started with is enough"


async def test_a_longer_drain_is_not_told_to_routers_that_would_refuse_it(served: Cluster) -> None:
    served.routers.understands = [name for name in config.LATER_FIELDS if name != "drainSeconds"]
    await serving(served, {**BEHIND, "drainSeconds": 900})
    assert document(served).drain_seconds == 0
