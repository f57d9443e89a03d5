"""Certificates for tests: made here, in the ways that files of certificates come and change."""

import datetime
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pointsman_router.settings import Tls

_PEM = serialization.Encoding.PEM
_PKCS8 = serialization.PrivateFormat.PKCS8


def pair(name: str, password: bytes = b"") -> tuple[bytes, bytes]:
    """A self-signed certificate for 127.0.0.1 that bears this name, and its key; both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .sign(key, hashes.SHA256())
    )
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return certificate.public_bytes(_PEM), key.private_bytes(_PEM, _PKCS8, lock)


class Volume:
    """A Secret's volume as a kubelet writes it: files are links through `..data`, which is swapped as one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._generation = 0

    @property
    def tls(self) -> Tls:
        return Tls(str(self.folder / "tls.crt"), str(self.folder / "tls.key"))

    @property
    def section(self) -> dict[str, str]:
        """As a configuration has it."""
        return {"certFile": self.tls.cert_file, "keyFile": self.tls.key_file}

    def put(self, certificate: bytes, key: bytes) -> None:
        """Gives it this content."""
        self._generation += 1
        generation = self.folder / f"..{self._generation}"
        generation.mkdir(parents=True)
        (generation / "tls.crt").write_bytes(certificate)
        (generation / "tls.key").write_bytes(key)
        link = self.folder / "..data_tmp"
        link.symlink_to(generation.name)
        os.replace(link, self.folder / "..data")
        for name in ("tls.crt", "tls.key"):
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")

    def empty(self) -> None:
        """As when the Secret was deleted."""
        for name in ("tls.crt", "tls.key", "..data"):
            (self.folder / name).unlink()


def anyone(highest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED) -> ssl.SSLContext:
    """A client that trusts every certificate, since it looks at them itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = highest
    if highest < ssl.TLSVersion.TLSv1_2:
        context.minimum_version = highest
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def name_in(der: bytes) -> str:
    """The name that a certificate bears."""
    (attribute,) = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attribute.value)
