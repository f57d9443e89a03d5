"""The operator is killed at every step of a creation and of a change."""

from __future__ import annotations

from e2e.cluster import Cluster
from e2e.conditions import is_ready, told
from e2e.manifests import service
from e2e.namespace import Manifest, Namespace
from e2e.release import Release
from e2e.traffic import Trickle
from e2e.waiting import wait_for

READY_WITHIN_S = 700.0
SETTLED_WITHIN_S = 60.0
CHILDREN = "deployments,controllerrevisions,services,poddisruptionbudgets,networkpolicies,configmaps,jobs"
EXPECTED = {
    ("Service", "chat-engine"),
    ("PodDisruptionBudget", "chat-engine"),
    ("NetworkPolicy", "chat-engine"),
    ("Deployment", "default-router"),
    ("ConfigMap", "default-router"),
    ("Service", "default-router"),
    ("Service", "default-router-admin"),
    ("PodDisruptionBudget", "default-router"),
    ("NetworkPolicy", "default-router"),
}
"""What there is of ours beside revisions, whether the operator was killed or not."""


def test_operator_killed(release: Release, cluster: Cluster, namespace: Namespace) -> None:
    """Killed in the middle of a creation and of a change, the operator comes to the same end."""
    namespace.apply(service("chat"))
    print(f"killed {release.kill_operator()}: at once")
    first, killed = _through(release, namespace)
    assert "Starting, with a Deployment" in killed
    born = str(first["status"]["rollout"]["stable"])
    _wait_for_children(namespace, {("Deployment", born), ("ControllerRevision", born)})

    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        Trickle(address, "chat") as trickle,
    ):
        namespace.patch("llmservice/chat", {"spec": {"engine": {"args": {"max-num-seqs": "8"}}}})
        second, killed = _through(release, namespace)
    print(trickle)
    assert "Capacity, with a Deployment" in killed
    assert trickle.failures == [], "without an operator, routers go on"
    new = str(second["status"]["rollout"]["stable"])
    assert new != born
    history = {("ControllerRevision", born), ("ControllerRevision", new)}
    _wait_for_children(namespace, {("Deployment", new)} | history)


def _through(release: Release, namespace: Namespace) -> tuple[Manifest, set[str]]:
    """Waits until the service is Ready, and kills the operator once at each moment that it sees."""
    last: Manifest = {}
    killed = {""}

    def look() -> Manifest | None:
        nonlocal last
        last = namespace.the("llmservice/chat")
        moment = _moment(namespace, (last.get("status") or {}).get("rollout") or {})
        if moment not in killed:
            print(f"killed {release.kill_operator()}: {moment}")
            killed.add(moment)
        return last if is_ready(last) else None

    ready = wait_for("the service to be ready", look, READY_WITHIN_S, seen=lambda: told(last), period_s=0.2)
    return ready, killed


def _moment(namespace: Namespace, rollout: Manifest) -> str:
    """How far a creation or a change is; empty while there is none."""
    candidate = rollout.get("candidate")
    if not candidate:
        return ""
    deployed = namespace.get(f"deployment/{candidate}") is not None
    return str(rollout["step"]) + (", with a Deployment" if deployed else "")


def _wait_for_children(namespace: Namespace, revisions: set[tuple[str, str]]) -> None:
    """Waits until there is exactly what should be: no child too few, none left over."""
    expected = EXPECTED | revisions
    wait_for(
        "the children that there should be",
        lambda: _children(namespace) == expected,
        SETTLED_WITHIN_S,
        seen=lambda: (
            f"too much {_children(namespace) - expected}, too little {expected - _children(namespace)}"
        ),
    )


def _children(namespace: Namespace) -> set[tuple[str, str]]:
    """Kind and name of everything of ours."""
    found = namespace.items(CHILDREN, "app.kubernetes.io/managed-by=pointsman")
    return {(child["kind"], child["metadata"]["name"]) for child in found}
