"""The routers we are measured against: installed from the package index, in an environment of their own.

The environment lies in the project's cache folder under a hash of `peers.lock`, so it's made once for each
set of versions and never mixes with the project's own. Knows nothing of how a peer is started or measured.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from bench.processes import carry_out
from e2e.cluster.instance import ClusterError, cache_root, locked
from e2e.cluster.progress import say, spoken

LOCK = Path(__file__).resolve().parent / "peers.lock"
_COMPLETE = ".complete"


@dataclass(frozen=True, slots=True)
class Peers:
    """Where the peers' environment is, and what it holds."""

    folder: Path

    @property
    def vllm_router(self) -> Path:
        """The command of vLLM's own router."""
        return self.folder / "bin" / "vllm-router"


def ensure(cache: Path | None = None) -> Peers:
    """The peers' environment, made first where it has to be. Raises ClusterError saying what is wrong."""
    folder = (cache or cache_root()) / "bench"
    digest = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:12]
    venv = folder / f"peers-{digest}"
    with locked(folder / "peers.lock", "Another process is installing the peers; waiting."):
        if not (venv / _COMPLETE).is_file():
            _install(venv)
    return Peers(venv)


def version(name: str) -> str:
    """The version of a peer that `peers.lock` pins."""
    for line in LOCK.read_text().splitlines():
        if line.startswith(f"{name}=="):
            return line.removeprefix(f"{name}==").split()[0]
    raise ClusterError(f"peers.lock pins no {name}")


def _install(venv: Path) -> None:
    packages = sum(1 for line in LOCK.read_text().splitlines() if line[:1].isalpha())
    say(f"Installing the peers, once: {packages} locked packages (about half a minute).")
    started = time.monotonic()
    shutil.rmtree(venv, ignore_errors=True)
    carry_out("make the peers' environment", sys.executable, "-m", "venv", str(venv))
    pip = (str(venv / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet")
    carry_out(
        "install the peers", *pip, "--only-binary=:all:", "--require-hashes", "--requirement", str(LOCK)
    )
    (venv / _COMPLETE).touch()
    say(f"  installed vllm-router {version('vllm-router')} ({spoken(time.monotonic() - started)})")
