"""When to look at a service again, where Kubernetes gives no event for what is awaited.

Looking costs requests, so a service that is as it should be is looked at by events alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pointsman.api.conditions import ConditionType, Reason
from pointsman.api.service_status import Step
from pointsman.core import analysis, experiment, rollout, service_status
from pointsman.core.analysis import Found
from pointsman.core.facts import Facts

AWAITING_ENGINES = frozenset({Step.STARTING, Step.CAPACITY})
"""Steps that go on when a Deployment tells that its engines are ready."""

DRAINING_SECONDS = 5.0
"""How often routers are asked what old engines still answer, and whether it was cut."""


def requeue(
    facts: Facts,
    after: rollout.State,
    found: Found,
    tested: experiment.Found,
    status: Mapping[str, Any],
) -> float | None:
    """When to look again, in seconds, where Kubernetes gives no event for what is awaited. `tested`: by an
    experiment."""
    moments = _of_service(facts, after, found, status), experiment.next_look(facts, tested)
    return min((moment for moment in moments if moment is not None), default=None)


def _just_proven(facts: Facts, after: rollout.State) -> bool:
    """Whether the next pass sees in status what this one's probe has shown, by which experiments begin."""
    return not service_status.was_proven(facts) and service_status.proven(facts, after)


def _of_service(facts: Facts, after: rollout.State, found: Found, status: Mapping[str, Any]) -> float | None:
    copying = facts.uncopied is not None or experiment.uncopied(facts) is not None
    if copying and facts.target:
        return 0.2
    if after != facts.state and after.step not in AWAITING_ENGINES:
        return 0.2
    if facts.world.service.spec.experiment is not None and _just_proven(facts, after):
        return 0.2
    look = analysis.next_look(facts, found)
    if look is not None and facts.acknowledged() and not facts.world.service.spec.paused:
        return look
    ready = next(c for c in status["conditions"] if c["type"] == ConditionType.READY)
    content = ready["status"] == "True" or ready["reason"] == Reason.PAUSED
    waits = not facts.acknowledged() or after.step is Step.TRAFFIC
    if waits and not facts.world.service.spec.paused:
        return 1.0 if facts.world.signals else 2.0
    if service_status.start_awaited(facts):
        return 2.0
    if content and all(facts.deployed(name) for name in after.revisions):
        return DRAINING_SECONDS if any(told.leaving for told in facts.heard()) else None
    return _patience(facts, after)


def _patience(facts: Facts, after: rollout.State) -> float:
    """Pods aren't watched: what keeps them is looked up, often at first, and always within half of the thirty
    seconds in which a cause is to show and to clear."""
    unmet = [c for c in facts.world.service.status.conditions if c.status != "True"]
    moments = [datetime.fromisoformat(c.last_transition_time) for c in unmet]
    last = max([*moments, *([after.since] if after.since else [])], default=facts.world.now)
    return 5.0 if facts.world.now - last < timedelta(minutes=5) else 15.0
