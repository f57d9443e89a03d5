"""The scale that answers are measured on: fixed buckets, each a little wider than the last.

A measurement costs one logarithm and one increment, and counts of different routers add up. The same scale
for everything, so that nothing has to be declared: seconds, thousands of tokens, scores. The bounds of a
bucket are 4.4 % apart, so its middle is at most 2.2 % off; what is interpolated between bounds is far
closer. Neither bounds nor unit may change without a new name on the wire: counts of both would be added up.

Operator and router share it (.importlinter). Standard library only.
"""

from __future__ import annotations

from math import log2
from typing import Final

PER_DOUBLING: Final = 16
"""Buckets between a value and its double."""

LOWEST: Final = 2.0**-13
HIGHEST: Final = 2.0**11
"""From 0.12 ms to 34 minutes; from an eighth of a token to two millions. What is beyond counts at the end."""

BUCKETS: Final = 24 * PER_DOUBLING
_LAST: Final = BUCKETS - 1
_OFFSET: Final = 13 * PER_DOUBLING


def index(value: float) -> int:
    """The bucket that a value is counted in. Whatever isn't above the lowest bound, NaN too, is in the
    first."""
    if not value > LOWEST:
        return 0
    if value >= HIGHEST:
        return _LAST
    bucket = int(log2(value) * PER_DOUBLING + _OFFSET)
    # A value just below a bound may have the bound's logarithm.
    return bucket if bucket < _LAST else _LAST


def lower(bucket: int) -> float:
    """The lower bound of a bucket, which is the upper one of the bucket before."""
    return float(2.0 ** ((bucket - _OFFSET) / PER_DOUBLING))


def middle(bucket: int) -> float:
    """What a value in the bucket counts for."""
    return float(2.0 ** ((bucket + 0.5 - _OFFSET) / PER_DOUBLING))


def logarithm(bucket: float) -> float:
    """The natural logarithm of a bucket's lower bound, or of a place in it: half way is its middle."""
    return (bucket - _OFFSET) * LOG_WIDTH


LOG_WIDTH: Final = 0.6931471805599453 / PER_DOUBLING
"""How wide every bucket is in natural logarithms."""
