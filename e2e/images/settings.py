"""The build's settings out of the environment of whoever builds, handed into builds as secrets.

An index, a proxy or a private CA of the builder must not end up in an image, nor in its history; hence
secrets, which a builder mounts for one step.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

PASSED = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "PIP_TRUSTED_HOST",
    "PIP_DEFAULT_TIMEOUT",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_INSECURE_HOST",
    "UV_HTTP_TIMEOUT",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
_CA_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def build_environment(environment: Mapping[str, str]) -> str:
    """A shell script of exports. uv reads other variables than pip: an index given for one serves both."""
    values = {name: environment[name] for name in PASSED if environment.get(name)}
    if "PIP_INDEX_URL" in values and "UV_INDEX_URL" not in values:
        values.setdefault("UV_DEFAULT_INDEX", values["PIP_INDEX_URL"])
    # A folder of the builder's machine isn't there inside the build.
    if values.get("PIP_FIND_LINKS", "").startswith("/"):
        del values["PIP_FIND_LINKS"]
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


def ca_bundle(environment: Mapping[str, str]) -> Path | None:
    """The builder's own CA bundle, where one is set."""
    for name in _CA_VARIABLES:
        path = Path(environment.get(name, ""))
        if environment.get(name) and path.is_file():
            return path
    return None


def write_secrets(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Writes the secrets and returns the options that hand them to `docker build` and `buildah bud` alike."""
    settings = folder / "build-env"
    settings.touch(mode=0o600)
    settings.write_text(build_environment(environment))
    bundle = folder / "build-ca"
    found = ca_bundle(environment)
    bundle.write_bytes(found.read_bytes() if found else b"")
    return [f"--secret=id=build-env,src={settings}", f"--secret=id=build-ca,src={bundle}"]
