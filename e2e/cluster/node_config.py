"""What the node's components read: containerd, the network plugins, kubelet, kube-proxy, DNS, and the script
that makes the node's namespaces a machine of their own. Pure text.

All addresses are inside the node's network namespace, which has no uplink: two nodes may use the same ones.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.cluster.components import POD_RANGE

NODE_ADDRESS = "10.77.0.2"
NODE_RANGE = "10.77.0.0/24"
NOWHERE = "10.77.0.254"
NODE_PODS = "10.244.0.0/24"
"""The first part of the pods' range that the controller-manager hands out, and the only node gets."""

DNS_READY_PORT = 8181
SANDBOX_IMAGE = "pointsman.local/pause:1"
CONTAINERD_STATE = "/run/containerd"
CONTAINERD_SOCKET = f"{CONTAINERD_STATE}/containerd.sock"

SYSCTLS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""What the kubelet insists on. They belong to the whole machine, so the node only sees files that say so."""


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """The folders and commands that the configuration names."""

    name: str
    state: Path
    store: Path
    keep: Path
    """The cache folder: it must stay visible in the node, wherever it lies."""
    cni: Path
    runc: Path
    pause: Path

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def conf(self) -> Path:
        return self.state / "conf"


def containerd(files: NodeFiles) -> str:
    return f"""\
version = 3
root = "{files.store}"
state = "{CONTAINERD_STATE}"

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins.'io.containerd.internal.v1.opt']
  path = "{files.state}/opt"

[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{SANDBOX_IMAGE}"

[plugins.'io.containerd.cri.v1.runtime']
  enable_selinux = false
  # Lowering a score takes a capability that not every root has; without this no pod starts there.
  restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["{files.cni}"]
  conf_dir = "{files.conf}/cni"

[plugins.'io.containerd.cri.v1.runtime'.containerd]
  default_runtime_name = "runc"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  BinaryName = "{files.runc}"
  SystemdCgroup = false
"""


def network(files: NodeFiles) -> str:
    addresses = {
        "type": "host-local",
        "dataDir": f"{files.state}/addresses",
        "ranges": [[{"subnet": NODE_PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "pods0",
        "isGateway": True,
        "hairpinMode": True,
        "ipMasq": False,
        "ipam": addresses,
    }
    ports = {"type": "portmap", "backend": "nftables", "capabilities": {"portMappings": True}}
    return _json({"cniVersion": "1.0.0", "name": "pointsman", "plugins": [bridge, ports]})


def kubelet(files: NodeFiles) -> str:
    """Its sync period is left at the default: no test may depend on a faster one."""
    pki = files.pki
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "failCgroupV1": False,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{files.name}",
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{pki}/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{pki}/kubelet-server.crt",
            "tlsPrivateKeyFile": f"{pki}/kubelet-server.key",
            "clusterDomain": "cluster.local",
            "clusterDNS": [NODE_ADDRESS],
            "resolvConf": f"{files.conf}/resolv.conf",
            "volumePluginDir": f"{files.state}/volume-plugins",
            "failSwapOn": False,
            # The disk is the machine's: its filling up is no reason to throw this node's images or pods out.
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "0%",
                "nodefs.inodesFree": "0%",
                "imagefs.available": "0%",
            },
        }
    )


def kube_proxy(files: NodeFiles) -> str:
    return _json(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "bindAddress": "0.0.0.0",
            "clientConnection": {"kubeconfig": f"{files.pki}/kube-proxy.kubeconfig"},
            "clusterCIDR": POD_RANGE,
            # The size of the connection table belongs to the machine, not to a network namespace.
            "conntrack": {"maxPerCore": 0, "min": 0},
            "nodePortAddresses": [NODE_RANGE],
        }
    )


def dns(files: NodeFiles) -> str:
    """The cluster's names; every other name does not exist, which is the truth without an uplink."""
    return f"""\
.:53 {{
    ready 127.0.0.1:{DNS_READY_PORT}
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {files.pki}/dns.kubeconfig
        pods insecure
    }}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def namespaces(files: NodeFiles) -> str:
    """The script of process 1: it makes mounts and links for the node, then becomes the reaper."""
    return "\n".join(
        [*_mounts(files), *_sysctls(files), *_links(files), f"exec {shlex.quote(str(files.pause))}", ""]
    )


def _mounts(files: NodeFiles) -> list[str]:
    state, keep = shlex.quote(str(files.state)), shlex.quote(str(files.keep))
    return [
        "set -eu",
        "mount --make-rprivate /",
        "mount -t proc proc /proc",
        "# A fresh /sys shows this network namespace's links; the cgroup trees below it are kept.",
        f"mkdir -p {state}/cgroups",
        f"mount --rbind /sys/fs/cgroup {state}/cgroups",
        "mount -t sysfs sysfs /sys",
        f"mount --rbind {state}/cgroups /sys/fs/cgroup",
        f"umount -R -l {state}/cgroups",
        "mount -t tmpfs tmpfs /run",
        f"mkdir -p {CONTAINERD_STATE} /run/lock /run/netns /run/kept",
        "# What pods leave in /var stays here; the cache stays a plain folder, even where it is below /var.",
        f"mkdir -p {state}/var {state}/var-work",
        f"mount --rbind {keep} /run/kept",
        f"mount -t overlay overlay -o lowerdir=/var,upperdir={state}/var,workdir={state}/var-work /var",
        f"mount --rbind /run/kept {keep}",
        "umount -R -l /run/kept",
        "mount --make-rshared /",
    ]


def _sysctls(files: NodeFiles) -> list[str]:
    folder = shlex.quote(str(files.state / "sysctls"))
    lines = [f"mkdir -p {folder}"]
    for name, value in SYSCTLS.items():
        file = f"{folder}/{name.replace('/', '.')}"
        lines.append(
            f"if [ -e /proc/sys/{name} ]; then"
            f" echo {value} > {file}; mount --bind {file} /proc/sys/{name}; fi"
        )
    return lines


def _links(files: NodeFiles) -> list[str]:
    return [
        f"hostname {files.name}",
        "ip link set lo up",
        "# A bridge without ports drops everything; it only carries the route that Service addresses need.",
        "ip link add node0 type bridge",
        f"ip address add {NODE_ADDRESS}/24 dev node0",
        "ip link set node0 up",
        f"ip route add default via {NOWHERE} dev node0",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "bridged=/proc/sys/net/bridge/bridge-nf-call-iptables",
        "if [ -e $bridged ]; then echo 1 > $bridged; fi",
        f"touch {shlex.quote(str(files.state / 'namespaces-ready'))}",
    ]


def _json(value: dict[str, Any]) -> str:
    """JSON, which is YAML too."""
    return json.dumps(value, indent=1) + "\n"
