"""A cluster as tests, e2e and the demo use it, whichever way it came to be.

The three ways (context.py, kind.py, bare.py) differ in how images get in and how services are reached from
outside; what they share goes through kubectl and is here.
"""

from __future__ import annotations

import abc
import contextlib
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from e2e.cluster.instance import ClusterError, Instance, Record
from e2e.cluster.kubectl import Kubectl

NOT_OURS = "only the API server of a bare cluster can be taken away: this one isn't a process of ours"


class Cluster(abc.ABC):
    """The cluster of a working tree, as long as it is up."""

    def __init__(self, instance: Instance, record: Record) -> None:
        self.instance = instance
        self.record = record
        self.kubectl = Kubectl(Path(record.kubectl), instance.kubeconfig)

    @property
    def kubeconfig(self) -> Path:
        """An administrator's kubeconfig whose current context is this cluster."""
        return self.instance.kubeconfig

    @abc.abstractmethod
    def alive(self) -> bool:
        """Whether its API server answers, and everything that has to run still does."""

    @abc.abstractmethod
    def down(self) -> None:
        """Ends it, and leaves no process, mount or cgroup; image store and built parts stay."""

    @abc.abstractmethod
    def images(self) -> dict[str, str]:
        """The images that pods can use without a pull, by name, with their digests."""

    @abc.abstractmethod
    def load(self, archives: Iterable[Path]) -> list[str]:
        """Brings image archives (OCI's or Docker's) in; returns the names that were not there as they are."""

    @abc.abstractmethod
    def run_inside(
        self, argv: Sequence[str], *, timeout_s: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command on the node, in its network, and returns what came of it. Paths must be absolute."""

    def stop_api_server(self) -> None:
        """Takes the API server away from everyone, at once; what runs on the node goes on."""
        raise ClusterError(NOT_OURS)

    def start_api_server(self) -> None:
        """Brings it back, and returns when it's ready."""
        raise ClusterError(NOT_OURS)

    @contextlib.contextmanager
    def forward(self, target: str, port: int | str, namespace: str = "default") -> Iterator[str]:
        """`127.0.0.1:PORT` that leads to `port` (number or name) of `service/NAME` or `pod/NAME`, while held.

        Where a Service's own address can be reached (the bare node), connections spread over its pods as in
        the cluster; elsewhere kubectl picks one pod.
        """
        with kubectl_forward(self.kubectl, target, port, namespace) as address:
            yield address

    def advertise(self, count: int, resource: str = "nvidia.com/gpu") -> None:
        """Makes the first node offer `count` of `resource`: the scheduler counts them, pods get nothing."""
        node = str(self.kubectl.json("get", "nodes")["items"][0]["metadata"]["name"])
        pointer = resource.replace("~", "~0").replace("/", "~1")
        # Both: the kubelet would copy capacity to allocatable only with its next report.
        patch = ",".join(
            f'{{"op":"add","path":"/status/{field}/{pointer}","value":"{count}"}}'
            for field in ("capacity", "allocatable")
        )
        self.kubectl.run("patch", "node", node, "--subresource=status", "--type=json", f"--patch=[{patch}]")


@contextlib.contextmanager
def kubectl_forward(kubectl: Kubectl, target: str, port: int | str, namespace: str) -> Iterator[str]:
    """`kubectl port-forward`, held as long as the block runs."""
    command = kubectl.argv("port-forward", f"--namespace={namespace}", target, f":{port}")
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            told = process.stdout.readline()  # Forwarding from 127.0.0.1:40001 -> 8000
            if not told.startswith("Forwarding from "):
                raise ConnectionError(f"kubectl port-forward {target} {port}: it ended without listening")
            yield told.split()[2]
        finally:
            process.kill()
