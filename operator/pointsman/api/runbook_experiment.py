"""The runbook's paragraphs about an experiment between prompts."""

from __future__ import annotations

from typing import Final

from pointsman.api.conditions import Reason
from pointsman.api.runbook_entry import NOTHING, Entry

_ENDED = (
    "Has given all traffic back to the stable variant, keeps what was found in status.experiment, and "
    "changes nothing else."
)
_AGAIN = "To run it once more, set experiment.restartedAt."

EXPERIMENT: Final[dict[Reason, Entry]] = {
    Reason.EXPERIMENT_WAITING: Entry(
        "spec.experiment is declared and its traffic isn't divided now: a rollout is under way, the service "
        "isn't Ready yet, or the challenger's prompt can't be had. The message says which.",
        "Gives all requests to the variants of the rollout, and divides them again by itself. What was found "
        "before is kept while both variants stay the same, and dropped when one of them is another.",
        "Nothing, where a rollout ends by itself. Else mend what the message names, or remove "
        "spec.experiment.",
    ),
    Reason.EXPERIMENT_RUNNING: Entry(
        "The challenger answers its part of the conversations and is being compared with the control.",
        "Looks once a minute, and ends it when one is certainly better, when no difference that matters is "
        "left, or when maxSeconds are over.",
        f"{NOTHING} status.experiment.metrics has what was found so far. To end it, remove spec.experiment.",
    ),
    Reason.CHALLENGER_BETTER: Entry(
        "The experiment recommends the challenger: it is certainly better in the first metric, and worse in "
        "none of the others by what matters.",
        _ENDED,
        "To take it, set spec.promptRef to the challenger and remove spec.experiment in the same change: a "
        f"rollout by rollout.strategy follows. To drop it, remove spec.experiment. {_AGAIN}",
    ),
    Reason.CONTROL_BETTER: Entry(
        "The experiment recommends to stay: the challenger is certainly worse in one of the metrics. The "
        "message has which, what was found, and of how many samples.",
        _ENDED,
        f"Remove spec.experiment, or declare one with another challenger. {_AGAIN}",
    ),
    Reason.NO_DIFFERENCE: Entry(
        "In the first metric the prompts don't differ by what matters; that is certain, and none of the "
        "others was found worse.",
        _ENDED,
        "Take whichever is simpler or cheaper, or compare them in another metric, or with a smaller "
        f"relevantPercent or relevantPermille. {_AGAIN}",
    ),
    Reason.UNDECIDED: Entry(
        "maxSeconds were over before anything was certain: too few requests, or a difference too small to "
        "tell.",
        _ENDED,
        "Declare more maxSeconds, a weight nearer to 50, or a larger relevantPercent or relevantPermille: "
        "each begins another experiment. feedbackScore needs clients that report to POST /v1/feedback.",
    ),
}
