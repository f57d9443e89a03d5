"""What comes in between while a canary is on its way: each ends right, and status says what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from e2e import processes
from e2e.changing import SERVICE, WITHIN_S, Changing
from e2e.cluster import Cluster
from e2e.conditions import condition, is_ready, shares
from e2e.load import Load
from e2e.namespace import Manifest
from e2e.waiting import wait_for

STEP_S = 15
HELD_S = 30.0
"""Twice as long as a step would take."""
SAYS = ("", "lo ", "la ", "li ", "le ", "lu ")
"""What engines sing tells the revisions apart; those that are reverted are never declared again."""
ROLLOUT: Mapping[str, Any] = {
    "strategy": "Canary",
    "steps": [{"weight": 10, "minSeconds": STEP_S}, {"weight": 50, "minSeconds": STEP_S}],
    "gates": [],
    "analysis": {"intervalSeconds": 10},
}
ROUTERS = "pointsman.dev/router=default,pointsman.dev/role=router"

pytestmark = pytest.mark.extended


def test_reverted_at_every_step(changing: Changing) -> None:
    """The stable variant has everything again, wherever the candidate was, and nobody's request fails."""
    with _serving(changing) as (stable, load):
        for number, (moment, reached) in enumerate(_MOMENTS.items(), start=1):
            _declare(changing, SAYS[number])
            at = _wait_for_rollout(changing, moment, reached)
            _declare(changing, SAYS[0])
            after = changing.wait_until_ready()
            print(f"reverted at {moment}: {at['candidate']} is gone, {after['stable']} serves")
            assert after["stable"] == stable
            assert shares(after) == {stable: 100}
            assert "candidate" not in after
            _wait_for_engines(changing, {stable})
    assert load.failures == []


def test_operator_killed_at_every_step(changing: Changing) -> None:
    """It goes on where it was, up to the promotion."""
    with _serving(changing) as (stable, load):
        _declare(changing, SAYS[1])
        killed: set[str] = {""}

        def look() -> Manifest | None:
            service = changing.namespace.the(SERVICE)
            moment = _moment(service["status"]["rollout"])
            if moment not in killed:
                print(f"killed {changing.release.kill_operator()}: {moment}")
                killed.add(moment)
            return service if is_ready(service) else None

        last = wait_for("the candidate to be promoted", look, 2 * WITHIN_S, seen=changing.told)
        promoted = last["status"]["rollout"]["stable"]
        assert promoted != stable
        assert {"Capacity 0", "Canary 0", "Canary 1"} <= killed
        _wait_for_engines(changing, {promoted})
    assert load.failures == []


@pytest.mark.bare
def test_a_router_that_never_acknowledges(cluster: Cluster, changing: Changing) -> None:
    """Cut off from the API server it serves by what it knew; the step doesn't begin, and status says who."""
    with _serving(changing) as (stable, load):
        router = _routers(changing)[0]
        with processes.cut_off(cluster, changing.namespace, router):
            address = changing.namespace.the(f"pod/{router}")["status"]["podIP"]
            _declare(changing, SAYS[1])

            def blames() -> bool:
                ready = changing.namespace.condition(SERVICE, "Ready")
                return ready.reason == "AwaitingRouter" and address in ready.message

            wait_for(f"Ready to name {address}", blames, WITHIN_S, seen=changing.told)
            print(changing.namespace.condition(SERVICE, "Ready"))
            with pytest.raises(AssertionError):
                _wait_for_rollout(changing, "a look", lambda at: bool(at.get("analysis")), HELD_S)
            last = changing.namespace.the(SERVICE)
            assert {one["weight"] for one in last["status"]["rollout"]["traffic"]} == {100, 0}
            assert last["status"]["rollout"]["stable"] == stable
            assert condition(last, "Ready").reason == "AwaitingRouter"
            assert condition(last, "Available").status == "True"
        after = changing.wait_until_ready()
        print(f"{router} is back, {after['stable']} serves")
        assert after["stable"] != stable
    assert load.failures == []


def test_stable_deployment_deleted(changing: Changing) -> None:
    """It is made again, status says meanwhile that it's missing, and the rollout goes on."""
    with _serving(changing) as (stable, load):
        _declare(changing, SAYS[1])
        _wait_for_rollout(changing, "Canary 0", _MOMENTS["Canary 0"])
        uid = changing.namespace.the(f"deployment/{stable}")["metadata"]["uid"]
        changing.namespace.delete(f"deployment/{stable}", wait=False)

        said = set()

        def made_again() -> bool:
            said.add(changing.namespace.condition(SERVICE, "RolloutHealthy").reason)
            found = changing.namespace.get(f"deployment/{stable}")
            if found is None or found["metadata"]["uid"] == uid:
                return False
            return bool((found.get("status") or {}).get("readyReplicas"))

        wait_for("the stable Deployment to be there again", made_again, WITHIN_S)
        print(f"RolloutHealthy said {sorted(said)} until engines of {stable} were back")
        assert "StableFailing" in said
        after = changing.wait_until_ready()
        assert after["stable"] != stable
        _wait_for_engines(changing, {after["stable"]})
        load.stop()
        print(f"{len(load.failures)} of {len(load.outcomes)} requests failed: {load.failures[:2]}")
        assert {outcome.revision for outcome in load.outcomes[-10:]} == {after["stable"]}


_MOMENTS: Mapping[str, Callable[[Manifest], bool]] = {
    "Capacity": lambda at: at["step"] == "Capacity",
    "Canary 0": lambda at: at["step"] == "Canary" and bool(at.get("analysis")) and not at.get("stepIndex"),
    "Canary 1": lambda at: at["step"] == "Canary" and at.get("stepIndex") == 1,
    "all capacity": lambda at: at["step"] in ("Capacity", "Traffic") and at.get("stepIndex") == 2,
}
"""Where a rollout may be when something comes in between."""


@contextmanager
def _serving(changing: Changing) -> Iterator[tuple[str, Load]]:
    _declare(changing, SAYS[0])
    with changing.loaded() as (stable, load):
        yield stable, load


def _declare(changing: Changing, says: str) -> None:
    arguments = {"scripted-says": says} if says else {}
    changing.declare(ROLLOUT, arguments, replicas=2)


def _moment(at: Manifest) -> str:
    """How far a rollout is; empty while there is none."""
    return f"{at['step']} {at.get('stepIndex', 0)}" if at.get("candidate") else ""


def _wait_for_rollout(
    changing: Changing, what: str, reached: Callable[[Manifest], bool], within_s: float = WITHIN_S
) -> Manifest:
    """`status.rollout` once a candidate is there."""
    return changing.wait_for(
        f"the rollout to be at {what}", lambda at: bool(at.get("candidate")) and reached(at), within_s
    )


def _wait_for_engines(changing: Changing, revisions: set[str]) -> None:
    """Waits until there are the Deployments of these revisions alone."""

    found: set[str] = set()

    def alone() -> bool:
        nonlocal found
        deployments = changing.namespace.items("deployments", "pointsman.dev/service=chat")
        found = {one["metadata"]["name"] for one in deployments}
        return found == revisions

    wait_for(f"{revisions} alone to have engines", alone, WITHIN_S, seen=lambda: str(found))


def _routers(changing: Changing) -> list[str]:
    return [pod["metadata"]["name"] for pod in changing.namespace.items("pods", ROUTERS)]
