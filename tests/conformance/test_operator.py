"""The whole operator as a process against a real API server: it starts, does its work, and ends when told."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from e2e.cluster import ControlPlane, control_plane
from pointsman.api.names import DEPLOYMENT, EVENT, LLMROUTER, LLMSERVICE
from pointsman.api.rbac import RBAC
from pointsman.kube import config
from pointsman.kube.client import AioKube
from tests.conformance.conftest import install_kinds
from tests.conformance.stage import CRD, NAMESPACE, obj

pytestmark = pytest.mark.apiserver

SPEC = {"model": {"source": {"uri": "file:///models/tiny"}}}


@dataclass
class Process:
    """A running operator."""

    popen: subprocess.Popen[bytes]
    log: Path
    port: int

    async def get(self, path: str) -> tuple[int, str]:
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self.port}{path}") as response,
            ):
                return response.status, await response.text()
        except aiohttp.ClientError as error:
            return 0, str(error)

    async def metric(self, name: str, **labels: str) -> float:
        """Sum over all series with these labels."""
        _, text = await self.get("/metrics")
        lines = [line for line in text.splitlines() if line.startswith(name) and not line.startswith("#")]
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        return sum(float(line.rpartition(" ")[2]) for line in lines if all(w in line for w in wanted))

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def end(self, number: int, within: float) -> int:
        self.popen.send_signal(number)
        return self.popen.wait(within)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(plane: ControlPlane, folder: Path, **variables: str) -> Process:
    port = free_port()
    environ = {
        **os.environ,
        "POINTSMAN_KUBECONFIG": str(plane.kubeconfig),
        "POINTSMAN_ROUTER_IMAGE": "pointsman.local/router:test",
        "POINTSMAN_RESOLVE_IMAGE": "pointsman.local/operator:test",
        "POINTSMAN_ENGINE_IMAGES": '{"cpu": "pointsman.local/engine-cpu:{version}"}',
        "POINTSMAN_HTTP_PORT": str(port),
        "POINTSMAN_DEBUG_PORT": "0",
        **variables,
    }
    log = folder / f"operator-{secrets.token_hex(3)}.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [sys.executable, "-m", "pointsman.app", "run"], env=environ, stdout=output, stderr=output
        )
    return Process(popen, log, port)


def as_itself(plane: ControlPlane, folder: Path, ns: str) -> Path:
    """A kubeconfig of a service account with the permissions of the one table, and no others."""
    rules = [
        {"apiGroups": [row.group], "resources": [row.resource], "verbs": list(row.verbs)} for row in RBAC
    ]
    group, name = "rbac.authorization.k8s.io", f"{ns}-pointsman"
    role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "pointsman", "namespace": ns}],
    }
    plane.kubectl.run("create", "serviceaccount", "pointsman", f"--namespace={ns}")
    plane.kubectl.run(
        "apply",
        "--filename=-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": [role, binding]}),
    )
    token = plane.kubectl.run("create", "token", "pointsman", f"--namespace={ns}").strip()
    cluster = {"server": plane.url, "certificate-authority": str(plane.pki / "ca.crt")}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "it",
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": {"token": token}}],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(document))
    return path


@asynccontextmanager
async def client(plane: ControlPlane) -> AsyncIterator[AioKube]:
    kube = AioKube(await config.load(str(plane.kubeconfig)), resources=(NAMESPACE, CRD))
    try:
        yield kube
    finally:
        await kube.close()


async def until(holds: Any, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.1)


@pytest.fixture
def empty_server() -> Iterator[ControlPlane]:
    """A control plane without our kinds."""
    with control_plane() as plane:
        yield plane


async def test_it_makes_children_says_so_rests_and_ends_when_told(
    apiserver: ControlPlane, tmp_path: Path
) -> None:
    ns = f"operator-{secrets.token_hex(4)}"
    async with client(apiserver) as kube:
        await install_kinds(kube)
        await kube.create(obj(NAMESPACE, None, ns))
        mine = as_itself(apiserver, tmp_path, ns)
        process = start(apiserver, tmp_path, POINTSMAN_WATCH_NAMESPACES=ns, POINTSMAN_KUBECONFIG=str(mine))
        try:

            async def ready() -> bool:
                return (await process.get("/readyz"))[0] == 200

            async def children() -> bool:
                return len(await kube.list(DEPLOYMENT, ns)) == 2

            async def told() -> bool:
                chat = await kube.get(LLMSERVICE, ns, "chat")
                return bool((chat.get("status") or {}).get("conditions"))

            await until(ready, 30)
            await kube.create(obj(LLMSERVICE, ns, "chat", spec=SPEC))
            await until(children, 20)
            await until(told, 20)
            assert await kube.get(LLMROUTER, ns, "default")
            assert "chat" in {e["regarding"]["name"] for e in await kube.list(EVENT, ns)}
            await rests(process)
            refused = await process.metric("pointsman_api_requests_total", code="403")
            assert refused == 0, "the table of permissions lacks something"
            began = time.monotonic()
            assert process.end(signal.SIGTERM, 20) == 0
            assert time.monotonic() - began < 20
        finally:
            process.popen.kill()
            process.popen.wait()
    lines = process.lines()
    assert {line["message"] for line in lines} >= {"started", "pass", "stopped"}
    assert all("spec" not in line for line in lines)
    assert [line for line in lines if line["level"] in ("warning", "error")] == []


async def rests(process: Process) -> None:
    """Passes go on while pods don't come; nothing is written by them."""

    async def writes() -> float:
        verbs = ("apply", "create", "patch_status", "patch_finalizers", "delete")
        return sum([await process.metric("pointsman_api_requests_total", verb=verb) for verb in verbs])

    async def passes() -> float:
        return await process.metric("pointsman_reconcile_total")

    # The controller-manager's answer to new Deployments takes a moment.
    await asyncio.sleep(3)
    written, passed = await writes(), await passes()

    async def some_more() -> bool:
        return await passes() >= passed + 4

    await until(some_more, 40)
    assert await writes() == written


async def test_without_our_kinds_it_ends_and_says_what_is_missing(
    empty_server: ControlPlane, tmp_path: Path
) -> None:
    process = start(empty_server, tmp_path)
    assert await asyncio.to_thread(process.popen.wait, 40) == 1
    (line,) = process.lines()
    assert line["message"] == "can't start"
    assert "doesn't serve LLMModel, LLMRouter, LLMService, PromptSuite, PromptVersion" in line["error"]


async def test_a_kubeconfig_that_isnt_there_is_named(apiserver: ControlPlane, tmp_path: Path) -> None:
    process = start(apiserver, tmp_path, POINTSMAN_KUBECONFIG="/nowhere/config")
    assert await asyncio.to_thread(process.popen.wait, 40) == 1
    assert "/nowhere/config" in process.lines()[-1]["error"]


def test_version_and_wrong_settings_are_told_without_a_cluster() -> None:
    command = [sys.executable, "-m", "pointsman.app"]
    version = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.startswith("pointsman-operator 0.")
    environ = {key: value for key, value in os.environ.items() if not key.startswith("POINTSMAN_")}
    wrong = subprocess.run([*command, "run"], capture_output=True, text=True, check=False, env=environ)
    assert (wrong.returncode, "POINTSMAN_ROUTER_IMAGE is required" in wrong.stderr) == (2, True)
