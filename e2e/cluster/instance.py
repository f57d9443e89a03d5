"""Which cluster belongs to this working tree: its name, its folders, its record.

Everything that two checkouts on one machine must not share is derived from a hash of the tree's path (and of
the cache folder's, so that a second cache is a second world).
Knows folders and names only; nothing here starts, stops or builds anything.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

Provider = Literal["context", "kind", "bare"]
Size = Literal["control-plane", "node"]

PROJECT_ROOT = Path(__file__).resolve().parents[2]


class ClusterError(Exception):
    """Something a person has to know or do; the message says what, in plain words."""


def cache_root(environ: Mapping[str, str] = os.environ) -> Path:
    """The user's cache folder for this project, following the XDG base directory rules."""
    base = environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):  # the specification says to ignore relative paths
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "pointsman"


@dataclass(frozen=True, slots=True)
class Instance:
    """The cluster of one working tree; at most one is up at a time."""

    tree: Path
    cache: Path

    @property
    def digest(self) -> str:
        return hashlib.sha256(f"{self.tree}\0{self.cache}".encode()).hexdigest()

    @property
    def name(self) -> str:
        """Names the node, its cgroup, the kind cluster and the kubeconfig's context."""
        return f"pointsman-{self.digest[:8]}"

    @property
    def folder(self) -> Path:
        """State of the cluster that is up; gone after `down`."""
        return self.cache / "instances" / self.name

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def logs(self) -> Path:
        """Logs of the components; they outlive `down`, until the next `up`."""
        return self.cache / "logs" / self.name

    @property
    def store(self) -> Path:
        """The node's image store; it outlives `down`. One containerd owns it, hence one per instance."""
        return self.cache / "stores" / self.name

    @property
    def store_owner(self) -> Path:
        """Names the tree that the image store belongs to, for clearing up after trees that are gone."""
        return self.cache / "stores" / f"{self.name}.tree"


def this_instance() -> Instance:
    """The instance of the working tree that this file lies in."""
    return Instance(PROJECT_ROOT, cache_root())


@dataclass(frozen=True, slots=True)
class Record:
    """What `up` leaves for the commands after it. `up` is false while a bring-up is under way."""

    provider: Provider
    size: Size
    kubernetes: str
    kubectl: str
    tree: str
    url: str = ""
    """Where the bare cluster's API server is reached on this machine's loopback."""
    ctr: str = ""
    """The bare node's containerd client."""
    up: bool = False
    init_pid: int = 0
    """Process 1 of the bare node's namespaces, as the machine numbers it; 0 without a node."""


def write_record(instance: Instance, record: Record) -> None:
    instance.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = instance.folder / "record.json"
    temporary = target.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(record), indent=1))
    temporary.replace(target)


def read_record(instance: Instance) -> Record | None:
    """The record of the last `up`, or None where there is none, or only one of another format."""
    try:
        return Record(**json.loads((instance.folder / "record.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


@contextlib.contextmanager
def locked(lock: Path, waiting: str = "") -> Iterator[None]:
    """Holds the file lock `lock`; prints `waiting` when another process has it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                print(waiting, flush=True)
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
