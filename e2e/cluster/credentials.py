"""Who may talk to a control plane: its certificates and its components' kubeconfigs, put into its folder."""

from __future__ import annotations

from e2e.cluster import certificates, kubeconfig
from e2e.cluster.components import FIRST_SERVICE_ADDRESS, LOOPBACK, Place

CLIENTS = ("controller-manager", "scheduler", "kubelet", "kube-proxy", "dns", "admin")


def prepare(place: Place, name: str) -> None:
    """Certificates and kubeconfigs of a control plane at `place`, whose node is (or would be) `name`."""
    addresses = (LOOPBACK, "::1", FIRST_SERVICE_ADDRESS, place.advertised)
    certificates.make_all(place.pki, certificates.leaves(name, addresses))
    for client in CLIENTS:
        content = kubeconfig.render(name, place.url, place.pki, client)
        kubeconfig.write(place.pki / f"{client}.kubeconfig", content)
