"""The decision about one PromptVersion: no children, and a status that has its digest."""

from __future__ import annotations

from pointsman.api.conditions import ConditionType, Reason
from pointsman.core import conditions, prompting
from pointsman.core.conditions import Verdict
from pointsman.core.decision import Decision
from pointsman.core.world import PromptWorld


def decide(world: PromptWorld) -> Decision:
    """The status to write."""
    prompt = world.prompt
    generation = prompt.metadata.generation
    merged = conditions.merge(
        prompt.status.conditions,
        [Verdict(ConditionType.READY, True, Reason.ACCEPTED)],
        generation=generation,
        now=world.now,
    )
    found = prompting.digest(prompt.spec)
    return Decision(
        status={"observedGeneration": generation, "conditions": merged, "digest": found},
        because=f"digest {prompting.short(found)}",
    )
