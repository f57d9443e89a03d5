"""Engines come and go without a pause under two hundred requests a second."""

from __future__ import annotations

import itertools
import time

from e2e.cluster import Cluster
from e2e.conditions import condition
from e2e.load import SHORT, Load
from e2e.manifests import scripted
from e2e.namespace import Namespace
from e2e.release import Release
from e2e.waiting import wait_for

READY_WITHIN_S = 120.0
LASTS_S = 60.0
BY_FORCE_S = 20.0
RATE = 200.0
ENGINES = "pointsman.dev/service=chat,pointsman.dev/role=engine"
BOUNDS = (2, 4)
"""How many replicas are asked for, by turns."""


def test_engines_replaced(release: Release, cluster: Cluster, namespace: Namespace) -> None:
    """Scaled up and down and deleted for a minute, then by force: every request is answered in full."""
    namespace.apply(scripted("chat", release.image("scripted-engine"), replicas=BOUNDS[1], drainSeconds=20))
    namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)
    wait_for("all engines", lambda: len(_ready(namespace)) == BOUNDS[1], READY_WITHIN_S)
    with cluster.forward("service/default-router", "http", namespace.name) as address:
        with Load(address, "chat", RATE) as load:
            wait_for("the first answers", lambda: len(load.outcomes) > RATE, 60.0, seen=lambda: str(load))
            changes = _keep_changing(namespace, time.monotonic() + LASTS_S)
        print(f"{changes} changes: {load}")
        # An engine that is killed takes along what it's in the middle of: no long streams here.
        with Load(address, "chat", RATE, SHORT) as hard:
            killed = _keep_killing(namespace, time.monotonic() + BY_FORCE_S)
        print(f"{killed} deleted by force: {hard}")
    failures = [*load.failures, *hard.failures]
    print(*failures[:10], sep="\n")

    assert failures == []
    assert min(load.sent_a_second, hard.sent_a_second) > 0.95 * RATE, "the load was what it was meant to be"
    assert changes >= 12, "engines came and went all the time"
    assert killed >= 4
    assert len({outcome.engine for outcome in load.outcomes}) >= BOUNDS[1] + 4, "new ones took their share"


def _keep_changing(namespace: Namespace, until: float) -> int:
    """Scales and deletes by turns, about every two seconds; returns how often."""
    turns = itertools.cycle((BOUNDS[0], None, None, BOUNDS[1], None, None))
    changes = 0
    while time.monotonic() < until:
        replicas = next(turns)
        if replicas:
            _scale(namespace, replicas)
        else:
            _delete_oldest(namespace)
        changes += 1
        time.sleep(2.0)
    return changes


def _keep_killing(namespace: Namespace, until: float) -> int:
    """Deletes engines by force, one after another: they're gone from the API at once, and die soon."""
    killed = 0
    while time.monotonic() < until:
        _delete_oldest(namespace, "--grace-period=0", "--force")
        killed += 1
        time.sleep(2.0)
    return killed


def _scale(namespace: Namespace, replicas: int) -> None:
    namespace.kubectl.run(
        "scale", "llmservice/chat", f"--replicas={replicas}", f"--namespace={namespace.name}"
    )


def _delete_oldest(namespace: Namespace, *flags: str) -> None:
    """Deletes a ready engine. Never the last one: a service without engines has nobody to answer."""
    wait_for("two ready engines", lambda: len(_ready(namespace)) >= 2, READY_WITHIN_S, period_s=0.2)
    pod = _ready(namespace)[0]
    namespace.kubectl.run("delete", "pod", pod, f"--namespace={namespace.name}", "--wait=false", *flags)


def _ready(namespace: Namespace) -> list[str]:
    """Ready engines that stay, the oldest first."""
    pods = [
        pod
        for pod in namespace.items("pods", ENGINES)
        if condition(pod, "Ready").status == "True" and not pod["metadata"].get("deletionTimestamp")
    ]
    pods.sort(key=lambda pod: pod["metadata"]["creationTimestamp"])
    return [pod["metadata"]["name"] for pod in pods]
