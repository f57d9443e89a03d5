"""How long a router that ends may relay what is in flight: as long as the engines behind it may go on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pointsman.api.service import LLMService
from pointsman.core import pod_template, router_children, routing
from pointsman_router import config
from tests.unit.core.build import SETTINGS, TINY, router, service


def draining(seconds: int | None, **metadata: Any) -> LLMService:
    """A service with that drain."""
    made = service("chat", model=TINY).to_wire()
    made["metadata"] |= metadata
    if seconds is not None:
        made["spec"]["drainSeconds"] = seconds
    return LLMService.model_validate(made)


@pytest.mark.parametrize(
    ("drains", "seconds"),
    [
        ((), 0),
        ((None,), 0),
        ((5, 60), 0),
        ((300,), 0),
        ((301, 5), 301),
        ((None, 900, 1200), 1200),
        ((7200,), 3600),
    ],
)
def test_the_longest_drain_counts_where_it_exceeds_what_routers_start_with(
    drains: tuple[int | None, ...], seconds: int
) -> None:
    assert router_children.drain_seconds("default", map(draining, drains)) == seconds


def test_a_service_of_another_router_does_not_count() -> None:
    assert router_children.drain_seconds("edge", [draining(900)]) == 0


def test_a_service_that_is_being_deleted_still_counts() -> None:
    leaving = draining(900, deletionTimestamp="2026-01-01T00:00:00Z")
    assert router_children.drain_seconds("default", [leaving]) == 900


def test_a_longer_drain_is_told_and_replaces_no_router() -> None:
    document = replace(config.RouterConfig("default"), drain_seconds=3600.0)
    made = router_children.build(router(), routing.pack(document), SETTINGS)
    (config_map,) = (child for child in made if child["kind"] == "ConfigMap")
    (deployment,) = (child for child in made if child["kind"] == "Deployment")
    assert routing.unpack(config_map) == document
    pods = deployment["spec"]["template"]["spec"]
    assert f"--drain-seconds={pod_template.DRAIN_SECONDS}" in pods["containers"][0]["args"]
    assert pods["terminationGracePeriodSeconds"] > 3600, "the kubelet never ends it sooner than it would"
