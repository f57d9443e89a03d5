"""Engines that misbehave: for each, the client's view, the metric, a clean pool and a right next answer."""

import pytest

from tests.router.engines import bodies, framing, stages
from tests.router.engines.case import Case, run
from tests.router.stack import Stack

CASES: list[Case] = [*stages.CASES, *framing.CASES, *bodies.CASES]


def test_the_cases_are_many_and_each_has_its_name() -> None:
    names = [case.name for case in CASES]
    assert len(names) >= 100
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_an_engine(stack: Stack, case: Case) -> None:
    await run(case, stack)
