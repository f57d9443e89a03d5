"""The one place where time is read. Decisions get it as a value, the queue as the event loop's own time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

Now = Callable[[], datetime]
"""Wall-clock time, UTC. For what is written down: conditions, events, steps."""


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)  # noqa: TID251 - this is the module that may


def loop_time() -> float:
    """Seconds that never jump, by the running event loop; tests give it a loop whose time is virtual."""
    return asyncio.get_running_loop().time()
