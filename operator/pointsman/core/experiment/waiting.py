"""What keeps an experiment from dividing traffic, and the challenger it would give a part to."""

from __future__ import annotations

from typing import Final

from pointsman.api.prompt import PromptVersion
from pointsman.core import prompting
from pointsman.core.facts import Facts
from pointsman.core.variant import Variant
from pointsman.core.world import Missing

NEEDED: Final = frozenset({"assignment", "analysis", "prompts"})
"""Later fields of the routers' configuration without which there is no experiment."""


def rival(facts: Facts) -> Variant | None:
    """The stable engines with the challenger's prompt, once there is a copy of that; the copy stands in for a
    PromptVersion that is gone."""
    stable = facts.state.stable
    if stable is None:
        return None
    match facts.world.challenger:
        case PromptVersion() as prompt:
            digest8 = prompting.short(prompting.digest(prompt.spec))
            return (
                Variant(stable.revision, prompt.metadata.name, digest8) if digest8 in facts.copies else None
            )
        case Missing(name=name):
            known = facts.world.service.status.experiment
            used = (Variant.parse(known.challenger),) if known else ()
            copy = prompting.of_name(name, facts.copies, used)
            return Variant(stable.revision, name, copy.digest) if copy else None
        case None:
            return None


def uncopied(facts: Facts) -> PromptVersion | None:
    """The challenger's prompt, while it can be used and isn't copied yet; the control's comes first."""
    prompt = facts.world.challenger
    if not isinstance(prompt, PromptVersion) or prompting.flaw(prompt.spec) or facts.uncopied is not None:
        return None
    return None if prompting.short(prompting.digest(prompt.spec)) in facts.copies else prompt


def hindrance(facts: Facts, challenger: Variant | None, *, proven: bool) -> str:
    """What stands in the way, in words that hold still; empty for nothing.

    To begin takes a service that has answered. Once it's under way, an outage doesn't stop it: both prompts
    are answered by the same engines, so it hits both alike.
    """
    return _unsettled(facts) or _unprompted(facts, challenger) or _unready(facts, proven=proven)


def _unsettled(facts: Facts) -> str:
    state = facts.state
    if facts.settled(state):
        return "no replicas are asked for" if facts.replicas == 0 else ""
    if facts.rejection and state.candidate is None:
        return "what the spec asks for was rejected, and the stable variant isn't it"
    if facts.wanted is None:
        return "what the spec asks for can't be had, or isn't resolved yet"
    if state.stable is None:
        return "nothing is stable yet"
    return "a rollout is under way, and its variants have all requests"


def _unprompted(facts: Facts, challenger: Variant | None) -> str:
    if challenger is not None:
        return ""
    match facts.world.challenger:
        case Missing(name=name):
            missing = f"experiment.promptRef: there is no PromptVersion {name!r} in this namespace"
            return f"{missing}; create it or correct the name"
        case PromptVersion() as prompt if flaw := prompting.flaw(prompt.spec):
            return f"experiment.promptRef: PromptVersion {prompt.metadata.name!r} can't be used: {flaw}"
        case _:
            return "the challenger's prompt is being copied"


def _unready(facts: Facts, *, proven: bool) -> str:
    if facts.state.window:
        return ""
    told = [frozenset(router.understands) for router in facts.world.signals if router.reachable]
    if any(not fields >= NEEDED for fields in told):
        return "a router of an older release runs, which knows no experiments"
    return "" if proven else "the service isn't Ready yet"
