"""The tables, the targets and the verdict of `make bench-reconcile`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from bench.reconcile.plane import WRITES
from bench.reconcile.row import Row, Spread
from bench.result import Target, conclude, table

CHANGE_TIMES = 3.0
"""How many times the floor's 99th percentile one change's may be."""
MEMORY_TIMES = 1.3
"""How many times a bare watcher's memory the operator's may be."""
HEADS = (
    "services",
    "floor p50 s",
    "p99",
    "applied p50 s",
    "p99",
    "Ready p50 s",
    "p99",
    "requests each",
    "writes each",
    "CPU ms each",
    "idle writes",
    "restart writes",
    "RSS MiB",
    "restarted",
    "bare kopf",
)


def conclude_rows(rows: Sequence[Row]) -> int:
    """Prints what was found; gives the exit status."""
    print("\nIn brackets: times the bare client's floor, or a bare watcher's memory\n")
    print(table(HEADS, [_cells(row) for row in rows]) + "\n")
    for row in rows:
        if row.changes:
            print(
                table(("one change, ms", "p50", "p99", "floor p50", "p99"), list(_change_cells(row))) + "\n"
            )
    last = rows[-1]
    print(f"Requests of each of {last.size} services:\n")
    print(table(("verb", "kind", "each"), list(_request_cells(last))) + "\n")
    return conclude(
        "reconcile",
        {"rows": [_figures(row) for row in rows]},
        [target for row in rows for target in _targets(row)],
        [problem for row in rows for problem in row.problems],
    )


def _cells(row: Row) -> list[object]:
    count = row.size.services
    applied, ready = row.applied.times(row.floor), row.ready.times(row.floor)
    writes = sum(n for (verb, _), n in row.requests.items() if verb in WRITES)
    return [
        str(row.size),
        *(f"{seconds:.2f}" for seconds in (row.floor.p50, row.floor.p99)),
        *(f"{s:.2f} ({t:.2f})" for s, t in zip((row.applied.p50, row.applied.p99), applied, strict=True)),
        *(f"{s:.2f} ({t:.2f})" for s, t in zip((row.ready.p50, row.ready.p99), ready, strict=True)),
        f"{row.requests.total() / count:.1f}",
        f"{writes / count:.1f}",
        f"{row.cpu_seconds / count * 1000:.0f}",
        row.idle_writes.total(),
        row.restart_writes.total(),
        *(f"{mib:.0f} ({mib / row.watcher_rss_mib:.2f})" for mib in (row.rss_mib, row.restarted_rss_mib)),
        f"{row.watcher_rss_mib:.0f}",
    ]


def _change_cells(row: Row) -> Iterator[list[object]]:
    for what, (one, base) in row.changes.items():
        times = one.times(base)
        told = [f"{s * 1000:.0f} ({t:.2f})" for s, t in zip((one.p50, one.p99), times, strict=True)]
        yield [what, *told, *(f"{s * 1000:.0f}" for s in (base.p50, base.p99))]


def _request_cells(row: Row) -> Iterator[list[object]]:
    for (verb, kind), count in sorted(row.requests.items(), key=lambda item: -item[1]):
        yield [verb, kind, f"{count / row.size.services:.2f}"]


def _targets(row: Row) -> Iterator[Target]:
    for what, (one, base) in row.changes.items():
        yield Target(
            f"{row.size}: p99 of one change ({what}), times the floor", one.times(base)[1], CHANGE_TIMES
        )
    yield Target(f"{row.size}: writes while idle", row.idle_writes.total(), 0)
    yield Target(f"{row.size}: writes after a restart", row.restart_writes.total(), 0)
    worst = max(row.rss_mib, row.restarted_rss_mib)
    times = round(worst / row.watcher_rss_mib, 3)
    yield Target(f"{row.size}: memory, times a bare watcher's", times, MEMORY_TIMES)


def _figures(row: Row) -> dict[str, Any]:
    return {
        "services": row.size.services,
        "namespaces": row.size.namespaces,
        "floor_s": _pair(row.floor),
        "applied_s": _pair(row.applied),
        "ready_s": _pair(row.ready),
        "applied_times_floor": row.applied.times(row.floor),
        "ready_times_floor": row.ready.times(row.floor),
        "requests_per_service": _each(row.requests, row.size.services),
        "cpu_ms_per_service": round(row.cpu_seconds / row.size.services * 1000, 1),
        "changes_s": {
            what: {"operator": _pair(one), "floor": _pair(base), "times": one.times(base)}
            for what, (one, base) in row.changes.items()
        },
        "idle_writes": _each(row.idle_writes, 1),
        "restart_writes": _each(row.restart_writes, 1),
        "rss_mib": round(row.rss_mib, 1),
        "restarted_rss_mib": round(row.restarted_rss_mib, 1),
        "watcher_rss_mib": round(row.watcher_rss_mib, 1),
    }


def _pair(spread: Spread) -> dict[str, float]:
    return {"p50": spread.p50, "p99": spread.p99}


def _each(requests: Counter[tuple[str, str]], of: int) -> dict[str, float]:
    return {f"{verb} {kind}": round(count / of, 2) for (verb, kind), count in sorted(requests.items())}
