"""A cluster by kind, for machines where Docker runs: its node is a container."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from e2e.cluster import oci
from e2e.cluster.cluster import Cluster
from e2e.cluster.context import installed_kubectl
from e2e.cluster.images import StoredImage, parse_listing, to_load
from e2e.cluster.instance import ClusterError, Instance, Record, write_record
from e2e.cluster.progress import say, step

UP_WITHIN_S = 600.0


def usable() -> bool:
    """Whether `kind` is installed and Docker answers."""
    if not (shutil.which("kind") and shutil.which("docker")):
        return False
    try:
        asked = subprocess.run(["docker", "info"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


class KindCluster(Cluster):
    """One node, a container; Docker's own bridge is its network."""

    @property
    def node(self) -> str:
        return f"{self.instance.name}-control-plane"

    def alive(self) -> bool:
        return self.kubectl.try_run("get", "--raw=/readyz", timeout_s=20).stdout == "ok"

    def down(self) -> None:
        _kind("delete", "cluster", "--name", self.instance.name)
        shutil.rmtree(self.instance.folder, ignore_errors=True)

    def images(self) -> dict[str, str]:
        return {name: image.digest for name, image in self._stored().items()}

    def load(self, archives: Iterable[Path]) -> list[str]:
        read = [oci.read_archive(path) for path in archives]
        new = to_load(read, self._stored())
        for archive in new:
            _kind("load", "image-archive", str(archive.path.resolve()), "--name", self.instance.name)
        return [name for archive in new for name in archive.names]

    def run_inside(
        self, argv: Sequence[str], *, timeout_s: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = ["docker", "exec", self.node, *argv]
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s
        )

    def _stored(self) -> dict[str, StoredImage]:
        listing = self.run_inside(["ctr", "--namespace=k8s.io", "images", "list"], timeout_s=60)
        return parse_listing(listing.stdout)


def bring_up(instance: Instance) -> Record:
    """Makes a kind cluster of the tree's name; ClusterError with kind's own words where it cannot."""
    kubectl = installed_kubectl()
    say("Starting kind (1 to 3 minutes, and the download of its node image the first time).")
    instance.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _kind("delete", "cluster", "--name", instance.name)  # what a killed run may have left
    version = os.environ.get("KUBERNETES_VERSION", "").removeprefix("v")
    image = [f"--image=kindest/node:v{version}"] if version else []
    with step("kind"):
        kubeconfig = f"--kubeconfig={instance.kubeconfig}"
        _kind("create", "cluster", "--name", instance.name, kubeconfig, "--wait=5m", *image)
    record = Record("kind", "node", version, kubectl, str(instance.tree), up=True)
    write_record(instance, record)
    return record


def _kind(*arguments: str) -> None:
    environ = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
    done = subprocess.run(
        ["kind", *arguments],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=UP_WITHIN_S,
    )
    if done.returncode:
        raise ClusterError(f"kind {' '.join(arguments)} failed:\n{done.stderr.strip()[-1500:]}")
