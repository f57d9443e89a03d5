"""`make causes`: a table of causes, and one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from bench.result import Target, conclude, table
from e2e.causes import hub
from e2e.causes.cause import Cause
from e2e.causes.engines import CAUSES as IN_ENGINES
from e2e.causes.measure import Measuring, Row
from e2e.causes.objects import CAUSES as IN_OBJECTS
from e2e.causes.places import CAUSES as IN_PLACES
from e2e.cluster import Wish
from e2e.preparing import IMAGES, Stages, prepare
from e2e.release import Release
from e2e.watching import watching

CAUSES = (*IN_PLACES, *IN_OBJECTS, *IN_ENGINES)
LIMIT_S = 30.0
LEAST = 14
HEADS = ("cause", "reason", "act→sign", "sign→status", "mend→sign", "sign→clear", "Ready after")


def main() -> int:
    # Asked to end, put back what was done to the node; without this only an interrupt would.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments = _parser().parse_args()
    causes = [c for c in CAUSES if not arguments.only or arguments.only in c.name]
    release = prepare(
        Stages(),
        Wish(context=arguments.context),
        arguments.registry,
        (*IMAGES, "scripted-engine"),
        {"huggingFace": {"endpoint": hub.ENDPOINT}, "capacityDiscovery": True},
    )
    rows = asyncio.run(measure(release, causes, arguments.at_once))
    return report(rows, whole=len(causes) == len(CAUSES))


async def measure(release: Release, causes: Sequence[Cause], at_once: int) -> list[Row]:
    """Injects the causes on a cluster that is ready."""
    kubectl = release.cluster.kubectl
    await asyncio.to_thread(hub.provide, kubectl, release.image("scripted-engine"))
    try:
        async with watching(kubectl) as watcher:
            return await Measuring(release, watcher, at_once).all(causes)
    finally:
        kubectl.run("delete", "namespace", hub.NAMESPACE, "--wait=false")


def report(rows: Sequence[Row], *, whole: bool) -> int:
    """Prints the table and the last line; returns the exit status."""
    print(f"\nSeconds. A sign is Kubernetes' own; both {LIMIT_S:.0f} s begin with it.\n")
    cells = [(row.cause, row.reason or "status.loading", *map(_seconds, _times(row))) for row in rows]
    print(table(HEADS, cells) + "\n")
    good = [row for row in rows if not row.problem]
    said = max((row.sign_to_status or 0.0 for row in good), default=0.0)
    clear = max((row.sign_to_clear or 0.0 for row in good), default=0.0)
    targets = [
        Target("seconds from sign to status, longest", said, LIMIT_S),
        Target("seconds from sign of the mend to clear, longest", clear, LIMIT_S),
    ]
    if whole:
        targets.append(Target("causes", len(good), LEAST, at_least=True))
    figures = {"causes": {row.cause: [row.reason, *map(_figure, _times(row))] for row in rows}}
    return conclude("causes", figures, targets, [row.problem for row in rows if row.problem])


def _times(row: Row) -> tuple[float | None, ...]:
    return row.act_to_sign, row.sign_to_status, row.mend_to_sign, row.sign_to_clear, row.ready_after


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _figure(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m e2e.causes", description=__doc__)
    parser.add_argument("--context", default="", help="use this context's cluster instead of starting one")
    parser.add_argument("--registry", default="", help="where its images are")
    parser.add_argument("--only", default="", metavar="TEXT", help="only causes whose name holds this")
    parser.add_argument("--at-once", type=int, default=6, help="how many scenes at the same time")
    return parser


if __name__ == "__main__":
    sys.exit(main())
