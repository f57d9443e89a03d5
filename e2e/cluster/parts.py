"""What the bare cluster is made of: which commands are built from which Go module, and how they are stamped.

Pure: it names parts and computes their cache keys from files given to it. Building them is gobuild.py's.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.instance import ClusterError

TOOLS = Path(__file__).resolve().parent / "tools"

GO_RELEASE = "go1.26"
"""Go 1.27 compiles Kubernetes into an API server that serves a broken OpenAPI document."""

KEY_FORMAT = 1
"""Raised when the way of building changes what comes out."""


@dataclass(frozen=True, slots=True)
class Part:
    """Commands that are built together and cached as one folder."""

    name: str
    title: str
    module: Path
    packages: Mapping[str, str]
    """The command's file name, and the Go package that it is built from."""
    stamps: tuple[str, ...] = ()
    """Linker variables, `import/path.name=value`."""

    @property
    def link_flags(self) -> str:
        return " ".join(["-s", "-w", *(f"-X {stamp}" for stamp in self.stamps)])

    def inputs(self) -> dict[str, str]:
        """Every file of the module that decides what is built, by its hash."""
        names = sorted([*self.module.glob("go.*"), *self.module.glob("*.go")])
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in names}

    def key(self) -> str:
        """Changes when, and only when, the commands would come out differently."""
        facts = {
            "format": KEY_FORMAT,
            "go": GO_RELEASE,
            "machine": platform.machine(),
            "packages": dict(sorted(self.packages.items())),
            "flags": self.link_flags,
            "inputs": self.inputs(),
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def default_kubernetes_version(go_mod: str) -> str:
    """The release of Kubernetes that the committed module requires."""
    found = re.search(r"^(?:require )?\s*k8s\.io/kubernetes v(\d+\.\d+\.\d+)", go_mod, re.MULTILINE)
    if not found:
        raise ClusterError("tools/kubernetes/go.mod requires no release of k8s.io/kubernetes")
    return found.group(1)


def kubernetes_version(environ: Mapping[str, str]) -> str:
    """The release to run: KUBERNETES_VERSION, or the one that the committed module pins."""
    wanted = environ.get("KUBERNETES_VERSION", "").removeprefix("v")
    if not wanted:
        return default_kubernetes_version((TOOLS / "kubernetes" / "go.mod").read_text())
    if not re.fullmatch(r"1\.\d+\.\d+", wanted):
        raise ClusterError(f"KUBERNETES_VERSION={wanted}: a full release is wanted, like 1.37.2")
    return wanted


def version_stamps(version: str) -> tuple[str, ...]:
    """Without these every component says v0.0.0-master, and clients refuse to compare versions with it."""
    major, minor, _ = version.split(".")
    values = {
        "gitVersion": f"v{version}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitCommit": "unknown",
        "gitTreeState": "archive",
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return tuple(f"{package}.{name}={value}" for package in packages for name, value in values.items())


def _kubernetes(name: str, title: str, module: Path, version: str, commands: tuple[str, ...]) -> Part:
    packages = {command: f"k8s.io/kubernetes/cmd/{command}" for command in commands}
    return Part(name, f"Kubernetes {version}, {title}", module, packages, version_stamps(version))


def control_plane_parts(module: Path, version: str) -> list[Part]:
    """What `make test` needs. `module` builds Kubernetes `version`."""
    commands = ("kube-apiserver", "kube-controller-manager", "kubectl")
    return [
        Part("etcd", "etcd", TOOLS / "etcd", {"etcd": "go.etcd.io/etcd/server/v3"}),
        _kubernetes("kubernetes", "the control plane", module, version, commands),
    ]


def node_parts(module: Path, version: str) -> list[Part]:
    """What a node needs on top of the control plane."""
    containerd = "github.com/containerd/containerd/v2/cmd"
    plugins = "github.com/containernetworking/plugins/plugins"
    return [
        _kubernetes(
            "kubernetes-node", "the node", module, version, ("kubelet", "kube-proxy", "kube-scheduler")
        ),
        Part(
            "containerd",
            "containerd",
            TOOLS / "containerd",
            {name: f"{containerd}/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")},
        ),
        Part(
            "cni",
            "the network plugins",
            TOOLS / "cni",
            {
                "bridge": f"{plugins}/main/bridge",
                "loopback": f"{plugins}/main/loopback",
                "host-local": f"{plugins}/ipam/host-local",
                "portmap": f"{plugins}/meta/portmap",
            },
        ),
        Part(
            "coredns",
            "the cluster's DNS",
            TOOLS / "coredns",
            {"coredns": "pointsman.dev/e2e/cluster/coredns"},
        ),
        Part("pause", "the sandbox process", TOOLS / "pause", {"pause": "pointsman.dev/e2e/cluster/pause"}),
    ]
