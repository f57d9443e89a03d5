"""Routers' admin ports over HTTP. Short timeouts, no retries: the next pass asks again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from pointsman.signals.protocol import RawAnswer

LIMIT = 4 * 1024 * 1024
"""Bytes of an answer that are read; a router with a thousand engines needs a tenth of it."""


CONNECT_SECONDS = 3.0
"""What a router that isn't there costs a pass. With less, a machine that is busy for a moment would show as
routers that have gone, in the status of all their services."""


class HttpSignals:
    """See `Signals`. One instance per process and event loop; `close` it."""

    def __init__(self, *, read_seconds: float = 5.0, probe_seconds: float = 30.0, parallel: int = 32) -> None:
        self._read = aiohttp.ClientTimeout(total=read_seconds, connect=CONNECT_SECONDS)
        self._probe = aiohttp.ClientTimeout(total=probe_seconds, connect=CONNECT_SECONDS)
        self._gate = asyncio.Semaphore(parallel)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Closes all connections."""
        if self._session is not None:
            await self._session.close()

    async def read(self, addresses: Sequence[str]) -> list[RawAnswer]:
        return await asyncio.gather(*(self._ask("GET", a, "/signals", self._read) for a in addresses))

    async def probe(self, address: str, service: str, variant: str | None = None) -> RawAnswer:
        query = f"?variant={quote(variant, safe='')}" if variant else ""
        return await self._ask("POST", address, f"/probe/{quote(service, safe='')}{query}", self._probe)

    async def models(self, address: str, *, tls: bool = False) -> RawAnswer:
        return await self._ask("GET", address, "/v1/models", self._read, "https" if tls else "http")

    async def _ask(
        self, method: str, address: str, path: str, timeout: aiohttp.ClientTimeout, scheme: str = "http"
    ) -> RawAnswer:
        try:
            async with (
                self._gate,
                self._connected().request(
                    method, f"{scheme}://{address}{path}", timeout=timeout, allow_redirects=False, ssl=False
                ) as response,
            ):
                body = _parsed(await _content(response))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            body = None
        return {"address": address, "reachable": body is not None, "body": body or {}}

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Pods come and go: a connection kept for later is mostly one to an address that has a new owner.
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False)
        return self._session


async def _content(response: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > LIMIT:
            raise ValueError("the answer is too long")
    return bytes(content)


def _parsed(content: bytes) -> dict[str, Any] | None:
    body = orjson.loads(content)
    return body if isinstance(body, dict) else None
