"""Control planes of the bench, and the processes beside them: the operator as it is shipped, the stand-ins, a
bare watcher.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import PROC, cpu_seconds, free_port
from bench.reconcile import children, room
from e2e.cluster import ControlPlane, control_plane
from e2e.cluster.instance import PROJECT_ROOT, ClusterError

CONTROLLERS = (
    "--controllers=*,-deployment-controller",  # the stand-ins do its work
    "--kube-api-qps=1000",
    "--kube-api-burst=2000",
)
WRITES = frozenset({"apply", "create", "patch_status", "patch_finalizers", "delete", "overwrite"})
_SERIES = re.compile(r'pointsman_api_requests_total\{code="(\d+)",kind="(\w+)",verb="(\w+)"\} (\S+)')
_READY_WITHIN_S = 120.0
_ENDS_WITHIN_S = 30.0

Requests = Counter[tuple[str, str]]
"""Requests to the API server by verb and kind."""


@contextlib.contextmanager
def plane(namespaces: int) -> Iterator[ControlPlane]:
    """A control plane with our kinds and so many namespaces."""
    with control_plane(CONTROLLERS) as started:
        for crd in sorted((PROJECT_ROOT / "crds").glob("*.yaml")):
            started.kubectl.run("create", f"--filename={crd}")
        started.kubectl.run("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        made = [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": room.namespace(number)}}
            for number in range(namespaces)
        ]
        document = {"apiVersion": "v1", "kind": "List", "items": made}
        started.kubectl.run("create", "--filename=-", stdin=json.dumps(document))
        yield started


@dataclass(slots=True)
class Operator:
    """A running operator."""

    popen: subprocess.Popen[bytes]
    port: int
    log: Path

    def requests(self) -> Requests:
        """Requests so far, watches aside."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        found: Requests = Counter()
        for _, kind, verb, count in _SERIES.findall(text):
            found[verb, kind] += int(float(count))
        return found

    @property
    def rss_mib(self) -> float:
        return resident_mib(self.popen.pid)

    @property
    def cpu_seconds(self) -> float:
        return cpu_seconds(self.popen.pid)

    def stop(self) -> None:
        """Ends it as a kubelet would, and says if it doesn't end."""
        self.popen.send_signal(signal.SIGTERM)
        self.popen.wait(_ENDS_WITHIN_S)


def written(before: Requests, after: Requests) -> Requests:
    """Writes between two counts."""
    return Counter({key: count for key, count in (after - before).items() if key[0] in WRITES})


@contextlib.contextmanager
def operator(on: ControlPlane, log: Path) -> Iterator[Operator]:
    """The operator as it is shipped, ready when it's handed out."""
    port = free_port()
    own = {key: value for key, value in os.environ.items() if not key.startswith("POINTSMAN_")}
    environ = {
        **own,
        "POINTSMAN_KUBECONFIG": str(on.kubeconfig),
        "POINTSMAN_ROUTER_IMAGE": children.ROUTER_IMAGE,
        "POINTSMAN_RESOLVE_IMAGE": children.RESOLVE_IMAGE,
        "POINTSMAN_ENGINE_IMAGES": json.dumps(children.ENGINE_IMAGES),
        "POINTSMAN_HTTP_PORT": str(port),
        "POINTSMAN_DEBUG_PORT": "0",
    }
    profiler = os.environ.get("POINTSMAN_BENCH_PROFILER", "").split()
    with process([*profiler, sys.executable, "-m", "pointsman.app", "run"], log, environ) as popen:
        started = Operator(popen, port, log)
        _wait_until_ready(started)
        yield started


def _wait_until_ready(started: Operator) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{started.port}/readyz", timeout=10).close()
            return
        if started.popen.poll() is not None or time.monotonic() > deadline:
            raise ClusterError(f"the operator doesn't start:\n{started.log.read_text()[-2000:]}")
        time.sleep(0.1)


def beside(module: str, *arguments: object) -> list[str]:
    """The command of one of the bench's own processes."""
    return [sys.executable, "-m", f"bench.reconcile.{module}", *map(str, arguments)]


@contextlib.contextmanager
def process(
    command: Sequence[str], log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process, its output appended to `log`, ended on leaving."""
    with log.open("ab") as output:
        popen = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environ
        )
    try:
        yield popen
    finally:
        popen.kill()
        popen.wait()


def resident_mib(pid: int) -> float:
    """Resident memory of one process."""
    lines = (PROC / str(pid) / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
