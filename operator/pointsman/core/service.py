"""The decision about one LLMService. The one place where the topics meet.

`decide` is total and deterministic: every schema-valid service gives a Decision, and what is wrong becomes a
condition. Read it top to bottom: facts, next state, what should exist, what status says.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pointsman.api import names
from pointsman.api.revision_fields import declared
from pointsman.api.service import LLMService
from pointsman.api.service_status import Step
from pointsman.core import (
    analysis,
    check_children,
    checking,
    diagnosis,
    experiment,
    fitting,
    jobs,
    pacing,
    pod_template,
    remembered,
    revision,
    rollout,
    service_children,
    service_notes,
    service_prompts,
    service_status,
    startup,
    trial_children,
    trying,
)
from pointsman.core.analysis import Found
from pointsman.core.decision import Decision, Note
from pointsman.core.facts import Facts, examine, observation
from pointsman.core.revision import Revision
from pointsman.core.trying import Tried
from pointsman.core.variant import revisions
from pointsman.core.world import Manifest, ObjectKey, ServiceWorld, key_of

CLEANUP_DEADLINE = timedelta(seconds=60)
"""How long a deleted service waits for its routers to forget it, before it goes all the same."""

FROZEN_FACTS = ("weights", "weightBytes", "config")
"""What a revision keeps of what its source told: by it the fit can be calculated at any time."""


def decide(world: ServiceWorld) -> Decision:
    """What should be done for this service now, and what its status should say."""
    if world.service.metadata.deletion_timestamp:
        return _dismantle(world)
    facts = examine(world)
    paused = bool(world.service.spec.paused)
    checked = checking.kept(facts) if paused else checking.look(facts)
    found = analysis.kept(facts) if paused else analysis.look(facts, checked.standing)
    tried = trying.kept(facts) if paused else trying.look(facts)
    proven = world.service.spec.experiment is not None and service_status.was_proven(facts)
    tested = experiment.kept(facts) if paused else experiment.look(facts, proven=proven)
    after = facts.state if paused else _step(facts, found, tried, tested)
    status = service_status.compose(facts, after, found.judged, tried, tested)
    return Decision(
        desired=(
            *_desired(facts, after),
            *trial_children.wanted(facts, after, tried),
            *check_children.wanted(facts, after, found, checked),
        ),
        retained=_retained(facts, after) | check_children.retained(facts, after, found, checked),
        paused=paused,
        state=_state_document(facts, after, found, tried) | checked.document,
        experiment=experiment.document(tested.record, world.service.spec.experiment),
        status=status,
        finalize=True,
        notes=service_notes.notes(facts, after, tested),
        requeue_after=pacing.requeue(facts, after, found, tested, status),
        because=service_notes.because(facts, after),
    )


def _step(facts: Facts, found: Found, tried: Tried, tested: experiment.Found) -> rollout.State:
    seen = observation(
        facts,
        startable=fitting.startable(facts),
        judged=found.judged,
        trial=tried.stage,
        why=tried.why,
    )
    after = rollout.step(facts.state, seen, facts.world.now)
    return experiment.divided(after, tested, facts.world.service.spec.experiment)


def is_new(service: LLMService) -> bool:
    """Whether nothing can have been made for it yet: our finalizer stands before the first child is made.

    Where a hand took both it and the state, what is wanted is still found by its name.
    """
    return names.FINALIZER not in service.metadata.finalizers and service.status.rollout is None


def asks_routers(world: ServiceWorld) -> bool:
    """Whether what is done hangs on what routers tell: on the way to another revision, while something of a
    former one is left, while an experiment goes on, or on the way out."""
    if world.service.metadata.deletion_timestamp:
        return True
    facts = examine(world)
    rests = facts.settled(facts.state) and not facts.deployments.keys() - set(facts.state.revisions)
    return not is_new(world.service) and (not rests or experiment.under_way(facts))


def asks_pods(world: ServiceWorld) -> bool:
    """Whether what should exist hangs on what a pod says: the resolve Job's, of a revision to be born, or a
    trial's."""
    facts = examine(world)
    return (facts.asked and not facts.born) or bool(world.owned_of("Job"))


def wants_pods(world: ServiceWorld) -> bool:
    """Whether the pods must be looked at: something isn't as it should be, or a resolve Job is under way."""
    facts = examine(world)
    if world.owned_of("Job") or not facts.state.revisions or service_status.start_measured(facts):
        return True
    return any(not facts.deployed(name) for name in facts.state.revisions)


def wanted_events(world: ServiceWorld) -> tuple[str, ...]:
    """Kinds of objects whose events alone can tell what keeps the listed pods, or a Job from making one."""
    return diagnosis.wanted_events(world.pods, world.owned_of("Job"))


def wants_rooms(world: ServiceWorld) -> bool:
    """Whether to look at what the nodes have room for: pods find no place, and people allow the look."""
    return world.settings.capacity_discovery and diagnosis.unplaced(world.pods)


def probed(world: ServiceWorld) -> str | None:
    """The variant that a probe must stay in; None for whichever it comes to. An experiment's challenger
    proves nothing of what was declared to serve."""
    state = examine(world).state
    return state.stable.name if state.window and state.stable else None


def wants_probe(world: ServiceWorld) -> bool:
    """Whether a request through the router would prove something that isn't proven yet."""
    facts = examine(world)
    state = facts.state
    return (
        facts.settled(state)
        and bool(facts.granted)
        and facts.replicas > 0
        and facts.routed_generation == world.service.metadata.generation
        and not service_status.proven(facts, state)
        and state.stable is not None
        and facts.ready(state.stable.revision)
        and facts.acknowledged()
    )


def _dismantle(world: ServiceWorld) -> Decision:
    """Out of routing first; then the finalizer goes, and Kubernetes collects the children, which drain."""
    facts = examine(world)
    meta, gone, late = world.service.metadata, facts.forgotten(), _is_late(world)
    notes = (Note("CleanupTimedOut", "routers did not confirm that they forgot the service", True),)
    return Decision(
        retained=frozenset(key_of(child) for child in world.owned),
        status=None if gone or late else service_status.deleting(facts),
        finalize=False if gone or late else None,
        notes=notes if late and not gone else (),
        requeue_after=None if gone or late else 1.0,
        # The event that was to tell the router may have been lost.
        wake=() if gone or late else (names.Key("LLMRouter", meta.namespace, facts.router),),
        because="deleting: " + ("routers have forgotten it" if gone else "waiting for routers to forget it"),
    )


def _is_late(world: ServiceWorld) -> bool:
    """Whether routers were given long enough. It counts from the first look at the deletion, which may come
    long after the deletion itself: then they haven't been told yet."""
    since = service_status.deleting_since(world.service)
    return since is not None and world.now - since > CLEANUP_DEADLINE


def _desired(facts: Facts, after: rollout.State) -> tuple[Manifest, ...]:
    meta = facts.world.service.metadata
    newborn = _newborn(facts, after)
    # Its Deployment is applied after what was frozen for it, and not at all where that is refused.
    known = {**facts.revisions, newborn.name: newborn} if newborn else facts.revisions
    children: list[Manifest | None] = [
        service_children.engine_service(meta),
        service_children.disruption_budget(meta),
        _network_policy(facts),
        *_records(facts, after, newborn),
        *service_prompts.made(facts),
        _resolve_job(facts, after),
        *(_deployment(facts, after, known[name]) for name in _deployable(facts, after, known)),
    ]
    return tuple(child for child in children if child is not None)


def _network_policy(facts: Facts) -> Manifest | None:
    service, model = facts.world.service, facts.model
    if model is None:
        return None
    return service_children.network_policy(service.metadata, model.source, facts.router, facts.world.settings)


def _newborn(facts: Facts, after: rollout.State) -> Revision | None:
    """The target, frozen now that its inputs are known; None where it was before, or can't be yet."""
    resolution = facts.resolution
    if facts.model is None or facts.born or facts.target not in after.revisions or resolution is None:
        return None
    return _freeze(facts, resolution) if facts.image else None


def _records(facts: Facts, after: rollout.State, newborn: Revision | None) -> list[Manifest]:
    """ControllerRevisions to write: a newborn's, any that was lost, and what came after birth: that an
    estimate was overridden, or a variant rejected."""
    meta, spec = facts.world.service.metadata, facts.world.service.spec
    version = facts.world.settings.operator_version
    found = [revision.manifest(facts.revisions[name], {}, version) for name in sorted(facts.lost)]
    if newborn is not None and facts.model is not None:
        made = revision.manifest(newborn, declared(spec, facts.model), version)
        made["metadata"]["annotations"] = fitting.record(facts)
        found.append(made)
    late = fitting.amended(facts)
    if late is not None:
        found.append(late)
    written = {manifest["metadata"]["name"] for manifest in found}
    found += [one for one in _marked(facts, after) if one["metadata"]["name"] not in written]
    return [service_children.controller_revision(meta, _with_rejections(after, one)) for one in found]


def _marked(facts: Facts, after: rollout.State) -> list[dict[str, Any]]:
    """ControllerRevisions that don't say yet which of their variants were rejected."""
    found = []
    for child in facts.world.frozen():
        name, annotations = child["metadata"]["name"], child["metadata"].get("annotations") or {}
        if name in facts.revisions and not (
            remembered.rejections_of(after, name).items() <= annotations.items()
        ):
            kept = {key: annotations[key] for key in (names.ANNOTATION_FIT,) if key in annotations}
            meta = {"name": name, "annotations": kept}
            found.append({"metadata": meta, "revision": child.get("revision"), "data": child.get("data")})
    return found


def _with_rejections(after: rollout.State, manifest: Mapping[str, Any]) -> dict[str, Any]:
    meta = manifest["metadata"]
    marks = {**(meta.get("annotations") or {}), **remembered.rejections_of(after, meta["name"])}
    return {**manifest, "metadata": {**meta, "annotations": marks}}


def _freeze(facts: Facts, resolution: Mapping[str, object]) -> Revision:
    service, model = facts.world.service, facts.model
    assert model is not None
    size = resolution.get("bytes")
    inputs = pod_template.Inputs(
        service=service.metadata.name,
        revision=facts.target,
        spec=service.spec,
        model=model,
        settings=facts.world.settings,
        commit=str(resolution.get("commit", "")),
        weight_bytes=size if isinstance(size, int) else 0,
        startup_seconds=_budget(facts, revision.weight_bytes(resolution)),
    )
    return Revision(
        name=facts.target,
        number=revision.next_number(list(facts.revisions.values())),
        image=facts.image,
        model=model.source.uri,
        commit=inputs.commit,
        arguments=pod_template.arguments(inputs),
        template=pod_template.render(inputs),
        facts={name: resolution[name] for name in FROZEN_FACTS if resolution.get(name)},
    )


def _budget(facts: Facts, weight_bytes: int) -> int:
    """How long a newborn's engines may take to start, by how long the last ones like them took.

    Where the last revision never came up, what was measured before it may be too little for both.
    """
    assert facts.model is not None
    rows, most = facts.world.service.status.startup, facts.world.settings.startup_seconds
    last = max(facts.revisions.values(), key=lambda r: r.number, default=None)
    if last is not None and startup.record(rows, last.name) is None:
        return most
    device = pod_template.device(facts.world.service.spec)
    kind = startup.Kind(facts.model.source.uri, device, weight_bytes)
    return startup.budget(startup.expected(rows, facts.target, {**facts.kinds, facts.target: kind}), most)


def _resolve_job(facts: Facts, after: rollout.State) -> Manifest | None:
    if facts.model is None or not facts.asked or facts.born or facts.target not in after.revisions:
        return None
    if facts.resolution is not None and facts.image:
        # It has answered, and what it said is frozen in this pass.
        return None
    now = facts.world.now
    if any(diagnosis.job_failed(job) and not jobs.stands(job, now) for job in facts.world.owned_of("Job")):
        return None
    service = facts.world.service
    return service_children.resolve_job(
        service.metadata, facts.target, facts.model.source, facts.world.settings, service.spec.hardware
    )


def _deployable(facts: Facts, after: rollout.State, known: Mapping[str, Revision]) -> list[str]:
    """Revisions whose Deployment should exist: of those that are frozen, and not refused by the estimate."""
    withheld = {facts.target} if fitting.refused(facts) else set()
    named = [name for name in after.revisions if name in known and name not in withheld]
    if after.step is not Step.DRAINING:
        return named
    # The accelerator is given up first: the new one's pods wait until the old one's are gone.
    draining = [] if after == facts.state and facts.acknowledged() else revisions((after.stable,))
    coming = revisions((after.candidate,))
    return [name for name in named if name in draining or (name in coming and name in facts.deployments)]


def _deployment(facts: Facts, after: rollout.State, frozen: Revision) -> Manifest:
    return service_children.deployment(
        facts.world.service.metadata,
        frozen,
        replicas=facts.plan.engines(after, frozen.name, facts.replicas),
        track=names.TRACK_STABLE if frozen.name in revisions((after.stable,)) else names.TRACK_CANDIDATE,
        startup_seconds=facts.world.settings.startup_seconds,
        annotations=remembered.variants_of(after, frozen.name),
    )


def _retained(facts: Facts, after: rollout.State) -> frozenset[ObjectKey]:
    """What stays untouched: the history, and former Deployments until every router has let go of them."""
    in_use = frozenset(after.revisions) | frozenset(facts.deployments) | {facts.target}
    history = [r for r in facts.revisions.values() if r.name not in facts.lost]
    forgotten = revision.expired(history, in_use)
    kept = {("ControllerRevision", r.name) for r in history if r.name not in forgotten}
    kept |= service_prompts.retained(facts, after)
    if facts.model is None:
        kept.add(("NetworkPolicy", names.engine_name(facts.world.service.metadata.name)))
    settled = after == facts.state and facts.acknowledged()
    if not settled:
        kept |= {("Deployment", name) for name in facts.deployments}
    return frozenset(kept)


def _state_document(facts: Facts, after: rollout.State, found: Found, tried: Tried) -> dict[str, Any]:
    service = facts.world.service
    undecided = facts.model is None or service.spec.paused
    document: dict[str, Any] = {
        **remembered.document(after),
        "generation": facts.routed_generation if undecided else service.metadata.generation,
        "router": facts.router,
        "trial": tried.record,
        "analysis": analysis.document(facts, after, found),
    }
    return {name: value for name, value in document.items() if value not in (None, [])}
