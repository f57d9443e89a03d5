"""`make bench-router`: what a request and a chunk cost in our router, beside its peers and no proxy at all.

All candidates are up at once, before the same engines. In each round every candidate is measured in turn, in
an order that rotates, so that whatever else the machine does meets all of them. Figures are medians.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench import candidates, load, peers
from bench.candidates import Candidate, Running, up
from bench.load import Load
from bench.processes import Cores, cores, cpu_seconds, entry, free_port, rss_mib
from bench.result import Target, conclude, middle, table
from e2e.cluster.progress import say

ENGINES = 4
BASE = "vllm-router round_robin"
PLAIN, ONE, FULL, CANARY = "ours", "ours, one engine", "ours, prefix+keys", "ours, canary"
TARGETS = (
    ("CPU per request", PLAIN, "request_us", 1.0),
    ("CPU per request, one engine", ONE, "request_us", 1.0),
    ("CPU per chunk", PLAIN, "chunk_us", 1.05),
    ("CPU per request with prefix picking and keys", FULL, "request_us", 1.2),
    ("CPU per request with prompts, a canary, sticky assignment and a window", CANARY, "request_us", 1.3),
)
"""What is compared with the base, and how many times its figure it may be."""
COMPARED = ("request_us", "chunk_us")
CONNECTIONS = 32
RATE = 1000
STREAMS, CHUNKS, INTERVAL_US = 512, 100, 20_000
"""A chunk every 20 ms in each stream: few enough that they seldom travel together, which would make them
cheaper the slower a proxy is."""
CLOSED_S, RATE_S, RAMP_S, WARM_UP_S = 1.5, 2.0, 0.5, 0.5
MIN_ROUNDS = 5


@dataclass(slots=True)
class Row:
    """The samples of one candidate, a figure each round."""

    samples: dict[str, list[float]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    rss_mib: float = 0.0

    def add(self, name: str, value: float) -> None:
        self.samples.setdefault(name, []).append(value)

    def figure(self, name: str) -> float | None:
        values = self.samples.get(name)
        return middle(values) if values else None

    def times(self, base: Row, name: str) -> float | None:
        """How many times the base's figure. Samples are compared with those of their own round, since what
        else the machine does changes from one to the next."""
        pairs = list(zip(self.samples.get(name, []), base.samples.get(name, []), strict=False))
        return middle([mine / other for mine, other in pairs]) if pairs else None


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.router", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=MIN_ROUNDS, help=f"at least {MIN_ROUNDS} count")
    parser.add_argument(
        "--only", default="", help="measure only candidates whose name has this, and the base"
    )
    arguments = parser.parse_args()
    entry(lambda: run(arguments.rounds, arguments.only))


def run(rounds: int, only: str) -> int:
    """The whole bench; gives the exit status."""
    pinned = cores()
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as scratch, contextlib.ExitStack() as stack:
        folder = Path(scratch)
        addresses = [f"127.0.0.1:{free_port()}" for _ in range(ENGINES)]
        stack.enter_context(load.engines(addresses, pinned.traffic, folder / "engine.log"))
        chosen = [one for one in lineup(folder, addresses) if only in one.name or one.name == BASE]
        say(f"Starting {len(chosen)} candidates.")
        running = [stack.enter_context(up(one, pinned.proxy)) for one in chosen]
        rows = measure(running, pinned, rounds)
    return report(rows, rounds)


def lineup(folder: Path, addresses: Sequence[str]) -> list[Candidate]:
    """Everything that is measured."""
    installed = peers.ensure()
    peer = partial(candidates.vllm_router, folder=folder, peers=installed, engines=addresses)
    plain = partial(candidates.ours, folder=folder, policy="LeastLoaded")
    return [
        candidates.direct(addresses[0], folder),
        plain(ONE, engines=addresses[:1]),
        plain(PLAIN, engines=addresses),
        candidates.ours(FULL, folder, addresses, policy="PrefixAffinity", keys=True),
        candidates.ours(CANARY, folder, addresses, policy="PrefixAffinity", canary=True),
        peer(BASE, policy="round_robin"),
        peer("vllm-router cache_aware", policy="cache_aware"),
    ]


def measure(running: Sequence[Running], pinned: Cores, rounds: int) -> dict[str, Row]:
    rows = {one.candidate.name: Row() for one in running}
    for one in running:
        load.closed_loop(one.candidate.address, pinned.traffic, workers=CONNECTIONS, seconds=WARM_UP_S)
    for number in range(rounds):
        say(f"Round {number + 1} of {rounds}")
        first = number % len(running)
        for step in STEPS:
            for one in (*running[first:], *running[:first]):
                if one.pid is None and step is _streams:
                    continue  # of the engine's own, no cost is told
                step(one, pinned, rows[one.candidate.name])
                _forget_log(one.candidate.log)
    for one in running:
        if one.pid is not None:
            rows[one.candidate.name].rss_mib = round(rss_mib(one.pid), 1)
    return rows


def _closed(one: Running, pinned: Cores, row: Row) -> None:
    seen, cpu = _accounted(
        one,
        row,
        lambda: load.closed_loop(
            one.candidate.address, pinned.traffic, workers=CONNECTIONS, seconds=CLOSED_S
        ),
    )
    row.add("requests_per_second", seen.requests / seen.seconds)
    if one.pid is not None and seen.requests:
        row.add("request_us", cpu / seen.requests * 1e6)


def _rate(one: Running, pinned: Cores, row: Row) -> None:
    seen, _ = _accounted(
        one,
        row,
        lambda: load.at_rate(
            one.candidate.address, pinned.traffic, rate=RATE, workers=CONNECTIONS, seconds=RATE_S
        ),
    )
    row.add("p50_us", seen.latency.p50)
    row.add("p99_us", seen.latency.p99)


def _streams(one: Running, pinned: Cores, row: Row) -> None:
    seen, cpu = _accounted(
        one,
        row,
        lambda: load.streams(
            one.candidate.address,
            pinned.traffic,
            count=STREAMS,
            chunks=CHUNKS,
            interval_us=INTERVAL_US,
            ramp=RAMP_S,
        ),
    )
    if seen.chunks != STREAMS * CHUNKS:
        row.problems.append(f"{seen.chunks} chunks came of {STREAMS * CHUNKS}")
    if one.pid is not None and seen.chunks:
        row.add("chunk_us", cpu / seen.chunks * 1e6)
        row.add("pieces_per_chunk", seen.pieces / seen.chunks)


def _accounted(one: Running, row: Row, work: Callable[[], Load]) -> tuple[Load, float]:
    """What the load saw, and the candidate's CPU seconds meanwhile."""
    before = 0.0 if one.pid is None else cpu_seconds(one.pid)
    seen = work()
    after = 0.0 if one.pid is None else cpu_seconds(one.pid)
    if seen.failures:
        row.problems.append(f"{seen.failures} wrong answers: {'; '.join(seen.causes)}")
    return seen, after - before


def _forget_log(log: Path) -> None:
    """An access log of every round would fill a small disk. It's opened for appending, so it may be cut."""
    with contextlib.suppress(FileNotFoundError):
        os.truncate(log, 0)


STEPS = (_closed, _streams, _rate, _closed, _streams)
"""Of a round. What is compared is measured twice, apart: a machine changes from second to second."""

COLUMNS = {
    "request_us": "µs CPU/request",
    "chunk_us": "µs CPU/chunk",
    "requests_per_second": "requests/s",
    "p50_us": "p50 µs",
    "p99_us": "p99 µs",
}


def report(rows: dict[str, Row], rounds: int) -> int:
    """Prints what was found; gives the exit status."""
    base = rows[BASE]
    lines = [
        [name, *(_cell(row, base, figure) for figure in COLUMNS), row.rss_mib or "-"]
        for name, row in rows.items()
    ]
    print(f"\nMedians of {rounds} rounds; in brackets: times {BASE}\n")
    print(table(["", *COLUMNS.values(), "RSS MiB"], lines) + "\n")
    figures = {
        name: {
            **{figure: row.figure(figure) for figure in row.samples},
            "times_base": {figure: row.times(base, figure) for figure in COMPARED if figure in row.samples},
            "rss_mib": row.rss_mib,
            "samples": {figure: [round(value, 2) for value in row.samples[figure]] for figure in row.samples},
        }
        for name, row in rows.items()
    }
    return conclude(
        "router",
        {"rounds": rounds, "base": BASE, "candidates": figures},
        targets(rows),
        [*problems(rows, rounds)],
    )


def _cell(row: Row, base: Row, name: str) -> str:
    value, times = row.figure(name), row.times(base, name)
    if value is None:
        return "-"
    told = f"{value:,.0f}" if value >= 1000 else f"{value:.1f}"
    return f"{told} ({times:.2f})" if times is not None and name in COMPARED else told


def targets(rows: dict[str, Row]) -> list[Target]:
    """How our figures compare with the base's, and what they have to be."""
    found = []
    for what, name, figure, bound in TARGETS:
        times = rows[name].times(rows[BASE], figure) if name in rows else None
        if times is not None:
            found.append(Target(f"{what}, times {BASE}", times, bound))
    return found


def problems(rows: dict[str, Row], rounds: int) -> Iterator[str]:
    """What makes the run worthless, whatever its figures."""
    for name, row in rows.items():
        for problem in dict.fromkeys(row.problems):
            yield f"{name}: {problem}"
    if rounds < MIN_ROUNDS:
        yield f"{rounds} rounds are too few to say anything; {MIN_ROUNDS} count"


if __name__ == "__main__":
    main()
