"""The two stages of the conformance table."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pointsman.kube import AlreadyExists, config
from pointsman.kube.client import AioKube
from pointsman.kube.twin import MemoryKube
from tests.conformance.stage import CRD, NAMESPACE, ServerStage, Stage, TwinStage

CRDS = Path(__file__).parents[2] / "crds"


@pytest.fixture(params=["twin", pytest.param("server", marks=pytest.mark.apiserver)])
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """A Kube of each sort, with an empty namespace."""
    ns = f"case-{secrets.token_hex(4)}"
    if request.param == "twin":
        yield TwinStage(MemoryKube(namespaces={ns}, resources=(NAMESPACE, CRD)), ns)
        return
    server: Any = request.getfixturevalue("apiserver")
    kube = AioKube(await config.load(str(server.kubeconfig)), resources=(NAMESPACE, CRD))
    try:
        await install_kinds(kube)
        await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ns}})
        yield ServerStage(kube, ns)
    finally:
        await kube.close()


async def install_kinds(kube: AioKube) -> None:
    """Pointsman's own kinds, and the wait until they are served."""
    wanted = set()
    for path in sorted(CRDS.glob("*.yaml")):
        crd = yaml.safe_load(path.read_text())
        wanted.add(crd["spec"]["names"]["kind"])
        try:
            await kube.create(crd)
        except AlreadyExists:
            continue
    for _ in range(200):
        if wanted <= await kube.served("serving.pointsman.dev/v1alpha1"):
            return
        await kube._sleep(0.05)
    raise AssertionError(f"{sorted(wanted)} aren't served")
