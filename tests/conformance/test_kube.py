"""One table of cases, run against the in-memory twin and against a real API server: they must not differ."""

from __future__ import annotations

import pytest

from tests.conformance.applying import APPLYING
from tests.conformance.garbage import GARBAGE
from tests.conformance.objects import OBJECTS
from tests.conformance.stage import Stage
from tests.conformance.table import Case
from tests.conformance.versions import VERSIONS

CASES = (*OBJECTS.cases, *VERSIONS.cases, *GARBAGE.cases, *APPLYING.cases)


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
async def test_conformance(case: Case, stage: Stage) -> None:
    await case.run(stage)


def test_the_table_is_wide_enough_to_hold_the_twin() -> None:
    assert len(CASES) >= 30
    assert len({case.title for case in CASES}) == len(CASES)
