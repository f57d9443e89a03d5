"""What the condition and the event say of an experiment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pointsman.api.conditions import ConditionType, Reason
from pointsman.api.experiment import Experiment
from pointsman.api.experiment_status import Recommendation
from pointsman.core.conditions import Verdict
from pointsman.core.decision import Note
from pointsman.core.experiment import asking
from pointsman.core.experiment.looking import Found
from pointsman.core.facts import Facts

REASONS: Final[Mapping[Recommendation, Reason]] = {
    Recommendation.CHALLENGER: Reason.CHALLENGER_BETTER,
    Recommendation.CONTROL: Reason.CONTROL_BETTER,
    Recommendation.NO_DIFFERENCE: Reason.NO_DIFFERENCE,
    Recommendation.UNDECIDED: Reason.UNDECIDED,
}
SAYS: Final[Mapping[Recommendation, str]] = {
    Recommendation.CHALLENGER: "the challenger is recommended",
    Recommendation.CONTROL: "the control is recommended",
    Recommendation.NO_DIFFERENCE: "the prompts don't differ by what matters",
    Recommendation.UNDECIDED: "undecided",
}


def verdict(facts: Facts, found: Found) -> Verdict | None:
    """The condition, as long as an experiment is declared."""
    kind, given, known = ConditionType.EXPERIMENT_CONCLUDED, facts.world.service.spec.experiment, found.record
    if given is None:
        return None
    if known is not None and known.recommendation is not None:
        return Verdict(kind, True, REASONS[known.recommendation], _ended(given, found))
    if found.waits:
        return Verdict(kind, False, Reason.EXPERIMENT_WAITING, found.waits)
    weight = given.weight or asking.WEIGHT
    message = f"PromptVersion {given.prompt_ref.name!r} has {weight} % of conversations and is compared"
    return Verdict(kind, False, Reason.EXPERIMENT_RUNNING, message)


def _ended(given: Experiment, found: Found) -> str:
    assert found.record is not None
    assert found.record.recommendation is not None
    said = f"{SAYS[found.record.recommendation]}: {found.record.message}"
    if found.record.recommendation is not Recommendation.CHALLENGER:
        return said
    return f"{said}; to take it, set promptRef to {given.prompt_ref.name} and remove experiment"


def notes(facts: Facts, found: Found) -> Sequence[Note]:
    """The event of a conclusion, in the pass that comes to it."""
    before, known = facts.world.service.status.experiment, found.record
    if known is None or known.recommendation is None:
        return ()
    if before is not None and before.concluded_at is not None and before.window == known.window:
        return ()
    return (Note("ExperimentConcluded", f"{SAYS[known.recommendation]}: {known.message}"),)
