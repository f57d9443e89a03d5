"""kopf, as a source of events and nothing else: every handler only says whose pass is due.

No finalizers, no annotations, no handlers that keep state: events may be lost or doubled here, and nothing
goes wrong but time. craft's reasons are in docs/adr.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import kopf

from pointsman.api.names import (
    CONFIGMAP,
    CONTROLLERREVISION,
    DEPLOYMENT,
    ENDPOINTSLICE,
    FINALIZER,
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
    result.queueing.worker_limit = 100
    result.queueing.exit_timeout = 1  # its workers only put keys into our queue
    result.persistence.finalizer = FINALIZER
    result.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=PREFIX)
    result.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=PREFIX)
    # The process decides itself when it's enough (see operator.py); kopf would kill it.
    result.process.ultimate_exiting_timeout = None
    return result


def registry(access: Callable[[], Any], on_event: OnEvent) -> kopf.OperatorRegistry:
    """Handlers for all kinds. `access` is asked, and awaited, for credentials at start and after each 401."""
    result = kopf.OperatorRegistry()

    async def login(**_: Any) -> kopf.ConnectionInfo:
        return _connection(await access())

    kopf.on.login(id="login", registry=result)(login)
    for resource in (*OWN_KINDS, *CHILD_KINDS):
        _register(result, resource, on_event)
    return result


async def watch(
    access: Callable[[], Any],
    on_event: OnEvent,
    *,
    namespaces: Sequence[str],
    stop: asyncio.Event,
    ready: asyncio.Event,
) -> None:
    """Watches until `stop` is set, or until a watch can't go on: then it raises or returns early."""
    await kopf.operator(
        registry=registry(access, on_event),
        settings=settings(),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=list(namespaces),
        stop_flag=stop,
        ready_flag=ready,
    )


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
