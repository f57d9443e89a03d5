"""Scenarios of changes that judge themselves; see `scenarios` for the table's form.

Kept short on purpose: looks every ten seconds, steps that last no longer than one, so many requests that the
first look is certain. What a scenario costs is what it writes times the faults.
"""

from __future__ import annotations

from typing import Any, Final

from tests.simulation.faults import acts
from tests.simulation.faults.acts import Act, answers, apply, requests, says, serve, stand_in, until, wait
from tests.simulation.faults.beginnings import CANARY, PROMPTED, SWITCH
from tests.simulation.faults.scenario import READY, Scenario, row
from tests.simulation.faults.trials import FAILS, SUITE
from tests.simulation.measuring import Manner
from tests.simulation.stories import revision_of

Json = dict[str, Any]


def changed(spec: Json, **rollout: Any) -> Json:
    """The spec with another engine, and more said of its rollout."""
    return {**spec, "engine": {"maxModelLen": 1024}, "rollout": {**spec["rollout"], **rollout}}


STEPS, GREEN, PROMPT = "a service with canaries", "a service with switches", "a service with a prompt"
ONE: Final = [{"weight": 10, "minSeconds": 0}]
"""One step, for what doesn't hang on how many there are."""
CANDIDATE = revision_of(changed(CANARY))
NEWER: Final[Json] = {**CANARY, "engine": {"maxModelLen": 2048}}
NEXT_PROMPT: Final[Json] = {**PROMPTED, "promptRef": {"name": "support-v2"}}
UNDECIDED: Final[Json] = {"intervalSeconds": 10, "inconclusive": {"afterSeconds": 20, "action": "Reject"}}

MANY, NONE = requests(2000.0), requests(0.0)
BAD = answers(CANDIDATE, Manner(failing=0.5))
BACK = serve(CANARY)
NO_WORD = says("Ready", "AwaitingApproval")
UNHEARD = says("RouterProgrammed", "AwaitingRouter")
REJECTED: Final = {
    ("LLMService/chat", "Available"): "True",
    ("LLMService/chat", "Ready"): "False/CanaryRejected",
    ("LLMService/chat", "Stalled"): "True",
}
ABORTED: Final = {**REJECTED, ("LLMService/chat", "Ready"): "False/RolloutAborted"}


def _canary(name: str, *happens: Act, **more: Any) -> Scenario:
    given: Json = {"ends": READY, **more}
    return row(name, STEPS, MANY, *happens, **given)


_GOOD_AND_BAD = (
    _canary("a canary is good", serve(changed(CANARY)), revert=BACK),
    _canary("a canary is bad", BAD, serve(changed(CANARY)), ends=REJECTED, revert=BACK),
    _canary(
        "a canary has no requests, and then some",
        NONE,
        serve(changed(CANARY, steps=ONE)),
        until("Canary"),
        wait(25.0),
        MANY,
        wait(15.0),
        revert=BACK,
    ),
    _canary(
        "a canary that nothing is found of is rejected",
        NONE,
        serve(changed(CANARY, steps=ONE, analysis=UNDECIDED)),
        ends=REJECTED,
        revert=BACK,
    ),
    _canary(
        "a canary fails its suite before its first request",
        apply("PromptSuite", "support", SUITE),
        stand_in("the candidate answers wrongly", trial=FAILS),
        serve(changed(CANARY, suiteRef={"name": "support"})),
        ends=REJECTED,
        revert=BACK,
    ),
)

_PEOPLE = (
    _canary(
        "a second change comes in the middle of a canary",
        serve(changed(CANARY)),
        until("Canary", index=1),
        serve(NEWER),
        revert=BACK,
    ),
    *(
        _canary(f"a canary is reverted {when}", serve(changed(CANARY)), until(step, index=index), BACK)
        for when, step, index in (
            ("while it gathers capacity", "Capacity", 0),
            ("in its first step", "Canary", 0),
            ("in its second step", "Canary", 1),
            ("while it takes the traffic", "Traffic", 2),
        )
    ),
    _canary(
        "a canary waits for a word, and gets it",
        serve(changed(CANARY, steps=[{**ONE[0], "approval": "Manual"}])),
        NO_WORD,
        serve(changed(CANARY, steps=[{**ONE[0], "approval": "Manual"}], approve=CANDIDATE)),
        revert=BACK,
    ),
    _canary(
        "a canary is aborted",
        serve(changed(CANARY)),
        until("Canary", index=1),
        serve(changed(CANARY, abort=CANDIDATE)),
        ends=ABORTED,
        revert=BACK,
    ),
)

_TROUBLE = (
    _canary(
        "a service's status is lost in the middle of a canary",
        serve(changed(CANARY)),
        until("Canary", index=1),
        acts.lose_status("LLMService", "chat"),
    ),
    _canary(
        "routers take no configuration in the middle of a canary",
        serve(changed(CANARY, steps=ONE)),
        until("Canary"),
        stand_in("routers take no configuration", deaf=True),
        UNHEARD,
        wait(15.0),
        stand_in("routers take it again", deaf=False),
        wait(5.0),
    ),
    _canary(
        "the stable Deployment is deleted in the middle of a canary",
        serve(changed(CANARY, steps=ONE)),
        until("Canary"),
        acts.remove_engine("Deployment"),
        served=False,
    ),
)

_OTHERS = (
    row("a switch is good", GREEN, MANY, serve(changed(SWITCH)), revert=serve(SWITCH)),
    row(
        "a switch is bad once it has the traffic",
        GREEN,
        MANY,
        answers(revision_of(changed(SWITCH)), Manner(failing=0.5)),
        serve(changed(SWITCH)),
        ends=REJECTED,
        revert=serve(SWITCH),
    ),
    row("another prompt comes in by a canary", PROMPT, MANY, serve(NEXT_PROMPT), revert=serve(PROMPTED)),
    row(
        "another prompt is reverted in the middle of a canary",
        PROMPT,
        MANY,
        serve(NEXT_PROMPT),
        until("Canary"),
        serve(PROMPTED),
    ),
)

CANARIES = (*_GOOD_AND_BAD, *_PEOPLE, *_TROUBLE, *_OTHERS)
