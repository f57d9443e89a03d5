"""A sample of the runs of `make test-faults`: every scenario without a fault, and others drawn by seed.

What a violation says ends with the command that runs it alone.
"""

from __future__ import annotations

import pytest

from tests.simulation.faults.__main__ import sample
from tests.simulation.faults.mutations import MUTATIONS, Mutation, caught
from tests.simulation.faults.runs import Runs
from tests.simulation.faults.scenarios import SCENARIOS
from tests.simulation.faults.table import FAULTS

DRAWN = 260
"""Runs in everyday tests, about a minute's."""
SEED = 5
RUNS = Runs()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_ends_as_it_should_and_then_rests(scenario: str) -> None:
    result = RUNS.reference(scenario)
    assert result.violations == [], "\n".join(result.trail)


def test_whatever_goes_wrong_the_end_is_the_same_and_nobody_notices() -> None:
    results = [RUNS.carry_out(case) for case in sample(RUNS, len(SCENARIOS) + DRAWN, SEED)]
    told = [f"{v}\n    {r.case.command}" for r in results for v in r.violations if r.case.at]
    assert told == [], "\n".join(told)


def test_there_are_scenarios_and_faults_enough() -> None:
    assert len(SCENARIOS) >= 25
    assert {fault.oracle for fault in FAULTS.values()} == {
        "O2",
        "O3",
        "O4",
        "O5",
        "O6",
        "O7",
        "O12",
        "O15",
        "O16",
    }


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[m.name for m in MUTATIONS])
def test_a_defect_is_told_by_the_oracle_that_is_there_for_it(mutation: Mutation) -> None:
    assert caught(mutation) is not None, f"{mutation.oracle} says nothing when {mutation.name}"
