"""The real Kube: raw JSON over `kubernetes.aio`'s transport, without its models.

The library gives us the way in (kubeconfig, in-cluster tokens, TLS, proxies) and one pooled session; bodies
are read and written by orjson. Requests that can safely be sent twice are retried here, briefly; everything
longer belongs to the queue's backoff. This module knows HTTP and the API's conventions, not our kinds.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import aiohttp
import orjson
from kubernetes.aio import client

from pointsman import __version__
from pointsman.api.names import CORE_EVENT, RESOURCES, Resource
from pointsman.kube.failure import causes_of, failure_of
from pointsman.kube.protocol import Invalid, NotFound, Object, Objects, Retryable
from pointsman.kube.throttle import Bucket

PAGE = 500
ATTEMPTS = 3
LONGEST_WAIT = 5.0
"""Seconds a retry here may wait; a server that asks for more gets its answer through the queue."""
JSON = "application/json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
REPAIR = "pointsman-repair"
"""Field manager of `overwrite`, for the moment between its two requests."""

Observer = Callable[[str, str, int, float], None]
"""Called after each request with verb, kind, HTTP code (0: no answer) and seconds."""


class AioKube:
    """See `Kube` and `Previewing`. One instance per process and event loop; `close` it.

    `connections`: how many requests that only read may be under way; `writing`: how many that write, of which
    more would only make the server slower.
    """

    def __init__(
        self,
        configuration: Any,
        *,
        connections: int = 64,
        writing: int = 16,
        timeout_seconds: float = 30.0,
        writes: Bucket | None = None,
        status_writes: Bucket | None = None,
        observer: Observer | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        resources: Iterable[Resource] = (),
    ) -> None:
        # A consistent LIST sleeps in the server, up to a tenth of a second, until its cache has caught up
        # with the store. It costs nothing but a connection, which mustn't be the one that a write needs.
        configuration.connection_pool_maxsize = connections + writing
        # Else each request waits for a thread that reads ~/.netrc and the environment's proxies. A kubeconfig
        # names its own proxy, and kopf's watches look at no other either.
        configuration.client_session_kwargs = {"trust_env": False}
        self._writing = asyncio.Semaphore(writing)
        self._api: Any = client.ApiClient(configuration)
        self._host = str(configuration.host).rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, connect=5.0)
        self._writes = writes
        self._status_writes = status_writes
        self._observe = observer or (lambda verb, kind, code, seconds: None)
        self._sleep = sleep
        self._jitter = jitter
        known = (*RESOURCES.values(), CORE_EVENT, *resources)
        self._resources = {(resource.api_version, resource.kind): resource for resource in known}

    async def close(self) -> None:
        """Closes all connections."""
        await self._api.close()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return await self._send("get", resource, "GET", path_of(resource, namespace, name))

    async def list(
        self,
        resource: Resource,
        namespace: str | None,
        *,
        labels: str = "",
        fields: str = "",
        since: int | None = None,
    ) -> Objects:
        query = {"labelSelector": labels, "fieldSelector": fields, "limit": str(PAGE)}
        if since is not None:
            query |= {"resourceVersion": str(since), "resourceVersionMatch": "NotOlderThan"}
        for _ in range(ATTEMPTS):
            try:
                return await self._pages(resource, namespace, {k: v for k, v in query.items() if v})
            except _Expired:
                # The continue token outlived its snapshot. Half of an old list is worse than a new one.
                continue
        raise Retryable(f"list of {resource.plural} changed faster than it could be read")

    async def apply(self, obj: Mapping[str, Any], *, manager: str, force: bool = True) -> Object:
        resource, namespace, name = self._identity(obj)
        query = {"fieldManager": manager, "force": "true" if force else "false"}
        path = path_of(resource, namespace, name)
        return await self._write("apply", resource, "PATCH", path, query, obj, APPLY)

    async def overwrite(self, obj: Mapping[str, Any]) -> Object:
        resource, namespace, name = self._identity(obj)
        path, query = path_of(resource, namespace, name), {"fieldManager": REPAIR}
        written = await self._write("overwrite", resource, "PATCH", path, query, obj, MERGE)
        metadata = written["metadata"]
        # Left in place, this entry would keep every field alive that we stop applying one day.
        entries = [e for e in metadata.get("managedFields") or () if e.get("manager") != REPAIR]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "managedFields": entries}}
        return await self._write("overwrite", resource, "PATCH", path, query, body, MERGE)

    async def create(self, obj: Mapping[str, Any], *, manager: str = "pointsman") -> Object:
        resource, namespace, _ = self._identity(obj)
        path = path_of(resource, namespace, None)
        return await self._write("create", resource, "POST", path, {"fieldManager": manager}, obj, JSON)

    async def preview(self, obj: Mapping[str, Any], difference: Mapping[str, Any] | None = None) -> Object:
        """See `Previewing`."""
        resource, namespace, name = self._identity(obj)
        query = {"dryRun": "All", "fieldManager": "pointsman-plan", "fieldValidation": "Strict"}
        if difference is None:
            path = path_of(resource, namespace, None)
            return await self._write("preview", resource, "POST", path, query, obj, JSON)
        path = path_of(resource, namespace, name)
        return await self._write("preview", resource, "PATCH", path, query, difference, MERGE)

    async def patch_status(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        status: Mapping[str, Any],
        *,
        resource_version: str | None,
    ) -> Object:
        body: Object = {"status": dict(status)}
        if resource_version is not None:
            body["metadata"] = {"resourceVersion": resource_version}
        path = path_of(resource, namespace, name) + "/status"
        query = {"fieldManager": "pointsman-status"}
        return await self._write("patch_status", resource, "PATCH", path, query, body, MERGE)

    async def patch_finalizers(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        finalizers: Sequence[str],
        *,
        resource_version: str,
    ) -> Object:
        body = {"metadata": {"resourceVersion": resource_version, "finalizers": list(finalizers)}}
        path = path_of(resource, namespace, name)
        query = {"fieldManager": "pointsman"}
        return await self._write("patch_finalizers", resource, "PATCH", path, query, body, MERGE)

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str,
        propagation: str = "Background",
    ) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
            "propagationPolicy": propagation,
        }
        await self._write("delete", resource, "DELETE", path_of(resource, namespace, name), {}, body, JSON)

    async def served(self, api_version: str) -> frozenset[str]:
        prefix = "/apis/" if "/" in api_version else "/api/"
        resource = Resource(*_group_version(api_version), kind="APIResourceList", plural="")
        try:
            answer = await self._send("get", resource, "GET", prefix + api_version)
        except NotFound:
            return frozenset()
        return frozenset(item["kind"] for item in answer["resources"] if "/" not in item["name"])

    def _identity(self, obj: Mapping[str, Any]) -> tuple[Resource, str | None, str]:
        resource = self._resources.get((obj.get("apiVersion", ""), obj.get("kind", "")))
        if resource is None:
            raise Invalid(f"{obj.get('apiVersion')}/{obj.get('kind')} is not a kind this operator writes")
        metadata = obj["metadata"]
        if resource.namespaced and not metadata.get("namespace"):
            raise Invalid(f"{resource.kind} {metadata['name']!r}: metadata.namespace is required")
        return resource, metadata.get("namespace"), metadata["name"]

    async def _pages(self, resource: Resource, namespace: str | None, query: dict[str, str]) -> Objects:
        path, found = path_of(resource, namespace, None), Objects()
        page = query
        while True:
            answer = await self._send("list", resource, "GET", path, page)
            metadata = answer.get("metadata") or {}
            # All pages show the version of the first.
            found.version = found.version or int(metadata.get("resourceVersion") or 0)
            for item in answer.get("items") or ():
                # Items of a list come without their type; everyone after us relies on it.
                item["apiVersion"], item["kind"] = resource.api_version, resource.kind
                found.append(_trim(item))
            token = metadata.get("continue")
            if not token:
                return found
            # The token says of what version; the server refuses to hear it twice.
            page = {k: v for k, v in query.items() if not k.startswith("resourceVersion")} | {
                "continue": token
            }

    async def _write(
        self,
        verb: str,
        resource: Resource,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any],
        content_type: str,
    ) -> Object:
        bucket = self._status_writes if verb == "patch_status" else self._writes
        if bucket is not None:
            await bucket.take()
        async with self._writing:
            return await self._send(verb, resource, method, path, query, orjson.dumps(body), content_type)

    async def _send(
        self,
        verb: str,
        resource: Resource,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
    ) -> Object:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._once(verb, resource, method, path, query, body, content_type)
            except (_Expired, _Ahead):
                raise
            except _Unsent as error:
                reason = Retryable(error.message)
            except Retryable as error:
                # A create that may have happened mustn't be sent again: its answer would be AlreadyExists.
                if verb == "create" or error.after_seconds > LONGEST_WAIT:
                    raise
                reason = error
            if attempt == ATTEMPTS:
                raise reason
            await self._sleep(max(reason.after_seconds, 0.2 * 2**attempt * self._jitter()))
        raise AssertionError("unreachable")

    async def _once(
        self,
        verb: str,
        resource: Resource,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes | None,
        content_type: str,
    ) -> Object:
        started, code = time.monotonic(), 0
        try:
            async with await self._request(method, path, query, body, content_type) as response:
                code = response.status
                content = await response.read()
                if code >= 400:
                    raise _failure(verb, response, content)
                return _trim(_parsed(content))
        except aiohttp.ClientConnectorError as error:
            raise _Unsent(f"no connection to the API server: {error}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Retryable(f"no answer from the API server: {type(error).__name__} {error}") from error
        finally:
            self._observe(verb, resource.kind, code, time.monotonic() - started)

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: bytes | None,
        content_type: str,
    ) -> aiohttp.ClientResponse:
        headers = {
            "Accept": JSON,
            "Content-Type": content_type,
            "User-Agent": f"pointsman/{__version__}",
        }
        # Asked for each time: in a pod the token is renewed on disk.
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
        rest = self._api.rest_client
        if rest.pool_manager is None:
            rest.pool_manager = rest._create_pool_manager()
        options: dict[str, Any] = {"proxy": rest.proxy} if rest.proxy else {}
        if rest.configuration.tls_server_name:
            options["server_hostname"] = rest.configuration.tls_server_name
        session: aiohttp.ClientSession = rest.pool_manager
        return await session.request(
            method,
            self._host + path,
            params=query,
            data=body,
            headers=headers,
            timeout=self._timeout,
            **options,
        )


class _Expired(Retryable):
    """The continue token of a paged list is too old."""


class _Ahead(Retryable):
    """The server has waited for the version that was asked for, and hasn't got there."""


class _Unsent(Retryable):
    """No byte reached the server, so whatever it was may be sent again."""


def path_of(resource: Resource, namespace: str | None, name: str | None) -> str:
    """URL path of one object, or of the collection where `name` is None (of all namespaces: both None)."""
    base = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.api_version}"
    if resource.namespaced and namespace is not None:
        base += f"/namespaces/{namespace}"
    return f"{base}/{resource.plural}" + (f"/{name}" if name is not None else "")


def _trim(obj: Object) -> Object:
    """Without managedFields: half of most objects' bytes, and nothing here ever reads them."""
    metadata = obj.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("managedFields", None)
    return obj


def _group_version(api_version: str) -> tuple[str, str]:
    group, _, version = api_version.rpartition("/")
    return group, version


def _failure(verb: str, response: aiohttp.ClientResponse, content: bytes) -> Exception:
    if response.status == 410 and verb == "list":
        return _Expired("the list's continue token has expired")
    try:
        status = _parsed(content)
    except Retryable:
        status = {}
    message = str(status.get("message") or f"{response.status} {response.reason}")
    if verb == "list" and "ResourceVersionTooLarge" in causes_of(status):
        return _Ahead(message)
    return failure_of(verb, response.status, status, message, response.headers.get("Retry-After", ""))


def _parsed(content: bytes) -> Object:
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Retryable(f"the API server's answer is no JSON: {error}") from error
    if not isinstance(answer, dict):
        raise Retryable("the API server's answer is no JSON object")
    return answer
