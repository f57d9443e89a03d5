"""Somebody's hand changes and deletes what belongs to a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from e2e import traffic
from e2e.cluster import Cluster
from e2e.manifests import service
from e2e.namespace import Manifest, Namespace
from e2e.waiting import wait_for

READY_WITHIN_S = 600.0
RESTORED_WITHIN_S = 120.0

EDITED: Mapping[str, dict[str, Any]] = {
    "deployment/{revision}": {"spec": {"progressDeadlineSeconds": 17}},
    "service/default-router": {"spec": {"ports": [{"name": "http", "port": 81, "targetPort": "http"}]}},
    "networkpolicy/chat-engine": {"spec": {"ingress": [{}]}},
    "poddisruptionbudget/chat-engine": {"spec": {"maxUnavailable": 5}},
}
"""What a hand writes into which child."""
DELETED = ("service/chat-engine", "configmap/default-router", "rolebinding/default-router")
"""What a hand deletes beside the engines' Deployment."""


def test_drift(cluster: Cluster, namespace: Namespace) -> None:
    """A child that was edited and one that was deleted are as they were, and the service answers again."""
    namespace.apply(service("chat"))
    ready = namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)
    revision = ready["status"]["rollout"]["stable"]
    engines = namespace.the(f"deployment/{revision}")
    pods = _engine_pods(namespace)

    for target, patch in EDITED.items():
        _edit(namespace, target.format(revision=revision), patch)
    for target in DELETED:
        _delete(namespace, target)
    assert _engine_pods(namespace) == pods, "none of this restarted an engine"

    _delete(namespace, f"deployment/{revision}")
    again = namespace.the(f"deployment/{revision}")
    assert again["spec"] == engines["spec"], "rebuilt from what was frozen when the revision was born"
    wait_for(
        "the engines to be ready again",
        lambda: (namespace.the(f"deployment/{revision}").get("status") or {}).get("readyReplicas") == 1,
        READY_WITHIN_S,
    )
    namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)
    with (
        cluster.forward("service/default-router", "http", namespace.name) as address,
        traffic.client(address) as api,
    ):
        assert traffic.ask(api, "chat", "Are you there?", max_tokens=4).completion_tokens > 0


def _edit(namespace: Namespace, target: str, patch: dict[str, Any]) -> None:
    """Writes into an object and waits until it is as it was."""
    before = namespace.the(target)
    namespace.patch(target, patch)
    wait_for(
        f"{target} to be restored",
        lambda: _content(namespace.the(target)) == _content(before),
        RESTORED_WITHIN_S,
        seen=lambda: str(namespace.the(target).get("spec")),
    )


def _delete(namespace: Namespace, target: str) -> None:
    """Deletes an object and waits until there is another one like it."""
    before = namespace.the(target)
    namespace.delete(target, wait=False)

    def restored() -> bool:
        now = namespace.get(target)
        return now is not None and now["metadata"]["uid"] != before["metadata"]["uid"]

    wait_for(f"{target} to come back", restored, RESTORED_WITHIN_S)
    assert _content(namespace.the(target)) == _content(before)


def _content(manifest: Manifest) -> Manifest:
    """What a child says, without what the API server adds."""
    own = {key: value for key, value in manifest.items() if key not in ("metadata", "status")}
    spec = {k: v for k, v in (own.get("spec") or {}).items() if k not in ("clusterIP", "clusterIPs")}
    meta = manifest["metadata"]
    return {**own, "spec": spec, "labels": meta.get("labels"), "owners": meta.get("ownerReferences")}


def _engine_pods(namespace: Namespace) -> set[str]:
    return {pod["metadata"]["uid"] for pod in namespace.items("pods", "pointsman.dev/role=engine")}
