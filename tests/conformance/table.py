"""The table of cases: a title that says what holds, and the steps that show it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.conformance.stage import Stage

Run = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """One line of the table."""

    title: str
    run: Run


class Table:
    """Cases in the order in which they were written."""

    def __init__(self) -> None:
        self.cases: list[Case] = []

    def case(self, title: str) -> Callable[[Run], Run]:
        """Adds a case."""

        def add(run: Run) -> Run:
            self.cases.append(Case(title, run))
            return run

        return add
