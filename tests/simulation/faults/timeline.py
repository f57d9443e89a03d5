"""What must hold at every instant of every run (O15), checked at each change and each request as it happens.

Weights sum up; traffic goes only to engines that are ready; who serves goes on serving; nothing is taken away
under traffic; steps aren't skipped; what isn't ours stays untouched. A violation is noted, never raised: the
run goes on, so that its end can be looked at too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pointsman.api import names
from pointsman.api.service_status import Step
from pointsman.kube.protocol import Kube
from pointsman.kube.store import WatchEvent
from tests.simulation.faults.laws import Laws, revision_of
from tests.simulation.faults.proxy import Carry, Request

if TYPE_CHECKING:
    from tests.simulation.faults.site import Site

LEAVES_TO: Mapping[str, frozenset[str]] = {
    Step.STEADY: frozenset({Step.STARTING, Step.CAPACITY, Step.DRAINING}),
    Step.STARTING: frozenset({Step.TRAFFIC, Step.TRIAL}),
    Step.CAPACITY: frozenset({Step.TRAFFIC, Step.DRAINING, Step.STEADY, Step.TRIAL, Step.CANARY}),
    Step.TRIAL: frozenset({Step.TRAFFIC, Step.STEADY, Step.CAPACITY, Step.DRAINING, Step.CANARY}),
    Step.CANARY: frozenset({Step.CAPACITY, Step.BAKING, Step.STEADY}),
    Step.BAKING: frozenset({Step.STEADY, Step.CAPACITY}),
    Step.TRAFFIC: frozenset({Step.STEADY, Step.CAPACITY, Step.DRAINING, Step.STARTING}),
    Step.DRAINING: frozenset({Step.STARTING, Step.STEADY, Step.CAPACITY}),
}
"""Where each step of a rollout may lead; a new wish or a return to the old one counts."""

OURS = frozenset({"LLMService", "LLMRouter", "LLMModel", "PromptSuite", "PromptVersion"})
_OWNERS = frozenset({"LLMService", "LLMRouter"})


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be, and which oracle says so."""

    oracle: str
    what: str

    def __str__(self) -> str:
        return f"{self.oracle}: {self.what}"


class Told(Exception):
    """What was awaited was told."""


class Timeline:
    """Watches one site. `served`: services that must go on being served once they were."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.violations: list[Violation] = []
        self.served: frozenset[str] = frozenset()
        self.lenient = False
        """Whether the run's fault is one that the past may be seen by: then routes may lag for a moment."""
        self.awaited = ""
        """The oracle that the run ends with, once it says something."""
        self._acting: Request | None = None
        self._rollouts: dict[str, Mapping[str, Any]] = {}
        self._told: dict[str, set[str]] = {}
        self._routed: dict[str, frozenset[tuple[str, str]]] = {}
        self._up: set[str] = set()
        self._laws = Laws(site, self._say)
        site.kube.store.watchers.add(self._changed)

    def begin(self) -> None:
        """Takes what is there for granted."""
        for service in self._site.all("LLMService"):
            self._rollouts[service["metadata"]["name"]] = (service.get("status") or {}).get("rollout") or {}
        for router in self._site.routers.known():
            self._routed[router] = self._routes(router)
        self._note_served()

    def look(self) -> None:
        """Routers may run something else, though nothing is stored anew."""
        for router in self._site.routers.known():
            self._check_routes(router)

    def missed(self, what: str) -> None:
        """Somebody waited in vain for what status was to say."""
        if not self.lenient:
            self._say("O2 told", what)

    async def witness(self, request: Request, kube: Kube, carry: Carry) -> Any:
        """Sees every request of the operator that is carried out."""
        if not request.writes:
            return await carry(kube)
        if request.kind in OURS and not _allowed(request):
            self._say("O15 not ours", f"{request.verb} of {request.kind} {request.name!r}: its user's alone")
        stranger = self._stranger(request)
        self._acting = request
        try:
            return await carry(kube)
        finally:
            self._acting = None
            if stranger is not None and self._site.find(request.kind, request.name) != stranger:
                self._say(
                    "O15 not ours", f"{request.verb} of {request.kind} {request.name!r}: somebody else's"
                )

    def _say(self, oracle: str, what: str) -> None:
        violation = Violation(oracle, what)
        if violation not in self.violations:
            self.violations.append(violation)
            self._site.tell(f"VIOLATION {violation}")
            if self.awaited and oracle.startswith(self.awaited):
                self._site.broken(Told(str(violation)))

    def _stranger(self, request: Request) -> Any:
        """What stands where the request aims without being the operator's."""
        if request.kind in OURS or request.kind == "Event":
            return None
        there = self._site.find(request.kind, request.name)
        return there if there is not None and not _is_ours(there) else None

    def _changed(self, event: WatchEvent) -> None:
        obj = event.object
        kind, name = obj["kind"], obj["metadata"]["name"]
        if kind == "LLMService":
            self._check_service(event.type, name, obj)
        elif kind == "Deployment":
            self._check_deployment(event.type, name, obj)
        elif kind == "ConfigMap":
            self._check_routes(name.removesuffix("-router"))
        elif kind not in ("Event", "Pod"):
            return
        if kind in ("LLMService", "Deployment", "ConfigMap"):
            self._check_served()

    def _check_service(self, event: str, name: str, obj: Any) -> None:
        if event == "DELETED":
            self._check_forgotten(name, self._rollouts.pop(name, {}).get("router", ""))
            return
        before, after = self._rollouts.get(name, {}), (obj.get("status") or {}).get("rollout") or {}
        self._rollouts[name] = after
        self._told.setdefault(name, set()).update(_revisions(after))
        if before == after:
            return
        self._laws.told(obj, before, after, lenient=self.lenient)
        weights = {t["revision"]: t["weight"] for t in after.get("traffic") or ()}
        if sum(weights.values()) not in (0, 100):
            self._say("O15 weights", f"{name}: {weights}")
        if before.get("step") and after.get("step"):
            self._check_step(name, before, after)

    def _check_step(self, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        old, new = before["step"], after["step"]
        if old != new and new not in LEAVES_TO[old]:
            self._say("O12 steps", f"{name}: from {old} straight to {new}")
        promoted = after.get("stable")
        carried = old in (Step.TRAFFIC, Step.BAKING) and before.get("candidate") == promoted
        if promoted and promoted != before.get("stable") and not carried:
            self._say("O12 steps", f"{name}: {promoted} is stable without having had the traffic")

    def _check_deployment(self, event: str, name: str, obj: Any) -> None:
        metadata = obj["metadata"]
        if metadata.get("labels", {}).get(names.LABEL_ROLE) != names.ROLE_ENGINE:
            return
        if self._acting is not None and (event == "DELETED" or metadata.get("deletionTimestamp")):
            for router in self._site.routers.known():
                if any(revision_of(variant) == name for _, variant in self._routes(router)):
                    self._say("O15 under traffic", f"{name} is deleted while {router} sends it requests")
        service = metadata["labels"][names.LABEL_SERVICE]
        rollout = self._rollouts.get(service, {})
        if self._acting and not self.lenient:
            self._laws.deployed(event, rollout, self._site.find("LLMService", service), obj)
        # Also what it told of once: somebody may have taken the status in the middle of the pass.
        told = self._told.get(service, set()) | _revisions(rollout)
        if self._acting and event == "ADDED" and name not in told and not self.lenient:
            self._say("O15 state first", f"{name} comes up before {service}'s status tells of it")
        standing = [
            d
            for d in self._site.all("Deployment")
            if d["metadata"].get("labels", {}).get(names.LABEL_SERVICE) == service
            and not d["metadata"].get("deletionTimestamp")
        ]
        if len(standing) > 3:
            self._say("O15 candidates", f"{service} has {len(standing)} revisions at once")

    def _check_routes(self, router: str) -> None:
        if router in self._site.routers.known() and self._site.routers.deaf:
            return
        running = self._site.routers.running(router)
        for service in running.services:
            total = sum(v.weight for v in service.variants)
            if total not in (0, 100):
                self._say("O15 weights", f"{router} has {total} % for {service.name}")
        self._laws.routed(running, self._rollouts, lenient=self.lenient)
        before, after = self._routed.get(router, frozenset()), self._routes(router)
        self._routed[router] = after
        for service_name, variant in sorted(after - before):
            if not self._all_ready(variant) and not self.lenient:
                self._say("O15 readiness", f"{service_name}: traffic to {variant} before it is ready")

    def _check_forgotten(self, name: str, router: str) -> None:
        """A deleted service waits for the router that has it. One that it left a moment before hears of it in
        a pass of its own; until then engines, which drain, answer."""
        if self._site.routers.deaf or self.lenient or router not in self._site.routers.known():
            return
        known = {s.name for s in self._site.routers.running(router).services}
        # A router that takes no requests has nothing to forget.
        if name in known and self._site.ready_pods(names.router_name(router)):
            self._say("O16 forgotten", f"{name} is gone while {router} still routes to it")

    def _check_served(self) -> None:
        up = self._serving()
        for name in sorted(self.served & self._up - up):
            if not self.lenient:
                self._say("O15 availability", f"{name} is served no more")
        self._up |= up

    def _note_served(self) -> None:
        self._up = self._serving()

    def _serving(self) -> set[str]:
        """Services that a request finds an engine of."""
        return {
            service
            for router in self._site.routers.known()
            if self._site.ready_pods(names.router_name(router))
            for service, variant in self._routes(router)
            if self._site.ready_pods(revision_of(variant))
        }

    def _routes(self, router: str) -> frozenset[tuple[str, str]]:
        running = self._site.routers.running(router)
        return frozenset((s.name, v.name) for s in running.services for v in s.variants if v.weight)

    def _all_ready(self, variant: str) -> bool:
        found = self._site.find("Deployment", revision_of(variant))
        if found is None:
            return False
        wanted = found["spec"].get("replicas", 1)
        return bool((found.get("status") or {}).get("readyReplicas", 0) >= wanted)


def _revisions(rollout: Mapping[str, Any]) -> set[str]:
    return {revision_of(rollout[side]) for side in ("stable", "candidate") if rollout.get(side)}


def _is_ours(obj: Mapping[str, Any]) -> bool:
    references = obj["metadata"].get("ownerReferences") or ()
    return any(r.get("controller") and r["kind"] in _OWNERS for r in references)


def _allowed(request: Request) -> bool:
    """Of our own kinds the operator writes status and finalizers, and the router that it makes on demand."""
    on_demand = request.kind == "LLMRouter" and request.name == names.DEFAULT_ROUTER
    return request.verb in ("patch_status", "patch_finalizers") or on_demand
