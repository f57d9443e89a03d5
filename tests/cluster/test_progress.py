"""Estimates that a person can plan a coffee by."""

from __future__ import annotations

import pytest

from e2e.cluster.progress import remaining_s, spoken


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0s"), (-3, "0s"), (59.4, "59s"), (60, "1m00s"), (130, "2m10s"), (3900, "1h05m")],
)
def test_durations_are_spoken(seconds: float, words: str) -> None:
    assert spoken(seconds) == words


def test_the_first_estimate_knows_the_cores() -> None:
    assert remaining_s(0, 1000, 0, cores=4) == pytest.approx(remaining_s(0, 1000, 0, cores=2) / 2)


def test_what_was_measured_outweighs_the_first_guess() -> None:
    pace_s = 1.0
    assert remaining_s(1500, 2000, 1500 * pace_s, cores=2) == pytest.approx(500 * pace_s, rel=0.15)


def test_nothing_left_takes_no_time() -> None:
    assert remaining_s(10, 10, 5, cores=2) == 0
    assert remaining_s(12, 10, 5, cores=2) == 0
