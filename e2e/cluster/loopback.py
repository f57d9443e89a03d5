"""A control plane alone on loopback, for tests: no root, no namespaces, up in seconds.

Its pods never run: there is no node and no scheduler. KUBEBUILDER_ASSETS, where set, says which commands are
used; nothing is built then.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from e2e.cluster import components, credentials, gobuild, ports, process
from e2e.cluster.api import Api, wait
from e2e.cluster.components import Place
from e2e.cluster.instance import ClusterError, Instance, this_instance
from e2e.cluster.kubectl import Kubectl
from e2e.cluster.parts import control_plane_parts, kubernetes_version
from e2e.cluster.process import Component

READY_WITHIN_S = 90.0
"""Generous: on a machine that is busy building something else, ten seconds become a minute."""


def commands(instance: Instance, environ: Mapping[str, str] = os.environ) -> dict[str, Path]:
    """The control plane's commands, from KUBEBUILDER_ASSETS or built here."""
    assets = environ.get("KUBEBUILDER_ASSETS")
    if not assets:
        version = kubernetes_version(environ)
        module = gobuild.kubernetes_module_folder(version, instance.cache)
        return gobuild.ensure(control_plane_parts(module, version), instance.cache)
    wanted = ("etcd", "kube-apiserver", "kubectl")
    absent = [name for name in wanted if not (Path(assets) / name).is_file()]
    if absent:
        raise ClusterError(f"KUBEBUILDER_ASSETS={assets} has no {', '.join(absent)}")
    optional = ("kube-controller-manager",)
    return {name: Path(assets) / name for name in (*wanted, *optional) if (Path(assets) / name).is_file()}


@dataclass(slots=True)
class ControlPlane:
    """A running control plane.

    `kubeconfig` is its administrator's, `pki` holds the authority (`ca.crt`) and the administrator's
    `admin.crt` and `admin.key`, `logs` one file for each component.
    """

    place: Place
    kubeconfig: Path
    kubectl: Kubectl
    logs: Path
    mark: str
    tied: bool
    _commands: dict[str, Path]
    controller_flags: Sequence[str] = ()
    """Further arguments of the controller-manager; they win over its usual ones."""
    server_flags: Sequence[str] = ()
    """The same for the API server."""
    _components: dict[str, Component] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.place.url

    @property
    def pki(self) -> Path:
        return self.place.pki

    @property
    def has_controllers(self) -> bool:
        """Whether the controller-manager runs: Deployments get ReplicaSets, owners take children along."""
        return "kube-controller-manager" in self._commands

    def start(self) -> None:
        """Starts the components and returns when the API server is ready, ClusterError otherwise."""
        self._start("etcd", components.etcd(self.place))
        self.start_api_server()
        if self.has_controllers:
            arguments = [*components.controller_manager(self.place), *self.controller_flags]
            self._start("kube-controller-manager", arguments)
        wait_for_default_account(
            Api(self.url, self.pki), creating=not self.has_controllers, kubectl=self.kubectl
        )

    def start_api_server(self) -> None:
        """Starts the API server and returns when it is ready; also after `stop_api_server`."""
        server = self._start("kube-apiserver", [*components.api_server(self.place), *self.server_flags])
        api = Api(self.url, self.pki)

        def ready() -> bool:
            if server.exited():
                raise ClusterError(f"the API server ended while starting:\n{server.last_words()}")
            return api.ready()

        wait("the API server becoming ready", ready, READY_WITHIN_S)

    def stop_api_server(self) -> None:
        """Takes the API server away from its clients, for tests of what they do then."""
        self._components.pop("kube-apiserver").stop()

    def stop(self) -> None:
        """Ends everything this object started."""
        while self._components:
            _, component = self._components.popitem()
            component.stop()

    def _start(self, name: str, arguments: list[str]) -> Component:
        argv = [str(self._commands[name]), *arguments]
        started = process.start(name, argv, mark=self.mark, log=self.logs / f"{name}.log", tied=self.tied)
        self._components[name] = started
        return started


def wait_for_default_account(api: Api, *, creating: bool, kubectl: Kubectl) -> None:
    """Pods can be created from now on: the service account `default` is there."""
    if creating:
        kubectl.run("create", "serviceaccount", "default", "--namespace=default")
    path = "/api/v1/namespaces/default/serviceaccounts/default"
    wait("the service account `default`", lambda: api.get(path) is not None, READY_WITHIN_S)


def launch(
    folder: Path,
    logs: Path,
    instance: Instance,
    mark: str,
    *,
    tied: bool,
    environ: Mapping[str, str] = os.environ,
    controller_flags: Sequence[str] = (),
    server_flags: Sequence[str] = (),
) -> ControlPlane:
    """Starts a control plane with its state in `folder`; whatever fails takes the rest down again."""
    programs = commands(instance, environ)
    place = Place(folder, ports.choose(mark))
    credentials.prepare(place, instance.name)
    config = place.pki / "admin.kubeconfig"
    kubectl = Kubectl(programs["kubectl"], config)
    plane = ControlPlane(place, config, kubectl, logs, mark, tied, programs, controller_flags, server_flags)
    try:
        plane.start()
    except BaseException:
        plane.stop()
        raise
    return plane


@contextlib.contextmanager
def fresh_control_plane(
    controller_flags: Sequence[str] = (), server_flags: Sequence[str] = ()
) -> Iterator[ControlPlane]:
    """A control plane of its own for a test run, empty at first and gone afterwards, logs included.

    Several may run at once, also beside the tree's own cluster. A killed test run takes it along.
    `controller_flags` and `server_flags`: further arguments of the controller-manager and the API server.
    """
    instance = this_instance()
    runs = instance.cache / "tests" / instance.name
    sweep(runs, instance.name)
    folder = runs / f"{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir(mode=0o700, parents=True)
    try:
        mark = f"{instance.name}/{folder.name}"
        plane = launch(
            folder,
            folder / "logs",
            instance,
            mark,
            tied=True,
            controller_flags=controller_flags,
            server_flags=server_flags,
        )
        try:
            yield plane
        finally:
            plane.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(runs: Path, name: str) -> None:
    """Removes what test runs left in `runs` that did not come to their own end."""
    for folder in runs.glob("*-*"):
        if not process.exists(int(folder.name.partition("-")[0])):
            process.end_marked(f"{name}/{folder.name}")
            shutil.rmtree(folder, ignore_errors=True)
