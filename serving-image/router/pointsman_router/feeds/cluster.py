"""Follows the API server: one ConfigMap for the configuration, EndpointSlices for the engines.

List, then watch from there, again and again; the state it feeds stays as it is while the API server is away.
A watch is asked to end within a minute and is given up shortly after, so a connection that died unnoticed is
noticed. It knows Kubernetes' list/watch protocol and nothing of requests.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import random
from time import monotonic
from typing import Any, Protocol
from urllib.parse import quote, urlencode, urlsplit

import orjson

from pointsman_router import fetch
from pointsman_router.engines.endpoints import Slice, read_slice
from pointsman_router.fetch import FetchError, Target
from pointsman_router.state import State

CONFIG_KEY = "config.json.gz"
ENGINE_SELECTOR = "pointsman.dev/role=engine"
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_MAX_CONFIG_BYTES = 32 * 1024 * 1024
_MAX_LINE_BYTES = 16 * 1024 * 1024
_MAX_LIST_BYTES = 256 * 1024 * 1024
_PAGE = 500

logger = logging.getLogger("pointsman_router.cluster")


class ApiError(Exception):
    """The API server answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class GoneError(Exception):
    """The version to watch from is too old (410): list anew."""


@dataclass(frozen=True, slots=True)
class Api:
    """How the API server is reached. The token is read for each request, since it's rotated."""

    target: Target
    token_file: Path | None = None

    @classmethod
    def from_pod(cls) -> Api:
        """As any pod finds it. Raises KeyError or OSError outside of one."""
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
        tls = ssl.create_default_context(cafile=str(_ACCOUNT / "ca.crt"))
        return cls(Target(host, port, tls), _ACCOUNT / "token")

    @classmethod
    def at(cls, url: str, ca_file: str, token_file: str) -> Api:
        """At an URL (`https://host:port`)."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        tls = ssl.create_default_context(cafile=ca_file or None) if secure else None
        port = parts.port or (443 if secure else 80)
        return cls(Target(parts.hostname or "", port, tls), Path(token_file) if token_file else None)

    def headers(self) -> dict[str, str]:
        fields = {"accept": "application/json", "user-agent": "pointsman-router"}
        if self.token_file is not None:
            fields["authorization"] = f"Bearer {self.token_file.read_text().strip()}"
        return fields


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient a follower is; times in seconds."""

    list: float = 30.0
    """For one page of a list."""
    watch: tuple[int, int] = (40, 55)
    """Bounds of the time a watch is asked to last; whole, since the API server takes no others."""
    grace: float = 10.0
    """How much longer a watch may last before it counts as dead."""
    short: float = 2.0
    """A watch that ends sooner isn't renewed at once."""
    backoff: tuple[float, float] = (0.5, 15.0)
    """First and longest wait after a failure."""


class Sink(Protocol):
    """Takes what a list or watch says."""

    def replace(self, items: list[dict[str, Any]]) -> None:
        """All objects there are now."""

    def put(self, item: dict[str, Any]) -> None:
        """One that came or changed."""

    def drop(self, item: dict[str, Any]) -> None:
        """One that is gone."""


@dataclass(slots=True)
class Follower:
    """Follows one kind of object."""

    api: Api
    path: str
    selector: Mapping[str, str]
    sink: Sink
    pace: Pace = field(default_factory=Pace)
    last_heard: float = field(default_factory=monotonic)
    """When (monotonic) the API server last answered or sent an event."""
    _version: str = ""
    _failures: int = 0

    async def run(self) -> None:
        """Lists and watches until cancelled."""
        while True:
            began = monotonic()
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                self._failures = 0
            except GoneError:
                self._version = ""
            except (OSError, FetchError, ApiError, orjson.JSONDecodeError) as error:
                logger.warning("lost sight of %s: %s", self.path, str(error) or type(error).__name__)
                await self._back_off()
                continue
            except Exception:
                # An object nobody foresaw must not end the watch, nor be skipped: list anew.
                logger.exception("could not take what %s says", self.path)
                self._version = ""
                await self._back_off()
                continue
            if monotonic() - began < self.pace.short:
                await asyncio.sleep(
                    random() * self.pace.short / 2
                )  # a server that ends every watch at once isn't to be hurried

    async def _back_off(self) -> None:
        first, most = self.pace.backoff
        doubled: float = first * 2 ** min(self._failures, 8)
        self._failures += 1
        await asyncio.sleep(min(most, doubled) * (0.5 + random() / 2))

    async def _list(self) -> None:
        items: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = await self._get({"limit": str(_PAGE), **cursor})
            items += page.get("items") or ()
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                break
            cursor = {"continue": metadata["continue"]}
        self._version = metadata.get("resourceVersion", "")
        self.last_heard = monotonic()
        self.sink.replace(items)

    async def _get(self, query: Mapping[str, str]) -> dict[str, Any]:
        async with (
            asyncio.timeout(self.pace.list),
            fetch.stream(self.api.target, self._url(query), self.api.headers()) as answer,
        ):
            body = await answer.read_all(_MAX_LIST_BYTES)
        _check(answer.status, body)
        document: dict[str, Any] = orjson.loads(body)
        return document

    async def _watch(self) -> None:
        low, high = self.pace.watch
        seconds = low + int(random() * (high - low))
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(seconds),
        }
        async with (
            asyncio.timeout(seconds + self.pace.grace),
            fetch.stream(self.api.target, self._url(query), self.api.headers()) as answer,
        ):
            if answer.status != 200:
                _check(answer.status, await answer.read_all(_MAX_LINE_BYTES))
            self.last_heard = monotonic()
            self._failures = 0
            async for line in answer.lines(_MAX_LINE_BYTES):
                self.last_heard = monotonic()
                self._take(orjson.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        item = event["object"]
        match event["type"]:
            case "ERROR":
                _check(int(item.get("code") or 500), orjson.dumps(item))
            case "ADDED" | "MODIFIED":
                self.sink.put(item)
            case "DELETED":
                self.sink.drop(item)
        self._version = item["metadata"]["resourceVersion"]

    def _url(self, query: Mapping[str, str]) -> str:
        return f"{self.path}?{urlencode({**self.selector, **query})}"


def _check(status: int, body: bytes) -> None:
    if status == 410:
        raise GoneError
    if status != 200:
        try:
            message = str(orjson.loads(body).get("message"))
        except (ValueError, AttributeError):
            message = body[:200].decode("utf-8", "replace")
        raise ApiError(status, message)


class ConfigSink:
    """Feeds the ConfigMap's document to the state."""

    def __init__(self, state: State, name: str) -> None:
        self._state = state
        self._name = name

    def replace(self, items: list[dict[str, Any]]) -> None:
        if items:
            self.put(items[0])
        else:
            self._state.refuse_config(f"ConfigMap {self._name} doesn't exist")

    def put(self, item: dict[str, Any]) -> None:
        try:
            document = unpack(item)
        except ValueError as error:
            self._state.refuse_config(str(error))
        else:
            self._state.apply_config(document)
        if self._state.error:
            logger.error("kept the last configuration: %s", self._state.error)
        else:
            logger.info("running configuration %s", self._state.table.hash)

    def drop(self, item: dict[str, Any]) -> None:
        self._state.refuse_config(f"ConfigMap {self._name} was deleted")
        logger.error("kept the last configuration: %s", self._state.error)


def unpack(config_map: Mapping[str, Any]) -> object:
    """The document in a ConfigMap. Raises ValueError saying what is wrong with it."""
    packed = (config_map.get("binaryData") or {}).get(CONFIG_KEY)
    if packed is None:
        raise ValueError(f"binaryData[{CONFIG_KEY!r}] is missing")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        text = unpacker.decompress(base64.b64decode(packed), _MAX_CONFIG_BYTES)
    except (ValueError, zlib.error) as error:
        raise ValueError(f"binaryData[{CONFIG_KEY!r}] is not gzip: {error}") from None
    if not unpacker.eof:
        raise ValueError(
            f"binaryData[{CONFIG_KEY!r}] is cut short, or over {_MAX_CONFIG_BYTES} bytes unpacked"
        )
    document: object = orjson.loads(text)
    return document


class SliceSink:
    """Feeds EndpointSlices to the state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def replace(self, items: list[dict[str, Any]]) -> None:
        slices: dict[str, Slice] = {item["metadata"]["name"]: read_slice(item) for item in items}
        self._state.replace_slices(slices)

    def put(self, item: dict[str, Any]) -> None:
        self._state.put_slice(item["metadata"]["name"], read_slice(item))

    def drop(self, item: dict[str, Any]) -> None:
        self._state.drop_slice(item["metadata"]["name"])


def followers(
    api: Api, namespace: str, config_map: str, state: State, pace: Pace | None = None
) -> dict[str, Follower]:
    """What a router follows, by a name for metrics."""
    pace = pace or Pace()
    core = f"/api/v1/namespaces/{quote(namespace)}/configmaps"
    discovery = f"/apis/discovery.k8s.io/v1/namespaces/{quote(namespace)}/endpointslices"
    by_name, by_label = {"fieldSelector": f"metadata.name={config_map}"}, {"labelSelector": ENGINE_SELECTOR}
    return {
        "config": Follower(api, core, by_name, ConfigSink(state, config_map), pace),
        "endpoints": Follower(api, discovery, by_label, SliceSink(state), pace),
    }


def own_namespace() -> str:
    """The namespace of the pod this runs in. Raises OSError outside of one."""
    return (_ACCOUNT / "namespace").read_text().strip()
