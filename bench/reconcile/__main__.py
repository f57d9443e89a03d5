"""`make bench-reconcile`: what the operator costs and how fast it is, beside a bare client in one run."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.processes import entry
from bench.reconcile import report, room
from bench.reconcile.children import recorded
from bench.reconcile.row import Row, Size, Wishes, measure
from e2e.cluster import loopback
from e2e.cluster.instance import this_instance

ROWS = "1,50,200,200/1,1000"
CHANGES, QUIET_S = 100, 60.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.reconcile", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rows", default=ROWS, help=f"services, or services/namespaces; default {ROWS}, over 50 namespaces"
    )
    parser.add_argument(
        "--changes", type=int, default=CHANGES, help="single changes of each sort, in the last row"
    )
    parser.add_argument(
        "--quiet-seconds", type=float, default=QUIET_S, help="how long nothing may be written"
    )
    parser.add_argument("--logs", type=Path, help="a folder for the processes' logs, kept")
    arguments = parser.parse_args()
    entry(lambda: run(arguments))


def run(arguments: argparse.Namespace) -> int:
    """The whole bench; gives the exit status."""
    sizes = read_sizes(arguments.rows)
    # Whatever has to be fetched or built, is before the door to every network closes.
    loopback.commands(this_instance())
    room.enter("bench.reconcile", sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as scratch:
        logs: Path = arguments.logs or Path(scratch)
        logs.mkdir(parents=True, exist_ok=True)
        rows = asyncio.run(measure_all(sizes, arguments.changes, arguments.quiet_seconds, logs))
    return report.conclude_rows(rows)


async def measure_all(sizes: Sequence[Size], changes: int, quiet_s: float, logs: Path) -> list[Row]:
    """Every row; single changes are made in the last."""
    template = await asyncio.to_thread(recorded)
    return [
        await measure(size, template, Wishes(changes if size is sizes[-1] else 0, quiet_s, logs))
        for size in sizes
    ]


def read_sizes(text: str) -> list[Size]:
    """The rows that an argument asks for."""
    pairs = [part.partition("/") for part in text.split(",")]
    return [
        Size(int(services), min(int(spaces or room.NAMESPACES), int(services), room.NAMESPACES))
        for services, _, spaces in pairs
    ]


if __name__ == "__main__":
    main()
