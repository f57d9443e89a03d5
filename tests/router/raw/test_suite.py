"""The suite itself: how many cases, and that no two of a table have one name."""

import importlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from pointsman_router.settings import Limits
from tests.router.raw.case import Case


def tables() -> Iterator[tuple[str, Case]]:
    """Every case, with the name of its table."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        module = importlib.import_module(f"tests.router.raw.{path.stem}")
        for name, value in vars(module).items():
            if isinstance(value, tuple) and value and all(isinstance(one, Case) for one in value):
                yield from ((f"{path.stem}.{name}", case) for case in value)


def test_there_are_many_cases_and_each_has_a_name() -> None:
    names = Counter((table, case.name) for table, case in tables())
    assert len(names) >= 150
    assert [name for name, count in names.items() if count > 1] == []


def test_every_limit_is_hit_by_a_case() -> None:
    elsewhere = {"keep_alive_seconds", "tls_handshake_seconds"}  # they end connections that asked nothing
    assert {case.hits for _, case in tables()} - {""} == {one.name for one in fields(Limits)} - elsewhere
