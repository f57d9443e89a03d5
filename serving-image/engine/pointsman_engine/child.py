"""The engine's process as its parent sees it: report, go, log, end.

Lives on the event loop, but for one thread that copies the engine's output to ours: a log pipe that is full
must not stop probes from being answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass

from pointsman_engine.outcome import Reason, StartFailure

KEPT_LINES = 1500
_CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Report:
    """What the engine's own parser found."""

    devices: int
    """How many devices this pod's part of the engine computes on."""


class Child:
    """One engine process, in a session of its own so that all its workers can be ended together."""

    def __init__(self, process: subprocess.Popen[bytes], report: int, go: int) -> None:
        self._process = process
        self._report = report
        self._go = go
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._ended = asyncio.get_running_loop().create_future()
        self._copier: threading.Thread | None = None

    @classmethod
    def start(
        cls,
        launcher: Sequence[str],
        words: Sequence[str],
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
    ) -> Child:
        """Starts `launcher REPORT_FD GO_FD words…`. `on_line` gets each line of its output, in the loop."""
        report_read, report_write = os.pipe()
        go_read, go_write = os.pipe()
        process = subprocess.Popen(
            [*launcher, str(report_write), str(go_read), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            pass_fds=(report_write, go_read),
            start_new_session=True,
        )
        os.close(report_write)
        os.close(go_read)
        child = cls(process, report_read, go_write)
        child._begin(on_line)
        return child

    def _begin(self, on_line: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()

        def ended() -> None:
            code = self._process.wait()
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits
                loop.call_soon_threadsafe(self._set_ended, code)

        def line(text: str) -> None:
            self._lines.append(text)
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(on_line, text)

        out = self._process.stdout
        assert out is not None
        self._copier = threading.Thread(target=_copy, args=(out.fileno(), line), daemon=True)
        self._copier.start()
        threading.Thread(target=ended, daemon=True).start()

    def _set_ended(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return not self._ended.done()

    async def report(self) -> Report:
        """Waits for the report. Raises StartFailure where the arguments are wrong or the process ended."""
        line = await asyncio.to_thread(_read_line, self._report)
        if not line:
            await self.wait()
            raise StartFailure(Reason.ENGINE_FAILED, "")
        found = json.loads(line)
        if not found["ok"]:
            raise StartFailure(Reason(found["reason"]), found["message"])
        return Report(int(found["devices"]))

    def go(self) -> None:
        """Lets the process become the engine."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._go, b"go\n")
        os.close(self._go)

    async def wait(self) -> int:
        """The exit status, negative for a signal, as subprocess has it."""
        return int(await asyncio.shield(self._ended))

    def lines(self) -> list[str]:
        """The last lines of its output; complete once it has ended."""
        if self._copier and not self.running:
            self._copier.join(timeout=2)  # workers that outlive it may hold the pipe open
        return list(self._lines)

    async def end(self, patience_s: float) -> int:
        """SIGTERM, then after `patience_s` SIGKILL to it and all its workers."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        return await self.wait()


def reap_orphans(own: Set[int]) -> None:
    """Collects processes that the engine left behind and that became ours, as process 1 of a container.

    `own`, those we started, are left to their waiters; while one of them is to be collected, others wait.
    """
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None or found.si_pid in own:
            return
        with contextlib.suppress(ChildProcessError):
            os.waitpid(found.si_pid, os.WNOHANG)


def _read_line(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as file:
        return file.readline()


def _copy(fd: int, on_line: Callable[[str], None]) -> None:
    """Copies raw bytes to standard output, and hands out lines; progress bars end theirs by a return."""
    rest = b""
    while chunk := os.read(fd, _CHUNK):
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        *lines, rest = (rest + chunk).replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            if line.strip():
                on_line(line.decode("utf-8", "replace").rstrip())
        rest = rest[-_CHUNK:]
    if rest.strip():
        on_line(rest.decode("utf-8", "replace").rstrip())
