"""Whether this machine can run a node, asked before anything is built: what is missing, and the other ways.

What the kernel can do is tried, in namespaces that end with the trial, not guessed from version numbers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.instance import ClusterError
from e2e.cluster.progress import say, step

SEARCHED = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
DISK_NEEDED_GIB = 5
MEMORY_NEEDED_GIB = 3

OTHER_WAYS = (
    "Other ways to a cluster: one that you have (make cluster CONTEXT=name), "
    "or kind, where Docker runs and `kind` is on PATH."
)

NODE_PROGRAMS = {
    "runc": "runc",
    "nft": "nftables",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
}
"""Commands that the node uses, and the Debian packages that bring them."""

IMAGE_PROGRAMS = {"buildah": "buildah", "mmdebstrap": "mmdebstrap", "runc": "runc"}
"""Commands that building the images uses."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Something the kernel has to allow, the script that tries it in a namespace, and its name for people."""

    what: str
    script: str


NAMESPACES = Trial("new mount, network, process, IPC and host name namespaces", "true")

TRIALS = (
    Trial("bridges (CONFIG_BRIDGE)", "ip link add pm0 type bridge"),
    Trial("virtual Ethernet pairs (CONFIG_VETH)", "ip link add pm1 type veth peer name pm2"),
    Trial(
        "nftables with NAT (CONFIG_NF_TABLES, CONFIG_NFT_NAT)",
        "nft add table ip pm && nft add chain ip pm c '{ type nat hook prerouting priority 0; }'",
    ),
    Trial(
        "filters for bridged packets (CONFIG_BRIDGE_NETFILTER)",
        "test -e /proc/sys/net/bridge/bridge-nf-call-iptables",
    ),
)

MODULES = ("overlay", "br_netfilter", "bridge", "veth", "nf_tables", "nft_nat")


def absent(programs: dict[str, str]) -> list[str]:
    """The Debian packages of those `programs` that are not installed."""
    return sorted({package for name, package in programs.items() if not shutil.which(name, path=SEARCHED)})


def ensure_programs(programs: dict[str, str]) -> None:
    """Installs what is missing where that is possible; ClusterError, naming it, otherwise."""
    packages = absent(programs)
    if not packages:
        return
    command = f"apt-get install {' '.join(packages)}"
    if os.geteuid() != 0 or not shutil.which("apt-get", path=SEARCHED):
        raise ClusterError(f"these packages are missing: {', '.join(packages)} (on Debian: {command})")
    say(f"Installing {', '.join(packages)}.")
    with step(f"installed {', '.join(packages)}"):
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", *packages)
    if still := absent(programs):
        raise ClusterError(f"installed, but their commands are not there: {', '.join(still)}")


def check_node(cache: Path) -> None:
    """Raises ClusterError that names everything a node misses on this machine at once."""
    if os.geteuid() != 0:
        raise ClusterError(f"a bare node needs root: it makes namespaces, mounts and cgroups. {OTHER_WAYS}")
    ensure_programs(NODE_PROGRAMS)
    cache.mkdir(parents=True, exist_ok=True)
    _load_modules()
    problems = [*_room(cache), *_cgroups(), *_kernel(cache)]
    if problems:
        raise ClusterError("a bare node cannot run here:\n  - " + "\n  - ".join(problems) + f"\n{OTHER_WAYS}")


def _apt(*arguments: str) -> None:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "PATH": SEARCHED}
    done = subprocess.run(
        ["apt-get", "-q", *arguments], env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise ClusterError(f"apt-get {' '.join(arguments)} failed:\n{(done.stdout + done.stderr)[-1500:]}")


def _load_modules() -> None:
    """Where kernel means are modules, asks for them; the trials tell whether they came."""
    if modprobe := shutil.which("modprobe", path=SEARCHED):
        for module in MODULES:
            subprocess.run([modprobe, "-q", module], capture_output=True)


def _room(cache: Path) -> list[str]:
    problems = []
    free = shutil.disk_usage(cache).free / 2**30
    if free < DISK_NEEDED_GIB:
        problems.append(f"{cache} has {free:.1f} GiB free; images and pods take {DISK_NEEDED_GIB} GiB")
    memory = available_memory_gib(Path("/proc/meminfo").read_text())
    if memory < MEMORY_NEEDED_GIB:
        problems.append(
            f"{memory:.1f} GiB of memory is available; a node with an engine takes {MEMORY_NEEDED_GIB} GiB"
        )
    return problems


def available_memory_gib(meminfo: str) -> float:
    """MemAvailable of /proc/meminfo, in GiB."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 2**20
    return 0.0


def _cgroups() -> list[str]:
    if os.access("/sys/fs/cgroup", os.W_OK):
        return []
    return ["/sys/fs/cgroup cannot be written: this looks like a container; give it a writable cgroup tree"]


def _kernel(cache: Path) -> list[str]:
    if not _works(NAMESPACES):
        return [f"the kernel, or what contains this shell, refuses {NAMESPACES.what}"]
    problems = [f"the kernel has no {trial.what}" for trial in TRIALS if not _works(trial)]
    return [*problems, *_overlay(cache)]


def _overlay(cache: Path) -> list[str]:
    folders = cache / ".overlay-trial"
    upper, work = folders / "upper", folders / "work"
    try:
        for folder in (upper, work):
            folder.mkdir(parents=True, exist_ok=True)
        script = f"mount -t overlay overlay -o lowerdir=/var,upperdir='{upper}',workdir='{work}' '{folders}'"
        if _works(Trial("", script)):
            return []
    finally:
        shutil.rmtree(folders, ignore_errors=True)
    return [
        f"overlayfs cannot keep its changes in {cache}: either the kernel has none (CONFIG_OVERLAY_FS), or "
        "that folder is itself on an overlay; point XDG_CACHE_HOME to a folder on a real disk"
    ]


def _works(trial: Trial) -> bool:
    unshare: Sequence[str] = ("unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork")
    done = subprocess.run(
        [*unshare, "sh", "-c", trial.script],
        env={"PATH": SEARCHED},
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    return done.returncode == 0
