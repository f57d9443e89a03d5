"""The scale that answers are measured on: bounds, ends, and the relative error it promises."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_router import scale

ENDS: dict[str, tuple[float, int]] = {
    "nothing": (0.0, 0),
    "less than nothing": (-1.0, 0),
    "not a number": (math.nan, 0),
    "the lowest bound": (scale.LOWEST, 0),
    "just above it": (math.nextafter(scale.LOWEST, 1), 0),
    "one": (1.0, 13 * 16),
    "two": (2.0, 14 * 16),
    "just below the highest": (math.nextafter(scale.HIGHEST, 0), scale.BUCKETS - 1),
    "the highest bound": (scale.HIGHEST, scale.BUCKETS - 1),
    "without end": (math.inf, scale.BUCKETS - 1),
}


@pytest.mark.parametrize(("value", "bucket"), ENDS.values(), ids=ENDS.keys())
def test_the_bucket_of(value: float, bucket: int) -> None:
    assert scale.index(value) == bucket


@given(st.floats(scale.LOWEST * 1.0001, scale.HIGHEST * 0.9999))
def test_a_value_lies_in_its_bucket_whose_middle_is_at_most_2_2_percent_off(value: float) -> None:
    bucket = scale.index(value)
    assert scale.lower(bucket) * (1 - 1e-12) <= value <= scale.lower(bucket + 1) * (1 + 1e-12)
    assert abs(scale.middle(bucket) / value - 1) < 0.0222
    assert scale.logarithm(bucket) == pytest.approx(math.log(scale.lower(bucket)))
    assert scale.logarithm(bucket + 0.5) == pytest.approx(math.log(scale.middle(bucket)))


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_a_larger_value_is_never_in_an_earlier_bucket(one: float, two: float) -> None:
    assert (scale.index(one) <= scale.index(two)) or one > two
    assert 0 <= scale.index(one) < scale.BUCKETS


def test_it_reaches_from_a_tenth_of_a_millisecond_to_half_an_hour() -> None:
    assert scale.LOWEST < 0.001 < 1000 < scale.HIGHEST
    assert scale.lower(scale.BUCKETS) == scale.HIGHEST
