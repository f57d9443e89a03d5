"""What tests share: the real control plane, brought up once for the run and only when a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.cluster import ControlPlane, control_plane


@pytest.fixture(scope="session")
def apiserver() -> Iterator[ControlPlane]:
    """A real kube-apiserver with etcd and controller-manager, on loopback. Where it can't be had, the tests
    that need it fail: skipping them would read as green."""
    with control_plane() as plane:
        yield plane
