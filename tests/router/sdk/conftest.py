"""The two clients that every behaviour is asked of."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from tests.router.sdk import node_client, python_client
from tests.router.sdk.behaviours import Call
from tests.router.sdk.node_client import NodeClient

Perform = Callable[[Call, int], Awaitable[dict[str, Any]]]


@pytest.fixture(scope="session")
def node() -> Iterator[NodeClient]:
    """The Node SDK, in a process of its own."""
    with node_client.running() as client:
        yield client


@pytest.fixture(params=["python", "node"])
def sdk(request: pytest.FixtureRequest) -> str:
    """Which of the SDKs."""
    return str(request.param)


@pytest.fixture
def perform(request: pytest.FixtureRequest, sdk: str) -> Perform:
    """Does what a behaviour calls for with that SDK."""
    if sdk == "python":
        return python_client.perform
    client: NodeClient = request.getfixturevalue("node")
    return client.perform
