"""The router as its image runs it: on Debian's Python 3.11, with the libraries that `locks/router.lock` pins.

What an interpreter was built with decides a tenth of what a request costs: Debian's, and the one of Docker's
`python` images, are optimised by profile; what version managers build mostly isn't. So where the machine has
Debian's it's taken, in an environment of its own in the project's cache folder, and else the bench's own.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path
from typing import Final

from bench.processes import carry_out
from e2e.cluster.instance import PROJECT_ROOT, cache_root, locked
from e2e.cluster.progress import say

LOCK: Final = PROJECT_ROOT / "locks" / "router.lock"
DEBIANS: Final = Path("/usr/bin/python3.11")
_COMPLETE: Final = ".complete"


def command() -> tuple[str | Path, ...]:
    """What begins a command that starts the router."""
    if not DEBIANS.is_file():
        say(f"{DEBIANS} isn't there: our router runs on {sys.executable}, which may be slower.")
        return (sys.executable, "-m", "pointsman_router")
    code = f"PYTHONPATH={PROJECT_ROOT / 'serving-image' / 'router'}"
    return ("/usr/bin/env", code, _interpreter(), "-m", "pointsman_router")


def _interpreter() -> Path:
    """Debian's, in an environment that is made first where need be. Raises ClusterError."""
    folder = cache_root() / "bench"
    version = carry_out("ask for its version", DEBIANS, "-c", "import sys; print(sys.version)")
    digest = hashlib.sha256(LOCK.read_bytes() + version.encode()).hexdigest()[:12]
    venv = folder / f"router-{digest}"
    python = venv / "bin" / "python"
    with locked(folder / "router.lock", "Another process is installing the router; waiting."):
        if not (venv / _COMPLETE).is_file():
            say("Installing the router's libraries for Debian's Python, once.")
            shutil.rmtree(venv, ignore_errors=True)
            carry_out("make the router's environment", DEBIANS, "-m", "venv", "--without-pip", venv)
            pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
            carry_out("install its libraries", *pip, "install", "--quiet", "--require-hashes", "-r", LOCK)
            (venv / _COMPLETE).touch()
    return python
