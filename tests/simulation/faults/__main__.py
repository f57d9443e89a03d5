"""`make test-faults`: every scenario with every fault, and what that shows.

A fault strikes at each write or watch event in turn; where there are many and neighbours are alike, at every
so many (the strides of `table`), and what concerns a whole run is drawn some times. `--list` tells.

Prints what it found as it goes, scenario by scenario, each with the one command that runs it alone, then a
line of figures and the same as JSON. Exits 1 where anything was violated.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from tests.simulation.faults import mutations, parts
from tests.simulation.faults.parts import Part
from tests.simulation.faults.runs import NO_FAULT, Case, Result, Runs
from tests.simulation.faults.scenarios import SCENARIOS
from tests.simulation.faults.table import FAULTS, SEEDS, Fault, Moment


def main(arguments: Sequence[str]) -> int:
    """Runs what is asked for; the exit status."""
    asked = _parser().parse_args(arguments)
    if asked.list:
        _list(asked)
        return 0
    if asked.mutations:
        return mutations.show()
    began, done, broken = time.monotonic(), Counter[str](), Counter[str]()
    for part in _carried_out(asked):
        for result in part.results:
            done[result.case.scenario] += 1
            broken[result.case.fault] += len(result.violations)
            _tell(result, trail=asked.trail)
        _tell_of(part)
    figures = {
        "runs": done.total(),
        "scenarios": len(done),
        "faults": len(broken.keys() - {NO_FAULT}),
        "violations": sum(broken.values()),
        "seconds": round(time.monotonic() - began, 1),
    }
    print(" ".join(f"{name} {figure}" for name, figure in figures.items()))
    print(json.dumps(figures))
    return 1 if figures["violations"] else 0


def _carried_out(asked: argparse.Namespace) -> Iterator[Part]:
    if asked.sample:
        began, runs = time.monotonic(), Runs()
        results = [runs.carry_out(case) for case in sample(runs, asked.sample, asked.seed)]
        yield Part("a sample", results, time.monotonic() - began)
        return
    yield from parts.carried_out(_scenarios(asked), parts.Wanted(asked.fault, asked.at), jobs=asked.jobs)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make test-faults", description=__doc__)
    parser.add_argument("--scenario", action="append", help="only scenarios whose name contains this")
    parser.add_argument("--fault", action="append", choices=[*FAULTS, NO_FAULT], help="only this fault")
    parser.add_argument("--at", type=int, help="only at this moment")
    parser.add_argument("--sample", type=int, metavar="N", help="N runs, drawn from --seed")
    parser.add_argument("--seed", type=int, default=1, help="what --sample draws from")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="processes at a time")
    parser.add_argument("--trail", action="store_true", help="print what each run did, step by step")
    parser.add_argument(
        "--list", action="store_true", help="print the tables, and how many runs each scenario is"
    )
    parser.add_argument("--mutations", action="store_true", help="break the operator, and see who tells")
    return parser


def _scenarios(asked: argparse.Namespace) -> list[str]:
    parts = asked.scenario or [""]
    return [name for name in SCENARIOS if name in parts or any(part in name for part in parts)]


def sample(runs: Runs, most: int, seed: int) -> list[Case]:
    """Every scenario without a fault and with one, and others drawn at random, every scenario and every fault
    alike."""
    cases = [case for name in SCENARIOS for case in runs.cases(name)]
    plain = [case for case in cases if case.fault == NO_FAULT]
    weight = Counter((case.scenario, case.fault) for case in cases)
    draw = random.Random(seed)
    rest = sorted(
        (case for case in cases if case.fault != NO_FAULT),
        key=lambda case: draw.random() ** (weight[case.scenario, case.fault] ** 0.5),
        reverse=True,
    )
    first = {case.scenario: case for case in reversed(rest)}
    rest.sort(key=lambda case: case is not first[case.scenario])
    return plain + rest[: max(0, most - len(plain))]


def _tell(result: Result, *, trail: bool) -> None:
    if result.violations:
        print(f"VIOLATED {result.case}")
        for violation in result.violations:
            print(f"    {violation}")
        print(f"    {result.case.command}", flush=True)
    if trail:
        print("\n".join(result.trail))


def _tell_of(part: Part) -> None:
    violations = sum(len(result.violations) for result in part.results)
    figures = f"{len(part.results):5} runs {violations:3} violations {part.seconds:6.1f} s"
    print(f"{figures}  {part.name}", flush=True)


def _list(asked: argparse.Namespace) -> None:
    runs, wanted = Runs(), parts.Wanted(asked.fault, asked.at)
    for name in _scenarios(asked):
        scenario, costs = SCENARIOS[name], sum(map(wanted.includes, runs.cases(name)))
        print(f"{scenario.name}: {costs} runs\n    given {scenario.given}")
        print("".join(f"    {act.words}\n" for act in scenario.acts), end="", flush=True)
    for fault in FAULTS.values():
        print(f"{fault.name:15} {fault.oracle:4} {fault.means}; {_moments(fault)}")


def _moments(fault: Fault) -> str:
    if fault.moment is Moment.SEED:
        return f"by {SEEDS} seeds"
    return (
        f"at every {fault.stride}th {fault.moment.value}"
        if fault.stride > 1
        else f"at each {fault.moment.value}"
    )


if __name__ == "__main__":
    parts.settle_in()
    sys.exit(main(sys.argv[1:]))
