"""A whole node on this machine: control plane, kubelet, containerd, kube-proxy and DNS, in own namespaces.

The network namespace has no uplink, so nothing a test sends can leave the machine; a relay on loopback leads
to the API server. Everything dies with process 1 of the process namespace.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from e2e.cluster import cgroups, components, credentials, kubeconfig, node_config, ports, process
from e2e.cluster.api import Api, wait
from e2e.cluster.components import LOOPBACK, Place
from e2e.cluster.images import ImageStore, sandbox_archive
from e2e.cluster.instance import ClusterError, Instance
from e2e.cluster.node_config import CONTAINERD_SOCKET, NODE_ADDRESS, NodeFiles
from e2e.cluster.preflight import SEARCHED
from e2e.cluster.process import Component
from e2e.cluster.progress import step

RELAY = Path(__file__).resolve().with_name("relay.py")
WITHIN_S = 120.0
UNSHARE = (
    "--mount",
    "--uts",
    "--ipc",
    "--net",
    "--pid",
    "--fork",
    "--kill-child",
    "--propagation",
    "private",
)


def nsenter(init_pid: int, argv: Sequence[str | Path]) -> list[str]:
    """The command line that runs `argv` in every namespace of the node."""
    enter = ["nsenter", f"--target={init_pid}", "--mount", "--uts", "--ipc", "--net", "--pid", "--"]
    return [*enter, *(str(part) for part in argv)]


def socket_of(init_pid: int) -> Path:
    """The node's containerd, as it is reached from outside the node's mounts."""
    return Path(f"/proc/{init_pid}/root{CONTAINERD_SOCKET}")


@dataclass(slots=True)
class Node:
    """A node being brought up. Made once; afterwards its record is all that is known of it."""

    instance: Instance
    programs: Mapping[str, Path]
    init_pid: int = 0
    relay_port: int = 0
    started: dict[str, Component] = field(default_factory=dict)

    @property
    def place(self) -> Place:
        return Place(self.instance.folder, ports.IN_NODE, advertised=NODE_ADDRESS)

    @property
    def files(self) -> NodeFiles:
        return NodeFiles(
            name=self.instance.name,
            state=self.instance.folder,
            store=self.instance.store,
            keep=self.instance.cache,
            cni=self.programs["bridge"].parent,
            runc=Path(shutil.which("runc", path=SEARCHED) or "/usr/sbin/runc"),
            pause=self.programs["pause"],
        )

    @property
    def url(self) -> str:
        return f"https://{LOOPBACK}:{self.relay_port}"

    def write_files(self) -> None:
        """Everything the components read."""
        files = self.files
        files.conf.joinpath("cni").mkdir(parents=True, exist_ok=True)
        files.store.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.instance.store_owner.write_text(str(self.instance.tree))
        credentials.prepare(self.place, files.name)
        contents = {
            "namespaces.sh": node_config.namespaces(files),
            "containerd.toml": node_config.containerd(files),
            "cni/10-pointsman.conflist": node_config.network(files),
            "kubelet.yaml": node_config.kubelet(files),
            "kube-proxy.yaml": node_config.kube_proxy(files),
            "Corefile": node_config.dns(files),
            "resolv.conf": "",  # pods ask the cluster's DNS, which asks nobody
        }
        for name, content in contents.items():
            (files.conf / name).write_text(content)

    def make_namespaces(self) -> None:
        """Starts process 1 of the namespaces; from here on its end is the end of everything."""
        script = self.files.conf / "namespaces.sh"
        outer = self._start("namespaces", ["unshare", *UNSHARE, "sh", script])
        ready = self.instance.folder / "namespaces-ready"
        self._wait_for("the node's namespaces", outer, ready.exists)
        children = Path(f"/proc/{outer.popen.pid}/task/{outer.popen.pid}/children").read_text().split()
        self.init_pid = int(children[0])
        cgroups.create(self.instance.name, cgroups.mounted())

    def start_control_plane(self) -> None:
        self._start_inside("etcd", components.etcd(self.place))
        server = self._start_inside("kube-apiserver", components.api_server(self.place))
        self._start_relay()
        api = self.api()
        self._wait_for("the API server becoming ready", server, api.ready)
        self._start_inside("kube-controller-manager", components.controller_manager(self.place))
        self._start_inside("kube-scheduler", components.scheduler(self.place))

    def start_containerd(self) -> None:
        containerd = self._start_inside(
            "containerd",
            [f"--config={self.files.conf}/containerd.toml"],
            path=[self.programs["containerd"].parent],
        )
        socket = socket_of(self.init_pid)
        self._wait_for("containerd", containerd, socket.exists)
        store = ImageStore(self.programs["ctr"], socket)
        store.load([sandbox_archive(self.programs["pause"], self.programs["pause"].parent)])

    def start_kubelet(self) -> None:
        conf, pki = self.files.conf, self.files.pki
        self._start_inside(
            "kubelet",
            [
                f"--config={conf}/kubelet.yaml",
                f"--kubeconfig={pki}/kubelet.kubeconfig",
                f"--hostname-override={self.instance.name}",
                f"--node-ip={NODE_ADDRESS}",
                f"--root-dir={self.instance.folder}/kubelet",
            ],
        )
        name = f"--hostname-override={self.instance.name}"
        self._start_inside("kube-proxy", [f"--config={conf}/kube-proxy.yaml", name])
        self._start_inside("coredns", [f"-conf={conf}/Corefile"])

    def wait_until_usable(self) -> None:
        """Pods can be created, will be scheduled, and find each other by name."""
        api = self.api()
        self._wait_for(
            "the node becoming ready",
            self.started["kubelet"],
            lambda: _node_is_ready(api, self.instance.name),
        )
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._wait_for(
            "the service account `default`",
            self.started["kube-controller-manager"],
            lambda: api.get(account) is not None,
        )
        self._wait_for("the cluster's DNS", self.started["coredns"], self._dns_is_ready)

    def api(self) -> Api:
        return Api(self.url, self.place.pki)

    def write_kubeconfig(self) -> None:
        content = kubeconfig.render(self.instance.name, self.url, self.place.pki, "admin")
        kubeconfig.write(self.instance.kubeconfig, content)

    def _dns_is_ready(self) -> bool:
        question = (
            f"import urllib.request as r; r.urlopen('http://{LOOPBACK}:{node_config.DNS_READY_PORT}/ready')"
        )
        probe = process.start(
            "dns-probe",
            nsenter(self.init_pid, [sys.executable, "-c", question]),
            mark=self.instance.name,
            log=self.instance.logs / "dns-probe.log",
        )
        return probe.popen.wait() == 0

    def _start_relay(self) -> None:
        self.relay_port = ports.choose(self.instance.name).api
        route = f"{self.relay_port}={LOOPBACK}:{ports.IN_NODE.api}"
        self._start("relay", [sys.executable, RELAY, str(self.init_pid), route])

    def _start_inside(self, name: str, arguments: Sequence[str], path: Sequence[Path] = ()) -> Component:
        argv: list[str | Path] = [self.programs[name], *arguments]
        if path:  # containerd looks its shim up on PATH
            argv = ["env", f"PATH={':'.join(str(folder) for folder in path)}:{SEARCHED}", *argv]
        return self._start(name, nsenter(self.init_pid, argv))

    def _start(self, name: str, argv: Sequence[str | Path]) -> Component:
        log = self.instance.logs / f"{name}.log"
        started = process.start(name, argv, mark=self.instance.name, log=log)
        self.started[name] = started
        return started

    def _wait_for(self, what: str, component: Component, holds: Callable[[], bool]) -> None:
        def still_holds() -> bool:
            if component.exited():
                raise ClusterError(
                    f"{what}: {component.name} ended\n{component.last_words()}\nlog: {component.log}"
                )
            return holds()

        with step(what):
            wait(f"{what} (log: {component.log})", still_holds, WITHIN_S)


def _node_is_ready(api: Api, name: str) -> bool:
    node = api.get(f"/api/v1/nodes/{name}")
    conditions = node["status"].get("conditions", []) if node else []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
