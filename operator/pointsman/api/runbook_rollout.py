"""The runbook's paragraphs about a change on its way."""

from __future__ import annotations

from typing import Final

from pointsman.api.conditions import Reason
from pointsman.api.runbook_entry import NOTHING, Entry

ROLLOUT: Final[dict[Reason, Entry]] = {
    Reason.COMPLETE: Entry("The declared revision has all the traffic.", "Goes on.", NOTHING),
    Reason.ROLLOUT_IN_PROGRESS: Entry(
        "A new variant is on its way; status.rollout.step says how far.",
        "Brings it up, moves the traffic, removes the old one, each after the other was seen.",
        NOTHING,
    ),
    Reason.RECREATE_GAP: Entry(
        "With rollout.strategy Recreate the old revision has stopped and the new one isn't ready: nobody is "
        "served.",
        "Starts the new revision as soon as the old pods are gone.",
        "Wait. Reverting the change starts the old revision anew.",
    ),
    Reason.CANDIDATE_FAILING: Entry(
        "The new revision doesn't come up.",
        "Keeps the old one serving, and goes on trying.",
        "EngineHealthy says why. Correct the spec, or revert it.",
    ),
    Reason.STABLE_FAILING: Entry(
        "No engine of the stable revision answers while a candidate is compared with it.",
        "Gives its requests to the candidate, makes what is missing again, and neither promotes nor rejects.",
        "See why the pods of the revision that the message names don't answer. Where it's the candidate that "
        "mends this, set rollout.strategy to Surge and take out what is Canary's.",
    ),
    Reason.TRIAL_RUNNING: Entry(
        "The candidate is ready and is being tried before it gets any traffic.",
        "Runs the declared cases against it; the stable variant keeps all traffic.",
        f"{NOTHING} If it stays, look at the Job whose name has -trial- in it.",
    ),
    Reason.ANALYSING: Entry(
        "The candidate has the traffic of a step and is being compared with the stable variant.",
        "Looks every rollout.analysis.intervalSeconds, and goes on or back by itself.",
        f"{NOTHING} status.rollout.analysis has what was found so far, and how long the step has lasted.",
    ),
    Reason.AWAITING_SAMPLES: Entry(
        "The step's least time is over, and the comparison hasn't found out enough: too few requests, or a "
        "difference too small to tell. Too few samples are never a pass.",
        "Keeps the step's weights and goes on looking; after rollout.analysis.inconclusive.afterSeconds it "
        "waits for rollout.approve (Hold) or goes back (Reject), where inconclusive.action says so.",
        "status.rollout.analysis.gates says what each gate lacks. Send more requests, give the step more "
        "weight, ask less of the gates, or decide yourself: inconclusive.action Hold and rollout.approve, or "
        "rollout.abort.",
    ),
    Reason.CHECKS_RUNNING: Entry(
        "The step's time, samples and gates have passed, and the checks of rollout.checks are asked.",
        "Keeps the step's weights and goes on comparing until each has said yes; a no rejects the candidate.",
        f"{NOTHING} If it stays, look at the Jobs whose names have -check- in them.",
    ),
    Reason.CHECK_UNANSWERED: Entry(
        "A check of rollout.checks comes to no verdict: its webhook doesn't answer or answers by a 5xx, or "
        "its Job couldn't run to its end. The message has which, and why.",
        "Keeps the step's weights and asks again a minute after each try; after "
        "rollout.analysis.inconclusive.afterSeconds it waits for rollout.approve (Hold) or goes back "
        "(Reject), where inconclusive.action says so.",
        "Mend what is asked. Or take the check out of rollout.checks, or decide yourself: "
        "inconclusive.action Hold and rollout.approve, or rollout.abort.",
    ),
    Reason.AWAITING_APPROVAL: Entry(
        "The candidate has passed what was asked of it, or nothing can be found out, and the step waits for "
        "a person's word.",
        "Keeps the step's weights, goes on comparing, and goes back if the candidate turns out worse.",
        "Set rollout.approve to the candidate's name (status.rollout.candidate), or rollout.abort to it.",
    ),
    Reason.CANARY_REJECTED: Entry(
        "The candidate was worse than the stable variant, failed its trial, or a check said no. The message "
        "has the gate, what it found, what's allowed and of how many samples, or the check and what it said; "
        "status.rollout.rejections keeps it.",
        "Has given all traffic back to the stable variant, and doesn't try this candidate again. The spec "
        "stays as it is.",
        "Correct the spec, or revert it: with the stable variant declared again the service is Ready. If the "
        "same is to be tried once more, set spec.restartedAt.",
    ),
    Reason.ROLLOUT_ABORTED: Entry(
        "rollout.abort names this candidate.",
        "Has given all traffic back to the stable variant, and doesn't try this candidate again.",
        "Correct the spec, or revert it; rollout.abort may stay, since it names this candidate alone.",
    ),
}
