"""Quantities as Kubernetes reads them."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest

from pointsman.api.quantity import PATTERN, amount, canonical

AMOUNTS = {
    "0": 0,
    "4": 4,
    "0.5": Fraction(1, 2),
    "500m": Fraction(1, 2),
    "1k": 1000,
    "1Ki": 1024,
    "2Gi": 2 * 1024**3,
    "1.5Gi": 3 * 1024**3 // 2,
    "1E": 10**18,
    "1e3": 1000,
    "1E3": 1000,
    "25e-1": Fraction(5, 2),
}


@pytest.mark.parametrize(("text", "value"), AMOUNTS.items())
def test_amount(text: str, value: Fraction) -> None:
    assert amount(text) == value


@pytest.mark.parametrize(
    "text", ["", "1.", ".5", "-1", "+1", "1 Gi", "1GB", "1u", "1e", "1e100", "0x1", "1\n", "١"]
)
def test_what_is_no_quantity(text: str) -> None:
    assert not re.fullmatch(PATTERN, text)
    with pytest.raises(ValueError, match="is not a quantity"):
        amount(text)


@pytest.mark.parametrize(
    ("one", "other"), [("1000m", "1"), ("1024Mi", "1Gi"), ("0.5", "500m"), ("1e3", "1k")]
)
def test_equal_quantities_have_one_form(one: str, other: str) -> None:
    assert canonical(one) == canonical(other)


def test_different_quantities_have_different_forms() -> None:
    assert canonical("1Gi") != canonical("1G")
