"""Settings of the request path are changed while requests come: each takes effect, and every pod stays."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from e2e.cluster import Cluster
from e2e.cluster.certificates import Leaf, make_all
from e2e.crowd import Crowd
from e2e.manifests import scripted
from e2e.namespace import Manifest, Namespace
from e2e.release import Release
from e2e.waiting import wait_for

READY_WITHIN_S = 120.0
MOUNTED_WITHIN_S = 240.0
"""The kubelet looks at a pod's volumes about once a minute, and at its Secrets as often."""
SECRET = "front-router-tls"
TOO_LONG = {"model": "chat", "messages": [{"role": "user", "content": "x" * 5000}]}


@pytest.mark.extended
def test_settings_live(release: Release, cluster: Cluster, namespace: Namespace, tmp_path: Path) -> None:
    """Limits, routing, TLS on, renewed and off: what they change is seen, and no pod is replaced."""
    image = release.image("scripted-engine")
    namespace.apply(_router(), scripted("chat", image, routerRef={"name": "front"}))
    namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)
    namespace.wait_until_ready("llmrouter/front", READY_WITHIN_S)
    before = _pods(namespace)
    with (
        cluster.forward("service/front-router", "http", namespace.name) as address,
        Crowd(address, "chat") as crowd,
    ):
        namespace.apply(_router(limits={"maxBodyBytes": 4096}, cors={"allowedOrigins": ["*"]}))
        namespace.wait_until_ready("llmrouter/front", READY_WITHIN_S)
        assert _post(http.client.HTTPConnection(address), TOO_LONG) == 413
        routing = {"picking": {"policy": "RoundRobin"}, "timeouts": {"connectSeconds": 5}}
        namespace.apply(scripted("chat", image, routerRef={"name": "front"}, routing=routing))
        namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)
        crowd.stop()
    print(crowd)
    assert crowd.failures == []
    assert crowd.retries == 0
    assert _pods(namespace) == before

    _speaks_tls(cluster, namespace, tmp_path)

    namespace.apply(_router())
    namespace.wait_until_ready("llmrouter/front", READY_WITHIN_S)
    with cluster.forward("service/front-router", "http", namespace.name) as address:
        assert _post(http.client.HTTPConnection(address), TOO_LONG) == 200
    assert _pods(namespace) == before


def _speaks_tls(cluster: Cluster, namespace: Namespace, folder: Path) -> None:
    """TLS without its Secret, with it, and with another certificate in it."""
    namespace.apply(_router(tls={}))
    said = namespace.wait_for_reason("llmrouter/front", "Ready", "CertificateUnavailable", READY_WITHIN_S)
    assert repr(SECRET) in said.message
    namespace.apply(_certificate(folder / "first"))
    began = time.monotonic()
    ready = namespace.wait_until_ready("llmrouter/front", MOUNTED_WITHIN_S)
    print(f"served {time.monotonic() - began:.0f} s after its Secret came")
    assert ready["status"]["addresses"][0]["url"] == f"https://front-router.{namespace.name}.svc"
    with cluster.forward("service/front-router", "https", namespace.name) as address:
        assert _answers(address, folder / "first")
        namespace.apply(_certificate(folder / "second"))
        began = time.monotonic()
        wait_for("the other certificate", lambda: _answers(address, folder / "second"), MOUNTED_WITHIN_S)
        print(f"renewed {time.monotonic() - began:.0f} s after its Secret changed")
    namespace.wait_until_ready("llmservice/chat", READY_WITHIN_S)


def _router(**spec: Any) -> Manifest:
    return {
        "apiVersion": "serving.pointsman.dev/v1alpha1",
        "kind": "LLMRouter",
        "metadata": {"name": "front"},
        "spec": {"replicas": 2, **spec},
    }


def _certificate(folder: Path) -> Manifest:
    """The Secret, with a new certificate for 127.0.0.1 by a new authority, which stays in the folder."""
    make_all(folder, [Leaf("server", "front", names=("127.0.0.1",))])
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": SECRET},
        "stringData": {
            "tls.crt": (folder / "server.crt").read_text(),
            "tls.key": (folder / "server.key").read_text(),
        },
    }


def _answers(address: str, folder: Path) -> bool:
    """Whether the router answers with a certificate of the authority in a folder."""
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    try:
        return _post(http.client.HTTPSConnection(address, context=context), TOO_LONG) == 200
    except ssl.SSLCertVerificationError:
        return False


def _post(connection: http.client.HTTPConnection, document: Mapping[str, Any]) -> int:
    headers = {"Content-Type": "application/json"}
    try:
        connection.request("POST", "/v1/chat/completions", json.dumps(document), headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def _pods(namespace: Namespace) -> dict[str, int]:
    """Every pod by its uid, with how often its container was started again."""
    return {
        pod["metadata"]["uid"]: pod["status"]["containerStatuses"][0]["restartCount"]
        for pod in namespace.items("pods", "pointsman.dev/role in (router,engine)")
    }
