"""What the status of an LLMService says: the summary over the single facts (`verdicts`), and what else shows.

Status explains; it decides nothing. An unchanged world gives an unchanged status.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pointsman.api import names
from pointsman.api.common import Condition
from pointsman.api.conditions import ConditionType, Reason
from pointsman.api.router import LLMRouter, RouterSpec
from pointsman.api.service import LLMService
from pointsman.core import conditions, experiment, fitting, rollout, routing, startup, verdicts
from pointsman.core.conditions import Verdict
from pointsman.core.facts import Facts
from pointsman.core.rollout import Judged
from pointsman.core.trying import Tried
from pointsman_router import config

STALLING = frozenset(
    {
        Reason.ARGUMENTS_INVALID,
        Reason.CANARY_REJECTED,
        Reason.IMAGE_UNKNOWN,
        Reason.MODEL_DOES_NOT_FIT,
        Reason.MODEL_NAME_CONFLICT,
        Reason.OBJECT_NOT_OWNED,
        Reason.ROLLOUT_ABORTED,
        Reason.WRONG_ANSWERS,
    }
)
"""Reasons that nothing but a person's edit mends: tools that wait may give up."""


UNDER_WAY = frozenset({Reason.ANALYSING, Reason.CHECKS_RUNNING, Reason.TRIAL_RUNNING})
"""Reasons of a change that goes well, which Ready says too: it takes its time."""


def compose(
    facts: Facts, after: rollout.State, judged: Judged, tried: Tried, tested: experiment.Found
) -> dict[str, Any]:
    """The whole status (`rollout` and `experiment` aside, which the decision writes itself). An experiment
    has a condition that no other one hangs on."""
    service = facts.world.service
    said = tuple(_verdicts(facts, after, judged, tried))
    beside = experiment.verdict(facts, tested)
    status = {
        "observedGeneration": service.metadata.generation,
        "conditions": conditions.merge(
            service.status.conditions,
            [*said, *_summary(facts, after, said), *([beside] if beside else [])],
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
        "startup": _starts(facts),
        "loading": _loading(facts),
        "cutRequests": _cut(facts),
    }
    return {name: value for name, value in status.items() if value not in (None, [], {})}


def deleting(facts: Facts) -> dict[str, Any]:
    """The status of a service on its way out."""
    service = facts.world.service
    message = "routers are letting go of the service; its engines drain after that"
    said = [
        Verdict(kind, holds, Reason.DELETING, message)
        for kind, holds in ((ConditionType.READY, False), (ConditionType.RECONCILING, True))
    ]
    # Work on something else doesn't count: Reconciling begins anew, so that it tells since when it's this.
    before = [c for c in service.status.conditions if c.type != ConditionType.RECONCILING or _is_deleting(c)]
    merged = conditions.merge(before, said, generation=service.metadata.generation, now=facts.world.now)
    kept = service.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return kept | {"observedGeneration": service.metadata.generation, "conditions": merged}


def deleting_since(service: LLMService) -> datetime | None:
    """When a pass first saw that the service is to go; None before."""
    told = (c for c in service.status.conditions if c.type == ConditionType.RECONCILING and _is_deleting(c))
    return next((datetime.fromisoformat(c.last_transition_time) for c in told), None)


def _is_deleting(condition: Condition) -> bool:
    return condition.reason == Reason.DELETING


def proven(facts: Facts, state: rollout.State) -> bool:
    """Whether a request was answered by this generation, under the configuration that still holds."""
    return _proves(_proof(facts), facts, state)


def was_proven(facts: Facts) -> bool:
    """The same by what status holds: what is done follows from a pass's first look, which has no probe."""
    return _proves(_kept_proof(facts), facts, facts.state)


def _proves(proof: Mapping[str, Any] | None, facts: Facts, state: rollout.State) -> bool:
    service = facts.world.service
    if (
        proof is None
        or not facts.settled(state)
        or proof["generation"] != service.metadata.generation
        or state.stable is None
        or proof["variant"] != state.stable.name
    ):
        return False
    # Last: to compile a route and to hash it costs more than all else that is asked here.
    route = facts.route(state.undivided, service.metadata.generation)
    return bool(proof["hash"] == config.service_hash(route))


def _verdicts(facts: Facts, after: rollout.State, judged: Judged, tried: Tried) -> Iterator[Verdict]:
    yield verdicts.references(facts)
    yield fitting.verdict(facts)
    yield verdicts.capacity(facts)
    yield verdicts.engine_health(facts)
    yield verdicts.router_programmed(facts, after)
    yield verdicts.rollout_healthy(facts, after, judged, tried)


def _summary(facts: Facts, after: rollout.State, said: tuple[Verdict, ...]) -> Iterator[Verdict]:
    """Available, Ready, and kstatus' two."""
    available = _available(facts, after)
    ready = _ready(facts, after, said, available)
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
    unmet = None if facts.granted else verdicts.unmet(facts)
    if unmet:
        return Verdict(kind, False, unmet.reason, unmet.message)
    if verdicts.in_gap(facts, after):
        return Verdict(
            kind, False, Reason.RECREATE_GAP, "the old revision has stopped and the new one isn't ready"
        )
    if facts.engines_run() and not facts.world.signals:
        return Verdict(kind, False, Reason.ROUTER_NOT_READY, verdicts.silence(facts))
    return Verdict(kind, False, Reason.NO_READY_REPLICAS, verdicts.outage(facts))


def _ready(facts: Facts, after: rollout.State, said: tuple[Verdict, ...], available: Verdict) -> Verdict:
    kind = ConditionType.READY
    taken = conditions.foreign(facts.world.strangers)
    if taken:
        return taken
    unmet = verdicts.unmet(facts)
    if unmet:
        # What the spec asks for can't be had, so whatever answers isn't this generation.
        return Verdict(kind, False, unmet.reason, unmet.message)
    rejection = after.rejection(facts.wanted)
    if rejection:
        return Verdict(kind, False, rejection.reason, verdicts.rejected(rejection))
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
        cause = next((v for v in _blocking(facts, said) if v.holds is False), available)
        return Verdict(kind, False, cause.reason, cause.message)
    if facts.world.service.spec.paused:
        return Verdict(kind, False, Reason.PAUSED, "spec.paused is true; nothing is changed")
    return _unproven(facts, said)


def _unproven(facts: Facts, said: tuple[Verdict, ...]) -> Verdict:
    """Why this generation hasn't answered yet: the first thing in its way."""
    kind = ConditionType.READY
    probe = facts.world.probe
    blocking = _blocking(facts, said)
    if blocking:
        return Verdict(kind, False, blocking[0].reason, blocking[0].message)
    going = next(v for v in said if v.type is ConditionType.ROLLOUT_HEALTHY)
    if going.reason in UNDER_WAY:
        return Verdict(kind, False, going.reason, going.message)
    if probe is not None and not probe.ok:
        words = probe.message or probe.reason or "no answer"
        return Verdict(
            kind, False, Reason.PROBE_FAILED, f"a request through the router was not answered: {words}"
        )
    unseen = verdicts.unseen(facts)
    if unseen:
        return Verdict(kind, False, Reason.AWAITING_ROUTER, unseen)
    return Verdict(kind, False, Reason.PROGRESSING, "the new generation is on its way")


def _blocking(facts: Facts, said: tuple[Verdict, ...]) -> list[Verdict]:
    """What keeps this generation from answering, the certain before the unknown. An estimate keeps it only
    where it refuses the first engine: one that runs knows better."""
    counted = [
        v
        for v in said
        if (v.type is not ConditionType.MODEL_FITS or fitting.refused(facts))
        # A copy answers as the prompt did.
        and v.reason is not Reason.PROMPT_DELETED
    ]
    return [v for v in counted if v.holds is False] or [v for v in counted if v.holds is None]


def _proof(facts: Facts) -> Mapping[str, Any] | None:
    """The latched proof: this pass's probe where it succeeded, else what status holds."""
    probe = facts.world.probe
    if probe is not None and probe.ok:
        return {
            "generation": probe.generation,
            "hash": _undivided(facts, probe.hash, probe.generation),
            "variant": probe.variant,
            "kind": probe.kind,
        }
    return _kept_proof(facts)


def _kept_proof(facts: Facts) -> Mapping[str, Any] | None:
    kept = facts.world.service.status.proof
    return kept.model_dump(mode="json", by_alias=True) if kept else None


def _undivided(facts: Facts, found: str, generation: int) -> str:
    """The hash that a proof counts for. The stable variant's answer beside an experiment's challenger proves
    as much as without one, so that neither its beginning nor its end asks for another."""
    if not facts.state.window or found != config.service_hash(facts.route(facts.state, generation)):
        return found
    return config.service_hash(facts.route(facts.state.undivided, generation))


def start_measured(facts: Facts) -> bool:
    """Whether the newest revision has come up and told how long that took, and status doesn't say so yet."""
    rows = facts.world.service.status.startup
    return facts.ready(facts.target) and startup.due(rows, facts.target, facts.engines(facts.target))


def start_awaited(facts: Facts) -> bool:
    """Whether it has come up and is about to tell."""
    rows = facts.world.service.status.startup
    return facts.ready(facts.target) and startup.is_awaited(rows, facts.target, facts.engines(facts.target))


def _starts(facts: Facts) -> list[dict[str, Any]]:
    told = facts.engines(facts.target) if start_measured(facts) else []
    pods = facts.pods_of(names.ROLE_ENGINE, facts.target)
    return startup.recorded(facts.world.service.status.startup, facts.target, told, pods)


def _loading(facts: Facts) -> Mapping[str, Any] | None:
    if not facts.shown or facts.replicas == 0 or facts.deployed(facts.shown):
        return None
    before, told = facts.world.service.status.loading, facts.engines(facts.shown)
    return startup.loading(before, facts.shown, told, facts.world.now)


def _engine(facts: Facts, after: rollout.State) -> dict[str, Any] | None:
    known = [facts.revisions[name] for name in after.revisions if name in facts.revisions]
    if not known:
        return None
    newest = known[-1]
    shown = {"image": newest.image, "commit": newest.commit, "arguments": list(newest.arguments)}
    return {name: value for name, value in shown.items() if value}


def _addresses(facts: Facts) -> list[dict[str, str]]:
    router = facts.world.router
    if isinstance(router, LLMRouter) and router.status.addresses:
        return [{"url": address.url} for address in router.status.addresses]
    spec = router.spec if isinstance(router, LLMRouter) else RouterSpec()
    return [{"url": routing.cluster_url(facts.router, facts.world.service.metadata.namespace, spec)}]


def _cut(facts: Facts) -> int | None:
    """What every router counted; what status holds, while not all of them can be asked."""
    told = facts.heard()
    return sum(one.cut for one in told) if told else facts.world.service.status.cut_requests


def _total(facts: Facts, field: str) -> int:
    return sum(((d.get("status") or {}).get(field) or 0) for d in facts.deployments.values())
