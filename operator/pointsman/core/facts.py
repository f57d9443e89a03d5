"""What a ServiceWorld amounts to: the facts that the decision and the status are both made of.

Everything here is derived from the World and from nothing else; deriving it once, in one place, keeps what
is done and what is said about it from disagreeing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pointsman.api import names
from pointsman.api.model import LLMModel, ModelSpec
from pointsman.api.router import LLMRouter
from pointsman.api.service_status import RolloutStatus, Step
from pointsman.core import diagnosis, pod_template, revision, rollout, routing, sizing, sources, startup
from pointsman.core.inventory import is_leaving
from pointsman.core.observed import EngineSignals
from pointsman.core.revision import Revision
from pointsman.core.world import Manifest, Missing, ServiceWorld
from pointsman_router import config


@dataclass(frozen=True, slots=True)
class Facts:
    """One service, as this pass sees it."""

    world: ServiceWorld
    model: ModelSpec | None
    """The model to serve; None while the reference leads nowhere."""
    target: str
    """Revision that the spec asks for; empty while there is no model."""
    image: str
    """Engine image a newborn revision would get; empty when none is known."""
    revisions: Mapping[str, Revision]
    """Remembered revisions by name, those rebuilt from a Deployment included."""
    lost: frozenset[str]
    """Revisions whose ControllerRevision has to be written again."""
    deployments: Mapping[str, Manifest]
    state: rollout.State
    """The rollout as the last pass left it."""
    granted: tuple[str, ...]
    """Model names this service may use."""
    replicas: int

    @property
    def router(self) -> str:
        """The router that is to have the service."""
        exists = not isinstance(self.world.router, Missing)
        return routing.destined_router(self.world.service, exists=exists)

    @property
    def born(self) -> bool:
        """Whether the target's inputs are frozen already."""
        return self.target in self.revisions

    @property
    def resolution(self) -> Mapping[str, object] | None:
        """What is known of the source; None: it's being asked. An empty mapping for one that needs no asking,
        or that was asked in vain for what can be done without."""
        if not self.asked:
            return {}
        assert self.model is not None
        found = diagnosis.resolved(self.pods_of(names.ROLE_RESOLVE, self.target))
        if found is None and not sources.is_remote(self.model.source.uri):
            asking = names.resolve_name(self.target)
            jobs = [job for job in self.world.owned_of("Job") if job["metadata"]["name"] == asking]
            return {} if any(map(diagnosis.job_failed, jobs)) else None
        return found

    @property
    def asked(self) -> bool:
        """Whether a Job asks the source before the revision is born."""
        if self.model is None:
            return False
        uri, spec = self.model.source.uri, self.world.service.spec
        wanted = bool(sources.claim(uri)) and sizing.asks_source(spec, self.model.facts)
        return wanted or sources.is_remote(uri)

    def pods_of(self, role: str, name: str) -> list[Manifest]:
        """The listed pods of one revision in one role, oldest first; those on their way out say nothing."""
        chosen = [
            pod
            for pod in self.world.pods
            if pod["metadata"]["labels"].get(names.LABEL_ROLE) == role
            and pod["metadata"]["labels"].get(names.LABEL_REVISION) == name
            and not is_leaving(pod)
        ]
        return sorted(chosen, key=lambda pod: str(pod["metadata"]["name"]))

    def engines(self, name: str) -> list[EngineSignals]:
        """What the engines of one revision told of themselves, ready or not."""
        return startup.engines(self.world.signals, self.world.service.metadata.name, name)

    def route(self, state: rollout.State, generation: int) -> config.Service:
        """The service's part of the router's configuration in a state."""
        return routing.compile_service(self.world.service, self.granted, state.traffic, generation)

    @property
    def routed_generation(self) -> int:
        """The generation that the router's configuration now speaks of."""
        status = self.world.service.status.rollout
        return status.generation if status else 0

    def acknowledged(self) -> bool:
        """Whether every live router runs exactly what follows from the current state."""
        expected = config.service_hash(self.route(self.state, self.routed_generation))
        name = self.world.service.metadata.name
        signals = self.world.signals
        return bool(signals) and all(
            s.reachable and name in s.services and s.services[name].hash == expected for s in signals
        )

    def forgotten(self) -> bool:
        """Whether no live router knows the service any more."""
        name = self.world.service.metadata.name
        return all(s.reachable and name not in s.services for s in self.world.signals)

    def deployed(self, name: str) -> bool:
        """Whether the revision's Deployment has all the pods asked for, ready."""
        found = self.deployments.get(name)
        if found is None or is_leaving(found):
            return False
        status = found.get("status") or {}
        if status.get("observedGeneration", 0) < found["metadata"].get("generation", 0):
            return False
        asked = found["spec"].get("replicas", 1) == self.replicas
        return bool(asked and status.get("readyReplicas", 0) >= self.replicas)

    def ready(self, name: str) -> bool:
        """Whether all its capacity is there, in every router's eyes too."""
        if not self.deployed(name):
            return False
        return self.replicas == 0 or (
            bool(self.world.signals) and all(n >= self.replicas for n in self._seen_ready(name))
        )

    def settled(self, state: rollout.State) -> bool:
        """Whether a state is at rest on the revision that the spec asks for."""
        return state.step is Step.STEADY and bool(state.stable) and state.stable == self.target

    def serving(self) -> bool:
        """Whether a request sent now finds an engine of the routed revisions."""
        # Of Kubernetes and the routers one hears first that the last engine has gone; no later pass is sure.
        if not self.engines_run() and not self._nodes_lost():
            return False
        if any(s.reachable for s in self.world.signals):
            return any(count > 0 for name in self._routed for count in self._seen_ready(name))
        # The routers can't be asked. What Kubernetes says of both ends is the next best.
        router = self.world.router
        return isinstance(router, LLMRouter) and router.status.ready_replicas > 0

    def engines_run(self) -> bool:
        """Whether Kubernetes calls any engine of the routed revisions ready."""
        statuses = [(self.deployments.get(name) or {}).get("status") or {} for name in self._routed]
        return any(status.get("readyReplicas", 0) > 0 for status in statuses)

    def _nodes_lost(self) -> bool:
        """Whether Kubernetes calls engines unready since their node doesn't report: they may serve on."""
        return any(
            diagnosis.node_lost(pod) for name in self._routed for pod in self.pods_of(names.ROLE_ENGINE, name)
        )

    @property
    def _routed(self) -> list[str]:
        return [name for name, weight in self.state.traffic if weight > 0]

    def _seen_ready(self, name: str) -> list[int]:
        service = self.world.service.metadata.name
        counts = []
        for signals in self.world.signals:
            known = signals.services.get(service)
            variant = known.variants.get(name) if known else None
            counts.append(variant.ready if variant else 0)
        return counts


def examine(world: ServiceWorld) -> Facts:
    """The facts of a World. Total."""
    service = world.service
    model = _model(world)
    revisions, lost = _revisions(world)
    deployments = {d["metadata"]["name"]: d for d in world.owned_of("Deployment")}
    return Facts(
        world=world,
        model=model,
        target=revision.name_of(service.metadata.name, service.spec, model) if model else "",
        image=pod_template.image(service.spec, world.settings),
        revisions=revisions,
        lost=lost,
        deployments=deployments,
        state=_state(service.status.rollout, deployments),
        granted=routing.granted(service, world.peers),
        replicas=1 if service.spec.replicas is None else service.spec.replicas,
    )


def observation(facts: Facts, *, startable: bool) -> rollout.Observation:
    """What of the facts matters to the rollout, with whether the target could be started now."""
    names_of = facts.deployments
    return rollout.Observation(
        target=facts.target,
        ready=frozenset(name for name in facts.state.revisions if facts.ready(name)),
        present=frozenset(names_of),
        leaving=frozenset(name for name, child in names_of.items() if is_leaving(child)),
        acknowledged=facts.acknowledged(),
        strategy=facts.world.service.spec.strategy,
        startable=startable,
    )


def _model(world: ServiceWorld) -> ModelSpec | None:
    if world.service.spec.model is not None:
        return world.service.spec.model
    return world.model.spec if isinstance(world.model, LLMModel) else None


def _revisions(world: ServiceWorld) -> tuple[dict[str, Revision], frozenset[str]]:
    frozen = [revision.thaw(child) for child in world.owned_of("ControllerRevision")]
    known = {r.name: r for r in frozen}
    lost = [
        d for d in world.owned_of("Deployment") if d["metadata"]["name"] not in known and not is_leaving(d)
    ]
    for deployment in lost:
        rebuilt = revision.rebuilt(deployment, revision.next_number(list(known.values())))
        known[rebuilt.name] = rebuilt
    return known, frozenset(d["metadata"]["name"] for d in lost)


def _state(status: RolloutStatus | None, deployments: Mapping[str, Manifest]) -> rollout.State:
    if status is None or status.step is None:
        return rollout.recover({name: _track(d) for name, d in deployments.items() if not is_leaving(d)})
    return rollout.State(
        stable=status.stable or "",
        candidate=status.candidate or "",
        step=Step(status.step),
        since=datetime.fromisoformat(status.step_started_at) if status.step_started_at else None,
        traffic=tuple((share.revision, share.weight) for share in status.traffic),
    )


def _track(deployment: Manifest) -> str:
    return str((deployment["metadata"].get("labels") or {}).get(names.LABEL_TRACK, ""))


def weights(state: rollout.State) -> Sequence[Mapping[str, object]]:
    """The traffic of a state as status spells it."""
    return [{"revision": name, "weight": weight} for name, weight in state.traffic]
