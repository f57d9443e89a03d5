"""A start is quick because little is imported: what is, is looked at here; seconds depend on the machine."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.router.alone.running import running, write
from tests.router.stack import configuration

LATE = {
    "prometheus_client": "metrics are rendered when they're asked for",
    "pointsman_router.feeds.cluster": "a router alone follows no API server",
    "pointsman_router.running.tls": "only where TLS is on",
    "pointsman_router.running.workers": "only where there are several",
    "importlib.metadata": "the version is looked up when it's asked for",
    "multiprocessing": "forking takes none of it",
    "http.server": "nothing here serves so",
    "http.client": "nothing here asks so",
    "email.message": "only the version's look-up and http need it",
    "xml": "nothing here reads it",
}
"""What a router alone does without until it listens, and why that's possible."""


@pytest.mark.parametrize("name", LATE, ids=[f"{name}: {why}" for name, why in LATE.items()])
def test_is_imported_late(name: str) -> None:
    assert name not in modules()


def test_few_modules_are_imported() -> None:
    ours = [name for name in modules() if name.startswith("pointsman_router")]
    assert len(ours) < 80
    assert len(modules()) < 360


_seen: list[str] = []


def modules() -> list[str]:
    """What has been imported when a router alone listens."""
    if not _seen:
        code = "import sys, pointsman_router.main, pointsman_router.feeds.standalone; print(*sys.modules)"
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        _seen.extend(shown.stdout.split())
    return _seen


async def test_metrics_are_there_all_the_same(file: Path) -> None:
    write(file, configuration())
    async with running(f"--config={file}") as router:
        answers = await asyncio.gather(*[router.admin("/metrics") for _ in range(3)])
        assert all(b"pointsman_router_ready 1.0" in answer.body for answer in answers)
