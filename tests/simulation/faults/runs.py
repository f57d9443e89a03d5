"""One run: a scenario, a fault, a moment. Its end is compared with that of the run without the fault."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pointsman.kube.protocol import Kube
from tests.simulation.faults.beginnings import GIVEN
from tests.simulation.faults.ending import (
    End,
    conditions_of,
    differences,
    end_of,
    leaks,
    of_service,
    without_history,
)
from tests.simulation.faults.process import Edges
from tests.simulation.faults.proxy import Carry, Request
from tests.simulation.faults.scenario import Scenario
from tests.simulation.faults.scenarios import SCENARIOS
from tests.simulation.faults.site import Site, Snapshot, quietly
from tests.simulation.faults.table import FAULTS, SEEDS, Compared, Fault, Moment, Strike
from tests.simulation.faults.timeline import Violation
from tests.unit.engine import virtual

T = TypeVar("T")
NO_FAULT = "none"
START_SECONDS = 5.0
MOST_TOLD = 6
"""Differences told of one run: the first ones say it all."""


@dataclass(frozen=True, slots=True)
class Case:
    """A point in the space of runs. `at` is 0 without a fault."""

    scenario: str
    fault: str = NO_FAULT
    at: int = 0

    def __str__(self) -> str:
        return f"({self.scenario!r}, {self.at}, {self.fault})"

    @property
    def command(self) -> str:
        """Runs this case alone."""
        arguments = f"--scenario={shlex.quote(self.scenario)} --fault={self.fault} --at={self.at}"
        return f'make test-faults ARGS="{arguments}"'


@dataclass(slots=True)
class Result:
    """What a run showed."""

    case: Case
    violations: list[Violation] = field(default_factory=list)
    trail: list[str] = field(default_factory=list)
    end: End = field(default_factory=dict)
    counts: dict[Moment, int] = field(default_factory=dict)


class Runs:
    """Carries cases out. Remembers each scenario's beginning and its run without a fault.

    `awaited`: an oracle of which one word is enough; a run ends with it.
    """

    def __init__(self, *, awaited: str = "") -> None:
        self._awaited = awaited
        self._snapshots: dict[str, Snapshot] = {}
        self._beginnings: dict[str, End] = {}
        self._references: dict[str, Result] = {}

    def reference(self, scenario: str) -> Result:
        """The run without a fault; what is wrong with it stands in its violations."""
        if scenario not in self._references:
            self._references[scenario] = self._run(Case(scenario))
        return self._references[scenario]

    def carry_out(self, case: Case) -> Result:
        """One run."""
        if case.fault == NO_FAULT:
            return self.reference(case.scenario)
        self.reference(case.scenario)
        return self._run(case)

    def cases(self, scenario: str) -> Iterator[Case]:
        """Every case of a scenario, the one without a fault first."""
        yield Case(scenario)
        counts = self.reference(scenario).counts
        for fault in FAULTS.values():
            if fault.compared is Compared.BEGINNING and SCENARIOS[scenario].revert is None:
                continue
            most = SEEDS if fault.moment is Moment.SEED else counts[fault.moment]
            for at in range(1, most + 1, fault.stride):
                yield Case(scenario, fault.name, at)

    def _run(self, case: Case) -> Result:
        scenario = SCENARIOS[case.scenario]
        self._begin(scenario.given)
        return _in_virtual_time(lambda: self._carry_out(scenario, case))

    def _begin(self, given: str) -> None:
        if given not in self._snapshots:
            _in_virtual_time(lambda: self._prepare(given))

    async def _prepare(self, given: str) -> None:
        site = Site()
        await site.start_all()
        for act in GIVEN[given]:
            await act.do(site)
        self._snapshots[given] = site.snapshot()
        self._beginnings[given] = end_of(site)
        await site.close()

    async def _carry_out(self, scenario: Scenario, case: Case) -> Result:
        fault = FAULTS.get(case.fault)
        site = Site(operators=fault.operators if fault else 1)
        site.resume(self._snapshots[scenario.given])
        site.timeline.awaited = self._awaited
        counts = dict.fromkeys(Moment, 0)
        if fault is None:
            site.edges = _counting(counts)
        else:
            site.edges = fault.edges(Strike(case.at, site, scenario.revert))
            site.timeline.lenient = fault.lenient
        if fault is None or fault.compared in (Compared.SAME, Compared.BEGINNING):
            site.timeline.served = scenario.served
        result = Result(case, site.timeline.violations, site.trail, counts=counts)
        await site.start_all()
        # What a start brings about isn't to hide what an event that is lost would have.
        await asyncio.sleep(START_SECONDS)
        try:
            await _happen(site, scenario)
            for _ in range(fault.resyncs if fault else 0):
                await site.resync()
            result.end = end_of(site)
            result.violations += self._judged(site, scenario, fault, result.end)
            await _idempotent(site, result)
        except Exception as error:
            result.violations.append(Violation("O2 rest", f"{type(error).__name__}: {error}"))
        await site.close()
        return result

    def _judged(self, site: Site, scenario: Scenario, fault: Fault | None, end: End) -> Iterator[Violation]:
        for leak in leaks(site):
            yield Violation("O16 leak", leak)
        if fault is None:
            for missed in conditions_of(site, scenario.ends):
                yield Violation("O2 end", missed)
            return
        yield from _compared(fault, end, self.reference(scenario.name).end, self._beginnings[scenario.given])


def _compared(fault: Fault, end: End, same: End, beginning: End) -> Iterator[Violation]:
    told: list[str] = []
    if fault.compared is Compared.SAME:
        told = list(differences(without_history(same), without_history(end)))
    elif fault.compared is Compared.BEGINNING:
        after = of_service(end, "chat", beginning)
        told = list(differences(without_history(beginning), without_history(after)))
    elif fault.compared is Compared.NOTHING and "LLMService/chat" in end:
        told = ["the deleted service is still there"]
    for difference in told[:MOST_TOLD]:
        yield Violation(f"{fault.oracle} end", difference)


async def _happen(site: Site, scenario: Scenario) -> None:
    for act in scenario.acts:
        if site.interrupted:
            break
        site.tell(f"-- {act.words}")
        await act.do(site)
    if site.interrupted:
        await site.rest()


async def _idempotent(site: Site, result: Result) -> None:
    """O1: an hour later, a pass of everything writes nothing."""
    version, written = site.kube.store.version, len(site.kube.calls)
    site.tell("-- an hour later, everything gets a pass")
    await site.look_again()
    for call in site.kube.calls[written:]:
        if call.writes:
            what = f"{call.verb} of {call.kind} {call.name!r} though nothing had changed"
            result.violations.append(Violation("O1 idempotence", what))
    if site.kube.store.version != version:
        result.violations.append(Violation("O1 idempotence", "something changed though nobody did anything"))


def _counting(counts: dict[Moment, int]) -> Edges:
    async def happening(request: Request, kube: Kube, carry: Carry) -> object:
        counts[Moment.WRITE if request.writes else Moment.READ] += 1
        return await carry(kube)

    def lost() -> bool:
        counts[Moment.EVENT] += 1
        return False

    return Edges(happening, lost)


def _in_virtual_time(run: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner(loop_factory=virtual.VirtualLoop) as runner:
        runner.get_loop().set_exception_handler(quietly)
        return runner.run(run())
