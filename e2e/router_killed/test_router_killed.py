"""A router is killed under load, in every way there is: the OpenAI client's own retries hide it."""

from __future__ import annotations

import time

import pytest

from e2e import processes
from e2e.cluster import Cluster
from e2e.conditions import condition
from e2e.crowd import Crowd
from e2e.manifests import scripted
from e2e.namespace import Namespace
from e2e.release import Release
from e2e.waiting import wait_for

READY_WITHIN_S = 120.0
CALM_S = 5.0
"""How long nothing is done, before and after each kill: without a pause, two kills would be one outage."""
ROUTERS = "pointsman.dev/router=default,pointsman.dev/role=router"


@pytest.mark.bare
def test_router_killed(release: Release, cluster: Cluster, namespace: Namespace) -> None:
    """Its process killed, its pod deleted by force or in good order: users of the client see nothing."""
    namespace.apply(scripted("chat", release.image("scripted-engine")))
    namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)
    _wait_for_routers(namespace, other_than="")
    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        Crowd(address, "chat") as crowd,
    ):
        wait_for("the first answers", lambda: len(crowd.outcomes) > 50, 60.0, seen=lambda: str(crowd))
        for turn, way in enumerate(("killed", "killed", "deleted by force", "deleted")):
            time.sleep(CALM_S)
            router = _routers(namespace)[turn % 2]  # the other one: that's where connections are now
            before = time.monotonic()
            if way == "killed":
                processes.kill(cluster, router)
            else:
                _delete(namespace, router, by_force=way == "deleted by force")
            _wait_for_routers(namespace, other_than="" if way == "killed" else router)
            print(f"{router} {way}: two routers again after {time.monotonic() - before:.0f} s; {crowd}")
        time.sleep(CALM_S)
        crowd.stop()
    print(crowd)
    for failure in crowd.failures[:10]:
        print(failure)

    assert crowd.failures == []
    assert crowd.retries > 0, "there was something to hide"


def _delete(namespace: Namespace, pod: str, *, by_force: bool) -> None:
    flags = ("--grace-period=0", "--force") if by_force else ()
    namespace.kubectl.run("delete", "pod", pod, f"--namespace={namespace.name}", "--wait=false", *flags)


def _routers(namespace: Namespace) -> list[str]:
    """Ready routers that stay."""
    return [
        pod["metadata"]["name"]
        for pod in namespace.items("pods", ROUTERS)
        if condition(pod, "Ready").status == "True" and not pod["metadata"].get("deletionTimestamp")
    ]


def _wait_for_routers(namespace: Namespace, *, other_than: str) -> None:
    def look() -> bool:
        found = _routers(namespace)
        return len(found) == 2 and other_than not in found

    time.sleep(1.0)  # a death takes a moment to be noticed
    wait_for("two routers", look, READY_WITHIN_S)
