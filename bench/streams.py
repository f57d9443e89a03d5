"""`make bench-streams`: thousands of streams open at once through one process, ours and its peer's.

Every candidate has an engine process of its own, since a machine may cap the open files of a process; the
load generator has one connection a stream, a proxy two. Candidates are measured one after the other: together
they would only measure the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import candidates, load, peers
from bench.candidates import Candidate, Running, up
from bench.load import Load, Spread
from bench.processes import Cores, cores, cpu_seconds, entry, free_port, open_files, rss_mib
from bench.result import Target, conclude, table
from e2e.cluster.instance import ClusterError
from e2e.cluster.progress import say

STREAMS, CHUNKS, INTERVAL_MS, RAMP_S = 9500, 40, 1000, 8.0
OURS = "ours"
ENGINES = 4
SPARE_FILES = 200
"""What a process opens beside its streams: listeners, logs, the event loop's own."""
SAMPLE_S = 0.5


@dataclass(frozen=True, slots=True)
class Wish:
    """How many streams, and of what kind."""

    streams: int
    chunks: int
    interval_ms: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one candidate's streams."""

    load: Load
    rss_idle_mib: float
    rss_mib: float
    """Both are 0 for the engine itself; the second is the greatest that was seen."""
    files: int
    """Open at once."""
    cpu_s: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.streams", description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=STREAMS, help="open at once (default: %(default)s)")
    parser.add_argument("--chunks", type=int, default=CHUNKS, help="of each stream (default: %(default)s)")
    parser.add_argument(
        "--interval-ms", type=int, default=INTERVAL_MS, help="between chunks (default: %(default)s)"
    )
    arguments = parser.parse_args()
    entry(lambda: run(Wish(arguments.streams, arguments.chunks, arguments.interval_ms)))


def run(wish: Wish) -> int:
    """The whole bench; gives the exit status."""
    pinned = cores()
    check_machine(wish.streams)
    installed = peers.ensure()
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as scratch:
        folder = Path(scratch)

        def ours(engines: Sequence[str]) -> Candidate:
            room = {"engines": {"maxRequests": wish.streams}}
            limits = {"maxConnections": wish.streams + SPARE_FILES}
            return candidates.ours(OURS, folder, engines, policy="LeastLoaded", limits=limits, routing=room)

        lineup: dict[str, Callable[[Sequence[str]], Candidate]] = {
            "direct": lambda engines: candidates.direct(engines[0], folder),
            OURS: ours,
            "vllm-router round_robin": lambda engines: candidates.vllm_router(
                "vllm-router round_robin", folder, installed, engines, policy="round_robin"
            ),
        }
        seen = {name: attempt(name, make, folder, wish, pinned) for name, make in lineup.items()}
    return report(seen, wish)


def check_machine(streams: int) -> None:
    """Raises ClusterError where the machine's limits can't hold so many streams."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * streams + SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ClusterError(
            f"{streams} streams need {needed} open files in one process; here it may have {hard}"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    if last - first < streams:
        raise ClusterError(
            f"{streams} connections to one address need as many local ports; "
            f"net.ipv4.ip_local_port_range leaves {last - first}"
        )


def attempt(
    name: str, make: Callable[[Sequence[str]], Candidate], folder: Path, wish: Wish, pinned: Cores
) -> Seen:
    """Opens the streams through one candidate, and reads them to their end."""
    seconds = RAMP_S + wish.chunks * wish.interval_ms / 1000
    say(f"{name}: {wish.streams} streams, about {seconds:.0f} seconds")
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(ENGINES)]
    log = folder / f"engine of {name}.log"
    with load.engines(addresses, pinned.traffic, log), up(make(addresses), pinned.proxy) as running:
        return watched(running, wish, pinned)


def watched(running: Running, wish: Wish, pinned: Cores) -> Seen:
    pid = running.pid
    idle = 0.0 if pid is None else rss_mib(pid)
    before = 0.0 if pid is None else cpu_seconds(pid)
    greatest, files = 0.0, 0
    with ThreadPoolExecutor(1) as background:
        work = background.submit(
            load.streams,
            running.candidate.address,
            pinned.traffic,
            count=wish.streams,
            chunks=wish.chunks,
            interval_us=wish.interval_ms * 1000,
            ramp=RAMP_S,
        )
        while not work.done():
            with contextlib.suppress(NotYet):
                work.result(SAMPLE_S)
            if pid is not None:
                greatest, files = max(greatest, rss_mib(pid)), max(files, open_files(pid))
    spent = 0.0 if pid is None else cpu_seconds(pid) - before
    return Seen(work.result(), round(idle, 1), round(greatest, 1), files, round(spent, 2))


def report(seen: dict[str, Seen], wish: Wish) -> int:
    """Prints what was found; gives the exit status."""
    heads = ("", "complete", "failed", "open at once", "RSS MiB", "KiB/stream", "gap p50 ms", "p99", "max")
    print(f"\n{wish.streams} streams of {wish.chunks} chunks, one each {wish.interval_ms} ms\n")
    print(table(heads, [_cells(name, one) for name, one in seen.items()]) + "\n")
    figures = {name: _figures(one) for name, one in seen.items()}
    mine = seen[OURS].load
    targets = [
        Target("streams open at once", mine.peak, wish.streams, at_least=True),
        Target("streams that failed", mine.failures, 0),
    ]
    problems = [f"{OURS}: {cause}" for cause in mine.causes]
    return conclude("streams", {**asdict(wish), "candidates": figures}, targets, problems)


def _cells(name: str, one: Seen) -> list[object]:
    told, gap = one.load, one.load.gap
    each = (one.rss_mib - one.rss_idle_mib) * 1024 / max(1, told.peak)
    memory = (one.rss_mib, f"{each:.1f}") if one.rss_mib else ("-", "-")
    return [name, told.requests, told.failures, told.peak, *memory, *_milliseconds(gap).values()]


def _figures(one: Seen) -> dict[str, Any]:
    told = one.load
    return {
        "complete": told.requests,
        "failed": told.failures,
        "causes": list(told.causes),
        "open_at_once": told.peak,
        "gap_ms": _milliseconds(told.gap),
        "first_chunk_ms": _milliseconds(told.first),
        "rss_idle_mib": one.rss_idle_mib,
        "rss_mib": one.rss_mib,
        "open_files": one.files,
        "cpu_us_per_chunk": round(one.cpu_s / told.chunks * 1e6, 2) if told.chunks and one.cpu_s else None,
    }


def _milliseconds(spread: Spread) -> dict[str, float]:
    return {name: round(value / 1000, 1) for name, value in asdict(spread).items()}


if __name__ == "__main__":
    main()
