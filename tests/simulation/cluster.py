"""A cluster in memory: the API server's twin, stand-ins for kubelet, routers and hub, and virtual time.

The operator's real gather, decide, plan and apply run against it; only the queue is replaced by rounds, in
which every object of ours gets a pass. What stands in here does what the real parts were seen to do.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pointsman.api import names
from pointsman.core.settings import Settings
from pointsman.engine.abreast import Abreast
from pointsman.engine.apply import Applier
from pointsman.engine.events import Recorder
from pointsman.engine.gather import Gatherer
from pointsman.engine.reconcile import Reconciler, Report
from pointsman.kube.protocol import Conflict, Forbidden, Kube, NotFound
from pointsman.kube.store import address_of
from pointsman.kube.twin import MemoryKube
from tests.simulation.routers import StandInRouters

NAMESPACE = "team-a"
START = datetime(2026, 1, 1, tzinfo=UTC)

SETTINGS = Settings(
    router_image="pointsman.local/router:test",
    resolve_image="pointsman.local/operator:test",
    engine_images={
        "cpu": "pointsman.local/engine-cpu:{version}",
        "nvidia.com/gpu": "pointsman.local/gpu:{version}",
    },
    engine_version="1",
    operator_version="test",
)


class Cluster:
    """Everything around the operator, and the operator."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.now = START
        self.kube = MemoryKube(now=lambda: self.now)
        self.routers = StandInRouters(self)
        self.accelerators: int | None = None
        """Free accelerators of the only node; None: more than enough."""
        self.failing: dict[str, Mapping[str, Any]] = {}
        """Container state of the pods of a revision that doesn't come up."""
        self.startup_seconds = 0.0
        """How long the first pods of a Deployment take to be ready."""
        self.starting = False
        """Whether the last step saw some that aren't yet."""
        self.hub: Mapping[str, Any] | None = {"commit": "c0ffee", "bytes": 2 * 1024**3}
        """What resolve Jobs find out; None: they never end."""
        self.trial: Mapping[str, Any] | None = {"passed": True}
        """What trials find; None: they never end. With a `reason` they come to no verdict."""
        self.check: Mapping[str, Any] | None = {"pass": True}
        """What checks say, with a `message`; None: they never end. With a `reason`: no verdict."""
        self.unmounted = ""
        """What the kubelet says of a volume that pods of resolve Jobs wait for; empty: none is awaited."""
        self.restart(settings)

    def restart(self, settings: Settings = SETTINGS) -> None:
        """A new operator process: nothing remembered."""
        self.reconciler = self.operator(self.kube, settings)

    def operator(self, kube: Kube, settings: Settings = SETTINGS, instance: str = "test") -> Reconciler:
        """What a process of the operator carries its passes out with, by its own way to the API server."""
        kube = kube if isinstance(kube, Abreast) else Abreast(kube)
        return Reconciler(
            kube=kube,
            gatherer=Gatherer(kube, self.routers, settings, kube.since),
            applier=Applier(kube),
            recorder=Recorder(kube, now=lambda: self.now, instance=instance),
            now=lambda: self.now,
        )

    # What a user does.

    async def apply(self, kind: str, name: str, spec: Mapping[str, Any]) -> None:
        """`kubectl apply` of one of our kinds."""
        manifest = {
            "apiVersion": names.API_VERSION,
            "kind": kind,
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": spec,
        }
        await self.kube.apply(manifest, manager="user")
        self.now += timedelta(seconds=1)

    async def delete(self, kind: str, name: str) -> None:
        """`kubectl delete`."""
        found = self.find(kind, name)
        await self.kube.delete(names.RESOURCES[kind], NAMESPACE, name, uid=found["metadata"]["uid"])

    # What is looked at.

    def find(self, kind: str, name: str) -> Any:
        """One object, or None."""
        return next((o for o in self.all(kind) if o["metadata"]["name"] == name), None)

    def all(self, kind: str) -> list[Any]:
        """All objects of a kind."""
        found = [(a, s.obj) for a, s in self.kube.store.objects.items() if a[1] == kind]
        return [obj for _, obj in sorted(found, key=lambda pair: pair[0])]

    def condition(self, name: str, kind: str, of: str = "LLMService") -> tuple[str, str, str]:
        """(status, reason, message) of one condition; dashes where there is none."""
        found = self.find(of, name) or {}
        for condition in (found.get("status") or {}).get("conditions") or ():
            if condition["type"] == kind:
                return condition["status"], condition["reason"], condition["message"]
        return "-", "-", "-"

    def ready_pods(self, revision: str) -> int:
        """Ready engine pods of a revision."""
        found = self.find("Deployment", revision)
        return int(((found or {}).get("status") or {}).get("readyReplicas", 0))

    # Time.

    async def settle(self, rounds: int = 60) -> None:
        """Rounds of passes and cluster work until nothing changes and nobody wants another look soon."""
        for _ in range(rounds):
            before = self.kube.store.version
            reports = await self.round()
            if self.kube.store.version == before and all((r.requeue_after or 60) >= 5 for r in reports):
                return
        raise AssertionError(f"did not settle: {[r.because for r in reports]}")

    async def round(self) -> list[Report]:
        """One pass for every object, then one step of the cluster."""
        reports = []
        for key in self._keys():
            try:
                reports.append(await self.reconciler.reconcile(key))
            except (Conflict, NotFound, Forbidden):
                reports.append(Report(requeue_after=0.0))
        self.step()
        self.now += timedelta(seconds=1)
        return reports

    def _keys(self) -> Iterable[names.Key]:
        found = [
            names.Key(kind, NAMESPACE, obj["metadata"]["name"])
            for kind in ("LLMModel", "PromptVersion", "PromptSuite", "LLMService", "LLMRouter")
            for obj in self.all(kind)
        ]
        return dict.fromkeys([*found, names.Key("LLMRouter", NAMESPACE, names.DEFAULT_ROUTER)])

    def step(self) -> None:
        """Deployment controller, scheduler, kubelet, Job controller and garbage collector, one step each."""
        self.kube.collect()
        self.starting = False
        free = self.accelerators
        for deployment in self.all("Deployment"):
            if free is not None:
                free -= self._held(deployment)
        for deployment in self.all("Deployment"):
            free = self._run_deployment(deployment, free)
        for job in self.all("Job"):
            self._run_job(job)
        self._drop_pods()

    def _held(self, deployment: Any) -> int:
        pods = (deployment.get("status") or {}).get("replicas", 0)
        ready = (deployment.get("status") or {}).get("readyReplicas", 0)
        return _accelerators(deployment) * int(min(pods, ready))

    def _run_deployment(self, deployment: Any, free: int | None) -> int | None:
        meta, spec = deployment["metadata"], deployment["spec"]
        if meta.get("deletionTimestamp"):
            return free
        wanted = spec.get("replicas", 1)
        ready = (deployment.get("status") or {}).get("readyReplicas", 0)
        need, more = _accelerators(deployment), wanted - ready
        unschedulable = free is not None and need > 0 and more > 0 and free < need * more
        stuck = meta["name"] in self.failing
        router = (meta.get("labels") or {}).get(names.LABEL_ROUTER, "")
        if router and not self.routers.fit(router):
            ready = 0
        elif not unschedulable and not stuck:
            free = free - need * max(more, 0) if free is not None else None
            ready = ready if self._starts(meta, ready) else wanted
        self._status(
            deployment, {"observedGeneration": meta["generation"], "replicas": wanted, "readyReplicas": ready}
        )
        self._pods(deployment, unschedulable)
        if router:
            self._endpoints(router)
        return free

    def _starts(self, meta: Any, ready: int) -> bool:
        """Whether the first pods of a Deployment are still coming up."""
        age = self.now - datetime.fromisoformat(meta["creationTimestamp"])
        early = not ready and age < timedelta(seconds=self.startup_seconds)
        self.starting |= early
        return early

    def _pods(self, deployment: Any, unschedulable: bool) -> None:
        meta = deployment["metadata"]
        state = self.failing.get(meta["name"], {})
        status: dict[str, Any] = {"containerStatuses": [state] if state else []}
        if unschedulable:
            words = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. preemption: not helpful"
            status["conditions"] = [{"type": "PodScheduled", "status": "False", "message": words}]
        self._put_pod(f"{meta['name']}-pod", deployment, deployment["spec"]["template"]["metadata"], status)

    def _run_job(self, job: Any) -> None:
        meta = job["metadata"]
        if "-check-" in meta["name"]:
            self._end_check(job)
            return
        if meta["labels"].get(names.LABEL_ROLE) == names.ROLE_TRIAL:
            self._end_job(job, names.TRIAL_CONTAINER, self.trial)
            return
        if self.unmounted:
            waiting = {"state": {"waiting": {"reason": "ContainerCreating"}}}
            status: dict[str, Any] = {"containerStatuses": [{"name": "resolve", **waiting}]}
            self._put_pod(f"{meta['name']}-pod", job, job["spec"]["template"]["metadata"], status)
            self._put_mount_event(self.find("Pod", f"{meta['name']}-pod"))
            return
        self._end_job(job, names.RESOLVE_CONTAINER, self.hub)

    def _end_check(self, job: Any) -> None:
        """What a webhook is said to have said, or what the user's own container does."""
        if self.check is None:
            return
        container = job["spec"]["template"]["spec"]["containers"][0]["name"]
        passed, message = bool(self.check.get("pass")), str(self.check.get("message", ""))
        if container == names.TRIAL_CONTAINER:
            gate = {"name": "check", "passed": passed, "message": message}
            told = self.check if "reason" in self.check else {"passed": passed, "gate": gate}
            self._end_job(job, container, told)
        elif "reason" in self.check:
            self._end(job, container, {"exitCode": 137, "reason": "OOMKilled"})
        else:
            self._end(job, container, {"exitCode": int(not passed), "message": message, "reason": "Error"})

    def _end_job(self, job: Any, container: str, told: Mapping[str, Any] | None) -> None:
        """What its pod leaves as its termination message; None: it runs on."""
        if told is not None:
            self._end(job, container, {"exitCode": int("reason" in told), "message": json.dumps(told)})

    def _end(self, job: Any, container: str, ended: Mapping[str, Any]) -> None:
        meta, failed = job["metadata"], bool(ended["exitCode"])
        status = {"containerStatuses": [{"name": container, "state": {"terminated": ended}}]}
        self._put_pod(f"{meta['name']}-pod", job, job["spec"]["template"]["metadata"], status)
        kind = "Failed" if failed else "Complete"
        moment = self.now.isoformat().replace("+00:00", "Z")
        if not job.get("status"):
            self._status(
                job, {"conditions": [{"type": kind, "status": "True", "lastTransitionTime": moment}]}
            )

    def _put_pod(self, name: str, owner: Any, metadata: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        reference = {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "labels": dict(metadata["labels"]),
                "ownerReferences": [reference],
            },
        }
        self._put(names.POD, pod, status)

    def _put_mount_event(self, pod: Any) -> None:
        event = {
            "apiVersion": names.EVENT.api_version,
            "kind": "Event",
            "metadata": {"name": f"{pod['metadata']['name']}.mount", "namespace": NAMESPACE},
            "regarding": {"kind": "Pod", "uid": pod["metadata"]["uid"]},
            "type": "Warning",
            "reason": "FailedMount",
            "note": self.unmounted,
        }
        self._put(names.EVENT, event, None)

    def _endpoints(self, router: str) -> None:
        """What the endpoint controller makes of the router's headless admin Service."""
        service = self.find("Service", names.router_admin_name(router))
        ready = self.ready_pods(names.router_name(router))
        if service is None:
            return
        slice_ = {
            "apiVersion": names.ENDPOINTSLICE.api_version,
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{router}-slice",
                "namespace": NAMESPACE,
                "labels": {
                    **(service["metadata"].get("labels") or {}),
                    "kubernetes.io/service-name": names.router_admin_name(router),
                },
                "ownerReferences": [
                    {"kind": "Service", "uid": service["metadata"]["uid"], "controller": True}
                ],
            },
            "addressType": "IPv4",
            "ports": [{"port": names.PORT_ROUTER_ADMIN}],
            "endpoints": [{"addresses": [router], "conditions": {"ready": ready > 0}}],
        }
        self._put(names.ENDPOINTSLICE, slice_, None)

    def _put(self, resource: names.Resource, obj: Any, status: Mapping[str, Any] | None) -> None:
        address = address_of(resource, NAMESPACE, obj["metadata"]["name"])
        if address not in self.kube.store.objects:
            self.kube.store.insert(address, obj, {})
        stored = self.kube.store.objects[address]
        if stored.obj["metadata"].get("deletionTimestamp"):
            return
        wanted = {**stored.obj, **{k: v for k, v in obj.items() if k not in ("metadata", "status")}}
        if status is not None:
            wanted["status"] = dict(status)
        if wanted != stored.obj:
            self.kube.store.replace(address, wanted, stored.managers)

    def _status(self, obj: Any, status: Mapping[str, Any]) -> None:
        """Writes a status as its controller would."""
        address = address_of(names.RESOURCES[obj["kind"]], NAMESPACE, obj["metadata"]["name"])
        stored = self.kube.store.objects[address]
        if (stored.obj.get("status") or {}) != status:
            self.kube.store.replace(address, {**stored.obj, "status": dict(status)}, stored.managers)

    def _drop_pods(self) -> None:
        """Pods on their way out stop, and those of an owner that has gone go too."""
        owners = {s.obj["metadata"]["uid"] for s in self.kube.store.objects.values()}
        for pod in self.all("Pod"):
            orphaned = pod["metadata"]["ownerReferences"][0]["uid"] not in owners
            if orphaned or pod["metadata"].get("deletionTimestamp"):
                self.kube.finish(names.POD, NAMESPACE, pod["metadata"]["name"])
                self.kube.collect()


def _accelerators(deployment: Any) -> int:
    limits = deployment["spec"]["template"]["spec"]["containers"][0].get("resources", {}).get("limits", {})
    return int(limits.get("nvidia.com/gpu", 0))
