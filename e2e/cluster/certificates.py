"""The cluster's certificate authority and the certificates of its components.

New for every bring-up and of elliptic curves, so that making a dozen takes milliseconds.
Knows who needs which subject; not where anything listens: names and addresses are given.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVICE_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """One certificate to be made. With `names` it is a server's, else a client's."""

    file: str
    common_name: str
    organization: str = ""
    names: tuple[str, ...] = ()
    authority: str = "ca"


@dataclass(frozen=True, slots=True)
class Authority:
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def leaves(node: str, addresses: Sequence[str]) -> list[Leaf]:
    """The certificates of a cluster whose API server is reached by `addresses` and whose node is `node`."""
    # The API server checks the node authorizer's and the built-in roles' names: these subjects are given.
    return [
        Leaf("apiserver", "kube-apiserver", names=(*SERVICE_NAMES, *addresses)),
        Leaf("kubelet-server", node, names=(node, *addresses)),
        Leaf("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
        Leaf("front-proxy-client", "front-proxy-client", authority="front-proxy-ca"),
        Leaf("admin", "kubernetes-admin", "system:masters"),
        Leaf("controller-manager", "system:kube-controller-manager"),
        Leaf("scheduler", "system:kube-scheduler"),
        Leaf("kubelet", f"system:node:{node}", "system:nodes"),
        Leaf("kube-proxy", "system:kube-proxy"),
        Leaf("dns", "pointsman:cluster-dns", "system:masters"),
    ]


def make_all(folder: Path, wanted: Sequence[Leaf]) -> None:
    """Writes the authorities, every leaf of `wanted` and the service-account key pair into `folder`."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authorities = {name: _authority(folder, name) for name in ("ca", "front-proxy-ca")}
    for leaf in wanted:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = issue(leaf, authorities[leaf.authority], key)
        _write_pair(folder, leaf.file, key, certificate)
    accounts = ec.generate_private_key(ec.SECP256R1())
    _write_private(folder / "service-accounts.key", _pem(accounts))
    (folder / "service-accounts.pub").write_bytes(
        accounts.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def issue(leaf: Leaf, authority: Authority, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """Signs `leaf` for `key`: a year, server or client authentication, nothing else."""
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if leaf.names else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _builder(_subject(leaf.common_name, leaf.organization), authority.certificate.subject, key, days=365)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
        )
    )
    if leaf.names:
        alternatives = x509.SubjectAlternativeName(
            [_general_name(name) for name in dict.fromkeys(leaf.names)]
        )
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(authority.key, hashes.SHA256())


def new_authority(common_name: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(common_name, "")
    certificate = (
        _builder(subject, subject, key, days=3650)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(key, certificate)


def _authority(folder: Path, name: str) -> Authority:
    made = new_authority(f"pointsman-{name}")
    _write_pair(folder, name, made.key, made.certificate)
    return made


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _subject(common_name: str, organization: str) -> x509.Name:
    group = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*group, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write_pair(
    folder: Path, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate
) -> None:
    _write_private(folder / f"{name}.key", _pem(key))
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _write_private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
