"""The table: every situation, put onto a real API server, and what each tool makes of it there."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.result import table as columns
from e2e.cluster import ControlPlane
from pointsman.api import names
from pointsman.kube import config
from pointsman.kube.client import AioKube
from tests.conformance.conftest import install_kinds
from tests.conformance.stage import CRD, NAMESPACE
from tests.readings import tools
from tests.readings.meaning import Tool, agrees
from tests.readings.stage import Scene, Situation, enact
from tests.readings.tools import Release, Word

AT_ONCE: Final = 40
"""Waits that run side by side: most of their time is patience."""


@dataclass(frozen=True, slots=True)
class Row:
    """A situation and its readings."""

    situation: Situation
    found: Mapping[str, Any]
    """The object as the server shows it."""
    words: Mapping[Tool, Word]

    def disagreeing(self) -> list[Tool]:
        """Tools that make something else of it than it means."""
        return [t for t in Tool if not agrees(t, self.words[t].word, self.situation.means)]


async def read(plane: ControlPlane, situations: Sequence[Situation]) -> list[Row]:
    """Brings every situation about, puts it on the server, and lets every tool read it there."""
    scenes = [await enact(situation) for situation in situations]
    kube = AioKube(await config.load(str(plane.kubeconfig)), resources=(NAMESPACE, CRD))
    namespace = f"readings-{secrets.token_hex(4)}"
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asyncio.get_running_loop().set_default_executor(pool)
        try:
            await install_kinds(kube)
            await kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            shown = [
                _Shown(plane, kube, namespace, f"s{number:02}", scene) for number, scene in enumerate(scenes)
            ]
            stored = await asyncio.gather(*(each.put() for each in shown))
            packages = await asyncio.to_thread(tools.kstatus, stored)
            asked = await asyncio.gather(*(each.ask() for each in shown))
        finally:
            await kube.close()
    return [
        Row(scene.situation, found, {**of_packages, Tool.ARGO: tools.argo(found), **of_server})
        for scene, found, of_packages, of_server in zip(scenes, stored, packages, asked, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Shown:
    """A scene's object on the server, under a name of its own."""

    plane: ControlPlane
    kube: AioKube
    namespace: str
    name: str
    scene: Scene

    @property
    def release(self) -> Release:
        return Release(Path(self.plane.kubeconfig), self.namespace, self.name)

    @property
    def resource(self) -> names.Resource:
        return names.RESOURCES[self.scene.situation.kind]

    def manifest(self, number: int) -> dict[str, Any]:
        spec = self.scene.specs[number] if self.scene.specs else {}
        return {
            "apiVersion": names.API_VERSION,
            "kind": self.scene.situation.kind,
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": spec,
        }

    async def put(self) -> dict[str, Any]:
        """The object as the server then shows it: spec by spec, so that generations count as they did."""
        for number in range(max(len(self.scene.specs), 1)):
            await asyncio.to_thread(self.release.put, self.manifest(number), anew=number == 0)
        wanted, told = self.scene.object, self.scene.object.get("status")
        if told:
            await self._write_status(told)
        if wanted["metadata"].get("deletionTimestamp"):
            await self._let_go(wanted["metadata"]["finalizers"])
        found = await self.kube.get(self.resource, self.namespace, self.name)
        assert found["metadata"]["generation"] == wanted["metadata"]["generation"], self.scene.situation.name
        kept = {**found["status"]} if told else {}
        assert kept.items() >= dict(told or {}).items(), f"{self.scene.situation.name}: the schema drops some"
        return found

    async def _write_status(self, status: Mapping[str, Any]) -> None:
        await self.kube.patch_status(self.resource, self.namespace, self.name, status, resource_version=None)

    async def _let_go(self, finalizers: Sequence[str]) -> None:
        found = await self.kube.get(self.resource, self.namespace, self.name)
        await self.kube.patch_finalizers(
            self.resource,
            self.namespace,
            self.name,
            finalizers,
            resource_version=found["metadata"]["resourceVersion"],
        )
        await self.kube.delete(self.resource, self.namespace, self.name, uid=found["metadata"]["uid"])

    async def ask(self) -> dict[Tool, Word]:
        """What those say that read from the server themselves."""
        target = f"{self.resource.plural}.{self.resource.group}/{self.name}"
        ready, stalled, helm = await asyncio.gather(
            *(
                asyncio.to_thread(tools.waits, self.plane.kubectl, self.namespace, target, condition)
                for condition in ("Ready", "Stalled")
            ),
            asyncio.to_thread(self.release.wait, self.manifest(len(self.scene.specs) - 1)),
        )
        return {Tool.WAIT_READY: ready, Tool.WAIT_STALLED: stalled, Tool.HELM: helm}


def printed(rows: Sequence[Row]) -> str:
    """The table as people read it."""
    heads = ("situation", "kind", "Ready's reason", "means", *(tool.value for tool in Tool))
    body = [
        (
            row.situation.name,
            row.situation.kind,
            row.situation.reason,
            row.situation.means.value,
            *(row.words[tool].word + (" !" if tool in row.disagreeing() else "") for tool in Tool),
        )
        for row in rows
    ]
    return columns(heads, body)
