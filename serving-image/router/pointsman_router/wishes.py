"""What a request wishes of the choice of its engine: to be where its beginning or its session is known."""

from __future__ import annotations


class Wish:
    """By what an engine is chosen."""

    __slots__ = ()
