"""What tests share: the real control plane, brought up once for the run and only when a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from e2e.cluster import ControlPlane, control_plane

# How long an example takes says how busy the machine is, and nothing of the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def apiserver() -> Iterator[ControlPlane]:
    """A real kube-apiserver with etcd and controller-manager, on loopback. Where it can't be had, the tests
    that need it fail: skipping them would read as green."""
    with control_plane() as plane:
        yield plane
