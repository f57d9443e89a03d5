"""Runs a suite: every case as often as it says, and each answer judged."""

from __future__ import annotations

from typing import Final

from pointsman_trial.answers import Answer, Panel, question
from pointsman_trial.asking import Asker
from pointsman_trial.assertions import Failed, Judge
from pointsman_trial.document import Case, Suite
from pointsman_trial.result import FailedCase, SuiteResult
from pointsman_trial.together import in_order

OVERRIDE: Final = ("seed",)
"""What stands, whatever the prompt fixes: by one seed, a case that's asked several times is asked once. The
prompt's own temperature is a part of what is tested."""


def run(suite: Suite, panel: Panel, asker: Asker, at_once: int) -> SuiteResult:
    """How the candidate does. Raises CannotJudge."""

    def ask(one: tuple[Case, int]) -> Answer:
        case, time = one
        body = question(case.request, seed=case.seed + time, greedy=case.greedy, max_tokens=case.max_tokens)
        return panel.candidate(body, OVERRIDE)

    judge = Judge(suite, asker)
    failed: dict[str, list[Failed]] = {case.name: [] for case in suite.cases}
    asked = [(case, time) for case in suite.cases for time in range(case.times)]
    for (case, _), answer in zip(asked, in_order(ask, asked, at_once), strict=True):
        asker.check(f"case {case.name!r}")
        if wrong := judge.first_failed(answer, case.assertions):
            failed[case.name].append(wrong)
    return SuiteResult(
        len(suite.cases),
        suite.may_fail,
        tuple(
            FailedCase(case.name, len(found), case.times, found[0].expected, found[0].got)
            for case in suite.cases
            if len(found := failed[case.name]) > case.may_fail
        ),
    )
