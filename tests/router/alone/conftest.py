"""What tests of a router that runs alone begin with."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.router.alone.certificates import Volume
from tests.router.alone.serving import Serving
from tests.router.stack import Stack


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a router's file goes."""
    return tmp_path / "router.yaml"


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    """Where certificates go."""
    return Volume(tmp_path / "tls")


@pytest.fixture
async def serving(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serving]:
    """A router's own public port, with one engine; files are looked at often."""
    monkeypatch.setattr("pointsman_router.running.listening.PERIOD_SECONDS", 0.02)
    await stack.engine()
    made = Serving(stack)
    try:
        yield made
    finally:
        await made.close()
