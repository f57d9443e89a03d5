"""What `make truth` would find: each way in which Ready=True can be a lie is told from the truth."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

from e2e.cluster import Cluster, Kubectl
from e2e.namespace import Namespace
from e2e.truth.asking import Answer, Asker
from e2e.truth.cycles import Cycle, Told, Worker
from e2e.watching import Watcher

BEGAN, READY = 100.0, 110.0
OLD = Answer(101.0, 101.1, "w1")
FIRST = Answer(108.0, 108.1, "w2")
AFTER = Answer(111.0, 111.1, "w2")
READY_TOLD = Told(READY, 2, ready=True, says="Ready=True")


def worker(*told: Told) -> Worker:
    """A worker that heard this of its service."""
    nowhere = Namespace(Kubectl(Path("kubectl"), Path("kubeconfig")), "team-a")
    return Worker(Watcher(""), Mock(spec=Cluster), nowhere, "image", "s1", "front", list(told))


LIES: dict[str, tuple[list[Answer], list[Told], str]] = {
    "all is as it's said": ([OLD, FIRST, AFTER], [READY_TOLD], ""),
    "a request after Ready fails": (
        [OLD, FIRST, Answer(111.0, 111.1, error="503: no engine")],
        [READY_TOLD],
        "after Ready: 503",
    ),
    "the old revision answers after Ready": (
        [FIRST, Answer(111.0, 111.1, "w1")],
        [READY_TOLD],
        "after Ready",
    ),
    "Ready, and it never answered": ([OLD], [READY_TOLD], "never answered"),
    "Ready is lost while it answers": (
        [OLD, FIRST, AFTER],
        [READY_TOLD, Told(112.0, 2, ready=False, says="Ready=False ProbeFailed")],
        "Ready was lost while it answered: Ready=False ProbeFailed",
    ),
}


@pytest.mark.parametrize("case", LIES)
def test_a_lie_is_found(case: str) -> None:
    answers, told, problem = LIES[case]
    cycle = Cycle("change", "w2", generation=2)
    worker(*told)._compare(cycle, Asker("", "s1", answers), BEGAN, READY)
    assert bool(cycle.problems) == bool(problem)
    assert problem in "; ".join(cycle.problems)


def test_late_and_failed_requests_are_counted() -> None:
    answers = [OLD, Answer(105.0, 105.1, error="502: gone"), FIRST, AFTER]
    cycle = Cycle("change", "w2", generation=2)
    worker(READY_TOLD)._compare(cycle, Asker("", "s1", answers), BEGAN, READY)
    assert cycle.to_first_answer == pytest.approx(8.1)
    assert cycle.ready_after_answer == pytest.approx(1.9)
    assert (cycle.requests, cycle.failed_before) == (4, 1)


def test_going_back_counts_from_the_first_answer_since_then() -> None:
    before = Answer(90.0, 90.1, "w2")
    cycle = Cycle("back", "w2", generation=3)
    worker(READY_TOLD)._compare(cycle, Asker("", "s1", [before, OLD, FIRST, AFTER]), BEGAN, READY)
    assert cycle.to_first_answer == pytest.approx(8.1)
