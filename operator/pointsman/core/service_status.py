"""What the status of an LLMService says: one function per condition, in the order in which they are read.

Status explains; it decides nothing. Messages hold no numbers that tick and no generated names, so an
unchanged world gives an unchanged status.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pointsman.api import names
from pointsman.api.conditions import ConditionType, Reason
from pointsman.api.router import LLMRouter, RouterSpec
from pointsman.api.service import Strategy
from pointsman.api.service_status import Step
from pointsman.core import conditions, diagnosis, pod_template, rollout, routing
from pointsman.core.conditions import Finding, Verdict
from pointsman.core.facts import Facts
from pointsman.core.world import Missing
from pointsman_router import config

STALLING = frozenset(
    {Reason.ARGUMENTS_INVALID, Reason.IMAGE_UNKNOWN, Reason.MODEL_NAME_CONFLICT, Reason.OBJECT_NOT_OWNED}
)
"""Reasons that nothing but a person's edit mends: tools that wait may give up."""


UNMET = frozenset({Reason.MODEL_NAME_CONFLICT, Reason.REFERENCE_NOT_FOUND})
"""What the spec asks for and can't be had: while that is so, whatever answers isn't this generation."""


def compose(facts: Facts, after: rollout.State) -> dict[str, Any]:
    """The whole status (`rollout` aside, which the decision writes itself)."""
    service = facts.world.service
    verdicts = tuple(_verdicts(facts, after))
    status = {
        "observedGeneration": service.metadata.generation,
        "conditions": conditions.merge(
            service.status.conditions,
            [*verdicts, *_summary(facts, after, verdicts)],
            generation=service.metadata.generation,
            now=facts.world.now,
        ),
        "model": facts.model.source.uri if facts.model else service.status.model,
        "replicas": _total(facts, "replicas"),
        "readyReplicas": _total(facts, "readyReplicas"),
        "selector": f"{names.LABEL_SERVICE}={service.metadata.name},{names.LABEL_ROLE}={names.ROLE_ENGINE}",
        "addresses": _addresses(facts),
        "engine": _engine(facts, after),
        "proof": _proof(facts),
    }
    return {name: value for name, value in status.items() if value not in (None, [], {})}


def deleting(facts: Facts) -> dict[str, Any]:
    """The status of a service on its way out."""
    service = facts.world.service
    message = "routers are letting go of the service; its engines drain after that"
    verdicts = [
        Verdict(kind, holds, Reason.DELETING, message)
        for kind, holds in ((ConditionType.READY, False), (ConditionType.RECONCILING, True))
    ]
    merged = conditions.merge(
        service.status.conditions, verdicts, generation=service.metadata.generation, now=facts.world.now
    )
    kept = service.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return kept | {"observedGeneration": service.metadata.generation, "conditions": merged}


def proven(facts: Facts, state: rollout.State) -> bool:
    """Whether a request was answered by this generation, under the configuration that still holds."""
    service, proof = facts.world.service, _proof(facts)
    expected = config.service_hash(facts.route(state, service.metadata.generation))
    return (
        proof is not None
        and facts.settled(state)
        and proof["generation"] == service.metadata.generation
        and proof["hash"] == expected
        and proof["variant"] == state.stable
    )


def _verdicts(facts: Facts, after: rollout.State) -> Iterator[Verdict]:
    yield _references(facts)
    yield _capacity(facts)
    yield _engine_health(facts)
    yield _router(facts, after)
    yield _rollout(facts, after)


def _references(facts: Facts) -> Verdict:
    kind = ConditionType.REFERENCES_RESOLVED
    for reference, field in ((facts.world.model, "spec.modelRef"), (facts.world.router, "spec.routerRef")):
        if isinstance(reference, Missing):
            missing = f"{field}: there is no {reference.kind} {reference.name!r} in this namespace"
            return Verdict(
                kind, False, Reason.REFERENCE_NOT_FOUND, f"{missing}; create it or correct the name"
            )
    asking = facts.pods_of(names.ROLE_RESOLVE, facts.target)
    pods = [*facts.pods_of(names.ROLE_ENGINE, facts.target), *asking]
    finding = diagnosis.references(pods, facts.world.pod_events)
    if finding is None and not facts.born:
        finding = diagnosis.engine(asking)
    if finding:
        return Verdict(kind, False, finding.reason, finding.message)
    if not facts.born and facts.resolution is None:
        return Verdict(
            kind, None, Reason.RESOLVING_MODEL, "the model's repository is being asked what it holds"
        )
    return Verdict(kind, True, Reason.RESOLVED)


def _capacity(facts: Facts) -> Verdict:
    kind = ConditionType.CAPACITY_AVAILABLE
    if facts.replicas == 0:
        return Verdict(kind, True, Reason.IDLE, "no replicas are asked for")
    finding = _short_of(facts)
    if finding:
        hint = ""
        if facts.state.stable and facts.world.service.spec.strategy is Strategy.SURGE and _changing(facts):
            hint = "; the old revision keeps serving, and rollout.strategy Recreate would use its room"
        return Verdict(kind, False, finding.reason, finding.message.rstrip(". ") + hint)
    if facts.target not in facts.deployments:
        return Verdict(kind, None, Reason.NOT_YET_REPORTED, "no pod of this revision has been asked for yet")
    return Verdict(kind, True, Reason.SCHEDULED)


def _short_of(facts: Facts) -> Finding | None:
    deployment = facts.deployments.get(facts.target)
    return diagnosis.capacity(
        facts.pods_of(names.ROLE_ENGINE, facts.target), [deployment] if deployment else []
    )


def _changing(facts: Facts) -> bool:
    return bool(facts.target) and facts.target != facts.state.stable


def _engine_health(facts: Facts) -> Verdict:
    kind = ConditionType.ENGINE_HEALTHY
    if facts.model is not None and not facts.born and not facts.image:
        message = f"no engine image is known for {_wanted_engine(facts)}; set spec.engine.image"
        return Verdict(kind, False, Reason.IMAGE_UNKNOWN, message)
    if facts.deployed(facts.target):
        return Verdict(kind, True, Reason.IDLE if facts.replicas == 0 else Reason.HEALTHY)
    finding = diagnosis.engine(facts.pods_of(names.ROLE_ENGINE, facts.target))
    if finding:
        return Verdict(kind, False, finding.reason, finding.message)
    if facts.target not in facts.deployments:
        return Verdict(kind, None, Reason.NOT_YET_REPORTED, "no pod of this revision has been asked for yet")
    phases = sorted(_phases(facts))
    return Verdict(
        kind,
        None,
        Reason.ENGINE_STARTING,
        f"engines are starting: {', '.join(phases)}" if phases else "engines are starting",
    )


def _wanted_engine(facts: Facts) -> str:
    spec = facts.world.service.spec
    version = spec.engine.version if spec.engine else None
    resource = pod_template.accelerator(spec) or "CPU"
    return f"{resource} in version {version}" if version else resource


def _phases(facts: Facts) -> set[str]:
    service = facts.world.service.metadata.name
    variants = [
        s.services[service].variants.get(facts.target) for s in facts.world.signals if service in s.services
    ]
    return {e.phase for v in variants if v for e in v.engines if e.phase and not e.ready}


def _silence(facts: Facts) -> str:
    """That the router takes no requests, with its own reason where it gives one."""
    router = facts.world.router
    told = router.status.conditions if isinstance(router, LLMRouter) else ()
    said = next((c.message for c in told if c.type == ConditionType.READY and c.status != "True"), "")
    return f"no pod of LLMRouter {facts.router!r} takes requests" + (f": {said}" if said else "")


def _router(facts: Facts, after: rollout.State) -> Verdict:
    kind = ConditionType.ROUTER_PROGRAMMED
    service, signals = facts.world.service, facts.world.signals
    lost = [model for model in routing.model_names(service) if model not in facts.granted]
    if lost:
        owner = routing.claims(facts.world.peers, facts.router).get(lost[0], "another service")
        message = f"model name {lost[0]!r} is claimed by the older LLMService {owner!r}"
        return Verdict(
            kind, False, Reason.MODEL_NAME_CONFLICT, f"{message}; choose another in spec.modelNames"
        )
    if not signals:
        return Verdict(kind, False, Reason.ROUTER_NOT_READY, _silence(facts))
    refused = next((s.config_error for s in signals if s.config_error), "")
    if refused:
        return Verdict(kind, False, Reason.AWAITING_ROUTER, f"a router refuses its configuration: {refused}")
    current = facts.routed_generation == service.metadata.generation and after == facts.state
    if current and facts.acknowledged():
        return Verdict(kind, True, Reason.PROGRAMMED)
    return Verdict(kind, False, Reason.AWAITING_ROUTER, "routers have yet to acknowledge the configuration")


def _rollout(facts: Facts, after: rollout.State) -> Verdict:
    kind = ConditionType.ROLLOUT_HEALTHY
    if facts.settled(after):
        return Verdict(kind, True, Reason.COMPLETE)
    if _in_gap(facts, after):
        message = "Recreate: the old revision has stopped and the new one isn't ready; nobody is served"
        return Verdict(kind, False, Reason.RECREATE_GAP, message)
    if after.step is Step.CAPACITY and _short_of(facts):
        message = (
            "the new revision waits for room beside the old one; rollout.strategy Recreate would do without"
        )
        return Verdict(kind, False, Reason.WAITING_FOR_CAPACITY, message)
    if after.step is Step.CAPACITY and _engine_health(facts).holds is False:
        return Verdict(
            kind,
            False,
            Reason.CANDIDATE_FAILING,
            "the new revision doesn't come up; the old one keeps serving",
        )
    return Verdict(kind, True, Reason.ROLLOUT_IN_PROGRESS)


def _in_gap(facts: Facts, after: rollout.State) -> bool:
    recreating = facts.world.service.spec.strategy is Strategy.RECREATE and len(facts.revisions) > 1
    return after.step is Step.DRAINING or (after.step is Step.STARTING and recreating)


def _summary(facts: Facts, after: rollout.State, verdicts: tuple[Verdict, ...]) -> Iterator[Verdict]:
    """Available, Ready, and kstatus' two."""
    available = _available(facts, after)
    ready = _ready(facts, after, verdicts, available)
    stalled = not ready.holds and ready.reason in STALLING
    yield available
    yield ready
    yield Verdict(ConditionType.STALLED, stalled, ready.reason, ready.message)
    working = not ready.holds and not stalled and ready.reason is not Reason.PAUSED
    yield Verdict(ConditionType.RECONCILING, working, ready.reason, ready.message)


def _available(facts: Facts, after: rollout.State) -> Verdict:
    kind = ConditionType.AVAILABLE
    if facts.serving() and facts.granted:
        return Verdict(kind, True, Reason.SERVING)
    if facts.replicas == 0:
        return Verdict(kind, False, Reason.IDLE, "no replicas are asked for")
    if _in_gap(facts, after):
        return Verdict(
            kind, False, Reason.RECREATE_GAP, "the old revision has stopped and the new one isn't ready"
        )
    if facts.engines_run() and not facts.world.signals:
        return Verdict(kind, False, Reason.ROUTER_NOT_READY, _silence(facts))
    return Verdict(kind, False, Reason.NO_READY_REPLICAS, "no engine takes requests")


def _ready(facts: Facts, after: rollout.State, verdicts: tuple[Verdict, ...], available: Verdict) -> Verdict:
    kind = ConditionType.READY
    if facts.world.strangers:
        stranger = facts.world.strangers[0]
        what = f"{stranger['kind']} {stranger['metadata']['name']!r}"
        return Verdict(
            kind, False, Reason.OBJECT_NOT_OWNED, f"{what} exists and isn't ours; rename or delete it"
        )
    unmet = next((v for v in verdicts if v.holds is False and v.reason in UNMET), None)
    if unmet:
        return Verdict(kind, False, unmet.reason, unmet.message)
    if (
        facts.settled(after)
        and facts.replicas == 0
        and facts.routed_generation == facts.world.service.metadata.generation
    ):
        return Verdict(kind, True, Reason.IDLE, "no replicas are asked for")
    if proven(facts, after):
        if available.holds:
            return Verdict(
                kind, True, Reason.ANSWERING, "a request through the router was answered by this generation"
            )
        return Verdict(kind, False, available.reason, available.message)
    if facts.world.service.spec.paused:
        return Verdict(kind, False, Reason.PAUSED, "spec.paused is true; nothing is changed")
    return _unproven(facts, verdicts)


def _unproven(facts: Facts, verdicts: tuple[Verdict, ...]) -> Verdict:
    """Why this generation hasn't answered yet: the first thing in its way."""
    kind = ConditionType.READY
    probe = facts.world.probe
    blocking = [v for v in verdicts if v.holds is False] or [v for v in verdicts if v.holds is None]
    if blocking:
        return Verdict(kind, False, blocking[0].reason, blocking[0].message)
    if probe is not None and not probe.ok:
        said = probe.message or probe.reason or "no answer"
        return Verdict(
            kind, False, Reason.PROBE_FAILED, f"a request through the router was not answered: {said}"
        )
    return Verdict(kind, False, Reason.PROGRESSING, "the new generation is on its way")


def _proof(facts: Facts) -> Mapping[str, Any] | None:
    """The latched proof: this pass's probe where it succeeded, else what status holds."""
    probe, kept = facts.world.probe, facts.world.service.status.proof
    if probe is not None and probe.ok:
        return {
            "generation": probe.generation,
            "hash": probe.hash,
            "variant": probe.variant,
            "kind": probe.kind,
        }
    return kept.model_dump(mode="json", by_alias=True) if kept else None


def _engine(facts: Facts, after: rollout.State) -> dict[str, Any] | None:
    newest = facts.revisions.get(after.candidate) or facts.revisions.get(after.stable)
    if newest is None:
        return None
    shown = {"image": newest.image, "commit": newest.commit, "arguments": list(newest.arguments)}
    return {name: value for name, value in shown.items() if value}


def _addresses(facts: Facts) -> list[dict[str, str]]:
    router = facts.world.router
    if isinstance(router, LLMRouter) and router.status.addresses:
        return [{"url": address.url} for address in router.status.addresses]
    spec = router.spec if isinstance(router, LLMRouter) else RouterSpec()
    return [{"url": routing.cluster_url(facts.router, facts.world.service.metadata.namespace, spec)}]


def _total(facts: Facts, field: str) -> int:
    return sum(((d.get("status") or {}).get(field) or 0) for d in facts.deployments.values())
