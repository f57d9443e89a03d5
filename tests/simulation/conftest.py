"""Each story has a cluster of its own."""

from __future__ import annotations

import pytest

from tests.simulation.cluster import Cluster


@pytest.fixture
async def cluster() -> Cluster:
    return Cluster()
