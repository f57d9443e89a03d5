"""Processes of an instance: started with a mark in their environment, found again and ended by it.

The mark survives exec and is inherited by children, so a run that was killed half-way leaves nothing that the
next one cannot find. A process without the mark is never touched.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MARK = "POINTSMAN_INSTANCE"
PROC = Path("/proc")


def environment(mark: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of a component: none of the caller's proxies, kubeconfigs or certificates."""
    path = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
    return {"PATH": path, "HOME": os.environ.get("HOME", "/"), MARK: mark, **(extra or {})}


_OUTLIVING: list[subprocess.Popen[bytes]] = []
"""Processes that go on when this one ends. Python warns of a dropped Popen whose process still runs, and such
a warning fails whichever test comes next."""


@dataclass(slots=True)
class Component:
    """A started process and where it logs."""

    name: str
    log: Path
    popen: subprocess.Popen[bytes] = field(repr=False)

    def exited(self) -> bool:
        return self.popen.poll() is not None

    def last_words(self, lines: int = 8) -> str:
        """The end of its log, for messages about its failure."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def stop(self) -> None:
        """Ends it at once; nothing a test cluster holds is worth a graceful stop."""
        self.popen.kill()
        self.popen.wait()


def start(
    name: str,
    argv: Sequence[str | Path],
    *,
    mark: str,
    log: Path,
    tied: bool = False,
    stdin: int | None = None,
) -> Component:
    """Starts a component in a session of its own, logging to `log`.

    `tied`: the kernel ends it when the thread that started it ends, however that happens.
    """
    command = [str(part) for part in argv]
    if tied and (setpriv := shutil.which("setpriv")):
        command = [setpriv, "--pdeathsig", "KILL", *command]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        popen = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(mark),
            start_new_session=True,
        )
    if not tied:
        _OUTLIVING.append(popen)
    return Component(name, log, popen)


def marked(mark: str, proc: Path = PROC) -> list[int]:
    """The living processes that carry `mark`, this one left out."""
    wanted = f"{MARK}={mark}".encode()
    found: list[int] = []
    if not proc.is_dir():  # no Linux: a control plane for tests ends with its test run
        return found
    for entry in proc.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:  # gone meanwhile, or another user's
            continue
    return found


def end_marked(mark: str, within_s: float = 20.0) -> list[int]:
    """Kills every process with `mark` and waits for them; returns those still there after `within_s`."""
    deadline = time.monotonic() + within_s
    killed: set[int] = set()
    while left := marked(mark):
        if time.monotonic() > deadline:
            return left
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            killed.add(pid)
        time.sleep(0.1)
    # Dead, and gone too: orphans stay in the table until process 1 of the machine collects them.
    while any(is_zombie_orphan(pid) for pid in killed) and time.monotonic() < deadline:
        time.sleep(0.1)
    return []


def end_marked_command(mark: str, command: str, within_s: float = 20.0) -> bool:
    """Kills the processes with `mark` that run `command`; whether there were any, and all are gone."""
    pids = [pid for pid in marked(mark) if command_of(pid) == command]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + within_s
    while any(command_of(pid) == command for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return bool(pids)


def command_of(pid: int, proc: Path = PROC) -> str:
    """The program's name that a living process runs; empty where there is none, or only its corpse."""
    try:
        state = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
        return "" if state == "Z" else (proc / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_zombie_orphan(pid: int, proc: Path = PROC) -> bool:
    """Whether `pid` is dead and waits for somebody else than this process to collect it."""
    try:
        state, parent, *_ = (proc / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return state == "Z" and int(parent) != os.getpid()
