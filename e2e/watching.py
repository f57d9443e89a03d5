"""What a cluster holds, as it changes: one watch per kind over all namespaces, each change at its moment.

For measuring how long something took, where looking once a second would be too coarse and too dear. It knows
objects as documents, and nothing of what they mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from e2e.cluster import Kubectl
from e2e.namespace import Manifest
from e2e.waiting import GaveUp

PATHS: Mapping[str, str] = {
    "pods": "/api/v1/pods",
    "events": "/apis/events.k8s.io/v1/events",
    "deployments": "/apis/apps/v1/deployments",
    "jobs": "/apis/batch/v1/jobs",
    "llmservices": "/apis/serving.pointsman.dev/v1alpha1/llmservices",
    "llmrouters": "/apis/serving.pointsman.dev/v1alpha1/llmrouters",
}
LONGEST_LINE = 1 << 24
AGAIN_S = 0.5


@dataclass(slots=True)
class View:
    """What one namespace holds now, by kind and name."""

    held: dict[str, dict[str, Manifest]] = field(default_factory=lambda: defaultdict(dict))

    def all(self, kind: str) -> list[Manifest]:
        """The objects of a kind."""
        return list(self.held[kind].values())

    def get(self, kind: str, name: str) -> Manifest:
        """One object; empty where it isn't there."""
        return self.held[kind].get(name, {})


Sign = Callable[[View], object]
"""Something that a view shows, or doesn't."""


@dataclass(slots=True)
class Watcher:
    """The whole cluster, and who waits for something in it."""

    base: str
    views: dict[str, View] = field(default_factory=lambda: defaultdict(View))
    _waiting: dict[str, list[asyncio.Event]] = field(default_factory=lambda: defaultdict(list))
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _listeners: list[Callable[[str, Manifest], None]] = field(default_factory=list)

    async def until(self, namespace: str, sign: Sign, timeout_s: float, what: str) -> float:
        """Returns the time.monotonic() at which a namespace first shows a sign. Raises GaveUp."""
        news = asyncio.Event()
        self._waiting[namespace].append(news)
        try:
            async with asyncio.timeout(timeout_s):
                while not sign(self.views[namespace]):
                    await news.wait()
                    news.clear()
                return time.monotonic()
        except TimeoutError:
            raise GaveUp(f"waited {timeout_s:.0f} s for {what}") from None
        finally:
            self._waiting[namespace].remove(news)

    def listen(self, heard: Callable[[str, Manifest], None]) -> None:
        """Tells `heard` of every version of every object that comes, by kind; none is left out."""
        self._listeners.append(heard)

    async def start(self, kinds: Mapping[str, str] = PATHS) -> None:
        """Begins to watch; returns once every kind was listed."""
        listed = [asyncio.Event() for _ in kinds]
        self._tasks += [
            asyncio.create_task(self._follow(kind, path, event))
            for (kind, path), event in zip(kinds.items(), listed, strict=True)
        ]
        async with asyncio.timeout(60):
            await asyncio.gather(*(event.wait() for event in listed))

    async def stop(self) -> None:
        """Watches no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _follow(self, kind: str, path: str, listed: asyncio.Event) -> None:
        timeout = aiohttp.ClientTimeout(total=None, connect=30)
        async with aiohttp.ClientSession(timeout=timeout, read_bufsize=LONGEST_LINE) as session:
            while True:
                # A watch that breaks or is too old begins anew with a list.
                with contextlib.suppress(aiohttp.ClientError, OSError, KeyError, ValueError):
                    await self._once(session, kind, f"{self.base}{path}", listed)
                await asyncio.sleep(AGAIN_S)

    async def _once(self, session: aiohttp.ClientSession, kind: str, url: str, listed: asyncio.Event) -> None:
        async with session.get(url) as answer:
            document = await answer.json()
        self._replace(kind, document["items"])
        listed.set()
        since = {"watch": "true", "resourceVersion": document["metadata"]["resourceVersion"]}
        async with session.get(url, params=since) as answer:
            async for line in answer.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                self._take(kind, event["object"], gone=event["type"] == "DELETED")

    def _replace(self, kind: str, items: list[Manifest]) -> None:
        for view in self.views.values():
            view.held[kind].clear()
        for item in items:
            self._take(kind, item, gone=False)
        for namespace in self.views:
            self._tell(namespace)

    def _take(self, kind: str, item: Manifest, *, gone: bool) -> None:
        meta: dict[str, Any] = item["metadata"]
        held = self.views[meta["namespace"]].held[kind]
        if gone:
            held.pop(meta["name"], None)
        else:
            held[meta["name"]] = item
            for heard in self._listeners:
                heard(kind, item)
        self._tell(meta["namespace"])

    def _tell(self, namespace: str) -> None:
        for news in self._waiting[namespace]:
            news.set()


@contextlib.asynccontextmanager
async def watching(kubectl: Kubectl) -> AsyncIterator[Watcher]:
    """A watcher of the cluster that `kubectl` talks to, through a proxy of its own, while the block runs."""
    command = kubectl.argv("proxy", "--port=0", "--address=127.0.0.1", "--keepalive=30s")
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        told = (await process.stdout.readline()).decode()  # Starting to serve on 127.0.0.1:40001
        if "Starting to serve on " not in told:
            raise ConnectionError("kubectl proxy ended without listening")
        watcher = Watcher(f"http://{told.split()[-1]}")
        await watcher.start()
        yield watcher
        await watcher.stop()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
