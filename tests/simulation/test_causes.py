"""Every reason is caused once: shown within thirty seconds, without flapping, cleared within thirty more."""

from __future__ import annotations

import re

import pytest

from pointsman.api.conditions import ConditionType, Reason
from tests.simulation.causes import Cause
from tests.simulation.causes_table import CAUSES
from tests.simulation.trouble import TroubledCluster

PATIENCE = 30
GENERATED = re.compile(r"-pod\b|\b[0-9a-f]{8}-[0-9a-f]{4}-")
"""Names of pods, and uids, as the cluster makes them."""


def test_no_reason_lacks_a_cause() -> None:
    assert sorted(cause.reason for cause in CAUSES) == sorted(Reason)


async def brought_about(cluster: TroubledCluster, cause: Cause) -> tuple[str, str, str]:
    """The condition, once it has the reason."""
    await cause.bring(cluster)
    for _ in range(PATIENCE + 1):
        found = cluster.condition(cause.name, cause.of, cause.kind)
        if found[1] == cause.reason:
            return found
        await cluster.round()
    raise AssertionError(f"not {cause.reason} within {PATIENCE} s, but {found}")


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: str(cause.reason))
async def test_is_caused_and_shown(cause: Cause) -> None:
    cluster = TroubledCluster()
    status, reason, message = await brought_about(cluster, cause)
    assert (status, reason) == (cause.status, cause.reason)
    assert cause.says in message
    assert not GENERATED.search(message), message


MENDED = [cause for cause in CAUSES if cause.mend]


@pytest.mark.parametrize("cause", MENDED, ids=lambda cause: str(cause.reason))
async def test_clears_when_mended(cause: Cause) -> None:
    cluster = TroubledCluster()
    await brought_about(cluster, cause)
    assert cause.mend is not None
    await cause.mend(cluster)
    for _ in range(PATIENCE + 1):
        if cluster.condition(cause.name, ConditionType.READY, cause.kind)[0] == "True":
            break
        await cluster.round()
    assert cluster.condition(cause.name, ConditionType.READY, cause.kind)[0] == "True"
    assert cluster.condition(cause.name, cause.of, cause.kind)[1] != cause.reason or cause.status == "True"


LASTING = [cause for cause in MENDED if cause.kind == "LLMService"]


@pytest.mark.parametrize("cause", LASTING, ids=lambda cause: str(cause.reason))
async def test_says_the_same_while_it_lasts(cause: Cause) -> None:
    cluster = TroubledCluster()
    await brought_about(cluster, cause)
    await cluster.rounds(10)
    before = cluster.find("LLMService", cause.name)
    await cluster.rounds(25)
    after = cluster.find("LLMService", cause.name)
    assert (after["status"], after["metadata"]["resourceVersion"]) == (
        before["status"],
        before["metadata"]["resourceVersion"],
    )
