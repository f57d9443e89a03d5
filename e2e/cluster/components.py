"""etcd, the API server and the controller-manager: their arguments, and the three of them on loopback.

The arguments are pure functions of a Place, shared with the node, which runs the same commands in its own
namespaces. Knows nothing of kubelets, containers or images.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.ports import Ports

SERVICE_RANGE = "10.96.0.0/16"
FIRST_SERVICE_ADDRESS = "10.96.0.1"
POD_RANGE = "10.244.0.0/16"
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a control plane runs: its folder, its ports, and the address that it tells others."""

    folder: Path
    ports: Ports
    advertised: str = LOOPBACK

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def url(self) -> str:
        return f"https://{LOOPBACK}:{self.ports.api}"

    @property
    def alone(self) -> bool:
        """On the machine's loopback, where no pod will ever look for it."""
        return self.advertised == LOOPBACK


def etcd(place: Place) -> list[str]:
    client, peer = (f"http://{LOOPBACK}:{port}" for port in (place.ports.etcd, place.ports.etcd_peer))
    return [
        f"--data-dir={place.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # nothing here has to survive a power cut
        "--log-level=warn",
    ]


def api_server(place: Place) -> list[str]:
    pki = place.pki
    arguments = [
        f"--etcd-servers=http://{LOOPBACK}:{place.ports.etcd}",
        f"--bind-address={LOOPBACK if place.alone else '0.0.0.0'}",
        f"--secure-port={place.ports.api}",
        f"--advertise-address={place.advertised}",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki}/service-accounts.pub",
        f"--service-account-signing-key-file={pki}/service-accounts.key",
        f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
        f"--proxy-client-key-file={pki}/front-proxy-client.key",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--enable-aggregator-routing=true",
        "--authorization-mode=Node,RBAC",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--profiling=false",
    ]
    if place.alone:
        # A loopback address is refused as an endpoint of the Service `kubernetes`.
        return [*arguments, "--endpoint-reconciler-type=none"]
    return [
        *arguments,
        f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
    ]


def controller_manager(place: Place) -> list[str]:
    pki = place.pki
    config = f"{pki}/controller-manager.kubeconfig"
    return [
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={place.ports.controller_manager}",
        f"--root-ca-file={pki}/ca.crt",
        f"--service-account-private-key-file={pki}/service-accounts.key",
        "--use-service-account-credentials=true",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        f"--cluster-cidr={POD_RANGE}",
        "--allocate-node-cidrs=true",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--flex-volume-plugin-dir={place.folder}/volume-plugins",  # else it makes one in /usr
        "--leader-elect=false",
        "--kube-api-qps=100",  # at its default of 20, children of a few hundred objects take minutes
        "--kube-api-burst=200",
    ]


def scheduler(place: Place) -> list[str]:
    config = f"{place.pki}/scheduler.kubeconfig"
    return [
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={place.ports.scheduler}",
        "--leader-elect=false",
    ]
