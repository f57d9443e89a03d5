"""What a pass about an LLMService tells people: the events of what it decides, and its line in the log."""

from __future__ import annotations

from collections.abc import Sequence

from pointsman.api.conditions import ConditionType, Reason
from pointsman.api.service_status import Step
from pointsman.core import experiment, fitting, rollout
from pointsman.core.decision import Note
from pointsman.core.facts import Facts
from pointsman.core.variant import Variant


def notes(facts: Facts, after: rollout.State, tested: experiment.Found) -> Sequence[Note]:
    """The events of what this pass decides."""
    before = facts.state
    found = []
    if fitting.overridden(facts) and facts.target not in facts.deployments and not _told_overridden(facts):
        found.append(Note("FitOverridden", f"revision {facts.target} {fitting.verdict(facts).message}", True))
    if after.candidate and after.candidate != before.candidate:
        found.append(Note("RolloutStarted", f"revision {after.candidate.name} is on its way"))
    if after.stable and after.stable != before.stable and not after.candidate:
        found.append(Note("RolloutComplete", f"revision {after.stable.name} has all the traffic"))
    rejected = after.rejections[0] if after.rejections[:1] != before.rejections[:1] else None
    if rejected:
        found.append(Note(rejected.reason.value, f"{rejected.variant.name}: {rejected.message}", True))
    elif before.candidate and not after.candidate and after.stable == before.stable:
        back = f"back to revision {after.stable.name}" if after.stable else "nothing is stable"
        found.append(Note("RolloutAbandoned", f"{back}; {before.candidate.name} is dropped"))
    if after.candidate == before.candidate and after.weight != before.weight:
        found.append(Note("RolloutStep", f"{_called(after.candidate)} has {after.weight} % of requests"))
    return (*found, *experiment.notes(facts, tested))


def _told_overridden(facts: Facts) -> bool:
    """Whether status says of this generation that the estimate is overridden, so that its event was told."""
    service = facts.world.service
    said = next((c for c in service.status.conditions if c.type == ConditionType.MODEL_FITS), None)
    return (
        said is not None
        and said.reason == Reason.FIT_OVERRIDDEN
        and said.observed_generation == service.metadata.generation
    )


def because(facts: Facts, after: rollout.State) -> str:
    """One line for the log."""
    if facts.model is None:
        return "the model is missing"
    if after.step is Step.STEADY:
        return f"{_called(after.stable)} is stable"
    return f"{after.step.value.lower()}: {_called(after.stable)} -> {_called(after.candidate)}"


def _called(variant: Variant | None) -> str:
    return variant.name if variant else "nothing"
