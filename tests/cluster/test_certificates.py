"""Subjects and names that the API server's authorizers go by."""

from __future__ import annotations

import ipaddress
import stat
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e2e.cluster import certificates, credentials, kubeconfig
from e2e.cluster.certificates import Leaf, issue, leaves, new_authority
from e2e.cluster.components import Place
from e2e.cluster.instance import ClusterError
from e2e.cluster.ports import IN_NODE

ADDRESSES = ("127.0.0.1", "10.96.0.1", "10.77.0.2")


def issued(leaf: Leaf) -> x509.Certificate:
    return issue(leaf, new_authority("test"), ec.generate_private_key(ec.SECP256R1()))


def text(name: x509.Name, oid: x509.ObjectIdentifier) -> str:
    values = name.get_attributes_for_oid(oid)
    return str(values[0].value) if values else ""


@pytest.mark.parametrize(
    ("file", "common_name", "organization"),
    [
        ("admin", "kubernetes-admin", "system:masters"),
        ("controller-manager", "system:kube-controller-manager", ""),
        ("scheduler", "system:kube-scheduler", ""),
        ("kubelet", "system:node:pm", "system:nodes"),
        ("kube-proxy", "system:kube-proxy", ""),
        ("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
        ("front-proxy-client", "front-proxy-client", ""),
    ],
)
def test_clients_are_who_kubernetes_expects(file: str, common_name: str, organization: str) -> None:
    leaf = next(leaf for leaf in leaves("pm", ADDRESSES) if leaf.file == file)
    made = issued(leaf)
    assert text(made.subject, NameOID.COMMON_NAME) == common_name
    assert text(made.subject, NameOID.ORGANIZATION_NAME) == organization
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_the_api_server_answers_to_all_its_names() -> None:
    made = issued(next(leaf for leaf in leaves("pm", ADDRESSES) if leaf.file == "apiserver"))
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "kubernetes.default.svc" in names.get_values_for_type(x509.DNSName)
    assert set(names.get_values_for_type(x509.IPAddress)) == {ipaddress.ip_address(one) for one in ADDRESSES}
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_a_name_given_twice_is_listed_once() -> None:
    made = issued(Leaf("any", "any", names=("127.0.0.1", "127.0.0.1")))
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert len(names.get_values_for_type(x509.IPAddress)) == 1


def test_private_keys_are_the_owners_alone(tmp_path: Path) -> None:
    certificates.make_all(tmp_path / "pki", leaves("pm", ADDRESSES))
    keys = list((tmp_path / "pki").glob("*.key"))
    assert len(keys) == len(leaves("pm", ADDRESSES)) + 3
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_a_kubeconfig_needs_no_other_file(tmp_path: Path) -> None:
    place = Place(tmp_path, IN_NODE)
    credentials.prepare(place, "pm")
    document = yaml.safe_load((place.pki / "admin.kubeconfig").read_text())
    assert document["current-context"] == "pm"
    assert document["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    assert set(document["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}


TWO_CONTEXTS = {
    "current-context": "prod",
    "contexts": [
        {"name": "prod", "context": {"cluster": "p", "user": "p"}},
        {"name": "lab", "context": {"cluster": "l", "user": "u", "namespace": "team-a"}},
    ],
    "clusters": [
        {"name": "p", "cluster": {"server": "https://prod"}},
        {"name": "l", "cluster": {"server": "https://lab", "certificate-authority": "lab-ca.crt"}},
    ],
    "users": [
        {"name": "p", "user": {"token": "secret"}},
        {"name": "u", "user": {"client-certificate": "/abs/u.crt", "exec": {"command": "login"}}},
    ],
}


def test_only_the_named_context_is_taken(tmp_path: Path) -> None:
    source = tmp_path / "config"
    source.write_text(yaml.safe_dump(TWO_CONTEXTS))
    taken = kubeconfig.only_context(source, "lab")
    assert "prod" not in taken
    assert "secret" not in taken
    document = yaml.safe_load(taken)
    assert document["current-context"] == "lab"
    assert document["contexts"][0]["context"] == {"cluster": "lab", "user": "lab", "namespace": "team-a"}
    assert document["clusters"][0]["cluster"]["certificate-authority"] == str(tmp_path / "lab-ca.crt")
    assert document["users"][0]["user"] == {"client-certificate": "/abs/u.crt", "exec": {"command": "login"}}


def test_an_unknown_context_is_refused_with_those_there_are(tmp_path: Path) -> None:
    source = tmp_path / "config"
    source.write_text(yaml.safe_dump(TWO_CONTEXTS))
    with pytest.raises(ClusterError, match="has no context 'dev'; it has: lab, prod"):
        kubeconfig.only_context(source, "dev")


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"cannot read the kubeconfig .*nothing"):
        kubeconfig.only_context(tmp_path / "nothing", "dev")
