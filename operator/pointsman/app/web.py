"""/healthz, /readyz and /metrics for the cluster; /debug/queue for whoever is inside the pod."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from pointsman.app.metrics import Metrics
from pointsman.engine.queue import KeyQueue

Check = Callable[[], str]
"""Returns what is wrong, or nothing."""


class Web:
    """The operator's HTTP server. `start` it, `stop` it."""

    def __init__(
        self,
        metrics: Metrics,
        queue: KeyQueue,
        *,
        alive: Check,
        ready: Check,
        http_port: int,
        debug_port: int,
        host: str = "",
    ) -> None:
        self._metrics = metrics
        self._queue = queue
        self._alive = alive
        self._ready = ready
        # Empty: all addresses, of both families.
        self._public = (host or None, http_port)
        self._debug_port = debug_port
        self._runners: list[web.AppRunner] = []

    async def start(self) -> None:
        """Listens. Raises OSError when a port is taken."""
        await self._listen(
            [
                web.get("/healthz", self._on_healthz),
                web.get("/readyz", self._on_readyz),
                web.get("/metrics", self._on_metrics),
            ],
            *self._public,
        )
        if self._debug_port:
            await self._listen([web.get("/debug/queue", self._on_queue)], "127.0.0.1", self._debug_port)

    async def stop(self) -> None:
        """Closes everything."""
        for runner in self._runners:
            await runner.cleanup()

    async def _listen(self, routes: Sequence[web.RouteDef], host: str | None, port: int) -> None:
        app = web.Application()
        app.router.add_routes(routes)
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, host, port).start()

    async def _on_healthz(self, request: web.Request) -> web.Response:
        return _verdict(self._alive())

    async def _on_readyz(self, request: web.Request) -> web.Response:
        return _verdict(self._ready())

    async def _on_metrics(self, request: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=self._metrics.exposition(), headers=headers)

    async def _on_queue(self, request: web.Request) -> web.Response:
        document: dict[str, Any] = {
            "depth": self._queue.depth,
            "running": self._queue.running,
            "oldestSeconds": round(self._queue.oldest_seconds, 3),
            "keys": self._queue.snapshot(),
        }
        return web.Response(text=json.dumps(document, indent=1) + "\n", content_type="application/json")


def _verdict(problem: str) -> web.Response:
    return web.Response(text=(problem or "ok") + "\n", status=503 if problem else 200)
