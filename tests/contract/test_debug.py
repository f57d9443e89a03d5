"""`pointsman debug` from somewhere with a kubeconfig, against the real server, where no operator runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pointsman.api.names import DEPLOYMENT, LLMSERVICE
from tests.contract.conftest import NAMESPACE
from tests.contract.manifests import Json, manifest
from tests.contract.server import Server

if TYPE_CHECKING:
    from e2e.cluster import ControlPlane

LABELS = {"app.kubernetes.io/name": "pointsman", "app.kubernetes.io/component": "operator"}
IMAGE = "registry.test/operator:1"
SECRET = "hunter2-hunter2"


def operator() -> Json:
    """A Deployment as the chart makes it, as far as its settings are read from it."""
    env = [{"name": f"POINTSMAN_{name}_IMAGE", "value": IMAGE} for name in ("ROUTER", "RESOLVE")]
    pod = {
        "metadata": {"labels": LABELS},
        "spec": {"containers": [{"name": "operator", "image": IMAGE, "env": env}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "pointsman", "labels": LABELS},
        "spec": {"replicas": 0, "selector": {"matchLabels": LABELS}, "template": pod},
    }


def debug(kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("POINTSMAN_")}
    command = [sys.executable, "-m", "pointsman.app", "debug", *arguments]
    return subprocess.run(
        command, env={**environ, "KUBECONFIG": str(kubeconfig)}, capture_output=True, text=True
    )


@pytest.fixture
def debugged(server: Server) -> Iterator[None]:
    """A service with a secret in it, and the operator that would look after it."""
    spec = {"model": {"source": {"uri": "file:///m"}}, "engine": {"env": {"PASSWORD": SECRET}}}
    assert server.create(DEPLOYMENT, operator()).accepted
    assert server.create(LLMSERVICE, manifest(LLMSERVICE, spec, "debugged")).accepted
    yield
    server.delete(LLMSERVICE, "debugged")
    server.delete(DEPLOYMENT, operator()["metadata"]["name"])


@pytest.mark.apiserver
@pytest.mark.usefixtures("debugged")
def test_a_world_is_recorded_by_a_kubeconfig_and_replayed_offline(
    apiserver: ControlPlane, tmp_path: Path
) -> None:
    path = tmp_path / "world.json"
    where = ("-n", NAMESPACE, "--operator-namespace", NAMESPACE)
    recorded = debug(apiserver.kubeconfig, "world", "debugged", *where, "-o", str(path))
    assert recorded.returncode == 0, recorded.stderr
    file = json.loads(path.read_text())
    assert file["world"]["settings"]["router_image"] == IMAGE
    assert {child["kind"] for child in file["decision"]["desired"]} >= {"Service", "NetworkPolicy"}
    assert SECRET not in path.read_text()
    replayed = debug(tmp_path / "no-kubeconfig", "replay", str(path))
    assert (replayed.returncode, replayed.stdout.split(" (")[0]) == (0, "same decision")
    missing = debug(apiserver.kubeconfig, "world", "nobody", *where)
    assert missing.returncode == 2
    assert "there is no LLMService 'nobody'" in missing.stderr
