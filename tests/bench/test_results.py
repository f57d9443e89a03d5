"""How a bench ends: the verdict follows from targets and problems, and the last line is JSON."""

from __future__ import annotations

import json

import pytest

from bench.result import Target, conclude, middle, table

LOW, HIGH = Target("cost", 1.2, 1.0), Target("streams", 9500, 9500, at_least=True)
CASES: dict[str, tuple[list[Target], list[str], int]] = {
    "every target met": ([HIGH, Target("cost", 1.0, 1.0)], [], 0),
    "one target missed": ([HIGH, LOW], [], 1),
    "too few where many are wanted": ([Target("streams", 9499, 9500, at_least=True)], [], 1),
    "targets met by wrong answers": ([HIGH], ["ours: 3 wrong answers"], 1),
}


@pytest.mark.parametrize(("targets", "problems", "status"), CASES.values(), ids=CASES.keys())
def test_the_verdict_of(
    targets: list[Target], problems: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert conclude("router", {"rounds": 5}, targets, problems) == status
    *told, last = capsys.readouterr().out.splitlines()
    found = json.loads(last)
    assert found["passed"] is (status == 0)
    assert (found["bench"], found["rounds"], found["problems"]) == ("router", 5, problems)
    assert sum(line.startswith("FAIL") for line in told) == sum(not t.met for t in targets) + len(problems)


def test_a_median_has_four_digits() -> None:
    assert middle([38.12345, 1000.0, 1.0]) == 38.12


def test_a_table_is_as_wide_as_its_cells() -> None:
    drawn = table(("", "µs"), [("ours", 38.4), ("a longer name", "1,200")]).splitlines()
    assert drawn == ["                  µs", "-" * 20, "ours            38.4", "a longer name  1,200"]
