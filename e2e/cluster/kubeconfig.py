"""Kubeconfig files: one for each component, and the one people are handed. Knows files, and no cluster."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.instance import ClusterError


def render(name: str, server: str, pki: Path, client: str) -> str:
    """A self-contained kubeconfig for `server` with the certificate `client` of the folder `pki`."""
    cluster = {"server": server, "certificate-authority-data": _encoded(pki / "ca.crt")}
    user = {
        "client-certificate-data": _encoded(pki / f"{client}.crt"),
        "client-key-data": _encoded(pki / f"{client}.key"),
    }
    context = {"cluster": name, "user": name, "namespace": "default"}
    return yaml.safe_dump(_document(name, cluster, user, context), sort_keys=False)


def write(path: Path, content: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(content)


def only_context(source: Path, name: str) -> str:
    """The context `name` of the kubeconfig `source` alone, with the files it points at made absolute.

    Raises ClusterError, naming the contexts there are, when `name` is not among them.
    """
    try:
        document = yaml.safe_load(source.read_text())
    except OSError as error:
        raise ClusterError(f"cannot read the kubeconfig {source}: {error.strerror}") from error
    contexts = _named(document, "contexts", "context")
    if name not in contexts:
        known = ", ".join(sorted(contexts)) or "none"
        raise ClusterError(f"{source} has no context {name!r}; it has: {known}")
    context = contexts[name]
    cluster = _named(document, "clusters", "cluster").get(context.get("cluster", ""), {})
    user = _named(document, "users", "user").get(context.get("user", ""), {})
    base = source.resolve().parent
    rendered = _document(
        name, _absolute(cluster, base), _absolute(user, base), {**context, "cluster": name, "user": name}
    )
    return yaml.safe_dump(rendered, sort_keys=False)


def _document(
    name: str, cluster: Mapping[str, Any], user: Mapping[str, Any], context: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": dict(cluster)}],
        "users": [{"name": name, "user": dict(user)}],
        "contexts": [{"name": name, "context": dict(context)}],
    }


def _named(document: Any, plural: str, singular: str) -> dict[str, dict[str, Any]]:
    entries = document.get(plural) if isinstance(document, dict) else None
    return {entry["name"]: entry.get(singular) or {} for entry in entries or []}


def _absolute(section: Mapping[str, Any], base: Path) -> dict[str, Any]:
    files = ("certificate-authority", "client-certificate", "client-key", "tokenFile")
    return {key: str(base / value) if key in files else value for key, value in section.items()}


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
