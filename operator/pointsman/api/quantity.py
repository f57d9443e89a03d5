"""Kubernetes quantities ("500m", "2Gi", 4): comparing them and bringing them to one form.

Exact arithmetic on fractions, since `0.1` and `100m` must be equal.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Final

PATTERN: Final = r"[0-9]+([.][0-9]+)?([KMGTPE]i|[mkMGTPE]|[eE][-+]?[0-9]{1,2})?"
"""What we take: not negative, no leading or trailing dot, milli at the finest."""

_SUFFIXES: Final[dict[str, Fraction]] = {
    "": Fraction(1),
    "m": Fraction(1, 1000),
    **{suffix: Fraction(1000) ** power for power, suffix in enumerate(("k", "M", "G", "T", "P", "E"), 1)},
    **{f"{suffix}i": Fraction(1024) ** power for power, suffix in enumerate("KMGTPE", 1)},
}


def amount(quantity: str) -> Fraction:
    """The number a quantity stands for. Raises ValueError where it isn't one."""
    if not re.fullmatch(PATTERN, quantity):
        raise ValueError(f"{quantity!r} is not a quantity")
    number, exponent = re.match(r"([0-9.]+)(.*)", quantity).groups()  # type: ignore[union-attr]
    if exponent in _SUFFIXES:
        return Fraction(number) * _SUFFIXES[exponent]
    return Fraction(number) * Fraction(10) ** int(exponent[1:])


def canonical(quantity: str) -> str:
    """One spelling for equal quantities (`1000m` and `1`, `1024Mi` and `1Gi`): what goes into a hash."""
    value = amount(quantity)
    return str(value.numerator) if value.denominator == 1 else f"{value.numerator}/{value.denominator}"
