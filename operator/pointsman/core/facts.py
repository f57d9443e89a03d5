"""What a ServiceWorld amounts to: the facts that the decision and the status are both made of.

Everything here is derived from the World and from nothing else; deriving it once, in one place, keeps what
is done and what is said about it from disagreeing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pointsman.api import names
from pointsman.api.model import LLMModel, ModelSpec
from pointsman.api.prompt import PromptVersion
from pointsman.api.router import LLMRouter
from pointsman.api.service_status import Step
from pointsman.core import (
    diagnosis,
    pod_template,
    prompting,
    remembered,
    revision,
    rollout,
    routing,
    sizing,
    sources,
    startup,
)
from pointsman.core.inventory import is_leaving
from pointsman.core.observed import EngineSignals, ServiceSignals
from pointsman.core.prompting import Copy
from pointsman.core.revision import Revision
from pointsman.core.variant import Variant, revisions
from pointsman.core.world import Manifest, Missing, ServiceWorld
from pointsman_router import config


@dataclass(frozen=True)
class Facts:
    """One service, as this pass sees it."""

    world: ServiceWorld
    model: ModelSpec | None
    """The model to serve; None while the reference leads nowhere."""
    wanted: Variant | None
    """Variant that the spec asks for; None while what it is made of can't be had, or isn't frozen yet."""
    copies: Mapping[str, Copy]
    """The service's copies of prompts, by digest."""
    target: str
    """Engine revision that the spec asks for; empty while there is no model."""
    image: str
    """Engine image a newborn revision would get; empty when none is known."""
    revisions: Mapping[str, Revision]
    """Remembered revisions by name, those rebuilt from a Deployment included."""
    lost: frozenset[str]
    """Revisions whose ControllerRevision has to be written again."""
    deployments: Mapping[str, Manifest]
    state: rollout.State
    """The rollout as the last pass left it."""
    plan: rollout.Plan
    """How a change comes in."""
    granted: tuple[str, ...]
    """Model names this service may use."""
    replicas: int
    """How many engines all of the service are."""

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
    def uncopied(self) -> PromptVersion | None:
        """The prompt that the spec asks for, while it can be used and isn't copied yet."""
        prompt = self.world.prompt
        if not isinstance(prompt, PromptVersion) or prompting.flaw(prompt.spec):
            return None
        return None if prompting.short(prompting.digest(prompt.spec)) in self.copies else prompt

    @property
    def rejection(self) -> rollout.Rejection | None:
        """Why what the spec asks for isn't tried again."""
        return self.state.rejection(self.wanted) if self.wanted else None

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

    @property
    def shown(self) -> str:
        """The engine revision that status tells of: the wanted one, unless that isn't tried again."""
        stable = self.state.stable
        return stable.revision if self.rejection and stable else self.target

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

    @property
    def kinds(self) -> Mapping[str, startup.Kind]:
        """What the starts of the remembered revisions' engines go by."""
        return {
            name: startup.Kind(r.model, pod_template.device_of(r.template), revision.weight_bytes(r.facts))
            for name, r in self.revisions.items()
        }

    def engines(self, name: str) -> list[EngineSignals]:
        """What the engines of one revision told of themselves, ready or not."""
        return startup.engines(self.world.signals, self.world.service.metadata.name, name)

    def route(self, state: rollout.State, generation: int) -> config.Service:
        """The service's part of the router's configuration in a state, as far as all routers know it."""
        compiled = routing.compile_service(
            self.world.service, self.granted, state.division, generation, self.copies
        )
        known = (signals.understands for signals in self.world.signals if signals.reachable)
        return routing.understood_service(compiled, known)

    @property
    def routed_generation(self) -> int:
        """The generation that the router's configuration now speaks of."""
        status = self.world.service.status.rollout
        return status.generation if status else 0

    def acknowledged(self) -> bool:
        """Whether every live router runs exactly what follows from the current state."""
        return bool(self.world.signals) and not self.behind

    @cached_property
    def behind(self) -> Sequence[str]:
        """Addresses of the routers that run something else, or can't be asked. Found once: many ask, and the
        route has to be compiled and hashed for it."""
        expected = config.service_hash(self.route(self.state, self.routed_generation))
        name = self.world.service.metadata.name
        return [
            s.address
            for s in self.world.signals
            if not (s.reachable and name in s.services and s.services[name].hash == expected)
        ]

    def blind(self) -> Sequence[str]:
        """Addresses of the routers that don't see the candidate's engines, which Kubernetes calls ready."""
        candidate = self.state.candidate
        if candidate is None or not self.deployed(candidate.revision):
            return ()
        needed, counts = self.needed(candidate.revision), self._seen_ready(candidate.revision)
        return [s.address for s, seen in zip(self.world.signals, counts, strict=True) if seen < needed]

    def heard(self) -> Sequence[ServiceSignals]:
        """What every router tells of the service; nothing where one of them doesn't answer or know it."""
        name, signals = self.world.service.metadata.name, self.world.signals
        told = [s.services[name] for s in signals if s.reachable and name in s.services]
        return told if len(told) == len(signals) else ()

    def forgotten(self) -> bool:
        """Whether no live router knows the service any more."""
        name = self.world.service.metadata.name
        return all(s.reachable and name not in s.services for s in self.world.signals)

    def deployed(self, name: str) -> bool:
        """Whether the revision's Deployment has all the pods that the state asks for, ready."""
        found = self.deployments.get(name)
        if found is None or is_leaving(found):
            return False
        status = found.get("status") or {}
        if status.get("observedGeneration", 0) < found["metadata"].get("generation", 0):
            return False
        needed = self.needed(name)
        asked = found["spec"].get("replicas", 1) == needed
        return bool(asked and status.get("readyReplicas", 0) >= needed)

    def needed(self, name: str) -> int:
        """How many engines of a revision the state asks for."""
        return self.plan.engines(self.state, name, self.replicas)

    def ready(self, name: str) -> bool:
        """Whether all its capacity is there, in every router's eyes too."""
        if not self.deployed(name):
            return False
        needed = self.needed(name)
        return needed == 0 or (bool(self.world.signals) and all(n >= needed for n in self._seen_ready(name)))

    def down(self, name: str) -> bool:
        """Whether no engine of a revision can answer, as far as is known. Not to know isn't to be down."""
        if self.needed(name) == 0:
            return False
        seen = self._seen_ready(name)
        if seen and not any(seen):
            return True
        status = (self.deployments.get(name) or {}).get("status") or {}
        return not status.get("readyReplicas", 0) and not self._lost_sight_of(name)

    def settled(self, state: rollout.State) -> bool:
        """Whether a state is at rest on the revision that the spec asks for."""
        return state.step is Step.STEADY and state.stable is not None and state.stable == self.wanted

    def serving(self) -> bool:
        """Whether a request sent now finds an engine of the routed revisions."""
        # Of Kubernetes and the routers one hears first that the last engine has gone; no later pass is sure.
        if not self.engines_run() and not self._nodes_lost():
            return False
        if any(s.reachable for s in self.world.signals):
            return any(count > 0 for name in self.routed for count in self._seen_ready(name))
        # The routers can't be asked. What Kubernetes says of both ends is the next best.
        router = self.world.router
        return isinstance(router, LLMRouter) and router.status.ready_replicas > 0

    def engines_run(self) -> bool:
        """Whether Kubernetes calls any engine of the routed revisions ready."""
        statuses = [(self.deployments.get(name) or {}).get("status") or {} for name in self.routed]
        return any(status.get("readyReplicas", 0) > 0 for status in statuses)

    def _nodes_lost(self) -> bool:
        """Whether Kubernetes calls engines unready since their node doesn't report: they may serve on."""
        return any(map(self._lost_sight_of, self.routed))

    def _lost_sight_of(self, name: str) -> bool:
        return any(map(diagnosis.node_lost, self.pods_of(names.ROLE_ENGINE, name)))

    @property
    def routed(self) -> tuple[str, ...]:
        """The engine revisions that requests go to."""
        return revisions(share.variant for share in self.state.traffic if share.weight > 0)

    def _seen_ready(self, name: str) -> list[int]:
        """How many ready engines of a revision each router sees, in any of its variants."""
        service, counts = self.world.service.metadata.name, []
        for signals in self.world.signals:
            known = signals.services.get(service)
            alike = startup.of_revision(known, name) if known else []
            counts.append(max((variant.ready for variant in alike), default=0))
        return counts


def examine(world: ServiceWorld) -> Facts:
    """The facts of a World. Total."""
    service = world.service
    model = _model(world)
    revisions, lost = _revisions(world)
    deployments = {d["metadata"]["name"]: d for d in world.owned_of("Deployment")}
    target = revision.name_of(service.metadata.name, service.spec, model) if model else ""
    copies = prompting.thaw(world.frozen(names.ROLE_PROMPT))
    window = routing.experiment_window(service.status)
    state = remembered.state(service.status.rollout, deployments.values(), world.frozen(), window)
    return Facts(
        world=world,
        model=model,
        wanted=_wanted(world, target, state, copies) if target else None,
        copies=copies,
        target=target,
        image=pod_template.image(service.spec, world.settings),
        revisions=revisions,
        lost=lost,
        deployments=deployments,
        state=state,
        plan=rollout.plan(service.spec.rollout),
        granted=routing.granted(service, world.peers),
        replicas=1 if service.spec.replicas is None else service.spec.replicas,
    )


def observation(
    facts: Facts, *, startable: bool, judged: rollout.Judged, trial: rollout.Trial, why: str
) -> rollout.Observation:
    """What of the facts matters to the rollout, with whether the target could be started now, and what was
    found of the candidate: by its trial, and beside the stable variant."""
    names_of = facts.deployments
    return rollout.Observation(
        target=facts.wanted,
        ready=frozenset(name for name in facts.state.revisions if facts.ready(name)),
        down=frozenset(name for name in facts.state.revisions if facts.down(name)),
        present=frozenset(names_of),
        leaving=frozenset(name for name, child in names_of.items() if is_leaving(child)),
        acknowledged=facts.acknowledged(),
        plan=facts.plan,
        startable=startable,
        judged=judged,
        trial=trial,
        why=why,
    )


def _model(world: ServiceWorld) -> ModelSpec | None:
    if world.service.spec.model is not None:
        return world.service.spec.model
    return world.model.spec if isinstance(world.model, LLMModel) else None


def _wanted(
    world: ServiceWorld, target: str, state: rollout.State, copies: Mapping[str, Copy]
) -> Variant | None:
    """The engine revision, with the prompt that goes with it once there is a copy of that."""
    match world.prompt:
        case None:
            return Variant(target)
        case PromptVersion() as prompt:
            digest8 = prompting.short(prompting.digest(prompt.spec))
            return Variant(target, prompt.metadata.name, digest8) if digest8 in copies else None
        case Missing(name=name):
            copy = prompting.of_name(name, copies, (state.candidate, state.stable))
            return Variant(target, name, copy.digest) if copy else None


def _revisions(world: ServiceWorld) -> tuple[dict[str, Revision], frozenset[str]]:
    frozen = [revision.thaw(child) for child in world.frozen()]
    known = {r.name: r for r in frozen}
    lost = [
        d for d in world.owned_of("Deployment") if d["metadata"]["name"] not in known and not is_leaving(d)
    ]
    for deployment in lost:
        rebuilt = revision.rebuilt(deployment, revision.next_number(list(known.values())))
        known[rebuilt.name] = rebuilt
    return known, frozenset(d["metadata"]["name"] for d in lost)
