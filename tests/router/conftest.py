"""The router's tests run on uvloop, as the router does, over real sockets on loopback."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvloop

from tests.router.stack import Stack


def pytest_asyncio_loop_factories(config: Any, item: Any) -> dict[str, Callable[[], Any]]:
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def stack() -> AsyncIterator[Stack]:
    """An empty stack: engines and the router are started by the test."""
    made = Stack()
    try:
        yield made
    finally:
        await made.close()
