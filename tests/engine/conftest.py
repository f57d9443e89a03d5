"""Entrypoints that end with their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.entrypoint import Entrypoint


@pytest.fixture
def entrypoint(tmp_path: Path) -> Iterator[Callable[..., Entrypoint]]:
    """Starts entrypoints; keyword arguments are Entrypoint's fields, `script` what the engine does."""
    started: list[Entrypoint] = []

    def start(**fields: Any) -> Entrypoint:
        folder = tmp_path / f"pod{len(started)}"
        folder.mkdir()
        started.append(Entrypoint(folder, **fields))
        return started[-1].start()

    yield start
    for one in started:
        one.close()
