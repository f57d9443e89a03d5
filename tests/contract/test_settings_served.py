"""Settings of the request path on a real API server: applied by several hands, read back as they were
written, and never such that a router would refuse them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pointsman.api.names import LLMROUTER, LLMSERVICE, Resource
from pointsman.api.router import LLMRouter
from pointsman.api.service import LLMService
from pointsman.core import routing
from pointsman_router import config
from tests.contract.manifests import FULL, MINIMAL, Json, changed, manifest
from tests.contract.server import Server
from tests.contract.settings import LEAVES, Leaf
from tests.contract.test_twins import specs

TINY = {"source": {"uri": "file:///models/tiny"}}
STATE: Json = {"step": "Steady", "stable": "chat-1", "traffic": [{"revision": "chat-1", "weight": 100}]}


def compiled(front: Json, service: Json) -> config.RouterConfig:
    """The configuration of two objects as the API server has them."""
    routed = LLMService.model_validate({**service, "status": {"rollout": STATE}})
    return routing.compile_router("chat", LLMRouter.model_validate(front).spec, [routed], {})


@pytest.fixture
def applied(server: Server) -> Iterator[Any]:
    """Applies specs by server-side apply, and takes the objects away in the end."""
    made: set[Resource] = set()

    def apply(resource: Resource, spec: Json, manager: str = "user") -> Json:
        made.add(resource)
        answer = server.apply(resource, manifest(resource, spec), manager)
        assert answer.accepted, answer.message
        return answer.body

    yield apply
    for resource in made:
        server.delete(resource, "chat")


def _routed(spec: Json) -> Json:
    """A full service behind the router `chat`."""
    return {**spec, "routerRef": {"name": "chat"}}


@pytest.mark.apiserver
def test_every_setting_comes_back_from_an_apply_and_has_an_effect(applied: Any) -> None:
    front = applied(LLMROUTER, FULL[LLMROUTER])
    service = applied(LLMSERVICE, _routed(FULL[LLMSERVICE]))
    assert front["spec"] == FULL[LLMROUTER]
    assert service["spec"] == _routed(FULL[LLMSERVICE])
    whole = config.dump(compiled(front, service))
    for leaf in LEAVES.values():
        assert _of(whole, leaf) == leaf.given, leaf.path
    assert config.dump(config.parse(whole)) == whole


def _of(document: Json, leaf: Leaf) -> object:
    place: Any = document if leaf.resource is LLMROUTER else document["services"][0]
    for step in leaf.path.split("/"):
        place = place[step]
    return place


@pytest.mark.apiserver
def test_applying_the_same_again_changes_nothing(applied: Any) -> None:
    created = applied(LLMROUTER, FULL[LLMROUTER])["metadata"]
    # Where no operator has seen an object, the first write after its creation stores its status' default.
    before = applied(LLMROUTER, FULL[LLMROUTER])["metadata"]
    assert before["generation"] == created["generation"]
    after = applied(LLMROUTER, FULL[LLMROUTER])["metadata"]
    assert (after["generation"], after["resourceVersion"]) == (
        before["generation"],
        before["resourceVersion"],
    )


@pytest.mark.apiserver
def test_two_managers_own_a_setting_each(applied: Any) -> None:
    applied(LLMROUTER, {"limits": {"maxHeaders": 50}}, "platform")
    both = applied(LLMROUTER, {"limits": {"headSeconds": 10}}, "team")
    assert both["spec"]["limits"] == {"maxHeaders": 50, "headSeconds": 10}
    left = applied(LLMROUTER, {}, "team")
    assert left["spec"]["limits"] == {"maxHeaders": 50}


@pytest.mark.apiserver
def test_two_managers_own_an_origin_each(applied: Any) -> None:
    applied(LLMROUTER, {"cors": {"allowedOrigins": ["https://a.example.com"]}}, "platform")
    both = applied(LLMROUTER, {"cors": {"allowedOrigins": ["https://b.example.com"]}}, "team")
    assert set(both["spec"]["cors"]["allowedOrigins"]) == {"https://a.example.com", "https://b.example.com"}


@pytest.mark.apiserver
def test_tls_by_its_defaults_is_an_empty_object_that_stays_until_it_is_taken_away(applied: Any) -> None:
    assert applied(LLMROUTER, {"replicas": 1, "tls": {}})["spec"]["tls"] == {}
    assert "tls" not in applied(LLMROUTER, {"replicas": 1})["spec"]


@pytest.mark.apiserver
def test_the_way_back_to_the_usual_secret_is_its_name(server: Server, applied: Any) -> None:
    applied(LLMROUTER, {"replicas": 1, "tls": {"secretRef": {"name": "wildcard"}}})
    # A server-side apply that leaves an object empty makes null of it, with any kind of any CRD.
    emptied = server.apply(LLMROUTER, manifest(LLMROUTER, {"replicas": 1, "tls": {}}), "user")
    assert "spec.tls in body must be of type object" in emptied.message
    applied(LLMROUTER, {"replicas": 1, "tls": {"secretRef": {"name": "chat-router-tls"}}})


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(front=specs(FULL[LLMROUTER]), routed=specs({"routing": FULL[LLMSERVICE]["routing"]}))
def test_no_router_refuses_what_the_api_accepts(front: Json, routed: Json) -> None:
    service = {**manifest(LLMSERVICE, {**MINIMAL[LLMSERVICE], **_routed(routed)}), "status": {}}
    with contextlib.suppress(ValidationError):
        document = config.dump(compiled(manifest(LLMROUTER, front), service))
        assert config.dump(config.parse(document)) == document


@pytest.mark.parametrize("path", LEAVES)
@given(data=st.data())
@settings(max_examples=5, derandomize=True)
def test_no_router_refuses_a_number_within_the_apis_bounds(path: str, data: st.DataObject) -> None:
    leaf = LEAVES[path]
    low, high = leaf.schema.get("minimum"), leaf.schema.get("maximum")
    value = leaf.given if low is None else data.draw(st.integers(low, high))
    spec = changed(MINIMAL[leaf.resource], leaf.path, value)
    objects = {LLMROUTER: manifest(LLMROUTER, {}), LLMSERVICE: manifest(LLMSERVICE, MINIMAL[LLMSERVICE])}
    objects[leaf.resource] = manifest(leaf.resource, spec)
    service = objects[LLMSERVICE]
    service["spec"]["routerRef"] = {"name": "chat"}
    document = config.dump(compiled(objects[LLMROUTER], service))
    assert config.dump(config.parse(document)) == document
