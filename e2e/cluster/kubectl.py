"""kubectl, bound to one cluster, whatever the caller's own kubeconfig says."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.cluster.instance import ClusterError


@dataclass(frozen=True, slots=True)
class Kubectl:
    """Runs `program` against the cluster of `kubeconfig`."""

    program: Path
    kubeconfig: Path

    def argv(self, *arguments: str) -> list[str]:
        """The command line, for callers that start it themselves."""
        return [str(self.program), f"--kubeconfig={self.kubeconfig}", *arguments]

    def try_run(
        self, *arguments: str, stdin: str | None = None, timeout_s: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Runs it and returns what came of it, whatever that is."""
        environ = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
        return subprocess.run(
            self.argv(*arguments),
            input="" if stdin is None else stdin,  # never the caller's terminal
            env=environ,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def run(self, *arguments: str, stdin: str | None = None, timeout_s: float = 120.0) -> str:
        """Its standard output; ClusterError with its own words when it fails."""
        done = self.try_run(*arguments, stdin=stdin, timeout_s=timeout_s)
        if done.returncode:
            raise ClusterError(f"kubectl {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def json(self, *arguments: str) -> dict[str, Any]:
        """The answer to `kubectl ARGUMENTS -o json`."""
        answer: dict[str, Any] = json.loads(self.run(*arguments, "--output=json"))
        return answer
