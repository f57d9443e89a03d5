"""`make truth`: cycles of creating and changing services, and one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Sequence

from bench.result import Target, conclude, table
from e2e.cluster import Wish
from e2e.namespace import LABEL, Namespace
from e2e.preparing import IMAGES, Stages, prepare
from e2e.release import Release
from e2e.truth.cycles import Cycle, Worker, numbers
from e2e.watching import watching

LIMIT_S = 30.0
SHARED, OWN = "pointsman-truth", "pointsman-truth-own"


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # takes its namespaces away
    arguments = _parser().parse_args()
    wish = Wish(context=arguments.context)
    release = prepare(Stages(), wish, arguments.registry, (*IMAGES, "scripted-engine"))
    return report(asyncio.run(run(release, arguments.cycles, arguments.at_once)), arguments.cycles)


async def run(release: Release, cycles: int, at_once: int) -> list[Cycle]:
    """All cycles, by workers that share a router, and one whose router comes and goes with its service."""
    kubectl = release.cluster.kubectl
    shared, own = Namespace(kubectl, SHARED), Namespace(kubectl, OWN)
    router = {
        "apiVersion": "serving.pointsman.dev/v1alpha1",
        "kind": "LLMRouter",
        "metadata": {"name": "front"},
        "spec": {"replicas": 2},
    }
    for namespace in (shared, own):
        await asyncio.to_thread(namespace.remove, wait=True)
        await asyncio.to_thread(namespace.create, {LABEL: "truth"})
    await asyncio.to_thread(shared.apply, router)
    await asyncio.to_thread(shared.wait_until_ready, "llmrouter/front", 120.0)
    image, left, done = release.image("scripted-engine"), numbers(cycles), list[Cycle]()
    try:
        async with watching(kubectl) as watcher:
            workers = [
                Worker(
                    watcher, release.cluster, own if n == 0 else shared, image, f"s{n}", "front" if n else ""
                )
                for n in range(at_once)
            ]
            await asyncio.gather(*(worker.work(left, done) for worker in workers))
    finally:
        for namespace in (shared, own):
            namespace.remove(wait=False)
    return done


def report(cycles: Sequence[Cycle], wanted: int) -> int:
    """Prints the table and the last line; returns the exit status."""
    kinds = Counter(cycle.kind for cycle in cycles)
    rows = [_row(kind, [cycle for cycle in cycles if cycle.kind == kind]) for kind in kinds]
    print("\n" + table(("cycle", "count", "first answer", "Ready after it", "longest"), rows) + "\n")
    late = [cycle.ready_after_answer for cycle in cycles]
    problems = [f"{c.kind} {c.word}: {p}" for c in cycles for p in c.problems]
    failed = sum(cycle.failed_before for cycle in cycles)
    targets = [
        Target("cycles", len(cycles), wanted, at_least=True),
        Target("seconds from a generation's first answer to Ready, longest", max(late, default=0.0), LIMIT_S),
        Target("requests that failed while a served service changed", failed, 0),
    ]
    figures = {
        "cycles": len(cycles),
        "kinds": dict(kinds),
        "requests": sum(cycle.requests for cycle in cycles),
        "readyAfterAnswer": {"median": _part(late, 50), "p99": _part(late, 99), "max": _part(late, 100)},
        "firstAnswer": {"median": _part([c.to_first_answer or 0.0 for c in cycles], 50)},
        "claimsBroken": len(problems),
    }
    return conclude("truth", figures, targets, problems)


def _row(kind: str, cycles: Sequence[Cycle]) -> tuple[object, ...]:
    late = [cycle.ready_after_answer for cycle in cycles]
    answers = [cycle.to_first_answer or 0.0 for cycle in cycles]
    return kind, len(cycles), f"{_part(answers, 50)} s", f"{_part(late, 50)} s", f"{_part(late, 100)} s"


def _part(values: Sequence[float], percent: int) -> float:
    ordered = sorted(values) or [0.0]
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m e2e.truth", description=__doc__)
    parser.add_argument("--context", default="", help="use this context's cluster instead of starting one")
    parser.add_argument("--registry", default="", help="where its images are")
    parser.add_argument("--cycles", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=4, help="how many services at the same time")
    return parser


if __name__ == "__main__":
    sys.exit(main())
