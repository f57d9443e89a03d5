"""The list and watch against the real API server, with the permissions a router has and no others."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.cluster import ControlPlane, control_plane
from pointsman_router.feeds.cluster import Api, Follower, Pace, Sink, followers
from pointsman_router.records.accesslog import AccessLog
from pointsman_router.router import Router
from tests.router.stack import configuration, eventually
from tests.router.test_cluster import Followed, config_map, watched_service

pytestmark = pytest.mark.apiserver

ACCOUNT = "default-router"
PERMISSIONS = [
    {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [ACCOUNT], "verbs": ["list", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
]


class Namespace:
    """A namespace with a name of its own, and what tests put there."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.name = f"router-{secrets.token_hex(4)}"
        plane.kubectl.run("create", "namespace", self.name)

    async def apply(self, *objects: dict[str, Any]) -> None:
        documents = [{**item, "metadata": {**item["metadata"], "namespace": self.name}} for item in objects]
        text = yaml.safe_dump_all(documents)
        await asyncio.to_thread(
            self.plane.kubectl.run, "apply", "--server-side", "--force-conflicts", "--filename=-", stdin=text
        )

    async def delete(self, kind: str, name: str) -> None:
        await asyncio.to_thread(
            self.plane.kubectl.run, "delete", f"--namespace={self.name}", f"{kind}/{name}", "--wait=false"
        )


def _config(generation: int) -> dict[str, Any]:
    document = config_map(configuration(watched_service(generation=generation)))
    return {"apiVersion": "v1", "kind": "ConfigMap", **document}


def _slice(name: str, *pods: tuple[str, str, bool], role: str = "engine") -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "chat-engines", "pointsman.dev/role": role}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8000}],
        "endpoints": [
            {
                "addresses": [address],
                "conditions": {"ready": ready},
                "targetRef": {"kind": "Pod", "name": pod},
            }
            for pod, address, ready in pods
        ],
    }


def _account() -> list[dict[str, Any]]:
    metadata, rbac = {"name": ACCOUNT}, "rbac.authorization.k8s.io/v1"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": rbac, "kind": "Role", "metadata": metadata, "rules": PERMISSIONS},
        {
            "apiVersion": rbac,
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT}],
        },
    ]


@asynccontextmanager
async def following(namespace: Namespace, folder: Path) -> AsyncIterator[Followed]:
    """A router that follows what is in the namespace."""
    await namespace.apply(*_account())
    kubectl = namespace.plane.kubectl
    token = await asyncio.to_thread(kubectl.run, "create", "token", ACCOUNT, f"--namespace={namespace.name}")
    (folder / "token").write_text(token)
    api = Api.at(namespace.plane.url, str(namespace.plane.pki / "ca.crt"), str(folder / "token"))
    router = Router(AccessLog(None))
    quick = Pace(watch=(2, 2), short=0.1, backoff=(0.1, 0.5))
    followed = Followed(router, followers(api, namespace.name, ACCOUNT, router.state, quick))
    followed.tasks = [asyncio.ensure_future(follower.run()) for follower in followed.followers.values()]
    try:
        yield followed
    finally:
        for task in followed.tasks:
            task.cancel()
        await asyncio.gather(*followed.tasks, return_exceptions=True)


@pytest.fixture
async def namespace(apiserver: ControlPlane) -> Namespace:
    return Namespace(apiserver)


@pytest.fixture
async def followed(namespace: Namespace, tmp_path: Path) -> AsyncIterator[Followed]:
    async with following(namespace, tmp_path) as followed:
        yield followed


@pytest.fixture
def own_server() -> Iterator[ControlPlane]:
    """A control plane that a test may take down."""
    with control_plane() as plane:
        yield plane


async def test_it_follows_configuration_and_engines(namespace: Namespace, followed: Followed) -> None:
    await namespace.apply(_config(1), _slice("chat-1", ("chat-r1-a", "10.0.0.1", True)))
    await eventually(lambda: followed.ready().get("r1") == ["chat-r1-a"], seconds=10)
    await namespace.apply(_config(2), _slice("other", ("chat-r1-x", "10.0.0.9", True), role="router"))
    await eventually(lambda: followed.router.state.table.services["chat"].generation == 2, seconds=10)
    await namespace.apply(_slice("chat-1", ("chat-r1-a", "10.0.0.1", False), ("chat-r1-b", "10.0.0.2", True)))
    await eventually(lambda: followed.ready()["r1"] == ["chat-r1-b"], seconds=10)
    await namespace.delete("endpointslice", "chat-1")
    await eventually(lambda: followed.ready()["r1"] == [], seconds=10)
    await namespace.delete("configmap", ACCOUNT)
    await eventually(lambda: "was deleted" in followed.router.state.error, seconds=10)
    assert followed.router.ready, "the last good configuration goes on"


async def test_watches_are_renewed_and_miss_nothing(namespace: Namespace, followed: Followed) -> None:
    await namespace.apply(_config(1))
    await eventually(lambda: followed.router.ready, seconds=10)
    for n in range(1, 8):
        await namespace.apply(_slice("chat-1", *((f"chat-r1-{m}", f"10.0.0.{m}", True) for m in range(n))))
        await eventually(lambda n=n: len(followed.ready()["r1"]) == n, seconds=10)  # type: ignore[misc]
        await asyncio.sleep(0.4)


class _CountingSink:
    """Passes everything on, and counts the lists."""

    def __init__(self, sink: Sink) -> None:
        self.lists = 0
        self._sink = sink
        self.put, self.drop = sink.put, sink.drop

    def replace(self, items: list[dict[str, Any]]) -> None:
        self.lists += 1
        self._sink.replace(items)


async def test_a_restart_stops_nothing_and_lost_history_is_listed_anew(
    own_server: ControlPlane, tmp_path: Path
) -> None:
    namespace = Namespace(own_server)
    async with following(namespace, tmp_path) as followed:
        await namespace.apply(_config(1), _slice("chat-1", ("chat-r1-a", "10.0.0.1", True)))
        await eventually(lambda: followed.ready().get("r1") == ["chat-r1-a"], seconds=10)
        await asyncio.to_thread(own_server.stop_api_server)
        await asyncio.sleep(0.5)
        assert followed.router.ready
        assert followed.ready()["r1"] == ["chat-r1-a"]
        await asyncio.to_thread(own_server.start_api_server)
        # A server that has just started remembers nothing from before it.
        follower = followed.followers["endpoints"]
        sink = _CountingSink(follower.sink)
        late = Follower(follower.api, follower.path, follower.selector, sink, follower.pace, _version="1")
        followed.tasks.append(asyncio.ensure_future(late.run()))
        await eventually(lambda: sink.lists == 1, seconds=20)
        await namespace.apply(_slice("chat-1", ("chat-r1-b", "10.0.0.2", True)))
        await eventually(lambda: followed.ready()["r1"] == ["chat-r1-b"], seconds=20)
