"""The decision about one PromptVersion: no children, and a status that has its digest."""

from __future__ import annotations

from collections.abc import Iterator

from pointsman.api import names
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
        _verdicts(prompting.flaw(prompt.spec)),
        generation=generation,
        now=world.now,
    )
    found = prompting.digest(prompt.spec)
    name = prompt.metadata.name
    users = [s for s in world.services if name in (ref.name for ref in s.spec.prompt_refs)]
    changed = prompt.status.observed_generation != generation
    return Decision(
        status={
            "observedGeneration": generation,
            "conditions": merged,
            "digest": found,
            "services": len(users),
        },
        wake=tuple(names.Key("LLMService", s.metadata.namespace, s.metadata.name) for s in users)
        if changed
        else (),
        because=f"digest {prompting.short(found)}, used by {len(users)} services",
    )


def _verdicts(flaw: str) -> Iterator[Verdict]:
    if not flaw:
        yield Verdict(ConditionType.READY, True, Reason.ACCEPTED)
        return
    message = f"{flaw}; spec can't be changed, so delete this one and make another"
    yield Verdict(ConditionType.READY, False, Reason.INVALID_SPEC, message)
    yield Verdict(ConditionType.STALLED, True, Reason.INVALID_SPEC, message)
