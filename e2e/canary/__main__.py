"""`make canaries`: four candidates under load at the same time, what became of them, and one line of JSON."""

from __future__ import annotations

import argparse
import signal
import sys

from bench.result import Target, conclude, table
from e2e.canary.cases import CASES, Seen, run_all
from e2e.cluster import Wish
from e2e.namespace import LABEL, Namespace
from e2e.preparing import IMAGES, Stages, prepare


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # takes its namespaces away
    arguments = _parser().parse_args()
    wish = Wish(context=arguments.context)
    release = prepare(Stages(), wish, arguments.registry, (*IMAGES, "scripted-engine"))
    kubectl = release.cluster.kubectl
    chosen = {
        case: Namespace(kubectl, f"pointsman-canary-{case.name}")
        for case in CASES
        if not arguments.cases or case.name in arguments.cases
    }
    for namespace in chosen.values():
        namespace.remove(wait=True)
        namespace.create({LABEL: "canary"})
    try:
        return report(run_all(chosen, release.cluster, release.image("scripted-engine")))
    finally:
        for namespace in chosen.values():
            namespace.remove(wait=False)


def report(found: list[Seen]) -> int:
    """Prints the table and the last line; returns the exit status."""
    heads = ("candidate", "has to be", "seconds", "requests", "of the candidate", "failed", "status says")
    rows = [
        (s.case.name, s.case.ends, f"{s.seconds:.0f}", s.requests, s.candidate_requests, s.failed, s.says)
        for s in found
    ]
    print("\n" + table(heads, rows) + "\n")
    targets = [
        Target(f"analysis intervals until {s.case.name} is rejected", s.seconds / s.case.interval_s, 2.0)
        for s in found
        if s.case.ends == "rejected"
    ]
    figures = {
        s.case.name: {
            "seconds": round(s.seconds),
            "requests": s.requests,
            "candidateRequests": s.candidate_requests,
            "failed": s.failed,
            "says": s.says,
        }
        for s in found
    }
    return conclude("canaries", figures, targets, [f"{s.case.name}: {p}" for s in found for p in s.problems])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m e2e.canary", description=__doc__)
    parser.add_argument("cases", nargs="*", help="some of: " + ", ".join(case.name for case in CASES))
    parser.add_argument("--context", default="", help="use this context's cluster instead of starting one")
    parser.add_argument("--registry", default="", help="where its images are")
    return parser


if __name__ == "__main__":
    sys.exit(main())
