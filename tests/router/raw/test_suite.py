"""The suite itself: how many cases, and that no two of a table have one name."""

import importlib
from collections import Counter
from pathlib import Path

from tests.router.raw.case import Case


def test_there_are_many_cases_and_each_has_a_name() -> None:
    names: Counter[tuple[str, str, str]] = Counter()
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.router.raw.{path.stem}")
        for table, value in vars(module).items():
            if isinstance(value, tuple) and value and all(isinstance(one, Case) for one in value):
                names.update((path.stem, table, case.name) for case in value)
    assert len(names) >= 150
    assert [name for name, count in names.items() if count > 1] == []
