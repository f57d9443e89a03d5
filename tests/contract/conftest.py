"""The API server with our CRDs in it, freshly generated, and a namespace of these tests' own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pointsman.api.kinds import KINDS
from pointsman.api.names import API_VERSION, Resource
from pointsman.crdgen.crd import crd
from tests.contract.server import Server

if TYPE_CHECKING:
    from e2e.cluster import ControlPlane

NAMESPACE = "contract"
CRD = Resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", False)
NAMESPACES = Resource("", "v1", "Namespace", "namespaces", False)


@pytest.fixture(scope="session")
def server(apiserver: ControlPlane) -> Iterator[Server]:
    """The real API server, serving our kinds."""
    with contextlib.closing(Server(apiserver.kubeconfig, NAMESPACE)) as it:
        for row in KINDS:
            answer = it.apply(CRD, crd(row), "contract-tests", force=True)
            assert answer.accepted, answer.message
        it.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        for row in KINDS:
            _wait_until_served(it, row.resource)
        _wait_until_explained(it)
        yield it


def _wait_until_served(server: Server, resource: Resource) -> None:
    deadline = time.monotonic() + 30
    while not server.request("GET", server.path(resource)).accepted:
        assert time.monotonic() < deadline, f"{resource.plural} aren't served after 30 s"
        time.sleep(0.1)


def _wait_until_explained(server: Server) -> None:
    """What `kubectl explain` reads is published a moment after the kinds themselves."""
    deadline = time.monotonic() + 30
    while True:
        schemas = server.request("GET", f"/openapi/v3/apis/{API_VERSION}").body.get("components", {})
        told = " ".join(schemas.get("schemas", {}))
        if all(row.resource.kind in told for row in KINDS):
            return
        assert time.monotonic() < deadline, "the kinds aren't explained after 30 s"
        time.sleep(0.1)
