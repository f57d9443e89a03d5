"""What befalls pods, as Kubernetes reports it: statuses and events laid over what the cluster's step makes.

A `Trouble` lasts until it is taken away; then the next step of the cluster has the pods up again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pointsman.api import names
from pointsman.kube.store import address_of
from tests.simulation.cluster import NAMESPACE, Cluster
from tests.simulation.stories import engines


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is reported of one Deployment or Job while the trouble lasts."""

    containers: tuple[Mapping[str, Any], ...] = ()
    """containerStatuses of its pods; their name is filled in."""
    conditions: tuple[Mapping[str, Any], ...] = ()
    """Conditions of its pods."""
    pod: Mapping[str, Any] = field(default_factory=dict)
    """More of their status."""
    spec: Mapping[str, Any] = field(default_factory=dict)
    """More of their spec."""
    owner: tuple[Mapping[str, Any], ...] = ()
    """Conditions of the Deployment or Job itself."""
    events: tuple[tuple[str, str], ...] = ()
    """(reason, words) of warnings about its pods."""
    told: tuple[tuple[str, str], ...] = ()
    """(reason, words) of warnings about the Deployment or Job itself."""
    ready: int = 0
    """How many of its pods are ready all the same."""
    podless: bool = False
    """Whether no pod could be made."""


class TroubledCluster(Cluster):
    """A cluster on which things go wrong; `troubles` by the name of the Deployment or Job."""

    def __init__(self) -> None:
        super().__init__()
        self.troubles: dict[str, Trouble] = {}
        self.newborn: Trouble | None = None
        """What befalls every revision whose Deployment is made from now on, from its first moment."""
        self._known: set[str] = set()

    def step(self) -> None:
        """What the cluster does of itself, and then what befalls it."""
        made = {name for name in engines(self) if name not in self._known}
        if self.newborn is not None:
            self.troubles |= dict.fromkeys(made, self.newborn)
        self._known |= made
        super().step()
        for name, trouble in self.troubles.items():
            self._befall(name, trouble)

    async def rounds(self, count: int) -> None:
        """So many rounds of passes."""
        for _ in range(count):
            await self.round()

    async def until(self, name: str, kind: str, reason: str, seconds: int = 30) -> int:
        """Rounds, at one a second, until a condition has the reason; how many it took."""
        for second in range(seconds + 1):
            if self.condition(name, kind)[1] == reason:
                return second
            await self.round()
        found = {k: self.condition(name, k) for k in ("Ready", kind)}
        raise AssertionError(f"not {reason} within {seconds} s: {found}")

    def _befall(self, name: str, trouble: Trouble) -> None:
        for kind in ("Deployment", "Job"):
            owner = self.find(kind, name)
            if owner is None:
                continue
            status = {**(owner.get("status") or {}), "conditions": list(trouble.owner)}
            if kind == "Deployment":
                status["readyReplicas"] = trouble.ready
            self._overwrite(names.RESOURCES[kind], name, status=status)
            router = owner["metadata"]["labels"].get(names.LABEL_ROUTER)
            if router:
                self._endpoints(router)
            self._tell(name, owner, trouble.told)
            self._befall_pods(owner, trouble)

    def _befall_pods(self, owner: Any, trouble: Trouble) -> None:
        for pod in self.all("Pod"):
            if pod["metadata"]["ownerReferences"][0]["uid"] != owner["metadata"]["uid"]:
                continue
            if trouble.podless:
                del self.kube.store.objects[address_of(names.POD, NAMESPACE, pod["metadata"]["name"])]
                continue
            container = owner["spec"]["template"]["spec"]["containers"][0]["name"]
            statuses = [{"name": container, "ready": False, **status} for status in trouble.containers]
            status = {
                **trouble.pod,
                "containerStatuses": statuses,
                "conditions": list(trouble.conditions),
            }
            template = owner["spec"]["template"]["spec"]
            self._overwrite(
                names.POD, pod["metadata"]["name"], status=status, spec={**template, **trouble.spec}
            )
            self._tell(pod["metadata"]["name"], self.find("Pod", pod["metadata"]["name"]), trouble.events)

    def _tell(self, name: str, about: Any, words: tuple[tuple[str, str], ...]) -> None:
        for number, (reason, note) in enumerate(words):
            called = f"{name}.{number}.{len(note)}"
            event: dict[str, Any] = {
                "apiVersion": names.EVENT.api_version,
                "kind": "Event",
                "metadata": {"name": called, "namespace": NAMESPACE},
                "regarding": {"kind": about["kind"], "uid": about["metadata"]["uid"]},
                "type": "Warning",
                "reason": reason,
                "note": note,
                "eventTime": self.now.isoformat().replace("+00:00", "Z"),
            }
            address = address_of(names.EVENT, NAMESPACE, called)
            if address not in self.kube.store.objects:
                self.kube.store.insert(address, event, {})

    def _overwrite(self, resource: names.Resource, name: str, **parts: Any) -> None:
        address = address_of(resource, NAMESPACE, name)
        stored = self.kube.store.objects[address]
        if any(stored.obj.get(part) != value for part, value in parts.items()):
            self.kube.store.replace(address, {**stored.obj, **parts}, stored.managers)


def ago(cluster: Cluster, seconds: float) -> str:
    """A moment before now, as the API server writes times."""
    return (cluster.now - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
