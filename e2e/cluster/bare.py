"""The bare cluster: commands built here, run on this machine, either a node or its control plane alone."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from e2e.cluster import cgroups, components, gobuild, kubeconfig, loopback, preflight, process
from e2e.cluster.api import Api, wait
from e2e.cluster.cluster import Cluster
from e2e.cluster.components import LOOPBACK
from e2e.cluster.images import ImageStore
from e2e.cluster.instance import ClusterError, Instance, Record, Size, write_record
from e2e.cluster.node import RELAY, WITHIN_S, Node, nsenter, socket_of
from e2e.cluster.parts import control_plane_parts, kubernetes_version, node_parts
from e2e.cluster.progress import say, step

API_SERVER = "kube-apiserver"


class BareCluster(Cluster):
    """A bare node, or a control plane alone, in which case everything about pods and images is refused."""

    def alive(self) -> bool:
        if self.record.size == "node" and self.record.init_pid not in process.marked(self.instance.name):
            return False
        return Api(self.record.url, self.instance.folder / "pki").ready()

    def down(self) -> None:
        clear(self.instance)

    def images(self) -> dict[str, str]:
        return {name: image.digest for name, image in self._store().images().items()}

    def load(self, archives: Iterable[Path]) -> list[str]:
        return self._store().load(archives)

    def run_inside(
        self, argv: Sequence[str], *, timeout_s: float | None = None
    ) -> subprocess.CompletedProcess[str]:
        command = nsenter(self._init_pid(), argv)
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=process.environment(self.instance.name),
            timeout=timeout_s,
        )

    @contextlib.contextmanager
    def forward(self, target: str, port: int | str, namespace: str = "default") -> Iterator[str]:
        host, number = self._address(target, port, namespace)
        command = [sys.executable, str(RELAY), str(self._init_pid()), "--attached", f"0={host}:{number}"]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=process.environment(self.instance.name),
        ) as relay:
            assert relay.stdout is not None
            try:
                told = relay.stdout.readline().split()
                if told[:1] != ["listening"]:
                    raise ConnectionError(f"the relay to {host}:{number} ended without listening")
                yield f"{LOOPBACK}:{told[1]}"
            finally:
                relay.kill()

    def stop_api_server(self) -> None:
        self._init_pid()  # a control plane alone is its test run's, which has a way of its own
        if not process.end_marked_command(self.instance.name, API_SERVER):
            raise ClusterError("the API server isn't running")

    def start_api_server(self) -> None:
        init_pid = self._init_pid()
        programs = _programs(self.instance, self.record.kubernetes, "node")
        arguments = components.api_server(Node(self.instance, programs).place)
        server = process.start(
            API_SERVER,
            nsenter(init_pid, [programs[API_SERVER], *arguments]),
            mark=self.instance.name,
            log=self.instance.logs / f"{API_SERVER}-again.log",
        )
        wait(f"the API server becoming ready (log: {server.log})", self.alive, WITHIN_S)

    def _address(self, target: str, port: int | str, namespace: str) -> tuple[str, int]:
        """Where `port` of a Service or a pod is reached inside the cluster."""
        kind, _, name = target.partition("/")
        found = self.kubectl.json("get", f"--namespace={namespace}", kind, name)
        if found["kind"] == "Pod":
            containers = found["spec"]["containers"]
            ports = [entry for container in containers for entry in container.get("ports", [])]
            return found["status"]["podIP"], port_number(ports, port, "containerPort")
        if found["kind"] != "Service" or found["spec"].get("clusterIP", "None") == "None":
            raise ClusterError(
                f"{target} has no address of its own: name a pod, or a Service that is not headless"
            )
        return found["spec"]["clusterIP"], port_number(found["spec"]["ports"], port, "port")

    def _store(self) -> ImageStore:
        return ImageStore(Path(self.record.ctr), socket_of(self._init_pid()))

    def _init_pid(self) -> int:
        if self.record.size != "node":
            raise ClusterError(
                "this cluster is a control plane alone: it has no node (make cluster makes one)"
            )
        return self.record.init_pid


def port_number(entries: Sequence[dict[str, object]], port: int | str, field: str) -> int:
    """The number of the port called `port`; a number stands for itself."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for entry in entries:
        if entry.get("name") == port:
            return int(str(entry[field]))
    raise ClusterError(f"there is no port called {port!r}")


def bring_up(instance: Instance, size: Size) -> Record:
    """Builds what is missing and starts a cluster where none is; ClusterError says why it could not."""
    version = kubernetes_version(os.environ)
    if size == "node":
        preflight.check_node(instance.cache)
    programs = _programs(instance, version, size)
    clear(instance)
    shutil.rmtree(instance.logs, ignore_errors=True)
    record = Record("bare", size, version, str(programs["kubectl"]), str(instance.tree))
    write_record(instance, record)
    say(f"Starting Kubernetes {version} ({'a node' if size == 'node' else 'a control plane'}).")
    try:
        if size == "node":
            record = _start_node(instance, programs, record)
        else:
            record = _start_alone(instance, record)
    except BaseException:
        clear(instance)
        raise
    write_record(instance, record)
    return record


def clear(instance: Instance) -> None:
    """Ends every process of the instance and removes its cgroups and its state, however they were left."""
    left = process.end_marked(instance.name)
    if left:
        raise ClusterError(f"processes of {instance.name} could not be ended: {left}")
    branches = cgroups.remove(instance.name, cgroups.mounted())
    if branches:
        raise ClusterError(f"cgroups could not be removed: {', '.join(map(str, branches))}")
    mounts = mounts_below(instance.folder, Path("/proc/self/mounts").read_text())
    if mounts:  # never delete through a mount
        raise ClusterError(f"something is mounted below the cluster's folder: {', '.join(mounts)}")
    if instance.folder.exists():
        shutil.rmtree(instance.folder)


def mounts_below(folder: Path, mounts: str) -> list[str]:
    """The mount points in or below `folder`, of a text like /proc/self/mounts."""
    points = (line.split()[1].replace("\\040", " ") for line in mounts.splitlines())
    return [point for point in points if Path(point).is_relative_to(folder)]


def _programs(instance: Instance, version: str, size: Size) -> dict[str, Path]:
    if size == "control-plane":
        return loopback.commands(instance)
    module = gobuild.kubernetes_module_folder(version, instance.cache)
    parts = [*control_plane_parts(module, version), *node_parts(module, version)]
    return gobuild.ensure(parts, instance.cache)


def _start_node(instance: Instance, programs: dict[str, Path], record: Record) -> Record:
    node = Node(instance, programs)
    node.write_files()
    node.make_namespaces()
    node.start_control_plane()
    node.write_kubeconfig()
    node.start_containerd()
    node.start_kubelet()
    node.wait_until_usable()
    return replace(record, up=True, url=node.url, init_pid=node.init_pid, ctr=str(programs["ctr"]))


def _start_alone(instance: Instance, record: Record) -> Record:
    with step("the control plane"):
        plane = loopback.launch(instance.folder, instance.logs, instance, instance.name, tied=False)
    kubeconfig.write(instance.kubeconfig, plane.kubeconfig.read_text())
    return replace(record, up=True, url=plane.url)
