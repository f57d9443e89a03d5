"""The bare client: aiohttp and orjson, and nothing that an operator would have besides.

Its requests are the floor that the operator is measured against; its watches are how the bench sees what
became of either.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp
import orjson

from pointsman.api.names import Resource
from pointsman.kube.client import APPLY, JSON, MERGE, path_of

Object = dict[str, Any]
IN_FLIGHT = 16
"""More requests at a time only make the API server slower."""
LINE_BYTES = 4 * 1024 * 1024
"""Longest event of a watch."""


PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Before a server that is busy, or not ready yet, is asked again."""


class ApiError(Exception):
    """The API server's refusal, in its own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """A connection to an API server as its administrator; `pki` is a control plane's own folder."""

    def __init__(self, url: str, pki: Path) -> None:
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        self._url = url
        self._gate = asyncio.Semaphore(IN_FLIGHT)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=context),
            read_bufsize=LINE_BYTES,
            timeout=aiohttp.ClientTimeout(total=None, connect=10, sock_read=None),
        )

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        # TLS takes leave of the server first; a loop that ends before leaves the sockets open.
        await asyncio.sleep(0.25)

    async def create(self, resource: Resource, obj: Mapping[str, Any]) -> Object:
        path = path_of(resource, obj["metadata"].get("namespace"), None)
        return await self._send("POST", path, orjson.dumps(obj), JSON)

    async def apply(self, resource: Resource, namespace: str | None, name: str, body: bytes) -> Object:
        """Server-side apply of a manifest in JSON."""
        path = path_of(resource, namespace, name) + "?fieldManager=bench&force=true"
        return await self._send("PATCH", path, body, APPLY)

    async def merge(
        self, resource: Resource, namespace: str, name: str, patch: Mapping[str, Any], subresource: str = ""
    ) -> Object:
        """A merge patch of the object, or of its subresource (`/status`)."""
        path = path_of(resource, namespace, name) + subresource
        return await self._send("PATCH", path, orjson.dumps(patch), MERGE)

    async def list(self, resource: Resource, labels: str = "") -> Object:
        """A whole list, over all namespaces."""
        return await self._send("GET", path_of(resource, None, None) + _query(labels), b"", JSON)

    async def watch(self, resource: Resource, labels: str = "") -> AsyncIterator[tuple[str, Object]]:
        """Every object there is, as ADDED, then every change; for ever."""
        while True:
            listed = await self.list(resource, labels)
            for item in listed["items"]:
                yield "ADDED", item
            version = listed["metadata"]["resourceVersion"]
            async for kind, obj in self._events(resource, labels, version):
                if kind == "ERROR":
                    break
                yield kind, obj

    async def _events(
        self, resource: Resource, labels: str, version: str
    ) -> AsyncIterator[tuple[str, Object]]:
        query = _query(labels, "watch=true", f"resourceVersion={version}", "timeoutSeconds=3600")
        async with self._session.get(self._url + path_of(resource, None, None) + query) as response:
            async for line in response.content:
                event = orjson.loads(line)
                yield event["type"], event["object"]

    async def _send(self, method: str, path: str, body: bytes, content_type: str) -> Object:
        for pause in PAUSES_S:
            try:
                return await self._once(method, path, body, content_type)
            except ApiError as error:
                # A kind that was just installed isn't served at once.
                if error.status not in (429, 503):
                    raise
                await asyncio.sleep(pause)
        return await self._once(method, path, body, content_type)

    async def _once(self, method: str, path: str, body: bytes, content_type: str) -> Object:
        headers = {"Content-Type": content_type}
        async with (
            self._gate,
            self._session.request(method, self._url + path, data=body, headers=headers) as response,
        ):
            answer: Object = orjson.loads(await response.read())
            if response.status >= 400:
                raise ApiError(response.status, str(answer.get("message")))
            return answer


def _query(labels: str, *more: str) -> str:
    parts = [*((f"labelSelector={labels}",) if labels else ()), *more]
    return "?" + "&".join(parts) if parts else ""
