"""The admin port: health, readiness, metrics, signals, probes, questions. Not reached by the public Service.

One request a connection. It reads requests as strictly as the public port does, bounds what a connection may
take of time and memory as that does, and owns no state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from importlib import import_module
from typing import Final, cast
from urllib.parse import parse_qs, unquote

import orjson

from pointsman_router.clients.reader import Reader
from pointsman_router.clients.request import Budget, Request
from pointsman_router.errors import Problem, Shape, render
from pointsman_router.router import Router, logger
from pointsman_router.settings import Limits
from pointsman_router.telling import signals
from pointsman_router.telling.ask import ask
from pointsman_router.telling.probe import Prober

_LIMITS = Limits(max_head_bytes=16 * 1024, max_body_bytes=64 * 1024)
_MAX_CONNECTIONS: Final = 256
_PATIENCE_SECONDS: Final = 10.0
"""For a whole request, and again for its answer to be taken."""
_PROBE_PREFIX: Final = "/probe/"
_ASK_PREFIX: Final = "/ask/"
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}
_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"

Answer = tuple[int, str, bytes]
"""Status, content type and body."""


class Admin:
    """What the admin port answers. `watches`: when (monotonic) each followed resource was last heard of."""

    def __init__(self, router: Router, watches: Callable[[], Mapping[str, float]]) -> None:
        self._router = router
        self._watches = watches
        self._prober = Prober(router)
        self._can_render = False
        self.connections: set[AdminConnection] = set()

    def accept(self) -> AdminConnection:
        """Protocol factory of the admin port."""
        return AdminConnection(self)

    async def answer(self, method: str, path: str, query: str, body: bytes = b"") -> Answer:
        """Answers one request."""
        for prefix, asked in ((_PROBE_PREFIX, self._probe), (_ASK_PREFIX, self._ask)):
            if path.startswith(prefix) and len(path) > len(prefix):
                if method != "POST":
                    return _words(405, "POST only")
                said = {name: values[-1] for name, values in parse_qs(query).items()}
                return await asked(unquote(path[len(prefix) :]), said, body)
        if method != "GET":
            return _words(405, "GET only")
        match path:
            case "/healthz":
                return _words(200, "ok")
            case "/readyz":
                return _words(200, "ready") if self._router.ready else _words(503, self._unready())
            case "/metrics":
                return await self._metrics()
            case "/signals":
                return 200, _JSON, orjson.dumps(signals.describe(self._router))
        return _words(404, "not found")

    async def _probe(self, service: str, said: Mapping[str, str], body: bytes) -> Answer:
        status, document = await self._prober.probe(service, said.get("variant", ""))
        return status, _JSON, orjson.dumps(document)

    async def _ask(self, service: str, said: Mapping[str, str], body: bytes) -> Answer:
        override = frozenset(filter(None, said.get("override", "").split(",")))
        status, answer = await ask(self._router, service, said.get("variant", ""), body, override)
        return status, _JSON, answer

    async def _metrics(self) -> Answer:
        if not self._can_render:
            # Its library takes longer to load than a start, or a stream, should wait.
            await asyncio.to_thread(import_module, "pointsman_router.telling.gauges")
            self._can_render = True
        from pointsman_router.telling import gauges

        return 200, gauges.CONTENT_TYPE, gauges.render(self._router, self._watches())

    def _unready(self) -> str:
        state = self._router.state
        if self._router.draining:
            return "draining"
        if not state.configured:
            return f"no configuration yet {state.error}".rstrip()
        return self._router.closed_because or "endpoints not listed yet"


def _words(status: int, text: str) -> Answer:
    return status, _TEXT, text.encode() + b"\n"


class AdminConnection(asyncio.Protocol):
    """One connection to the admin port."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._reader = Reader(self, _LIMITS, Budget())
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        others = self._admin.connections
        if len(others) >= _MAX_CONNECTIONS:
            self._transport.abort()
            return
        others.add(self)
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._transport.abort)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._admin.connections.discard(self)
        self._reader.close()
        self._wait_no_more()
        if self._task is not None:
            self._task.cancel()  # nobody waits for the probe any more

    def admit(self, request: Request) -> Problem | None:
        return None

    def proceed(self) -> None:
        if self._transport is not None:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def received(self, request: Request) -> None:
        self._reader.close()
        self._wait_no_more()
        self._task = asyncio.get_running_loop().create_task(self._respond(request))

    def surplus(self) -> None:
        pass  # it never has the reader wait

    def refused(self, problem: Problem, request: Request) -> None:
        self._write((problem.status, _JSON, render(problem, Shape.OPENAI, request.id.decode())))

    async def _respond(self, request: Request) -> None:
        path, query = request.path.decode("latin-1"), request.query[1:].decode("latin-1")
        try:
            answer = await self._admin.answer(request.method.decode(), path, query, request.body)
        except Exception:
            logger.exception("the admin port could not answer %s", path)
            answer = _words(500, "the log says why")
        self._write(answer)

    def _write(self, answer: Answer) -> None:
        status, content_type, body = answer
        if self._transport is None:
            return
        head = (
            f"HTTP/1.1 {status} {_PHRASES.get(status, '')}\r\ncontent-type: {content_type}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self._transport.write(head.encode() + body)
        self._transport.close()
        self._wait_no_more()
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._transport.abort)

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
