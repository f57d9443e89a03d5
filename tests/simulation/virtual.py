"""Coroutines from tests that hypothesis calls, which knows of no event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(story: Coroutine[Any, Any, T]) -> T:
    """Runs a story in a loop of its own."""
    with asyncio.Runner() as runner:
        return runner.run(story)
