"""The room that the bench runs in: network and mount namespaces of its own, in which every pod's address and
every router's name lead to the stand-ins.

The API server refuses loopback addresses as endpoints, and the operator asks routers by their cluster names,
at the ports that a cluster has. Both hold in here as they stand, and nothing outside notices.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from e2e.cluster.instance import ClusterError
from pointsman.api import names

INSIDE = "POINTSMAN_BENCH_ROOM"
"""Set in the environment of whoever is inside."""
WAY_IN = "10.244.255.1"
"""What the names of all routers' Services lead to; they are told apart by the name that was asked for."""
POD_RANGE = "10.244.0.0/16"
NAMESPACES = 50
_SETUP = (
    f'ip link set lo up && ip route add local {POD_RANGE} dev lo && mount --bind "$1" /etc/hosts '
    '&& rm "$1" && shift && exec "$@"'
)


def namespace(number: int) -> str:
    """Name of one of the cluster's namespaces."""
    return f"team-{number:02}"


def pod_address(number: int) -> str:
    """The address of the n-th pod that gets one."""
    high, low = divmod(number, 254)
    return f"10.244.{high}.{low + 1}"


def enter(module: str, arguments: Sequence[str]) -> None:
    """Runs this module anew in the room, unless it's there already. Raises ClusterError where none can be."""
    if os.environ.get(INSIDE):
        return
    lacking = [name for name in ("unshare", "ip", "mount", "sh") if not shutil.which(name)]
    if lacking:
        raise ClusterError(f"the bench needs {', '.join(lacking)} (util-linux, iproute2)")
    # Who isn't root is root of a user namespace, where the kernel allows it.
    rootless = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *rootless, "--net", "--mount", "sh", "-c", _SETUP, "room", str(_hosts())]
    environ = {**os.environ, INSIDE: "1"}
    os.execvpe(command[0], [*command, sys.executable, "-m", module, *arguments], environ)


def _hosts() -> Path:
    routers = [f"{names.router_name(names.DEFAULT_ROUTER)}.{namespace(n)}.svc" for n in range(NAMESPACES)]
    lines = ["127.0.0.1 localhost", *(f"{WAY_IN} {router}" for router in routers)]
    with tempfile.NamedTemporaryFile("w", prefix="pointsman-bench-hosts-", delete=False) as file:
        file.write("\n".join(lines) + "\n")
    return Path(file.name)
