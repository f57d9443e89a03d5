"""Processes of a bench: each pinned to one core, ended with the bench, and accounted for from /proc.

Linux alone has what this needs. What a process is for, and what its figures mean, others know.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.instance import ClusterError
from e2e.cluster.ports import is_free

PROC = Path("/proc")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PORTS = range(19_000, 20_000)
"""Below those that the kernel hands to clients, so that no outgoing connection takes one first; in another
order each time, since another bench may be about to listen on those that are free now."""
_unused = (port for port in random.sample(_PORTS, len(_PORTS)) if is_free(port))


def carry_out(what: str, *command: str | Path, path: str = "") -> str:
    """What a command printed that sets a bench up. `path`: where its Python looks for modules. Raises
    ClusterError with its words where it fails."""
    environ = {**os.environ, "PYTHONPATH": path} if path else None
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environ)
    if ran.returncode:
        raise ClusterError(f"could not {what}:\n{(ran.stderr or ran.stdout)[-2000:]}")
    return ran.stdout


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core does what."""

    proxy: int
    traffic: int


def cores() -> Cores:
    """The first two cores this process may use. Raises ClusterError where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise ClusterError("a bench needs two cores: one for the proxy, one for the load and the engine")
    return Cores(usable[0], usable[1])


def free_port() -> int:
    """A loopback port that a server could listen on now, and that wasn't given out before."""
    return next(_unused)


@contextlib.contextmanager
def running(command: Sequence[str | Path], core: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process on `core`, its output appended to `log`, killed with all its children on leaving."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    try:
        yield process
    finally:
        for pid in tree(process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def tree(pid: int) -> list[int]:
    """The process and everything it started that still runs."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for children in (PROC / str(parent) / "task").glob("*/children"):
                found += map(int, children.read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process's tree so far, children that ended included."""
    total = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            fields = (PROC / str(one) / "stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))
    return total / _TICKS_PER_SECOND


def rss_mib(pid: int) -> float:
    """Resident memory of a process's tree."""
    total = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            for line in (PROC / str(one) / "status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
    return total / 1024


def open_files(pid: int) -> int:
    """File descriptors that a process's tree has open."""
    total = 0
    for one in tree(pid):
        with contextlib.suppress(OSError):
            total += len(os.listdir(PROC / str(one) / "fd"))
    return total


def entry(run: Callable[[], int]) -> None:
    """Runs a bench as a command: what it can't do is said in a sentence, and being ended clears up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(run())
    except ClusterError as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit(130)
