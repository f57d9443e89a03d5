"""The API's settings of the request path are the router's own: the same names, bounds and defaults, and each
of them has an effect. Walked from `pointsman_router.settings`, so that a new one can't be forgotten here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from enum import StrEnum
from math import ceil

import pytest

from pointsman.api.names import LLMROUTER
from pointsman_router.settings import Tls
from tests.contract.manifests import MINIMAL, Json, changed, manifest
from tests.contract.server import Server
from tests.contract.settings import HOMES, LEAVES, NUMBERS, SCHEMAS, Leaf


def _wire(schema: Json, path: str = "") -> Iterator[str]:
    for name, child in schema.get("properties", {}).items():
        below = f"{path}/{name}" if path else name
        yield from _wire(child, below) if child.get("type") == "object" else (below,)


def test_the_api_and_the_router_have_the_same_settings() -> None:
    offered = {
        f"{path}/{leaf}"
        for path, (resource, _) in HOMES.items()
        for leaf in _wire(SCHEMAS[resource]["properties"][path])
    }
    assert offered == set(LEAVES)


def test_a_certificate_is_given_by_secret_and_never_by_file() -> None:
    assert set(_wire(SCHEMAS[LLMROUTER]["properties"]["tls"])) == {"secretRef/name"}
    assert {spec.name for spec in fields(Tls)} == {"cert_file", "key_file"}


@pytest.mark.parametrize("leaf", NUMBERS.values(), ids=NUMBERS)
def test_bounds_are_the_routers_in_whole_numbers(leaf: Leaf) -> None:
    assert leaf.bounds is not None
    assert leaf.schema["type"] == "integer"
    assert (leaf.schema["minimum"], leaf.schema["maximum"]) == (ceil(leaf.bounds.low), int(leaf.bounds.high))


def _default(leaf: Leaf) -> str:
    """How a description says a setting's default."""
    default = leaf.spec.default
    match default:
        case bool():
            return "yes" if default else "no"
        case StrEnum():
            return default.value
        case int() | float():
            return f"{int(default):,}"
    return "none" if not default else str(default)


@pytest.mark.parametrize("leaf", LEAVES.values(), ids=LEAVES)
def test_the_description_tells_the_default(leaf: Leaf) -> None:
    assert f"Unset: {_default(leaf)}." in leaf.schema["description"]


@pytest.mark.parametrize("leaf", NUMBERS.values(), ids=NUMBERS)
def test_the_description_tells_what_a_client_gets_beyond(leaf: Leaf) -> None:
    assert leaf.bounds is not None
    told = re.search(r"Beyond: (.+)\.$", leaf.schema["description"])
    assert (told[1] if told else "") == leaf.bounds.beyond


@pytest.mark.parametrize("path", LEAVES)
def test_nothing_is_required_or_filled_in_by_the_server(path: str) -> None:
    node = SCHEMAS[LEAVES[path].resource]
    for step in path.split("/"):
        assert step not in node.get("required", ())
        node = node["properties"][step]
        assert "default" not in node


@pytest.mark.parametrize("leaf", LEAVES.values(), ids=LEAVES)
def test_a_full_manifest_holds_every_setting_at_another_value_than_its_default(leaf: Leaf) -> None:
    assert leaf.given != leaf.spec.default


def _alone(path: str, value: object) -> Json:
    leaf = LEAVES[path]
    return manifest(leaf.resource, changed(MINIMAL[leaf.resource], path, value))


@pytest.mark.apiserver
@pytest.mark.parametrize("path", NUMBERS)
def test_the_api_server_holds_the_bounds(server: Server, path: str) -> None:
    leaf, where = LEAVES[path], f"spec.{path.replace('/', '.')}"
    low, high = leaf.schema["minimum"], leaf.schema["maximum"]
    for value, says in (
        (low - 1, f"{where} in body should be greater than or equal to {low}"),
        (high + 1, f"{where} in body should be less than or equal to {high}"),
    ):
        answer = server.create(leaf.resource, _alone(path, value), dry=True)
        assert not answer.accepted
        assert says in answer.message
    for value in (low, high):
        answer = server.create(leaf.resource, _alone(path, value), dry=True)
        assert answer.accepted, answer.message
