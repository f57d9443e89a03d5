"""All runs of many scenarios, several at a time: each scenario is one process's work, from its beginning on.

Nothing is shared between scenarios but what they begin with, so they may as well be run by as many processes
as there are cores. What is told comes in the order of the scenarios all the same.
"""

from __future__ import annotations

import functools
import gc
import logging
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

from tests.simulation.faults.runs import Case, Result, Runs


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of a scenario's cases; None: any."""

    faults: Sequence[str] | None = None
    at: int | None = None

    def includes(self, case: Case) -> bool:
        """Whether a case is among them."""
        return (self.faults is None or case.fault in self.faults) and self.at in (None, case.at)


@dataclass(frozen=True, slots=True)
class Part:
    """What was done at one go."""

    name: str
    results: Sequence[Result]
    seconds: float


def carried_out(scenarios: Sequence[str], wanted: Wanted, *, jobs: int) -> Iterator[Part]:
    """Every wanted case, scenario by scenario."""
    work = functools.partial(of_scenario, wanted=wanted)
    if jobs == 1 or len(scenarios) == 1:
        yield from map(work, scenarios)
        return
    # Not forked: a child is to begin as a process of its own does.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=settle_in) as pool:
        yield from pool.map(work, scenarios)


def of_scenario(scenario: str, wanted: Wanted) -> Part:
    """The wanted cases of one scenario."""
    began, runs = time.monotonic(), Runs()
    results = [runs.carry_out(case) for case in runs.cases(scenario) if wanted.includes(case)]
    # Ends are compared by now, and many.
    return Part(scenario, [replace(result, end={}) for result in results], time.monotonic() - began)


def settle_in() -> None:
    """What a process that does nothing but runs does first."""
    # Of events that get lost the operator warns; that it finds them all the same is the point here.
    logging.getLogger("pointsman").setLevel(logging.ERROR)
    # What was imported stays, and a run leaves little behind: looking for garbage as often as a server has to
    # takes an eighth of the time.
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
