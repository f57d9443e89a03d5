"""Where the API server is and how we log in there: inside a pod, or by a kubeconfig that was named.

An ambient KUBECONFIG is never used: an operator that acts on whatever cluster a shell points at is a trap.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubernetes.aio import client, config

POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class NoCluster(Exception):
    """Neither a pod's service account nor a named kubeconfig says where the API server is."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the API server, for those who bring their own HTTP client (kopf's watches)."""

    server: str
    ca_path: str | None
    certificate_path: str | None
    private_key_path: str | None
    token: str | None
    """Bearer token without its scheme; in a pod it's renewed on disk, so ask again after a 401."""
    verify: bool
    tls_server_name: str | None


async def load(kubeconfig: str = "", context: str = "") -> Any:
    """The client library's Configuration. `kubeconfig` is a path; empty means inside a pod.

    Raises NoCluster with what was looked for.
    """
    configuration = client.Configuration()
    loader: Any = config  # the library's loaders carry no types
    try:
        if kubeconfig:
            await loader.load_kube_config(
                config_file=os.path.expanduser(kubeconfig),
                context=context or None,
                client_configuration=configuration,
                persist_config=False,
            )
        else:
            loader.load_incluster_config(client_configuration=configuration)
    except (config.ConfigException, OSError) as error:
        where = f"kubeconfig {kubeconfig}" if kubeconfig else "the service account of a pod"
        raise NoCluster(f"no way to an API server by {where}: {error}") from error
    return configuration


def namespace(kubeconfig: str = "", context: str = "") -> str:
    """The namespace that a context, or the pod, is in; `default` where neither says one."""
    try:
        if not kubeconfig:
            return POD_NAMESPACE.read_text().strip() or "default"
        loader: Any = config
        contexts, current = loader.list_kube_config_contexts(os.path.expanduser(kubeconfig))
    except (config.ConfigException, OSError):
        return "default"
    chosen = next((one for one in contexts if one["name"] == context), current)
    return str(chosen["context"].get("namespace") or "default")


async def access(configuration: Any) -> Access:
    """The same, spelt out; a token on disk is read again where it's due."""
    header = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    return Access(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        token=header.partition(" ")[2] if header else None,
        verify=configuration.verify_ssl,
        tls_server_name=configuration.tls_server_name,
    )
