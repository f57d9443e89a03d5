"""O13: what a former version left is taken over by this one without touching a pod that runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pointsman.api import names
from tests.simulation import upgrade
from tests.simulation.cluster import Cluster
from tests.simulation.worlds import PROXIED

RECORDED = sorted(upgrade.GOLDEN.glob("*.json.gz"))
SERVED = ("shared", "full", "remote", "changed")
NEXT = replace(
    PROXIED, operator_version="next", resolve_image="registry.test/operator:next", engine_version="2"
)


def pods_of(cluster: Cluster, role: str) -> dict[str, Any]:
    """What of Deployments their pods depend on."""
    return {
        d["metadata"]["name"]: (d["metadata"]["uid"], d["spec"]["template"], d["spec"]["replicas"])
        for d in cluster.all("Deployment")
        if d["metadata"]["labels"][names.LABEL_ROLE] == role
    }


def frozen(cluster: Cluster) -> dict[str, Any]:
    return {
        r["metadata"]["name"]: (r["metadata"]["uid"], r["data"]) for r in cluster.all("ControllerRevision")
    }


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name.removesuffix(".json.gz"))
async def test_an_upgrade_touches_no_engine_and_nobody_notices(path: Path) -> None:
    cluster = upgrade.loaded(path)
    engines, revisions = pods_of(cluster, names.ROLE_ENGINE), frozen(cluster)
    routers = {name: uid for name, (uid, _, _) in pods_of(cluster, names.ROLE_ROUTER).items()}
    cluster.restart(NEXT)
    for _ in range(12):
        await cluster.round()
        assert pods_of(cluster, names.ROLE_ENGINE) == engines
        for name in SERVED:
            assert cluster.condition(name, "Ready")[0] == "True", (name, cluster.condition(name, "Ready"))
        assert cluster.condition("changing", "Available")[0] == "True"
    await cluster.settle()
    assert pods_of(cluster, names.ROLE_ENGINE) == engines
    assert frozen(cluster) == revisions
    assert {name: uid for name, (uid, _, _) in pods_of(cluster, names.ROLE_ROUTER).items()} == routers


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name.removesuffix(".json.gz"))
async def test_a_change_that_a_former_version_began_is_finished_by_this_one(path: Path) -> None:
    cluster = upgrade.loaded(path)
    candidate = cluster.find("LLMService", "changing")["status"]["rollout"]["candidate"]
    template = pods_of(cluster, names.ROLE_ENGINE)[candidate][1]
    cluster.restart(NEXT)
    cluster.failing.clear()
    await cluster.settle()
    assert cluster.condition("changing", "Ready")[0] == "True"
    assert cluster.find("LLMService", "changing")["status"]["rollout"]["stable"] == candidate
    assert pods_of(cluster, names.ROLE_ENGINE)[candidate][1] == template


def test_there_is_something_to_upgrade_from() -> None:
    assert RECORDED
    cluster = upgrade.loaded(RECORDED[0])
    assert {s["metadata"]["name"] for s in cluster.all("LLMService")} == {*SERVED, "changing"}
