"""The admin port: health, readiness, metrics, signals and probes. Never reachable through the public Service.

One request a connection. It reads requests as strictly as the public port does, and owns no state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from time import monotonic
from typing import cast
from urllib.parse import parse_qs, unquote

import orjson
from prometheus_client import CONTENT_TYPE_LATEST

from pointsman_router import exposition, signals, version
from pointsman_router.errors import Problem, Shape, render
from pointsman_router.exposition import Gauge
from pointsman_router.probe import Prober
from pointsman_router.reader import Reader
from pointsman_router.request import Budget, Request
from pointsman_router.router import Router, logger
from pointsman_router.settings import Limits

_LIMITS = Limits(max_head_bytes=16 * 1024, max_body_bytes=64 * 1024)
_PROBE_PREFIX = "/probe/"
_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"

Answer = tuple[int, str, bytes]
"""Status, content type and body."""


class Admin:
    """What the admin port answers. `watches`: when (monotonic) each followed resource was last heard of."""

    def __init__(self, router: Router, watches: Callable[[], Mapping[str, float]]) -> None:
        self._router = router
        self._watches = watches
        self._prober = Prober(router)

    def accept(self) -> AdminConnection:
        """Protocol factory of the admin port."""
        return AdminConnection(self)

    async def answer(self, method: str, path: str, query: str) -> Answer:
        """Answers one request."""
        if path.startswith(_PROBE_PREFIX) and len(path) > len(_PROBE_PREFIX):
            if method != "POST":
                return _words(405, "POST only")
            only = parse_qs(query).get("variant", [""])[-1]
            status, document = await self._prober.probe(unquote(path[len(_PROBE_PREFIX) :]), only)
            return status, _JSON, orjson.dumps(document)
        if method != "GET":
            return _words(405, "GET only")
        match path:
            case "/healthz":
                return _words(200, "ok")
            case "/readyz":
                return _words(200, "ready") if self._router.ready else _words(503, self._unready())
            case "/metrics":
                return 200, CONTENT_TYPE_LATEST, exposition.render(self._router.stats, self._gauges())
            case "/signals":
                return 200, _JSON, orjson.dumps(signals.describe(self._router))
        return _words(404, "not found")

    def _unready(self) -> str:
        state = self._router.state
        if self._router.draining:
            return "draining"
        if not state.configured:
            return f"no configuration yet {state.error}".rstrip()
        return self._router.closed_because or "endpoints not listed yet"

    def _gauges(self) -> list[Gauge]:
        router, now = self._router, monotonic()
        build = Gauge("build_info", "1, with the version as label", ("version",))
        build.values.append(((version.current(),), 1))
        watches = Gauge("watch_silence_seconds", "Since the API server was last heard of", ("resource",))
        watches.values += [((name,), now - heard) for name, heard in sorted(self._watches().items())]
        return [
            build,
            watches,
            _plain("ready", "Whether clients should be sent here", router.ready),
            _plain("config_error", "Whether the newest configuration was refused", bool(router.state.error)),
            _plain("tls_error", "Whether the newest certificate was refused", bool(router.tls_error)),
            _plain("buffered_bytes", "Request bodies held in memory", router.buffered_bytes),
            _plain("client_connections", "Connections of clients", len(router.connections)),
            _plain("access_log_dropped_lines", "Lines a slow reader made us drop", router.log.dropped),
            *_engine_gauges(router),
        ]


def _plain(name: str, help_: str, value: float) -> Gauge:
    gauge = Gauge(name, help_)
    gauge.values.append(((), value))
    return gauge


def _engine_gauges(router: Router) -> tuple[Gauge, ...]:
    labels = ("service", "variant", "state")
    endpoints = Gauge("endpoints", "Engines there are", labels)
    connections = Gauge("upstream_connections", "Connections to engines", labels)
    for service in router.state.table.services.values():
        for variant in service.variants:
            key = (service.name, variant.name)
            ready = len(variant.ready)
            idle = sum(len(engine.pool.idle) for engine in variant.engines)
            open_ = sum(engine.pool.open for engine in variant.engines)
            endpoints.values += [((*key, "ready"), ready), ((*key, "unready"), len(variant.engines) - ready)]
            connections.values += [((*key, "idle"), idle), ((*key, "busy"), open_ - idle)]
    return endpoints, connections


def _words(status: int, text: str) -> Answer:
    return status, _TEXT, text.encode() + b"\n"


class AdminConnection(asyncio.Protocol):
    """One connection to the admin port."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._reader = Reader(self, _LIMITS, Budget())
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._reader.close()
        if self._task is not None:
            self._task.cancel()  # nobody waits for the probe any more

    def admit(self, request: Request) -> Problem | None:
        return None

    def proceed(self) -> None:
        if self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def received(self, request: Request) -> None:
        self._reader.close()
        self._task = asyncio.get_running_loop().create_task(self._respond(request))

    def surplus(self) -> None:
        pass  # it never has the reader wait

    def refused(self, problem: Problem, request: Request) -> None:
        self._write((problem.status, _JSON, render(problem, Shape.OPENAI, request.id.decode())))

    async def _respond(self, request: Request) -> None:
        path, query = request.path.decode("latin-1"), request.query[1:].decode("latin-1")
        try:
            answer = await self._admin.answer(request.method.decode(), path, query)
        except Exception:
            logger.exception("the admin port could not answer %s", path)
            answer = _words(500, "the log says why")
        self._write(answer)

    def _write(self, answer: Answer) -> None:
        status, content_type, body = answer
        if self._transport is None:
            return
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: {content_type}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self._transport.write(head.encode() + body)
        self._transport.close()
