"""What the placement bench asks, and what it calls ideal."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from bench.placement.workloads import (
    CONVERSATIONS,
    PREFIXES,
    REQUESTS_EACH,
    TURNS,
    Workload,
    conversations,
    ideal,
    prefixes,
)

DOCUMENT = list(range(100, 164))


@pytest.mark.parametrize(
    ("prompts", "share"),
    [
        pytest.param([], 0.0, id="nothing asked"),
        pytest.param([DOCUMENT], 0.0, id="nothing known"),
        pytest.param([[*DOCUMENT, 1], [*DOCUMENT, 2]], 64 / 130, id="whole blocks are known"),
        pytest.param([[*DOCUMENT[:40], 1], [*DOCUMENT[:40], 2]], 32 / 82, id="parts of a block aren't"),
        pytest.param([DOCUMENT, DOCUMENT], 32 / 128, id="a prompt's last token is always computed"),
        pytest.param([DOCUMENT, [1, *DOCUMENT[1:]]], 0.0, id="after a difference nothing is known"),
    ],
)
def test_the_ideal_is_what_one_cache_without_bound_would_have(prompts: list[list[int]], share: float) -> None:
    assert ideal(prompts, 32) == pytest.approx(share)


def test_each_document_is_asked_about_so_many_times() -> None:
    asked = [prompt[0]["content"] for prompt in prefixes(1).prompts]
    assert len(set(asked)) == PREFIXES
    assert {asked.count(document) for document in asked} == {REQUESTS_EACH}
    assert asked != sorted(asked), "in random order"


def test_each_turn_begins_as_the_one_before() -> None:
    workload = conversations(1)
    assert [len(thread) for thread in workload.threads] == [TURNS] * CONVERSATIONS
    for thread in workload.threads:
        for earlier, later in pairwise(thread):
            assert later[: len(earlier)] == earlier


@pytest.mark.parametrize("make", [prefixes, conversations])
def test_seeds_share_nothing_and_repeat_exactly(make: Callable[[int], Workload]) -> None:
    assert make(1) == make(1)
    one, other = (
        {message["content"] for prompt in make(seed).prompts for message in prompt} for seed in (1, 2)
    )
    assert not one & other
