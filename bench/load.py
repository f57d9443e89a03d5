"""The fake engine and the load generator: how they are built, started and read.

Both are the Go program in `traffic/`. It checks every byte of every answer: what isn't counted as a failure
was right.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.processes import running
from e2e.cluster import gobuild
from e2e.cluster.instance import ClusterError, cache_root
from e2e.cluster.parts import Part

KEY = "sk-bench"
"""The API key that the load generator bears."""
_PROGRAM = Part(
    "bench-traffic",
    "the fake engine and the load generator",
    Path(__file__).resolve().parent / "traffic",
    {"traffic": "pointsman.dev/bench/traffic"},
)
_START_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Spread:
    """Of times, in microseconds."""

    p50: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of the load generator saw."""

    requests: int
    """Answered, and rightly."""
    chunks: int
    pieces: int
    """In how many the chunks arrived: fewer when some came together."""
    failures: int
    causes: tuple[str, ...]
    """Some of the failures' texts."""
    seconds: float
    peak: int
    """Streams open at once."""
    latency: Spread
    first: Spread
    """From a stream's request to its first chunk."""
    gap: Spread
    """Between the chunks of a stream."""


def program() -> Path:
    """The program, built first where it has to be. Raises ClusterError."""
    return gobuild.ensure([_PROGRAM], cache_root())["traffic"]


@contextlib.contextmanager
def engines(addresses: Sequence[str], core: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Fake engines at these addresses, all in one process, once they listen."""
    with running([program(), "engine", "-listen", ",".join(addresses)], core, log) as process:
        deadline = time.monotonic() + _START_WITHIN_S
        while "listening" not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ClusterError(f"the fake engine didn't start:\n{log.read_text()}")
            time.sleep(0.02)
        yield process


def closed_loop(address: str, core: int, *, workers: int, seconds: float) -> Load:
    """Every worker asks again as soon as it was answered."""
    return _load(core, "-to", address, "-mode", "closed", "-workers", workers, "-seconds", seconds)


def at_rate(address: str, core: int, *, rate: int, workers: int, seconds: float) -> Load:
    """So many requests a second."""
    options = ("-workers", workers, "-rate", rate, "-seconds", seconds)
    return _load(core, "-to", address, "-mode", "rate", *options)


def streams(address: str, core: int, *, count: int, chunks: int, interval_us: int, ramp: float) -> Load:
    """So many streams, begun over `ramp` seconds, each with `chunks` events at an interval."""
    options = ("-workers", count, "-chunks", chunks, "-interval-us", interval_us, "-ramp", ramp)
    return _load(core, "-to", address, "-mode", "streams", *options)


def _load(core: int, *options: object) -> Load:
    done = subprocess.run(
        [program(), "load", "-key", KEY, *map(str, options)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    if done.returncode:
        raise ClusterError(f"the load generator failed: {done.stderr.strip()}")
    return _read(json.loads(done.stdout))


def _read(told: dict[str, Any]) -> Load:
    for name in ("latency", "first", "gap"):
        told[name] = Spread(**told[name])
    told["causes"] = tuple(told["causes"] or ())
    return Load(**told)
