"""Where weights come from: what each scheme of a model's URI means for a pod.

`hf://org/name` is fetched from the hub by the engine's entrypoint, `pvc://claim/path` is mounted,
`file:///path` is part of the engine's image.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pointsman.api.model import ModelSource
from pointsman.core.settings import Settings

WEIGHTS = "/weights"
"""Where the weights volume is mounted."""

_TOKEN_DIR = "/etc/pointsman/hub"
_CA_DIR = "/etc/pointsman/ca"


def is_remote(uri: str) -> bool:
    """Whether the weights have to be fetched, and so resolved before a revision is born."""
    return uri.startswith("hf://")


def claim(uri: str) -> str:
    """Name of the PersistentVolumeClaim; empty for the other schemes."""
    return uri.removeprefix("pvc://").split("/", 1)[0] if uri.startswith("pvc://") else ""


def model_dir(uri: str) -> str:
    """Directory of the weights inside the pod."""
    if is_remote(uri):
        return f"{WEIGHTS}/model"
    if claim(uri):
        path = uri.removeprefix("pvc://").partition("/")[2].strip("/")
        return f"{WEIGHTS}/{path}" if path else WEIGHTS
    return uri.removeprefix("file://")


def fetch_environment(source: ModelSource, settings: Settings) -> dict[str, str]:
    """Variables of a pod that talks to the hub: mirror, token, proxy, private CA."""
    values = trust_environment(settings)
    if settings.hf_endpoint:
        values["HF_ENDPOINT"] = settings.hf_endpoint
    if source.secret_ref:
        values["HF_TOKEN_PATH"] = f"{_TOKEN_DIR}/token"
    return values


def trust_environment(settings: Settings) -> dict[str, str]:
    """Variables of a pod that talks to somebody outside: proxy, private CA."""
    values = dict(settings.environment)
    if settings.ca_config_map:
        values |= {"SSL_CERT_FILE": f"{_CA_DIR}/ca.crt", "REQUESTS_CA_BUNDLE": f"{_CA_DIR}/ca.crt"}
    return values


def trust_volumes(settings: Settings) -> list[dict[str, Any]]:
    """Volumes that `trust_environment` points into."""
    ca = {"name": "ca", "configMap": {"name": settings.ca_config_map}}
    return [ca] if settings.ca_config_map else []


def trust_mounts(settings: Settings) -> list[dict[str, Any]]:
    """Mounts of those volumes."""
    return [{"name": "ca", "mountPath": _CA_DIR, "readOnly": True}] if settings.ca_config_map else []


def fetch_volumes(source: ModelSource, settings: Settings) -> list[dict[str, Any]]:
    """Volumes that `fetch_environment` points into."""
    volumes: list[dict[str, Any]] = []
    if source.secret_ref:
        items = [{"key": "token", "path": "token"}]
        # 0440: readable through fsGroup, by nobody else.
        volumes.append(
            {
                "name": "hub",
                "secret": {"secretName": source.secret_ref.name, "items": items, "defaultMode": 0o440},
            }
        )
    return volumes + trust_volumes(settings)


def fetch_mounts(source: ModelSource, settings: Settings) -> list[dict[str, Any]]:
    """Mounts of those volumes."""
    mounts: list[dict[str, Any]] = []
    if source.secret_ref:
        mounts.append({"name": "hub", "mountPath": _TOKEN_DIR, "readOnly": True})
    return mounts + trust_mounts(settings)


def hub_ports(settings: Settings) -> tuple[int, ...]:
    """TCP ports that fetching weights needs: HTTPS, and whatever the mirror and the proxy listen on."""
    ports = {443}
    proxies = [value for name, value in settings.environment.items() if name.upper().endswith("_PROXY")]
    for address in [settings.hf_endpoint, *proxies]:
        url = urlsplit(address if "://" in address else f"//{address}")
        if url.hostname and url.scheme:
            ports.add(url.port or (80 if url.scheme == "http" else 443))
    return tuple(sorted(ports))
