"""Pointsman as it runs in a cluster of ours: the chart's values, installing it, and finding its operator."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pointsman
from e2e import helm
from e2e.cluster import Cluster, Kubectl
from e2e.waiting import wait_for

LOCAL_REGISTRY = "pointsman.local"
"""What images are called that are built here and loaded into the node."""
OPERATOR = "app.kubernetes.io/component=operator"
"""Selects the operator's pod."""
PATIENCE_S = 240


@dataclass(frozen=True, slots=True)
class Release:
    """The chart on one cluster, with images from `registry`."""

    cluster: Cluster
    registry: str = LOCAL_REGISTRY
    loaded: tuple[str, ...] = ()
    """Images that the node got just now, so that pods that run already have older ones."""
    further: Mapping[str, Any] = field(default_factory=dict)
    """Further values of the chart."""

    def image(self, name: str) -> str:
        """The whole reference of one of our images."""
        return f"{self.registry}/{name}:{pointsman.__version__}"

    def values(self, digests: Mapping[str, str]) -> dict[str, Any]:
        """The chart's values. `digests`: of images by their reference, where they are known."""
        operator = digests.get(self.image("operator"), "")
        return {
            **self.further,
            "images": {"registry": self.registry, "engines": {"cpu": self.image("demo-engine")}},
            # The tag stays when the image changes: this makes the operator's pod follow all the same.
            "podAnnotations": {"operator-image-digest": operator} if operator else {},
        }

    def install(self) -> None:
        """Installs the chart, or upgrades it, and waits until the operator is ready."""
        values = self.values(self.cluster.images())
        helm.Helm(self.cluster.kubeconfig).apply(values, timeout=PATIENCE_S)

    def kill_operator(self) -> str:
        """Kills the operator's pod without a word of warning; returns its name. Another one follows."""
        name = operator_pod(self.cluster.kubectl)
        self.cluster.kubectl.run(
            "delete", "pod", name, f"--namespace={helm.NAMESPACE}", "--grace-period=0", "--force"
        )
        return name

    def wait_for_operator(self, *, other_than: str = "", timeout_s: float = PATIENCE_S) -> float:
        """Waits until an operator is ready, and returns the seconds it took."""
        began = time.monotonic()
        wait_for(
            "the operator to be ready",
            lambda: operator_pod(self.cluster.kubectl, ready=True) not in ("", other_than),
            timeout_s,
        )
        return time.monotonic() - began


def operator_pod(kubectl: Kubectl, *, ready: bool = False) -> str:
    """The name of the operator's pod that isn't on its way out; empty where there is none."""
    found = kubectl.json("get", "pods", f"--namespace={helm.NAMESPACE}", f"--selector={OPERATOR}")["items"]
    for pod in found:
        if pod["metadata"].get("deletionTimestamp"):
            continue
        conditions = {c["type"]: c["status"] for c in (pod.get("status") or {}).get("conditions") or ()}
        if not ready or conditions.get("Ready") == "True":
            return str(pod["metadata"]["name"])
    return ""
