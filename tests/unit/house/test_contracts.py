"""The import contracts of `.importlinter` hold, and catch what they should."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
HOMES = ("operator", "serving-image/router", "serving-image/engine", "serving-image/trial")

VIOLATIONS = {
    "the core imports kopf": ("operator/pointsman/core/rollout.py", "import kopf"),
    "the core reads the clock": ("operator/pointsman/core/rollout.py", "import time"),
    "the core logs": ("operator/pointsman/core/rollout.py", "import logging"),
    "the core asks Kubernetes": ("operator/pointsman/core/rollout.py", "import pointsman.kube.protocol"),
    "the core imports the router's inner parts": (
        "operator/pointsman/core/rollout.py",
        "import pointsman_router.answering.exchange",
    ),
    "the core counts on the router's scale without judging": (
        "operator/pointsman/core/rollout.py",
        "import pointsman_router.scale",
    ),
    "a topic of the core imports another": (
        "operator/pointsman/core/rollout.py",
        "import pointsman.core.routing",
    ),
    "a module of the core has no place": ("operator/pointsman/core/newcomer.py", '"""New."""'),
    "kube decides": ("operator/pointsman/kube/protocol.py", "import pointsman.core.rollout"),
    "kube imports kopf": ("operator/pointsman/kube/protocol.py", "import kopf"),
    "signals imports the Kubernetes client": ("operator/pointsman/signals/protocol.py", "import kubernetes"),
    "the API depends on the core": ("operator/pointsman/api/names.py", "import pointsman.core.rollout"),
    "the router imports the operator": (
        "serving-image/router/pointsman_router/config.py",
        "import pointsman.api.names",
    ),
    "a room of the router knows one above": (
        "serving-image/router/pointsman_router/engines/pool.py",
        "import pointsman_router.answering.exchange",
    ),
    "a room of the router has no place": (
        "serving-image/router/pointsman_router/newcomer.py",
        '"""New."""',
    ),
    "the router imports pydantic": ("serving-image/router/pointsman_router/config.py", "import pydantic"),
    "the entrypoint imports the operator": (
        "serving-image/engine/pointsman_engine/__init__.py",
        "import pointsman.api.names",
    ),
    "the trial imports the router": (
        "serving-image/trial/pointsman_trial/__init__.py",
        "import pointsman_router.config",
    ),
    "a room of the trial knows one above": (
        "serving-image/trial/pointsman_trial/asking.py",
        "import pointsman_trial.suite",
    ),
}


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    """Runs the contracts on a tree."""
    path = os.pathsep.join(str(tree / home) for home in HOMES)
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    return subprocess.run(
        [*command, "--no-logo", "--no-cache", f"--config={ROOT / '.importlinter'}"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for home in HOMES:
        for package in (path.parent for path in (ROOT / home).glob("pointsman*/__init__.py")):
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(package, tmp_path / home / package.name, ignore=ignore)
    return tmp_path


def test_the_contracts_hold(tree: Path) -> None:
    done = lint(tree)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("module", "line"), VIOLATIONS.values(), ids=VIOLATIONS.keys())
def test_the_contracts_catch_it_when(tree: Path, module: str, line: str) -> None:
    path = tree / module
    path.write_text((path.read_text() if path.exists() else "") + f"\n{line}\n")
    done = lint(tree)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout
