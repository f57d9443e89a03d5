"""Locks every dependency by version and hash: `make lock` writes the files, `make check` proves them fresh.

Why not `uv.lock`: pip and image builds read requirement files everywhere, offline mirrors included, and these
name no registry. A file is fresh when its first line carries the digest of what pyproject.toml declares; the
registry is asked only when a lock is made.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTHON = "3.11"
"""The oldest Python we support; markers in the locks cover newer ones."""
LOCKS = {
    "dev": ("dev",),
    "fuzz": ("fuzz",),
    "operator": ("operator", "resolve", "trial"),
    "router": ("router",),
}
"""Lock file -> the extras of pyproject.toml that it holds."""


def declared(extras: tuple[str, ...]) -> str:
    """Digest of what these extras ask for, extras of our own that they name included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional: dict[str, list[str]] = project["optional-dependencies"]
    wanted, todo = set(project["dependencies"]), list(extras)
    while todo:
        for requirement in optional[todo.pop()]:
            nested = re.fullmatch(r"pointsman\[(.+)\]", requirement)
            todo += nested[1].split(",") if nested else []
            wanted |= set() if nested else {requirement}
    text = json.dumps([PYTHON, project["requires-python"], sorted(wanted)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def path_of(name: str) -> Path:
    """Where a lock lies."""
    return ROOT / "locks" / f"{name}.lock"


def header(name: str) -> str:
    """First line of a lock."""
    return f"# Made by `make lock` from pyproject.toml; declared: {declared(LOCKS[name])}\n"


def make(name: str, *, upgrade: bool) -> None:
    """Writes one lock. Without `upgrade`, versions that still satisfy pyproject.toml stay as they are."""
    path = path_of(name)
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", "--quiet", "--universal"]
    command += ["--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-header"]
    command += ["--python-version", PYTHON]
    command += [f"--extra={extra}" for extra in LOCKS[name]]
    command += ["--upgrade"] if upgrade else []
    subprocess.run([*command, f"--output-file={path}"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    path.write_text(header(name) + path.read_text())
    print(f"locks/{name}.lock: {len(re.findall(r'^[a-z0-9]', path.read_text(), re.MULTILINE))} packages")


def faults(name: str) -> list[str]:
    """What is wrong with one lock; empty when it's fresh."""
    path = path_of(name)
    if not path.exists():
        return [f"locks/{name}.lock is missing; run `make lock`"]
    text = path.read_text()
    found = []
    if not text.startswith(header(name)):
        found.append(f"locks/{name}.lock is older than pyproject.toml's dependencies; run `make lock`")
    if re.search(r"https?://|^-", text, re.MULTILINE):
        found.append(f"locks/{name}.lock names a registry or sets an option of pip; packages only")
    return found


def main() -> int:
    """Command line: `lock.py [--check | --upgrade]`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="change nothing; fail when a lock is stale")
    choice.add_argument("--upgrade", action="store_true", help="take the newest versions that are allowed")
    arguments = parser.parse_args()
    if not arguments.check:
        for name in LOCKS:
            make(name, upgrade=arguments.upgrade)
    problems = [fault for name in LOCKS for fault in faults(name)]
    print("\n".join(problems), file=sys.stderr, end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
