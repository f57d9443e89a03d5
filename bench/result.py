"""How every bench ends: its verdict against the targets, then one line of JSON that holds all its figures.

The line is the last of standard output; what a person reads while a bench runs goes to standard error, and
its table above the line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure has to be at most (or, where `at_least`, at least) for the bench to pass."""

    name: str
    value: float
    bound: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        return (
            f"{'pass' if self.met else 'FAIL'}  {self.name}: {self.value:.3g} (target {sign} {self.bound:g})"
        )


def middle(values: Sequence[float]) -> float:
    """The median, rounded to what a figure of a bench is good for."""
    return float(f"{median(values):.4g}")


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns as wide as their widest cell; the first one to the left, figures to the right."""
    cells = [[str(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    lines = [
        "  ".join(cell.rjust(width) if at else cell.ljust(width) for at, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in cells)
    ]
    return "\n".join((lines[0], "-" * len(lines[0]), *lines[1:]))


def conclude(
    bench: str, figures: Mapping[str, object], targets: Sequence[Target], problems: Sequence[str]
) -> int:
    """Prints verdict and last line; gives the exit status: 0 when every target is met and nothing broke."""
    for target in targets:
        print(target)
    for problem in problems:
        print(f"FAIL  {problem}")
    passed = not problems and all(target.met for target in targets)
    last = {
        "bench": bench,
        "passed": passed,
        **figures,
        "targets": {
            target.name: {"value": target.value, "bound": target.bound, "met": target.met}
            for target in targets
        },
        "problems": list(problems),
    }
    print(json.dumps(last, separators=(",", ":")), flush=True)
    return 0 if passed else 1
