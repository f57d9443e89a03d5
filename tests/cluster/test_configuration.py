"""What the components are told: flags of the control plane, files of the node."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from e2e.cluster import components, node_config
from e2e.cluster.components import Place
from e2e.cluster.node_config import NodeFiles
from e2e.cluster.ports import IN_NODE, Ports

ALONE = Place(Path("/state"), Ports.starting_at(21_000))
IN_A_NODE = Place(Path("/state"), IN_NODE, advertised="10.77.0.2")
FILES = NodeFiles(
    name="pointsman-0badcafe",
    state=Path("/cache/instances/pointsman-0badcafe"),
    store=Path("/cache/stores/pointsman-0badcafe"),
    keep=Path("/cache"),
    cni=Path("/cache/parts/cni"),
    runc=Path("/usr/sbin/runc"),
    pause=Path("/cache/parts/pause/pause"),
)


@pytest.mark.parametrize("place", [pytest.param(ALONE, id="alone"), pytest.param(IN_A_NODE, id="in a node")])
def test_the_components_meet_at_the_same_ports(place: Place) -> None:
    server, manager = components.api_server(place), components.controller_manager(place)
    assert f"--etcd-servers=http://127.0.0.1:{place.ports.etcd}" in server
    assert f"--listen-client-urls=http://127.0.0.1:{place.ports.etcd}" in components.etcd(place)
    assert f"--secure-port={place.ports.api}" in server
    assert f"--secure-port={place.ports.controller_manager}" in manager
    assert place.url == f"https://127.0.0.1:{place.ports.api}"


def test_alone_it_listens_on_loopback_and_publishes_no_endpoint() -> None:
    server = components.api_server(ALONE)
    assert "--bind-address=127.0.0.1" in server
    assert "--endpoint-reconciler-type=none" in server


def test_in_a_node_pods_reach_it_and_it_reaches_the_kubelet() -> None:
    server = components.api_server(IN_A_NODE)
    assert "--bind-address=0.0.0.0" in server
    assert "--advertise-address=10.77.0.2" in server
    assert any(flag.startswith("--kubelet-client-certificate=") for flag in server)
    assert not any("reconciler" in flag for flag in server)


def test_nothing_is_kept_outside_the_instances_folders() -> None:
    flags = [
        *components.etcd(IN_A_NODE),
        *components.api_server(IN_A_NODE),
        *components.controller_manager(IN_A_NODE),
        *components.scheduler(IN_A_NODE),
    ]
    paths = [flag.partition("=")[2] for flag in flags if "=/" in flag]
    assert paths
    assert all(path.startswith("/state/") for path in paths)


def test_containerd_keeps_images_in_the_store_and_pins_the_sandbox() -> None:
    config = tomllib.loads(node_config.containerd(FILES))
    plugins = config["plugins"]
    assert config["root"] == str(FILES.store)
    assert plugins["io.containerd.cri.v1.images"]["pinned_images"]["sandbox"] == node_config.SANDBOX_IMAGE
    runtime = plugins["io.containerd.cri.v1.runtime"]
    assert runtime["restrict_oom_score_adj"] is True
    assert runtime["containerd"]["runtimes"]["runc"]["options"]["BinaryName"] == "/usr/sbin/runc"
    assert runtime["cni"]["bin_dirs"] == ["/cache/parts/cni"]


def test_the_kubelet_keeps_its_default_periods() -> None:
    config = json.loads(node_config.kubelet(FILES))
    assert not {"syncFrequency", "nodeStatusUpdateFrequency"} & set(config)


def test_the_kubelet_stays_in_its_own_cgroup_and_asks_the_clusters_dns() -> None:
    config = json.loads(node_config.kubelet(FILES))
    assert config["cgroupRoot"] == "/pointsman-0badcafe"
    assert config["clusterDNS"] == [node_config.NODE_ADDRESS]
    assert config["failCgroupV1"] is False


def test_a_full_disk_throws_out_no_image_and_no_pod() -> None:
    config = json.loads(node_config.kubelet(FILES))
    assert config["imageGCHighThresholdPercent"] == 100
    assert config["evictionHard"]["imagefs.available"] == "0%"


def test_pods_get_addresses_from_the_nodes_share_of_the_cluster_range() -> None:
    network = json.loads(node_config.network(FILES))
    bridge = network["plugins"][0]
    assert bridge["ipam"]["ranges"] == [[{"subnet": node_config.NODE_PODS}]]
    assert json.loads(node_config.kube_proxy(FILES))["clusterCIDR"] == components.POD_RANGE


def test_dns_answers_for_the_cluster_and_denies_the_rest() -> None:
    corefile = node_config.dns(FILES)
    assert "kubernetes cluster.local" in corefile
    assert corefile.index("kubernetes") < corefile.index("template ANY ANY")
    assert "rcode NXDOMAIN" in corefile
    assert "forward" not in corefile


def test_the_namespaces_script_ends_as_the_reaper() -> None:
    assert node_config.namespaces(FILES).splitlines()[-1] == "exec /cache/parts/pause/pause"


def test_the_namespaces_script_lets_no_mount_out() -> None:
    lines = node_config.namespaces(FILES).splitlines()
    mounts = [index for index, line in enumerate(lines) if line.startswith("mount ")]
    assert lines[mounts[0]] == "mount --make-rprivate /"


def test_the_machines_own_settings_are_covered_not_changed() -> None:
    script = node_config.namespaces(FILES)
    for name in node_config.SYSCTLS:
        assert f"> /proc/sys/{name}" not in script
        assert f"mount --bind {FILES.state}/sysctls/{name.replace('/', '.')} /proc/sys/{name}" in script


def test_paths_with_spaces_stay_whole() -> None:
    odd = NodeFiles(
        "pm", Path("/a b/state"), Path("/a b/store"), Path("/a b"), Path("/c"), Path("/r"), Path("/p q")
    )
    script = node_config.namespaces(odd)
    assert "mount --rbind '/a b' /run/kept" in script
    assert "exec '/p q'" in script
