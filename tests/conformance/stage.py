"""What a conformance case works on: one Kube, a namespace of its own, and the hands of others.

The two stages (the twin, the real server) differ only here: in how somebody else's write is made, and in
whether waiting means running the garbage collector or letting the real one run.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import orjson

from pointsman.api.names import Resource
from pointsman.kube.client import MERGE, AioKube, path_of
from pointsman.kube.protocol import Previewing
from pointsman.kube.twin import MemoryKube

NAMESPACE = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
CRD = Resource(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
PATIENCE_S = 90.0
"""Seconds. The garbage collector discovers new kinds every half minute, and may start anew then."""


class Stage(Protocol):
    """A Kube and the world around it."""

    ns: str

    @property
    def kube(self) -> Previewing:
        """What the case asks."""

    async def edit(
        self,
        resource: Resource,
        name: str,
        patch: Mapping[str, Any],
        *,
        by: str = "hand",
        status: bool = False,
    ) -> dict[str, Any]:
        """Somebody else's merge patch, under a manager of its own."""

    async def eventually(self, holds: Callable[[], Awaitable[bool]]) -> bool:
        """Whether it holds once controllers had their time."""


class TwinStage:
    """The in-memory twin; the garbage collector runs when it's waited for."""

    def __init__(self, kube: MemoryKube, ns: str) -> None:
        self.kube, self.ns = kube, ns

    async def edit(
        self,
        resource: Resource,
        name: str,
        patch: Mapping[str, Any],
        *,
        by: str = "hand",
        status: bool = False,
    ) -> dict[str, Any]:
        return await self.kube.edit(
            resource, self.ns, name, patch, manager=by, subresource="status" if status else ""
        )

    async def eventually(self, holds: Callable[[], Awaitable[bool]]) -> bool:
        self.kube.collect()
        return await holds()


class ServerStage:
    """A real API server with its controller-manager."""

    def __init__(self, kube: AioKube, ns: str) -> None:
        self.kube, self.ns = kube, ns

    async def edit(
        self,
        resource: Resource,
        name: str,
        patch: Mapping[str, Any],
        *,
        by: str = "hand",
        status: bool = False,
    ) -> dict[str, Any]:
        path = path_of(resource, self.ns, name) + ("/status" if status else "")
        return await self.kube._send(
            "edit", resource, "PATCH", path, {"fieldManager": by}, orjson.dumps(patch), MERGE
        )

    async def eventually(self, holds: Callable[[], Awaitable[bool]]) -> bool:
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not await holds():
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.1)
        return True


def obj(resource: Resource, ns: str | None, name: str, **body: Any) -> dict[str, Any]:
    """A manifest; `labels`, `owners`, `finalizers`, `uid` and `version` go into its metadata."""
    metadata: dict[str, Any] = {"name": name, **({"namespace": ns} if ns else {})}
    places = {
        "labels": "labels",
        "annotations": "annotations",
        "owners": "ownerReferences",
        "finalizers": "finalizers",
        "uid": "uid",
        "version": "resourceVersion",
    }
    for argument, place in places.items():
        if argument in body:
            metadata[place] = body.pop(argument)
    return copy.deepcopy(
        {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **body}
    )


def deployment_spec(*containers: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A Deployment's spec whose pods never run (nobody asks for replicas unless a case does)."""
    listed = list(containers) or [{"name": "main", "image": "example/one:1"}]
    return {
        "replicas": 0,
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": listed}},
        **more,
    }


def containers_of(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """Containers by name."""
    return {c["name"]: c for c in deployment["spec"]["template"]["spec"]["containers"]}


def owner(of: Mapping[str, Any], *, controller: bool = True) -> dict[str, Any]:
    """A reference to an object that exists."""
    return {
        "apiVersion": of["apiVersion"],
        "kind": of["kind"],
        "name": of["metadata"]["name"],
        "uid": of["metadata"]["uid"],
        "controller": controller,
        "blockOwnerDeletion": True,
    }
