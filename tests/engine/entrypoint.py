"""Runs the entrypoint as a real process in front of a scripted engine, and asks it like a kubelet would."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.engine.models import write_model

SCRIPTED = Path(__file__).with_name("scripted_vllm.py")
DEADLINE_S = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(ask: Callable[[], Any], what: str, within_s: float = DEADLINE_S) -> Any:
    """The first answer that isn't false."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.02)
    raise AssertionError(f"not within {within_s} s: {what}")


@dataclass
class Entrypoint:
    """One entrypoint. `script` tells the engine what to do; `env` adds to the pod's environment."""

    folder: Path
    script: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    args: tuple[str, ...] = ("--served-model-name=chat",)
    model: Path | None = None
    status_port: int = field(default_factory=free_port)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    def start(self) -> Entrypoint:
        model = self.model or write_model(self.folder / "model")
        script = self.folder / "script.json"
        script.write_text(json.dumps(self.script))
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "POINTSMAN_SOURCE": f"file://{model}",
            "POINTSMAN_STATUS_PORT": str(self.status_port),
            "POINTSMAN_SETTLE_SECONDS": "0.3",
            "POINTSMAN_DRAIN_SECONDS": "10",
            "POINTSMAN_WATCH_SECONDS": "0.2",
            "POINTSMAN_TERMINATION_LOG": str(self.termination_log),
            "POINTSMAN_CONTROL_SOCKET": str(self.socket),
            "POINTSMAN_LAUNCHER": f"{sys.executable} {SCRIPTED} {script}",
            **self.env,
        }
        given = [f"--model={model}", "--host=0.0.0.0", f"--port={self.port}", *self.args]
        self.environment = environment
        self.output = (self.folder / "output.log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pointsman_engine", "serve", "--", *given],
            env=environment,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self

    @property
    def termination_log(self) -> Path:
        return self.folder / "termination-log"

    @property
    def socket(self) -> Path:
        return self.folder / "control"

    def log(self) -> str:
        return (self.folder / "output.log").read_text()

    def get(self, path: str, port: int = 0) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.status_port, timeout=5)
        with contextlib.closing(connection):
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            except (OSError, http.client.HTTPException):
                return 0, ""  # nobody there, or cut off

    def code(self, path: str) -> int:
        return self.get(path)[0]

    def status(self) -> dict[str, Any]:
        code, body = self.get("/status")
        return dict(json.loads(body)) if code == 200 else {}

    def until(self, phase: str) -> dict[str, Any]:
        """The status once the phase is reached. Fails with the log if the process ends before."""

        def reached() -> dict[str, Any]:
            assert self.process
            assert self.process.poll() is None, f"ended before {phase}:\n{self.log()}"
            status = self.status()
            return status if status.get("phase") == phase else {}

        found = eventually(reached, f"phase {phase}; log:\n{self.log()}")
        return dict(found)

    def wait(self, within_s: float = DEADLINE_S) -> int:
        """The exit status."""
        assert self.process
        return self.process.wait(within_s)

    def terminate(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGTERM)

    def left(self) -> dict[str, Any]:
        """What the container's end leaves for the kubelet."""
        return dict(json.loads(self.termination_log.read_text()))

    def failure(self) -> dict[str, Any]:
        """What a failed start leaves: exit status 1, and one JSON object for the kubelet."""
        assert self.wait() == 1, self.log()
        return self.left()

    def drain(self) -> subprocess.Popen[str]:
        """The preStop hook; what it says goes to the same log."""
        return subprocess.Popen(
            [sys.executable, "-m", "pointsman_engine", "drain"],
            env=self.environment,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def close(self) -> None:
        if self.process:
            engines = _children(self.process.pid)
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self.output.close()
            # In a pod they would go with process 1; here a killed parent leaves them behind.
            for engine in engines:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(engine, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    """Processes that this one started; none once it has ended."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
