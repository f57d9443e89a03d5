"""One namespace of a cluster, through kubectl as people use it: the hands and eyes of demo and scenarios."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from e2e.cluster import ClusterError, Kubectl
from e2e.conditions import Condition, condition, is_ready, told
from e2e.waiting import wait_for

Manifest = dict[str, Any]

LABEL = "pointsman-e2e"
"""Marks the namespaces that scenarios made, for clearing up after a run that was killed."""
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
"""What our pods promise is checked by the API server too."""
OURS = "app.kubernetes.io/managed-by=pointsman"
DELETED_WITHIN_S = 300
NOISE = frozenset({"events", "events.events.k8s.io", "leases.coordination.k8s.io"})
"""Kinds that come and go by themselves."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace, and what is done to it and seen in it."""

    kubectl: Kubectl
    name: str

    def create(self, labels: Mapping[str, str] | None = None) -> None:
        """Makes the namespace, or finds that it is there."""
        manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": self.name, "labels": {**RESTRICTED, **(labels or {})}},
        }
        self.kubectl.run("apply", "--server-side", "--filename=-", stdin=json.dumps(manifest))

    def apply(self, *manifests: Manifest) -> None:
        """Applies manifests, which need not name the namespace."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
        self._run("apply", "--server-side", "--filename=-", stdin=text)

    def patch(self, target: str, patch: Mapping[str, Any], *, kind: str = "merge") -> None:
        """Patches `kind/name`, as somebody's hand would."""
        self._run("patch", target, f"--type={kind}", f"--patch={json.dumps(patch)}")

    def delete(self, target: str, *, wait: bool = True) -> None:
        """Deletes `kind/name`; with `wait`, returns when it is gone."""
        self._run("delete", target, f"--wait={str(wait).lower()}", timeout_s=DELETED_WITHIN_S)

    def get(self, target: str) -> Manifest | None:
        """The object `kind/name`, or None."""
        done = self.kubectl.try_run("get", target, self._flag, "--output=json")
        if done.returncode:
            if "(NotFound)" in done.stderr:
                return None
            raise ClusterError(f"kubectl get {target}: {done.stderr.strip()}")
        found: Manifest = json.loads(done.stdout)
        return found

    def the(self, target: str) -> Manifest:
        """The object `kind/name`, which has to be there."""
        found = self.get(target)
        assert found is not None, f"there is no {target} in {self.name}"
        return found

    def items(self, kind: str, selector: str = "") -> list[Manifest]:
        """The objects of a kind, those that a label selector chooses."""
        chosen = [f"--selector={selector}"] if selector else []
        found: list[Manifest] = self.kubectl.json("get", kind, self._flag, *chosen)["items"]
        return found

    def condition(self, target: str, type_: str) -> Condition:
        """One condition of `kind/name`."""
        return condition(self.the(target), type_)

    def wait_until_ready(self, target: str, timeout_s: float) -> Manifest:
        """`kind/name` once it is Ready as it is declared now."""
        last: Manifest = {}

        def look() -> Manifest | None:
            nonlocal last
            last = self.get(target) or {}
            return last if is_ready(last) else None

        return wait_for(f"{self.name} {target} to be ready", look, timeout_s, seen=lambda: told(last))

    def wait_for_reason(self, target: str, type_: str, reason: str, timeout_s: float) -> Condition:
        """A condition of `kind/name` once it gives `reason`."""
        last: Manifest = {}

        def look() -> Condition | None:
            nonlocal last
            last = self.get(target) or {}
            found = condition(last, type_)
            return found if found.reason == reason else None

        what = f"{self.name} {target} to say {type_} {reason}"
        return wait_for(what, look, timeout_s, seen=lambda: told(last))

    def inventory(self) -> set[str]:
        """Everything that lies in the namespace, as `kind/name`; only what comes and goes by itself isn't."""
        kinds = self.kubectl.run("api-resources", "--namespaced", "--verbs=list", "--output=name").split()
        wanted = ",".join(sorted(set(kinds) - NOISE))
        return set(self._run("get", wanted, "--output=name", "--ignore-not-found").split())

    def remove(self, *, wait: bool) -> None:
        """Deletes the namespace with all that is in it."""
        self.kubectl.run(
            "delete",
            "namespace",
            self.name,
            "--ignore-not-found",
            f"--wait={str(wait).lower()}",
            timeout_s=DELETED_WITHIN_S,
        )

    def _run(self, *arguments: str, stdin: str | None = None, timeout_s: float = 120.0) -> str:
        return self.kubectl.run(*arguments, self._flag, stdin=stdin, timeout_s=timeout_s)

    @property
    def _flag(self) -> str:
        return f"--namespace={self.name}"


def names(manifests: Iterable[Manifest]) -> set[str]:
    """The names of objects."""
    return {manifest["metadata"]["name"] for manifest in manifests}
