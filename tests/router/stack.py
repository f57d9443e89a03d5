"""A router with scripted engines behind it, and clients that speak raw HTTP to it."""

import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pointsman_router.picking.naming import tag_of
from pointsman_router.records.accesslog import AccessLog
from pointsman_router.router import Router
from pointsman_router.telling.admin import Admin
from tests.router.engine import FakeEngine, Script


@dataclass
class Answer:
    """A response as the client got it."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes
    chunks: list[bytes] = field(default_factory=list)

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.document["error"]

    def field(self, name: str) -> str | None:
        values = [value for key, value in self.fields if key == name]
        assert len(values) <= 1, values
        return values[0] if values else None


class RawClient:
    """A client connection whose every byte the test writes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ask(self, data: bytes) -> Answer:
        await self.send(data)
        return await self.answer()

    async def head(self) -> Answer:
        """Reads a head only."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)).decode("latin-1")
        line, *rest = head.split("\r\n")[:-2]
        fields = [(k.lower(), v.strip()) for k, _, v in (entry.partition(":") for entry in rest)]
        version, status, _ = line.split(" ", 2)
        assert version == "HTTP/1.1"
        return Answer(int(status), fields, b"")

    async def chunk(self) -> bytes:
        """Reads one chunk of a chunked body; empty at its end."""
        size = int(await asyncio.wait_for(self.reader.readuntil(b"\r\n"), 5), 16)
        data = await asyncio.wait_for(self.reader.readexactly(size + 2), 5)
        assert data.endswith(b"\r\n")
        return data[:-2]

    async def answer(self, to_head: bool = False) -> Answer:
        """Reads a whole response. Raises IncompleteReadError where it's cut short."""
        answer = await self.head()
        length = answer.field("content-length")
        if answer.status < 200 or answer.status in (204, 304) or to_head:
            return answer
        if answer.field("transfer-encoding") == "chunked":
            assert length is None
            while data := await self.chunk():
                answer.chunks.append(data)
            answer.body = b"".join(answer.chunks)
        elif length is not None:
            answer.body = await asyncio.wait_for(self.reader.readexactly(int(length)), 5)
        else:
            answer.body = await asyncio.wait_for(self.reader.read(), 5)
        return answer

    async def closed(self) -> bool:
        """Whether the router ends the connection without another byte."""
        try:
            return await asyncio.wait_for(self.reader.read(1), 5) == b""
        except OSError:
            return True

    def close(self) -> None:
        self.writer.transport.abort()


class Stack:
    """Engines, a router in this process, its ports, and what they wrote."""

    def __init__(self) -> None:
        self.engines: list[FakeEngine] = []
        self.log_file = tempfile.TemporaryFile()  # noqa: SIM115
        self.router = Router(AccessLog(self.log_file.fileno()))
        self.port = 0
        self.admin_port = 0
        self._servers: list[asyncio.Server] = []
        self._clients: list[RawClient] = []

    async def engine(self, *scripts: Script, always: Script | None = None) -> FakeEngine:
        """Starts an engine with scripts for its first requests, and one for all that follow."""
        engine = FakeEngine()
        engine.scripts.extend(scripts)
        if always is not None:
            engine.script = always
        self.engines.append(engine)
        return await engine.start()

    async def start(self, config: dict[str, Any] | None = None, **limits: float) -> "Stack":
        """Starts the router; by default with one service `chat` on all engines."""
        document = config or configuration(service("chat", variant("stable", *self.engines)), **limits)
        assert self.router.state.apply_config(document), self.router.state.error
        self.router.state.replace_slices({})
        loop = asyncio.get_running_loop()
        public = await loop.create_server(self.router.accept, "127.0.0.1", 0)
        admin = await loop.create_server(Admin(self.router, dict).accept, "127.0.0.1", 0)
        self._servers += [public, admin]
        self.port = public.sockets[0].getsockname()[1]
        self.admin_port = admin.sockets[0].getsockname()[1]
        self.router.start()
        return self

    async def client(self) -> RawClient:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", self.port))
        self._clients.append(client)
        return client

    async def ask(self, data: bytes) -> Answer:
        """One request on a connection of its own."""
        client = await self.client()
        answer = await client.ask(data)
        client.close()
        return answer

    async def chat(self, **fields: Any) -> Answer:
        return await self.ask(post("/v1/chat/completions", {"model": "chat", "messages": [], **fields}))

    async def admin(self, method: str, path: str) -> Answer:
        client = RawClient(*await asyncio.open_connection("127.0.0.1", self.admin_port))
        try:
            return await client.ask(f"{method} {path} HTTP/1.1\r\nhost: admin\r\n\r\n".encode())
        finally:
            client.close()

    def entries(self) -> list[dict[str, Any]]:
        """The access log so far."""
        self.router.log.close()
        self.log_file.seek(0)
        return [json.loads(line) for line in self.log_file]

    def metric(self, name: str, **labels: str) -> float:
        """The value of a metric now."""
        from pointsman_router.telling import exposition

        text = exposition.render(self.router.stats, ()).decode()
        shown = ",".join(f'{key}="{labels[key]}"' for key in sorted(labels))
        for line in text.splitlines():
            if line.startswith(f"pointsman_router_{name}{{{shown}}} "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    async def close(self) -> None:
        for client in self._clients:
            client.close()
        for server in self._servers:
            server.close()
        self.router.stop()
        for engine in self.engines:
            await engine.stop()
        await asyncio.sleep(0.01)
        self.router.log.close()
        self.log_file.close()


def configuration(*services: dict[str, Any], **settings: float) -> dict[str, Any]:
    """A document; settings go where they belong by name: the router's limits, each service's routing."""
    limits: dict[str, float] = {}
    routing: dict[str, dict[str, float]] = {}
    for name, value in settings.items():
        section = SECTIONS.get(name)
        (limits if section is None else routing.setdefault(section, {}))[name] = value
    placed = [{**one, "routing": one.get("routing", {}) | routing} for one in services]
    return {"name": "test", "format": 1, "services": placed, "limits": limits}


SECTIONS = {
    "connectSeconds": "timeouts",
    "firstByteSeconds": "timeouts",
    "idleStreamSeconds": "timeouts",
    "requestSeconds": "timeouts",
    "commentSeconds": "timeouts",
    "maxAttempts": "retries",
    "budgetPercent": "retries",
    "failures": "ejection",
    "seconds": "ejection",
    "maxPercent": "ejection",
    "maxRequests": "engines",
    "maxQueued": "engines",
    "queueSeconds": "engines",
    "slowStartSeconds": "engines",
    "idleSeconds": "engines",
}
"""Of a service's settings, those that tests often change: where they stand in its `routing`."""


def service(
    name: str,
    *variants: dict[str, Any],
    names: Sequence[str] = (),
    engine_model: str = "",
    generation: int = 1,
) -> dict[str, Any]:
    return {
        "name": name,
        "modelNames": list(names or (name,)),
        "engineModel": engine_model or name,
        "variants": list(variants),
        "generation": generation,
        "created": 1700000000,
        "owner": "team-a",
    }


def variant(name: str, *engines: FakeEngine | str, weight: int = 100) -> dict[str, Any]:
    addresses = [engine if isinstance(engine, str) else engine.address for engine in engines]
    return {"name": name, "weight": weight, "upstream": {"addresses": addresses}}


def post(path: str, document: Any, *fields: str) -> bytes:
    """A POST as a client would write it. `document`: JSON-able, or the body's bytes."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: api.example", *fields]
    if not any(line.lower().startswith("content-type:") for line in fields):
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: api.example", *fields, "", ""]).encode()


CHAT = post("/v1/chat/completions", {"model": "chat", "messages": []})
STREAM = post("/v1/chat/completions", {"model": "chat", "messages": [], "stream": True})


def tagged(request_id: str, service: str = "chat", variant: str = "stable") -> str:
    """A request's id as engines get it."""
    return request_id + tag_of(service, variant).decode()


async def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Waits until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)


async def refused_address() -> str:
    """An address where nothing listens."""
    server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return f"127.0.0.1:{port}"


@asynccontextmanager
async def file_of(document: Any) -> AsyncIterator[str]:
    """A file that holds a document as JSON."""
    handle, path = tempfile.mkstemp(suffix=".json")
    try:
        os.write(handle, json.dumps(document).encode())
        yield path
    finally:
        os.close(handle)
        os.unlink(path)
