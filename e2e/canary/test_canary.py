"""A candidate that is slower than it may be takes itself back, and a good one becomes the stable one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from e2e.canary.cases import CASES, Case, run
from e2e.cluster import Cluster
from e2e.namespace import Namespace
from e2e.release import Release

INTERVAL_S = 20
"""Shorter than people would have it: what is shown here is the end, not how soon it comes."""


@pytest.mark.extended
@pytest.mark.parametrize(
    "case", [case for case in CASES if case.name in ("slow", "good")], ids=lambda case: case.name
)
def test_canary(release: Release, cluster: Cluster, namespace: Namespace, case: Case) -> None:
    """Rejected with its reason and the spec untouched, or promoted; nobody's request fails either way."""
    # As much time as with the interval that people would have.
    more = case.interval_s / INTERVAL_S
    quick = replace(case, interval_s=INTERVAL_S, within_intervals=more * case.within_intervals)
    seen = run(quick, cluster, namespace, release.image("scripted-engine"))
    print(f"{seen.says}; {seen.seconds:.0f} s, {seen.candidate_requests} of {seen.requests} requests")
    assert seen.problems == []
