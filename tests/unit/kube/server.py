"""An HTTP server that answers as told, for what a real API server does too rarely."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.Response]]


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Scripted:
    """Gives its answers one after the other; the last one again and again."""

    answers: list[tuple[int, dict[str, Any], dict[str, str]]]
    seen: list[Seen] = field(default_factory=list)
    delay: float = 0.0

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        body = orjson.loads(raw) if raw else None
        self.seen.append(Seen(request.method, request.path, dict(request.query), dict(request.headers), body))
        if self.delay:
            await asyncio.sleep(self.delay)
        status, document, headers = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(
            status=status, body=orjson.dumps(document), headers=headers, content_type="application/json"
        )


def status(code: int, reason: str = "", message: str = "no", **details: Any) -> tuple[int, Any, Any]:
    """The API's Status object, as an answer."""
    document = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return code, document, {}


@asynccontextmanager
async def serving(scripted: Scripted, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The server's URL, while it runs; by TLS with a context."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", scripted.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
