"""kopf, as a source of events and nothing else: every handler only says whose pass is due.

No finalizers, no annotations, no handlers that keep state: events may be lost or doubled here, and nothing
goes wrong but time.

It runs in a thread and an event loop of its own, because when it stops it cancels every task of its loop: our
passes would be cut off in the middle. It also leaves the process's signals to us there.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import kopf

from pointsman.api.names import (
    CONFIGMAP,
    CONTROLLERREVISION,
    DEPLOYMENT,
    ENDPOINTSLICE,
    JOB,
    LABEL_MANAGED_BY,
    MANAGED_BY,
    NETWORKPOLICY,
    PDB,
    PREFIX,
    ROLE,
    ROLEBINDING,
    SERVICE,
    SERVICEACCOUNT,
    Resource,
)
from pointsman.engine.triggers import OWN_KINDS
from pointsman.kube.config import Access

CHILD_KINDS = (
    CONFIGMAP,
    CONTROLLERREVISION,
    DEPLOYMENT,
    ENDPOINTSLICE,
    JOB,
    NETWORKPOLICY,
    PDB,
    ROLE,
    ROLEBINDING,
    SERVICE,
    SERVICEACCOUNT,
)
"""What we make, and the EndpointSlices that our Services get; each watched by our label, on the server."""

Login = Callable[[], Awaitable[Access]]
"""Asked for credentials at the start and after each 401, in the watches' own loop."""
OnEvent = Callable[[Resource, str | None, Mapping[str, Any]], None]
"""Called with the resource, the event's type (None: an item of a watch's first list) and the object."""


def settings() -> kopf.OperatorSettings:
    """kopf's settings. Durations are in seconds."""
    result = kopf.OperatorSettings()
    result.scanning.disabled = True  # fixed kinds and namespaces; no rights on CRDs or namespaces
    result.peering.standalone = True
    result.posting.enabled = False
    result.posting.loggers = False
    result.watching.chunk_size = 500
    # Integers, also after kopf's jitter: a float here makes the API server refuse the watch.
    result.watching.server_timeout = 300
    result.watching.client_timeout = 360
    result.watching.connect_timeout = 5
    result.watching.inactivity_timeout = 70  # bookmarks come every 60
    for resource in CHILD_KINDS:
        selector = f"{LABEL_MANAGED_BY}={MANAGED_BY}"
        result.watching.label_selectors[resource.group, resource.version, resource.plural] = selector
    result.networking.connect_timeout = 5
    result.networking.request_timeout = 30
    result.networking.enforce_retry_after = True
    # Flat and long: after an outage the first try that can succeed should be near; giving up helps nobody.
    result.networking.error_backoffs = [0.3] * 200
    # A worker is one object's, and keeps its place until it was idle for so long: with its own five seconds
    # a first list of a thousand objects would take most of a minute to be told.
    result.queueing.worker_limit = 100
    result.queueing.idle_timeout = 0.05
    result.queueing.exit_timeout = 1  # its workers only put keys into our queue
    # A name nobody uses: kopf takes "its" finalizer off every object that no handler of its holds, and would
    # take ours if it thought that were its.
    result.persistence.finalizer = f"{PREFIX}/not-used"
    result.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=PREFIX)
    result.persistence.diffbase_storage = NoDiffs()
    # The process decides itself when it's enough (see operator.py); kopf would kill it.
    result.process.ultimate_exiting_timeout = None
    return result


class NoDiffs(kopf.DiffBaseStorage):
    """What kopf compares objects by, for handlers that we don't have: it would copy each event's object as a
    whole, which costs as much as all that we do with the event."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        return None


class Watches:
    """All watches of an operator. `start` once; `ended` is done when they are, with the error if it was one.

    `on_event` is called in the loop that called `start`.
    """

    def __init__(self, login: Login, on_event: OnEvent, *, namespaces: Sequence[str]) -> None:
        self._login = login
        self._on_event = on_event
        self._namespaces = list(namespaces)
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()

    @property
    def started(self) -> bool:
        """Whether the watches were started; their first lists may still be under way."""
        return self._ready.is_set()

    def start(self) -> None:
        """Starts the thread. A daemon: a watch that hangs must not keep the process."""
        self._thread = threading.Thread(target=self._run, name="watches", daemon=True)
        self._thread.start()

    async def stop(self, seconds: float) -> None:
        """Tells the watches to end and gives them some time for it."""
        self._stop.set()
        if self._thread is None:
            return
        await asyncio.wait({self.ended}, timeout=seconds)
        if self.ended.done() and not self.ended.cancelled():
            self.ended.exception()  # looked at, so that nobody complains of an error that nobody looked at

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            asyncio.run(self._watch())
        except BaseException as caught:
            error = caught
        self._tell(self._finish, error)

    async def _watch(self) -> None:
        try:
            await kopf.operator(
                registry=registry(self._login, self._relay),
                settings=settings(),
                standalone=True,
                clusterwide=not self._namespaces,
                namespaces=self._namespaces,
                stop_flag=self._stop,
                ready_flag=self._ready,
            )
        finally:
            # Threads of this loop wait for the flag, and the loop waits for its threads.
            self._stop.set()

    def _relay(self, resource: Resource, kind: str | None, obj: Mapping[str, Any]) -> None:
        self._tell(self._on_event, resource, kind, obj)

    def _finish(self, error: BaseException | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))

    def _tell(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            # The process is past waiting for us.
            return


def registry(login: Login, on_event: OnEvent) -> kopf.OperatorRegistry:
    """Handlers for all kinds."""
    result = kopf.OperatorRegistry()

    async def connection(**_: Any) -> kopf.ConnectionInfo:
        return _connection(await login())

    kopf.on.login(id="login", registry=result)(connection)
    for resource in (*OWN_KINDS, *CHILD_KINDS):
        _register(result, resource, on_event)
    return result


def _register(into: kopf.OperatorRegistry, resource: Resource, on_event: OnEvent) -> None:
    async def handler(event: Mapping[str, Any], **_: Any) -> None:
        on_event(resource, event["type"], event["object"])

    kopf.on.event(
        group=resource.group,
        version=resource.version,
        plural=resource.plural,
        id=f"on-{resource.plural}",
        registry=into,
    )(handler)


def _connection(access: Access) -> kopf.ConnectionInfo:
    return kopf.ConnectionInfo(
        server=access.server,
        ca_path=access.ca_path,
        insecure=not access.verify,
        token=access.token,
        certificate_path=access.certificate_path,
        private_key_path=access.private_key_path,
    )
