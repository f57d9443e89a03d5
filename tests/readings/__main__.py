"""`make readings`: the table of what tools make of our status, on a real API server."""

from __future__ import annotations

import asyncio
import sys
import time

from bench.result import Target, conclude
from e2e.cluster import ControlPlane, control_plane
from tests.readings.meaning import Meaning
from tests.readings.situations import SITUATIONS
from tests.readings.table import printed, read


def main() -> int:
    """Prints the table; 0 when all tools agree on all situations."""
    with control_plane() as plane:
        return _run(plane)


def _run(plane: ControlPlane) -> int:
    began = time.monotonic()
    rows = asyncio.run(read(plane, SITUATIONS))
    print(printed(rows))
    problems = [
        f"{row.situation.kind}, {row.situation.name}: means {row.situation.means}, "
        f"{tool} says {row.words[tool].word} ({row.words[tool].told})"
        for row in rows
        for tool in row.disagreeing()
    ]
    means = {m.value: sum(row.situation.means is m for row in rows) for m in Meaning}
    figures = {"situations": len(rows), **means, "seconds": round(time.monotonic() - began, 1)}
    agreeing = sum(not row.disagreeing() for row in rows)
    targets = [Target("situations that all tools read alike", agreeing, len(rows), at_least=True)]
    return conclude("readings", figures, targets, problems)


if __name__ == "__main__":
    sys.exit(main())
