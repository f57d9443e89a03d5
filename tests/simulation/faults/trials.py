"""Scenarios of changes that are tried before they get traffic; see `scenarios` for the table's form."""

from __future__ import annotations

from typing import Any, Final

from tests.simulation.faults.acts import apply, serve, stand_in, until, wait
from tests.simulation.faults.beginnings import NEW
from tests.simulation.faults.scenario import BACK, row

TRIED: Final[dict[str, Any]] = {**NEW, "rollout": {"suiteRef": {"name": "support"}}}
"""A change that has to pass a suite."""
ALIKE: Final[dict[str, Any]] = {**NEW, "rollout": {"equivalence": {"prompts": ["Hello"]}}}
"""A change that has to answer as before."""
SUITE: Final[dict[str, Any]] = {
    "cases": [
        {
            "name": "greets",
            "messages": [{"role": "user", "content": "Hello"}],
            "assertions": [{"refusal": False}],
        }
    ]
}
FAILS: Final[dict[str, Any]] = {
    "passed": False,
    "suite": {
        "cases": 1,
        "failed": 1,
        "failing": [{"name": "greets", "failed": 1, "of": 1, "expected": "no refusal", "got": "“No.”"}],
    },
}
PASSES: Final[dict[str, Any]] = {"passed": True}
NOBODY: Final[dict[str, Any]] = {"reason": "Unanswered", "message": "nobody answered"}

SERVES = "a service that serves"
_REJECTED = {
    ("LLMService/chat", "Available"): "True",
    ("LLMService/chat", "Ready"): "False/CanaryRejected",
    ("LLMService/chat", "Stalled"): "True",
}
TRIALS = (
    row(
        "a candidate passes its suite",
        SERVES,
        apply("PromptSuite", "support", SUITE),
        serve(TRIED),
        revert=BACK,
    ),
    row(
        "a candidate fails its suite",
        SERVES,
        apply("PromptSuite", "support", SUITE),
        stand_in("the candidate answers wrongly", trial=FAILS),
        serve(TRIED),
        ends=_REJECTED,
        revert=BACK,
    ),
    row(
        "a trial comes to no verdict, and then to one",
        SERVES,
        stand_in("nobody answers the trial", trial=NOBODY),
        serve(ALIKE),
        until("Trial"),
        wait(30.0),
        stand_in("the trial is answered", trial=PASSES),
        wait(150.0),
        revert=BACK,
    ),
    row("a change is reverted while it is tried", SERVES, serve(ALIKE), until("Trial"), BACK),
)
