"""What a person sees while something takes long: steps with their time, and an estimate for builds.

Estimates are pure functions of counts and seconds; printing goes to standard error, one line at a time, since
the output is as often a log file as a terminal.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator

SECONDS_PER_PACKAGE = 0.38
"""One core's time for an average Go package of Kubernetes, measured once; the first guess of an estimate."""

GUESS_WEIGHT = 200
"""How many packages the first guess counts for against what is being measured."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def spoken(seconds: float) -> str:
    """A duration in the words a person would use: `9s`, `2m10s`, `1h05m`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"


def remaining_s(done: int, total: int, elapsed_s: float, cores: int) -> float:
    """Seconds a build still takes, after `done` of `total` packages in `elapsed_s`."""
    guess = SECONDS_PER_PACKAGE / max(1, cores)
    pace = (elapsed_s + GUESS_WEIGHT * guess) / (done + GUESS_WEIGHT)
    return max(0, total - done) * pace


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Says `title` with the time it took, once it is through."""
    started = time.monotonic()
    yield
    say(f"  {title} ({time.monotonic() - started:.1f}s)")
