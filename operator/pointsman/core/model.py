"""The decision about one LLMModel: no children, and a status that says it is accepted and how widely used."""

from __future__ import annotations

from pointsman.api import names
from pointsman.api.conditions import ConditionType, Reason
from pointsman.core import conditions
from pointsman.core.conditions import Verdict
from pointsman.core.decision import Decision
from pointsman.core.world import ModelWorld


def decide(world: ModelWorld) -> Decision:
    """The status to write, and the services that should look at the model again."""
    model = world.model
    users = [s for s in world.services if s.spec.model_ref and s.spec.model_ref.name == model.metadata.name]
    generation = model.metadata.generation
    merged = conditions.merge(
        model.status.conditions,
        [Verdict(ConditionType.READY, True, Reason.ACCEPTED)],
        generation=generation,
        now=world.now,
    )
    changed = model.status.observed_generation != generation
    return Decision(
        status={"observedGeneration": generation, "conditions": merged, "services": len(users)},
        wake=tuple(names.Key("LLMService", s.metadata.namespace, s.metadata.name) for s in users)
        if changed
        else (),
        because=f"used by {len(users)} services",
    )
