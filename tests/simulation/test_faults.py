"""A sample of the runs of `make test-faults`: every scenario without a fault, and others drawn by seed.

What a violation says ends with the command that runs it alone.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.simulation.faults.__main__ import sample
from tests.simulation.faults.mutations import MUTATIONS, Mutation, caught
from tests.simulation.faults.runs import NO_FAULT, Case, Runs
from tests.simulation.faults.scenarios import SCENARIOS
from tests.simulation.faults.table import FAULTS

DRAWN = 260
"""Runs in everyday tests, beside those without a fault: half a minute's, where nothing else runs."""
SEED = 5
SECONDS = 90.0
"""What doesn't fit into so many, on a busy machine, is left to `make test-faults`; of no scenario all is."""
RUNS = Runs()


@dataclass(slots=True)
class Budget:
    """Time for runs with a fault, which scenarios share: what one leaves, those after it have."""

    seconds: float = SECONDS
    scenarios: int = len(SCENARIOS)

    @contextmanager
    def share(self) -> Iterator[float]:
        """The moment at which a scenario's part is over."""
        began = time.monotonic()
        try:
            yield began + self.seconds / max(self.scenarios, 1)
        finally:
            self.seconds = max(self.seconds - (time.monotonic() - began), 0.0)
            self.scenarios -= 1


BUDGET = Budget()


@functools.cache
def drawn() -> list[Case]:
    """The sample."""
    return [case for case in sample(RUNS, len(SCENARIOS) + DRAWN, SEED) if case.fault != NO_FAULT]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_ends_as_it_should_and_then_rests(scenario: str) -> None:
    result = RUNS.reference(scenario)
    assert result.violations == [], "\n".join(result.trail)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_whatever_goes_wrong_the_end_is_the_same_and_nobody_notices(scenario: str) -> None:
    mine = [case for case in drawn() if case.scenario == scenario]
    assert mine, "none of its runs is drawn"
    with BUDGET.share() as over:
        for number, case in enumerate(mine):
            if number and time.monotonic() > over:
                break
            violations = RUNS.carry_out(case).violations
            assert violations == [], case.command


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
