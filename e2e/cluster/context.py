"""A cluster that somebody named: a context of a kubeconfig, given on the command line and never guessed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from e2e.cluster import kubeconfig
from e2e.cluster.cluster import Cluster
from e2e.cluster.instance import ClusterError, Instance, Record, write_record

NO_NODE_ACCESS = "the cluster was named by its context, and its nodes are none of our business: "


def installed_kubectl() -> str:
    """The kubectl on PATH."""
    found = shutil.which("kubectl")
    if not found:
        raise ClusterError("kubectl is needed on PATH for a cluster that is not built here")
    return found


def default_kubeconfig() -> Path:
    """The user's own file. KUBECONFIG is not asked: what a shell happens to export names no cluster."""
    return Path.home() / ".kube" / "config"


class NamedCluster(Cluster):
    """Only ever talked to; it is not ours to end, nor to bring images into."""

    def alive(self) -> bool:
        return self.kubectl.try_run("get", "--raw=/readyz", timeout_s=20).stdout == "ok"

    def down(self) -> None:
        """Forgets the cluster, and leaves it alone."""
        shutil.rmtree(self.instance.folder, ignore_errors=True)

    def images(self) -> dict[str, str]:
        return {}

    def load(self, archives: Iterable[Path]) -> list[str]:
        raise ClusterError(
            NO_NODE_ACCESS + "push the images to a registry it can reach (make images REGISTRY=...)"
        )

    def run_inside(
        self, argv: Sequence[str], *, timeout_s: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        raise ClusterError(NO_NODE_ACCESS + "nothing is run there")


def adopt(instance: Instance, source: Path, name: str) -> Record:
    """Takes the context `name` of the kubeconfig `source` for this tree, once its API server answers."""
    kubeconfig.write(instance.kubeconfig, kubeconfig.only_context(source, name))
    record = Record("context", "node", "", installed_kubectl(), str(instance.tree), up=True)
    cluster = NamedCluster(instance, record)
    answer = cluster.kubectl.try_run("get", "--raw=/readyz", timeout_s=30)
    if answer.stdout != "ok":
        cluster.down()
        raise ClusterError(
            f"the cluster of context {name!r} is not ready: {answer.stderr.strip() or answer.stdout}"
        )
    write_record(instance, record)
    return record
