"""The cluster to work on: a real Kubernetes for tests, e2e and the demo."""

from e2e.cluster.bringup import Wish, current, down, up
from e2e.cluster.cluster import Cluster
from e2e.cluster.instance import ClusterError
from e2e.cluster.kubectl import Kubectl
from e2e.cluster.loopback import ControlPlane
from e2e.cluster.loopback import fresh_control_plane as control_plane

__all__ = [
    "Cluster",
    "ClusterError",
    "ControlPlane",
    "Kubectl",
    "Wish",
    "control_plane",
    "current",
    "down",
    "up",
]
