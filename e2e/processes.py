"""Signals to what runs in a router's pod, from outside, and a cut of its way to the API server.

Only for a cluster of our own: both need the node's root.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from e2e.cluster import Cluster, ClusterError
from e2e.namespace import Namespace

PATIENCE_S = 30


def kill(cluster: Cluster, pod: str) -> None:
    """SIGKILL to what runs in a router's pod, without a word to anybody."""
    script = (
        "for p in /proc/[0-9]*; do "
        'if tr "\\0" "\\n" <$p/environ | grep -qx "HOSTNAME=$0" && tr "\\0" " " <$p/cmdline | '
        "grep -q pointsman-router; then kill -9 ${p#/proc/} && echo killed; fi; done 2>/dev/null"
    )
    done = cluster.run_inside(["/bin/sh", "-c", script, pod], timeout_s=PATIENCE_S)
    if "killed" not in done.stdout:
        raise ClusterError(f"nothing was killed in {pod}: {done.stderr or done.stdout}")


@contextlib.contextmanager
def cut_off(cluster: Cluster, namespace: Namespace, pod: str) -> Iterator[None]:
    """The pod can't reach the API server while the block runs, and whoever asks it still can reach it."""
    address = namespace.the(f"pod/{pod}")["status"]["podIP"]
    server = cluster.kubectl.json("get", "service", "kubernetes", "--namespace=default")["spec"]
    port = str(server["ports"][0]["targetPort"])
    # Before addresses are translated, and before a connection that is there already is let through; and both
    # ways, since what isn't acknowledged comes all the same for a while.
    rules = (
        f"PREROUTING -s {address} -d {server['clusterIP']} -j DROP".split(),
        f"OUTPUT -d {address} -p tcp --sport {port} -j DROP".split(),
    )
    for rule in rules:
        _iptables(cluster, "-I", rule)
    try:
        yield
    finally:
        for rule in rules:
            _iptables(cluster, "-D", rule)


def _iptables(cluster: Cluster, act: str, rule: list[str]) -> None:
    done = cluster.run_inside(["iptables", "-t", "raw", act, *rule], timeout_s=PATIENCE_S)
    if done.returncode:
        raise ClusterError(f"iptables {act}: {done.stderr or done.stdout}")
