"""Every setting of the request path is live: it reaches the routers' configuration, alone, and no pod."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from pointsman.api.names import LLMROUTER, LLMSERVICE
from pointsman.api.revision_fields import declared
from pointsman.core import pod_template, revision, router_children, routing
from pointsman.core.pod_template import Inputs
from pointsman_router import config
from pointsman_router.config import RouterConfig
from tests.contract.manifests import FULL, changed
from tests.contract.settings import LEAVES, Leaf
from tests.unit.core.build import SETTINGS, TINY, router, service

ROUTERS = {path: leaf for path, leaf in LEAVES.items() if leaf.resource is LLMROUTER}
SERVICES = {path: leaf for path, leaf in LEAVES.items() if leaf.resource is LLMSERVICE}
STATE = {"step": "Steady", "stable": "chat-1", "traffic": [{"revision": "chat-1", "weight": 100}]}


def spec_of(leaf: Leaf) -> dict[str, Any]:
    """A spec with one setting alone."""
    return changed({"model": TINY} if leaf.resource is LLMSERVICE else {}, leaf.path, leaf.given)


def serving(name: str = "chat", **spec: Any) -> Any:
    """A service that has its traffic already."""
    made = service(name, **spec)
    return made.model_validate({**made.to_wire(), "status": {"rollout": STATE}})


def compiled(front: Mapping[str, Any] | None = None, **spec: Any) -> RouterConfig:
    services = [serving(**spec), serving("other")]
    return routing.compile_router("default", router(**(front or {})).spec, services, {})


def router_pods(spec: Mapping[str, Any]) -> Any:
    made = router_children.build(router(**spec), b"", SETTINGS)
    return next(child for child in made if child["kind"] == "Deployment")["spec"]["template"]


def engine_pods(**spec: Any) -> Any:
    made = service(**spec)
    assert made.spec.model is not None
    inputs = Inputs("chat", "chat-1", made.spec, made.spec.model, SETTINGS, commit="", weight_bytes=0)
    return pod_template.render(inputs)


@pytest.mark.parametrize("leaf", ROUTERS.values(), ids=ROUTERS)
def test_a_setting_of_clients_changes_the_configuration_and_no_pod(leaf: Leaf) -> None:
    spec = spec_of(leaf)
    document, plain = config.dump(compiled(spec)), config.dump(compiled())
    group, name = leaf.path.split("/")
    assert document == {**plain, group: {name: leaf.given}}, "what is given, and nothing else"
    assert router_pods(spec) == router_pods({})


@pytest.mark.parametrize("leaf", SERVICES.values(), ids=SERVICES)
def test_a_setting_of_routing_changes_its_service_alone_and_no_pod(leaf: Leaf) -> None:
    spec = spec_of(leaf)
    (chat, other), (chat_before, other_before) = compiled(**spec).services, compiled().services
    assert config.service_hash(chat) != config.service_hash(chat_before)
    assert other == other_before
    _, group, name = leaf.path.split("/")
    written = config.dump(RouterConfig("x", (chat,)))["services"][0]
    assert written["routing"] == {group: {name: leaf.given}}, "what is given, and nothing else"
    assert engine_pods(**spec) == engine_pods()


@pytest.mark.parametrize("leaf", SERVICES.values(), ids=SERVICES)
def test_a_setting_of_routing_makes_no_new_revision(leaf: Leaf) -> None:
    before, after = service(), service(**spec_of(leaf))
    assert before.spec.model is not None
    assert declared(after.spec, before.spec.model) == declared(before.spec, before.spec.model)
    assert revision.name_of("chat", after.spec, before.spec.model) == revision.name_of(
        "chat", before.spec, before.spec.model
    )


def test_the_router_reads_every_setting_as_the_operator_meant_and_hashes_it_alike() -> None:
    full = FULL[LLMROUTER], {**FULL[LLMSERVICE], "model": TINY}
    meant = compiled(full[0], **{key: full[1][key] for key in ("model", "routing")})
    read = config.parse(config.dump(meant))
    assert read == meant
    assert config.config_hash(read) == config.config_hash(meant)
    assert [config.service_hash(s) for s in read.services] == [config.service_hash(s) for s in meant.services]


@pytest.mark.parametrize(
    "spec",
    [{"limits": {}}, {"cors": {}}, {"limits": {"headSeconds": 30}}, {"cors": {"allowCredentials": False}}],
    ids=["no limit", "no origin", "a default", "no credentials"],
)
def test_what_says_nothing_new_stays_out_of_the_document(spec: dict[str, Any]) -> None:
    assert config.dump(compiled(spec)) == config.dump(compiled())


@pytest.mark.parametrize(
    "routing_",
    [{}, {"timeouts": {}}, {"picking": {"policy": "PrefixAffinity"}}],
    ids=["{}", "group", "default"],
)
def test_what_says_nothing_new_of_a_service_leaves_its_hash(routing_: dict[str, Any]) -> None:
    assert compiled(model=TINY, routing=routing_) == compiled()


TRUSTED = {
    "a range": (["10.0.0.0/8"], ["10.0.0.0/8"]),
    "a range that was given with an address in it": (["10.1.2.3/8"], ["10.0.0.0/8"]),
    "the same range in two spellings": (["fd00::/8", "FD00:0::1/8"], ["fd00::/8"]),
}


@pytest.mark.parametrize(("given", "meant"), TRUSTED.values(), ids=TRUSTED)
def test_trusted_proxies_are_ranges_that_the_router_takes(given: list[str], meant: list[str]) -> None:
    made = compiled({"trustedProxies": given})
    assert list(made.trusted_proxies) == meant
    assert config.parse(config.dump(made)) == made
    assert router_pods({"trustedProxies": given}) == router_pods({})


TLS: dict[str, tuple[dict[str, Any], str]] = {
    "on, with the Secret of the usual name": ({"tls": {}}, "default-router-tls"),
    "off": ({}, "default-router-tls"),
    "on, with the usual name written out": (
        {"tls": {"secretRef": {"name": "default-router-tls"}}},
        "default-router-tls",
    ),
    "on, with a Secret of another name": ({"tls": {"secretRef": {"name": "wildcard"}}}, "wildcard"),
}


@pytest.mark.parametrize(("spec", "secret"), TLS.values(), ids=TLS)
def test_the_certificates_volume_is_mounted_whether_or_not_it_is_used(
    spec: dict[str, Any], secret: str
) -> None:
    pod = router_pods(spec)["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes["tls"]["secret"] == {"secretName": secret, "optional": True, "defaultMode": 0o440}
    mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts["tls"] == {"name": "tls", "mountPath": "/etc/pointsman/tls", "readOnly": True}


def test_only_another_secrets_name_replaces_the_routers_pods() -> None:
    on, off, written_out, other = (router_pods(spec) for spec, _ in TLS.values())
    assert on == off == written_out
    assert other != off


def test_with_tls_the_service_has_another_port_and_the_pods_have_the_same() -> None:
    def port(spec: Mapping[str, Any]) -> Any:
        made = router_children.build(router(**spec), b"", SETTINGS)
        return next(c for c in made if c["kind"] == "Service")["spec"]["ports"][0]

    assert port({}) == {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}
    assert port({"tls": {}}) == {"name": "https", "port": 443, "targetPort": "http", "protocol": "TCP"}
    document = config.dump(compiled({"tls": {}}))
    assert document["tls"] == {
        "certFile": "/etc/pointsman/tls/tls.crt",
        "keyFile": "/etc/pointsman/tls/tls.key",
    }
