"""What comes in between while a canary is on its way: each ends right, and status says what happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from e2e import processes
from e2e.cluster import Cluster
from e2e.conditions import condition, is_ready, told
from e2e.load import STREAMED, Load
from e2e.manifests import scripted
from e2e.namespace import Manifest, Namespace
from e2e.release import Release
from e2e.waiting import wait_for

SERVICE = "llmservice/chat"
READY_WITHIN_S = 240.0
STEP_S = 15
HELD_S = 30.0
"""Twice as long as a step would take."""
RATE = 20.0
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


def test_reverted_at_every_step(release: Release, cluster: Cluster, namespace: Namespace) -> None:
    """The stable variant has everything again, wherever the candidate was, and nobody's request fails."""
    with _serving(release, cluster, namespace) as (stable, load):
        for number, (moment, reached) in enumerate(_MOMENTS.items(), start=1):
            _declare(namespace, release, SAYS[number])
            at = _wait_for_rollout(namespace, moment, reached)
            _declare(namespace, release, SAYS[0])
            after = namespace.wait_until_ready(SERVICE, READY_WITHIN_S)["status"]["rollout"]
            print(f"reverted at {moment}: {at['candidate']} is gone, {after['stable']} serves")
            assert after["stable"] == stable
            assert {one["revision"]: one["weight"] for one in after["traffic"]} == {stable: 100}
            assert "candidate" not in after
            _wait_for_engines(namespace, {stable})
    assert load.failures == []


def test_operator_killed_at_every_step(release: Release, cluster: Cluster, namespace: Namespace) -> None:
    """It goes on where it was, up to the promotion."""
    with _serving(release, cluster, namespace) as (stable, load):
        _declare(namespace, release, SAYS[1])
        killed: set[str] = {""}

        def look() -> Manifest | None:
            service = namespace.the(SERVICE)
            moment = _moment(service["status"]["rollout"])
            if moment not in killed:
                print(f"killed {release.kill_operator()}: {moment}")
                killed.add(moment)
            return service if is_ready(service) else None

        last = wait_for(
            "the candidate to be promoted", look, 2 * READY_WITHIN_S, seen=lambda: _told(namespace)
        )
        promoted = last["status"]["rollout"]["stable"]
        assert promoted != stable
        assert {"Capacity 0", "Canary 0", "Canary 1"} <= killed
        _wait_for_engines(namespace, {promoted})
    assert load.failures == []


@pytest.mark.bare
def test_a_router_that_never_acknowledges(release: Release, cluster: Cluster, namespace: Namespace) -> None:
    """Cut off from the API server it serves by what it knew; the step doesn't begin, and status says who."""
    with _serving(release, cluster, namespace) as (stable, load):
        router = _routers(namespace)[0]
        with processes.cut_off(cluster, namespace, router):
            address = namespace.the(f"pod/{router}")["status"]["podIP"]
            _declare(namespace, release, SAYS[1])

            def blames() -> bool:
                ready = namespace.condition(SERVICE, "Ready")
                return ready.reason == "AwaitingRouter" and address in ready.message

            wait_for(f"Ready to name {address}", blames, READY_WITHIN_S, seen=lambda: _told(namespace))
            print(namespace.condition(SERVICE, "Ready"))
            with pytest.raises(AssertionError):
                _wait_for_rollout(namespace, "a look", lambda at: bool(at.get("analysis")), HELD_S)
            last = namespace.the(SERVICE)
            assert {one["weight"] for one in last["status"]["rollout"]["traffic"]} == {100, 0}
            assert last["status"]["rollout"]["stable"] == stable
            assert condition(last, "Ready").reason == "AwaitingRouter"
            assert condition(last, "Available").status == "True"
        after = namespace.wait_until_ready(SERVICE, READY_WITHIN_S)["status"]["rollout"]
        print(f"{router} is back, {after['stable']} serves")
        assert after["stable"] != stable
    assert load.failures == []


def test_stable_deployment_deleted(release: Release, cluster: Cluster, namespace: Namespace) -> None:
    """It is made again, and the rollout goes on."""
    with _serving(release, cluster, namespace) as (stable, load):
        _declare(namespace, release, SAYS[1])
        _wait_for_rollout(namespace, "Canary 0", _MOMENTS["Canary 0"])
        uid = namespace.the(f"deployment/{stable}")["metadata"]["uid"]
        namespace.delete(f"deployment/{stable}", wait=False)

        def made_again() -> bool:
            found = namespace.get(f"deployment/{stable}")
            return found is not None and found["metadata"]["uid"] != uid

        wait_for("the stable Deployment to be there again", made_again, READY_WITHIN_S)
        print(_told(namespace))
        after = namespace.wait_until_ready(SERVICE, READY_WITHIN_S)["status"]["rollout"]
        assert after["stable"] != stable
        _wait_for_engines(namespace, {after["stable"]})
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
def _serving(release: Release, cluster: Cluster, namespace: Namespace) -> Iterator[tuple[str, Load]]:
    """The stable revision of a service that serves, and the load on it."""
    _declare(namespace, release, SAYS[0])
    stable = namespace.wait_until_ready(SERVICE, READY_WITHIN_S)["status"]["rollout"]["stable"]
    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        Load(address, "chat", RATE, (STREAMED,)) as load,
    ):
        wait_for("the first answers", lambda: load.outcomes, 60.0, seen=lambda: str(load))
        yield stable, load
        load.stop()
    print(load)


def _declare(namespace: Namespace, release: Release, says: str) -> None:
    image = release.image("scripted-engine")
    arguments = {"scripted-says": says} if says else {}
    spec = scripted(
        "chat", image, replicas=2, engine={"args": arguments}, rollout=dict(ROLLOUT), drainSeconds=5
    )
    namespace.apply(spec)


def _moment(at: Manifest) -> str:
    """How far a rollout is; empty while there is none."""
    return f"{at['step']} {at.get('stepIndex', 0)}" if at.get("candidate") else ""


def _wait_for_rollout(
    namespace: Namespace, what: str, reached: Callable[[Manifest], bool], within_s: float = READY_WITHIN_S
) -> Manifest:
    """`status.rollout` once it is there."""

    def look() -> Manifest | None:
        at: Manifest = namespace.the(SERVICE)["status"]["rollout"]
        return at if at.get("candidate") and reached(at) else None

    return wait_for(
        f"the rollout to be at {what}", look, within_s, seen=lambda: _told(namespace), period_s=0.2
    )


def _wait_for_engines(namespace: Namespace, revisions: set[str]) -> None:
    """Waits until there are the Deployments of these revisions alone."""

    found: set[str] = set()

    def alone() -> bool:
        nonlocal found
        deployments = namespace.items("deployments", "pointsman.dev/service=chat")
        found = {one["metadata"]["name"] for one in deployments}
        return found == revisions

    wait_for(f"{revisions} alone to have engines", alone, READY_WITHIN_S, seen=lambda: str(found))


def _routers(namespace: Namespace) -> list[str]:
    return [pod["metadata"]["name"] for pod in namespace.items("pods", ROUTERS)]


def _told(namespace: Namespace) -> str:
    return told(namespace.the(SERVICE))
