"""The node's own branch in every cgroup hierarchy, made before the kubelet starts and removed after it.

Version 1, version 2 and both at once: what is mounted decides. Knows nothing of what runs in the branch.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted cgroup tree."""

    root: Path
    version: int

    @property
    def controls(self) -> bool:
        """Whether it has controllers; the version 2 tree beside mounted version 1 controllers has none."""
        if self.version == 1:
            return True
        with contextlib.suppress(OSError):
            return bool((self.root / "cgroup.controllers").read_text().split())
        return False


def hierarchies(mounts: str) -> list[Hierarchy]:
    """The cgroup trees in `mounts`, which is written like /proc/self/mounts."""
    found = []
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) > 2 and fields[2] in ("cgroup", "cgroup2"):
            found.append(Hierarchy(Path(fields[1]), 2 if fields[2] == "cgroup2" else 1))
    return found


def mounted() -> list[Hierarchy]:
    return hierarchies(MOUNTS.read_text())


def create(name: str, trees: list[Hierarchy]) -> None:
    """Makes the branch `name` in every tree that has controllers, and passes all of them on to it."""
    for tree in trees:
        if not tree.controls:
            continue
        branch = tree.root / name
        branch.mkdir(exist_ok=True)
        if tree.version == 2:
            _pass_controllers_on(tree.root)
            _pass_controllers_on(branch)
        elif (branch / "cpuset.cpus").exists():
            _copy_cpuset(tree.root, branch)


def remove(name: str, trees: list[Hierarchy], within_s: float = 10.0) -> list[Path]:
    """Removes the branch `name` bottom-up; returns what is still there after `within_s` seconds.

    A process that was just killed holds its cgroup for a moment longer, so this tries again.
    """
    deadline = time.monotonic() + within_s
    while True:
        left = [tree.root / name for tree in trees if not _removed(tree.root / name)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.2)


def _removed(branch: Path) -> bool:
    if not branch.is_dir():
        return True
    for child in sorted(branch.rglob("*/"), key=lambda path: len(path.parts), reverse=True):
        with contextlib.suppress(OSError):
            child.rmdir()
    with contextlib.suppress(OSError):
        branch.rmdir()
    return not branch.exists()


def _pass_controllers_on(group: Path) -> None:
    for controller in (group / "cgroup.controllers").read_text().split():
        # One by one: a controller that cannot be passed on must not keep the others back.
        with contextlib.suppress(OSError):
            (group / "cgroup.subtree_control").write_text(f"+{controller}")


def _copy_cpuset(parent: Path, branch: Path) -> None:
    # A version 1 cpuset starts empty, and takes no process until it has CPUs and memory.
    for name in ("cpuset.cpus", "cpuset.mems"):
        (branch / name).write_text((parent / name).read_text())
    (branch / "cgroup.clone_children").write_text("1")
