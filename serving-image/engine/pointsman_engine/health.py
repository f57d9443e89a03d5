"""Asks the engine over its own HTTP port: is it healthy, how much is in flight, does it make a token?

A minimal HTTP client on asyncio; it knows the few paths it asks, and nothing of processes or phases.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

from pointsman_engine.arguments import Arguments

_GAUGES = re.compile(r"^vllm:num_requests_(?:running|waiting)(?:\{[^}]*\})? +([0-9.e+]+)$", re.MULTILINE)
_NO_ANSWER = (OSError, TimeoutError, ValueError, EOFError)
_HEALTH_TIMEOUT_S = 5.0
_ANSWER_TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class Engine:
    """The engine's door."""

    host: str
    port: int
    model: str

    @classmethod
    def of(cls, arguments: Arguments) -> Engine:
        return cls(arguments.host, arguments.port, arguments.served_name)

    async def healthy(self) -> bool:
        """Whether /health is answered by 200."""
        try:
            async with asyncio.timeout(_HEALTH_TIMEOUT_S):
                code, _ = await self._request("GET", "/health")
        except _NO_ANSWER:
            return False
        return code == 200

    async def until_healthy(self, interval_s: float) -> None:
        """Returns at the first 200 from /health; whether the process still lives is another's question."""
        while True:
            if await self.healthy():
                return
            await asyncio.sleep(interval_s)

    async def in_flight(self) -> int | None:
        """Requests that run or wait inside the engine; None where it doesn't say."""
        try:
            async with asyncio.timeout(_HEALTH_TIMEOUT_S):
                code, body = await self._request("GET", "/metrics")
        except _NO_ANSWER:
            return None
        return count_in_flight(body.decode("utf-8", "replace")) if code == 200 else None

    async def first_token(self) -> tuple[int, float]:
        """Asks for one token. Status code, and seconds until the answer.

        A code of 400 to 499 means that this model completes no text (an embedding model, say); 0, that there
        was no answer.
        """
        body = {"model": self.model, "prompt": "Hello", "max_tokens": 1, "temperature": 0}
        started = time.monotonic()
        code, _ = await self.post("/v1/completions", body)
        return code, time.monotonic() - started

    async def post(self, path: str, document: Mapping[str, object]) -> tuple[int, bytes]:
        """Status code and body of the answer to a request that computes; 0 where there was none."""
        with contextlib.suppress(*_NO_ANSWER):
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                return await self._request("POST", path, json.dumps(document).encode())
        return 0, b""

    async def _request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nConnection: close\r\n"
            kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
            writer.write(f"{head}{kind}\r\n".encode() + body)
            await writer.drain()
            answer = await reader.read()  # to the end: the connection closes behind the answer
        finally:
            writer.close()
        first, _, content = answer.partition(b"\r\n\r\n")
        return int(first.split(b" ", 2)[1]) if first.startswith(b"HTTP/") else 0, content


def count_in_flight(metrics: str) -> int | None:
    """Running and waiting requests out of vLLM's metrics; None where they aren't in there."""
    values = _GAUGES.findall(metrics)
    return round(sum(map(float, values))) if values else None
