"""The single facts behind an LLMService's summary: one function per condition, each with its reason.

Each looks at the facts of this pass and at nothing else. Messages hold no numbers that tick and no generated
names, so an unchanged world gives unchanged words.
"""

from __future__ import annotations

from collections.abc import Sequence

from pointsman.api import names
from pointsman.api.conditions import ConditionType, Reason
from pointsman.api.prompt import PromptVersion
from pointsman.api.rollout import Strategy
from pointsman.api.router import LLMRouter
from pointsman.api.service_status import Step
from pointsman.core import diagnosis, pod_template, prompting, rollout, routing, startup, trying
from pointsman.core.conditions import Finding, Verdict
from pointsman.core.facts import Facts
from pointsman.core.rollout import Judged, Rejection
from pointsman.core.trying import Tried
from pointsman.core.variant import MEASURED
from pointsman.core.world import Manifest, Missing

AWAITED = "routers have yet to acknowledge the configuration"


def unmet(facts: Facts) -> Verdict | None:
    """What the spec itself asks for and can't have: a reference that leads nowhere, a name that is taken."""
    return _led_astray(facts) or _conflict(facts)


def _led_astray(facts: Facts) -> Verdict | None:
    return _missing(facts) or _flawed(facts) or _mismatched(facts)


def _missing(facts: Facts) -> Verdict | None:
    world = facts.world
    named: list[tuple[object, str]] = [(world.model, "spec.modelRef"), (world.router, "spec.routerRef")]
    if facts.wanted is None:
        # A copy in use stands in for a prompt that is gone.
        named.insert(1, (world.prompt, "spec.promptRef"))
    if _asks_suite(facts):
        named.append((world.suite, "spec.rollout.suiteRef"))
    for reference, field in named:
        if isinstance(reference, Missing):
            missing = f"{field}: there is no {reference.kind} {reference.name!r} in this namespace"
            return Verdict(
                ConditionType.REFERENCES_RESOLVED,
                False,
                Reason.REFERENCE_NOT_FOUND,
                f"{missing}; create it or correct the name",
            )
    return None


def _flawed(facts: Facts) -> Verdict | None:
    prompt = facts.world.prompt
    flaw = prompting.flaw(prompt.spec) if isinstance(prompt, PromptVersion) else ""
    if not flaw or not isinstance(prompt, PromptVersion):
        return None
    name = prompt.metadata.name
    message = f"spec.promptRef: PromptVersion {name!r} can't be used: {flaw}"
    return Verdict(ConditionType.REFERENCES_RESOLVED, False, Reason.PROMPT_INVALID, message)


def _mismatched(facts: Facts) -> Verdict | None:
    strange = trying.mismatch(facts) if _asks_suite(facts) else ""
    if not strange:
        return None
    message = f"spec.rollout.suiteRef: {strange}; name a suite of the prompt's family"
    return Verdict(ConditionType.REFERENCES_RESOLVED, False, Reason.SUITE_FAMILY_MISMATCH, message)


def _asks_suite(facts: Facts) -> bool:
    """Whether a suite has a say: of who serves already, or was rejected, nobody asks it any more."""
    return facts.uncopied is not None or (_changing(facts) and not facts.rejection)


def references(facts: Facts) -> Verdict:
    kind = ConditionType.REFERENCES_RESOLVED
    astray = _led_astray(facts)
    if astray:
        return astray
    asking, events = facts.pods_of(names.ROLE_RESOLVE, facts.target), facts.world.pod_events
    pods = [*facts.pods_of(names.ROLE_ENGINE, facts.target), *asking]
    finding = diagnosis.references(pods, _makers(facts), events, facts.world.now)
    if finding is None and not facts.born:
        finding = diagnosis.engine(asking, events)
    if finding:
        return Verdict(kind, False, finding.reason, finding.message)
    if not facts.born and facts.resolution is None and not facts.rejection:
        return Verdict(
            kind, None, Reason.RESOLVING_MODEL, "the model's repository is being asked what it holds"
        )
    gone = facts.world.prompt
    if isinstance(gone, Missing):
        message = f"PromptVersion {gone.name!r} is gone; the copy that was made of it goes on answering"
        return Verdict(kind, False, Reason.PROMPT_DELETED, message)
    return Verdict(kind, True, Reason.RESOLVED)


def capacity(facts: Facts) -> Verdict:
    kind = ConditionType.CAPACITY_AVAILABLE
    if facts.replicas == 0:
        return Verdict(kind, True, Reason.IDLE, "no replicas are asked for")
    finding = _short_of(facts)
    if finding:
        hint = ""
        if facts.state.stable and facts.world.service.spec.strategy is Strategy.SURGE and _changing(facts):
            hint = "; the old revision keeps serving, and rollout.strategy Recreate would use its room"
        return Verdict(kind, False, finding.reason, finding.message.rstrip(". ") + hint)
    if facts.shown not in facts.deployments:
        return Verdict(kind, None, Reason.NOT_YET_REPORTED, "no pod of this revision has been asked for yet")
    return Verdict(kind, True, Reason.SCHEDULED)


def _short_of(facts: Facts) -> Finding | None:
    world = facts.world
    pods = [*facts.pods_of(names.ROLE_ENGINE, facts.shown)]
    if not facts.born:
        pods += facts.pods_of(names.ROLE_RESOLVE, facts.shown)
    return diagnosis.capacity(pods, _makers(facts), world.pod_events, world.rooms)


def _makers(facts: Facts) -> list[Manifest]:
    """Who makes the target's pods: its Deployment, and Jobs that look its model up."""
    deployment = facts.deployments.get(facts.shown)
    return [*([deployment] if deployment else []), *facts.world.owned_of("Job")]


def _changing(facts: Facts) -> bool:
    return facts.wanted is not None and facts.wanted != facts.state.stable


def engine_health(facts: Facts) -> Verdict:
    kind = ConditionType.ENGINE_HEALTHY
    if facts.model is not None and not facts.born and not facts.image:
        message = f"no engine image is known for {_wanted_engine(facts)}; set spec.engine.image"
        return Verdict(kind, False, Reason.IMAGE_UNKNOWN, message)
    if facts.deployed(facts.shown):
        return Verdict(kind, True, Reason.IDLE if facts.replicas == 0 else Reason.HEALTHY)
    finding = diagnosis.engine(facts.pods_of(names.ROLE_ENGINE, facts.shown), facts.world.pod_events)
    if finding:
        return Verdict(kind, False, finding.reason, finding.message)
    if facts.shown not in facts.deployments:
        return Verdict(kind, None, Reason.NOT_YET_REPORTED, "no pod of this revision has been asked for yet")
    late = _late(facts)
    if late:
        return Verdict(kind, None, late.reason, late.message)
    phases = sorted({e.phase for e in facts.engines(facts.shown) if e.phase and not e.ready})
    return Verdict(
        kind,
        None,
        Reason.ENGINE_STARTING,
        f"engines are starting: {', '.join(phases)}" if phases else "engines are starting",
    )


def _late(facts: Facts) -> Finding | None:
    expected = startup.expected(facts.world.service.status.startup, facts.shown, facts.kinds)
    pods = facts.pods_of(names.ROLE_ENGINE, facts.shown)
    return diagnosis.slow(pods, expected, facts.world.now) if expected else None


def _wanted_engine(facts: Facts) -> str:
    spec = facts.world.service.spec
    version = spec.engine.version if spec.engine else None
    resource = pod_template.accelerator(spec) or "CPU"
    return f"{resource} in version {version}" if version else resource


def outage(facts: Facts) -> str:
    """That no engine takes requests, and what keeps those that should."""
    routed = facts.routed
    pods = [pod for name in routed for pod in facts.pods_of(names.ROLE_ENGINE, name)]
    makers = [facts.deployments[name] for name in routed if name in facts.deployments]
    events = facts.world.pod_events
    found = diagnosis.engine(pods, events) or diagnosis.capacity(pods, makers, events, facts.world.rooms)
    return "no engine takes requests" + (f": {found.message}" if found else "")


def silence(facts: Facts) -> str:
    """That the router takes no requests, with its own reason where it gives one."""
    router = facts.world.router
    told = router.status.conditions if isinstance(router, LLMRouter) else ()
    said = next((c.message for c in told if c.type == ConditionType.READY and c.status != "True"), "")
    return f"no pod of LLMRouter {facts.router!r} takes requests" + (f": {said}" if said else "")


def _conflict(facts: Facts) -> Verdict | None:
    lost = [model for model in routing.model_names(facts.world.service) if model not in facts.granted]
    if not lost:
        return None
    owner = routing.claims(facts.world.peers, facts.router).get(lost[0], "another service")
    message = f"model name {lost[0]!r} is claimed by the older LLMService {owner!r}"
    return Verdict(
        ConditionType.ROUTER_PROGRAMMED,
        False,
        Reason.MODEL_NAME_CONFLICT,
        f"{message}; choose another in spec.modelNames",
    )


def router_programmed(facts: Facts, after: rollout.State) -> Verdict:
    kind = ConditionType.ROUTER_PROGRAMMED
    service, signals = facts.world.service, facts.world.signals
    conflict = _conflict(facts)
    if conflict:
        return conflict
    if not signals:
        return Verdict(kind, False, Reason.ROUTER_NOT_READY, silence(facts))
    refused = next((s.config_error for s in signals if s.config_error), "")
    if refused:
        return Verdict(kind, False, Reason.AWAITING_ROUTER, f"a router refuses its configuration: {refused}")
    current = facts.routed_generation == service.metadata.generation and after == facts.state
    if current and facts.acknowledged():
        return Verdict(kind, True, Reason.PROGRAMMED)
    return Verdict(kind, False, Reason.AWAITING_ROUTER, _awaited(facts) if current else AWAITED)


def _awaited(facts: Facts) -> str:
    """Which routers it is that others don't wait for; while all of them are awaited, just that."""
    behind = facts.behind
    return f"{AWAITED}: {_listed(behind)}" if len(behind) < len(facts.world.signals) else AWAITED


def unseen(facts: Facts) -> str:
    """That routers don't see the candidate's engines, and which; empty where they do, or there are none."""
    blind = facts.blind()
    if not blind or facts.state.candidate is None:
        return ""
    revision = facts.state.candidate.revision
    return f"the engines of {revision} are ready, and routers have yet to see it: {_listed(blind)}"


def _listed(routers: Sequence[str]) -> str:
    """Routers by their admin ports' addresses, as `kubectl get pods -o wide` has them."""
    return ", ".join(sorted(routers))


def rollout_healthy(facts: Facts, after: rollout.State, judged: Judged, tried: Tried) -> Verdict:
    kind = ConditionType.ROLLOUT_HEALTHY
    if facts.settled(after):
        return Verdict(kind, True, Reason.COMPLETE)
    rejection = after.rejection(facts.wanted)
    if rejection:
        return Verdict(kind, False, rejection.reason, rejected(rejection))
    if in_gap(facts, after):
        message = "Recreate: the old revision has stopped and the new one isn't ready; nobody is served"
        return Verdict(kind, False, Reason.RECREATE_GAP, message)
    if after.step is Step.CAPACITY and _short_of(facts):
        message = (
            "the new revision waits for room beside the old one; rollout.strategy Recreate would do without"
        )
        return Verdict(kind, False, Reason.WAITING_FOR_CAPACITY, message)
    if after.step is Step.CAPACITY and engine_health(facts).holds is False:
        return Verdict(
            kind,
            False,
            Reason.CANDIDATE_FAILING,
            "the new revision doesn't come up; the old one keeps serving",
        )
    if after.step is Step.TRIAL:
        return Verdict(kind, None if tried.stuck else True, Reason.TRIAL_RUNNING, tried.message)
    if after.step in MEASURED and after == facts.state:
        return Verdict(kind, HOLDS.get(judged.reason, True), judged.reason, judged.message)
    return Verdict(kind, True, Reason.ROLLOUT_IN_PROGRESS)


HOLDS = {
    Reason.AWAITING_SAMPLES: None,
    Reason.CHECK_UNANSWERED: None,
    Reason.AWAITING_APPROVAL: None,
    Reason.STABLE_FAILING: False,
}
"""Whether a change is healthy that waits for something no one knows when to come."""


def rejected(rejection: Rejection) -> str:
    """Why what the spec asks for isn't tried again, and what serves instead."""
    return f"{rejection.message}; the stable variant has all requests, and this one isn't tried again"


def in_gap(facts: Facts, after: rollout.State) -> bool:
    recreating = facts.world.service.spec.strategy is Strategy.RECREATE and len(facts.revisions) > 1
    return after.step is Step.DRAINING or (after.step is Step.STARTING and recreating)
