"""Waiting for something that a cluster brings about: looking once a second, and saying what was seen last.

Knows nothing of Kubernetes. Patience is generous everywhere, since the machines that run this are small and
noisy; what a wait proves is that the thing comes, never how fast.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

PERIOD_S = 1.0


class GaveUp(AssertionError):
    """What was waited for did not come; the message says what was there instead."""


def wait_for(
    what: str,
    look: Callable[[], Seen | None],
    timeout_s: float,
    *,
    seen: Callable[[], str] = str,
    period_s: float = PERIOD_S,
) -> Seen:
    """The first answer of `look` that holds true, asked every `period_s` seconds.

    Raises GaveUp after `timeout_s` seconds, with `what` was waited for and what `seen` tells by then.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > deadline:
            told = seen()
            raise GaveUp(f"waited {timeout_s:.0f} s for {what}" + (f"; there is {told}" if told else ""))
        time.sleep(period_s)
