"""The certificate that the public port is served with: read from files, and read again when they change.

A pair that can't be used never replaces one that can. Knows files and OpenSSL, nothing of ports. Imported
only where TLS is on, since OpenSSL takes its time to start.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from pointsman_router.config import ConfigError
from pointsman_router.running.watching import Watch
from pointsman_router.settings import Tls

_PROTOCOLS = ["http/1.1"]
_MAX_ERROR = 500


def context_of(files: Tls) -> ssl.SSLContext:
    """What a port is served with. Raises ConfigError naming the field whose file is wrong."""
    certificate = _read("tls.certFile", files.cert_file)
    key = _read("tls.keyFile", files.key_file)
    if b"-----BEGIN CERTIFICATE-----" not in certificate:
        raise ConfigError(f"tls.certFile: {files.cert_file} holds no certificate in PEM")
    if b"PRIVATE KEY-----" not in key:
        raise ConfigError(f"tls.keyFile: {files.key_file} holds no private key in PEM")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(_PROTOCOLS)
    try:
        context.load_cert_chain(files.cert_file, files.key_file, password=_no_password)
    except ssl.SSLError as error:
        raise ConfigError(_why(error, files)) from None
    except OSError as error:
        raise ConfigError(f"tls: {files.cert_file}, {files.key_file}: {error.strerror}") from None
    return context


def _read(field: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{field}: {path}: {error.strerror}") from None
    except ValueError as error:  # a NUL: no file's name
        raise ConfigError(f"{field}: {error}") from None


def _no_password() -> str:
    """Without this OpenSSL would ask at the terminal, and wait."""
    return ""


def _why(error: ssl.SSLError, files: Tls) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"tls.keyFile: {files.key_file} isn't the key of the certificate in {files.cert_file}"
    reason = error.reason or "it may be damaged, or encrypted"
    return f"tls: {files.cert_file} and {files.key_file} can't be used: {reason}"


class Certificate:
    """A pair of files, and the last good state of it."""

    def __init__(self, files: Tls) -> None:
        self.files = files
        self.context: ssl.SSLContext | None = None
        """None as long as the files were never any good."""
        self.error = ""
        """Why the newest state of the files isn't the one in use, without anything that ticks."""
        self._watch = Watch((files.cert_file, files.key_file))
        self._load()

    def refresh(self) -> bool:
        """Reads the files where they changed. Whether they did."""
        changed = self._watch.changed()
        if changed:
            self._load()
        return changed

    def _load(self) -> None:
        try:
            self.context = context_of(self.files)
        except ConfigError as error:
            self.error = str(error)[:_MAX_ERROR]
        else:
            self.error = ""
