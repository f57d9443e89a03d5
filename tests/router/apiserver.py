"""A small API server: it lists in pages and watches, with bookmarks, 410, and ways to misbehave."""

import asyncio
import json
import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]


@dataclass
class FakeApiServer:
    """Holds objects by path and name; every change is an event with a version of its own."""

    token: str = ""
    page: int = 0
    """Objects a page; 0 follows the client's `limit`."""
    objects: dict[str, dict[str, Object]] = field(default_factory=dict)
    events: list[tuple[int, str, str, Object]] = field(default_factory=list)
    """Version, path, type, object."""
    version: int = 100
    oldest: int = 0
    """Watches from before this version get 410."""
    failing: int = 0
    """Status that every request is answered with, while set."""
    frozen: bool = False
    """Whether open watches stay silent, as over a dead connection."""
    lists: int = 0
    watches: int = 0
    bookmarks: int = 0
    selectors: list[dict[str, str]] = field(default_factory=list)
    port: int = 0
    _server: asyncio.Server | None = None
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self, tls: ssl.SSLContext | None = None) -> "FakeApiServer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        """Goes away: nothing listens, every connection ends."""
        if self._server is not None:
            self._server.close()
        self.drop_connections()
        await asyncio.sleep(0.01)

    def drop_connections(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def put(self, path: str, item: Object) -> None:
        known = self.objects.setdefault(path, {})
        name = item["metadata"]["name"]
        await self._happen(path, "MODIFIED" if name in known else "ADDED", item)
        known[name] = item

    async def delete(self, path: str, name: str) -> None:
        await self._happen(path, "DELETED", self.objects[path].pop(name))

    async def bookmark(self, path: str) -> None:
        self.bookmarks += 1
        await self._happen(path, "BOOKMARK", {"metadata": {}})

    async def error(self, path: str, code: int) -> None:
        """Ends open watches with an ERROR event."""
        await self._happen(
            path, "ERROR", {"kind": "Status", "code": code, "message": "said so", "metadata": {}}
        )

    async def compact(self) -> None:
        """Forgets the past: whoever watches from it gets 410."""
        self.version += 1
        self.oldest = self.version

    async def _happen(self, path: str, kind: str, item: Object) -> None:
        self.version += 1
        item["metadata"] = {**item["metadata"], "resourceVersion": str(self.version)}
        async with self._changed:
            self.events.append((self.version, path, kind, json.loads(json.dumps(item))))
            self._changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            await self._answer(head, writer)
        except (OSError, asyncio.IncompleteReadError, RuntimeError):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        target = urlsplit(head.split(" ")[1])
        query = {key: values[-1] for key, values in parse_qs(target.query).items()}
        self.selectors.append({k: v for k, v in query.items() if k.endswith("Selector")})
        if self.failing:
            await _send(writer, self.failing, {"kind": "Status", "message": "failing"})
        elif self.token and f"authorization: Bearer {self.token}\r\n" not in head:
            await _send(writer, 401, {"kind": "Status", "message": "Unauthorized"})
        elif query.get("watch"):
            await self._watch(target.path, query, writer)
        else:
            await self._list(target.path, query, writer)

    async def _list(self, path: str, query: dict[str, str], writer: asyncio.StreamWriter) -> None:
        self.lists += 1
        items = [self.objects.get(path, {})[name] for name in sorted(self.objects.get(path, {}))]
        start, size = int(query.get("continue", 0)), self.page or int(query["limit"])
        metadata = {"resourceVersion": str(self.version)}
        if start + size < len(items):
            metadata["continue"] = str(start + size)
        await _send(writer, 200, {"kind": "List", "metadata": metadata, "items": items[start : start + size]})

    async def _watch(self, path: str, query: dict[str, str], writer: asyncio.StreamWriter) -> None:
        self.watches += 1
        seen = int(query["resourceVersion"])
        assert query["allowWatchBookmarks"] == "true"
        if seen < self.oldest:
            await _send(writer, 410, {"kind": "Status", "code": 410, "message": "too old"})
            return
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        try:
            async with asyncio.timeout(int(query["timeoutSeconds"])):
                while not writer.transport.is_closing():
                    seen = await self._send_events(path, seen, writer)
        except TimeoutError:
            writer.write(b"0\r\n\r\n")
            await writer.drain()

    async def _send_events(self, path: str, seen: int, writer: asyncio.StreamWriter) -> int:
        for version, where, kind, item in list(self.events):
            if where == path and version > seen and not self.frozen:
                line = json.dumps({"type": kind, "object": item}).encode() + b"\n"
                # Cut where it hurts: events don't come in chunks of their own.
                for piece in (line[:7], line[7:]):
                    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
                seen = version
        async with self._changed:
            await self._changed.wait()
        return seen


async def _send(writer: asyncio.StreamWriter, status: int, document: Object) -> None:
    body = json.dumps(document).encode()
    writer.write(b"HTTP/1.1 %d Word\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body)
    await writer.drain()
