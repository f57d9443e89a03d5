"""The full re-list: every object of ours gets a pass, and what watches missed is found.

After a watch was cut off for long, nobody tells of objects that were deleted meanwhile; only a list and a set
difference do.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from pointsman.api.names import Key
from pointsman.app.metrics import Metrics
from pointsman.engine.triggers import OWN_KINDS, Triggers
from pointsman.kube.protocol import Kube, KubeError

logger = logging.getLogger(__name__)

RETRY_SECONDS = 15.0


class Resync:
    """Lists our kinds every `seconds`; passes are spread over a third of that."""

    def __init__(
        self,
        kube: Kube,
        triggers: Triggers,
        metrics: Metrics,
        *,
        namespaces: Sequence[str],
        seconds: float,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        """`forget`: drops what passes take for known because no watch told otherwise."""
        self._kube = kube
        self._triggers = triggers
        self._metrics = metrics
        self._namespaces: Sequence[str | None] = list(namespaces) or [None]
        self._seconds = seconds
        self._forget = forget
        self.tried = asyncio.Event()
        """Set after the first list, whether it succeeded or not."""
        self.done = asyncio.Event()
        """Set after the first list that succeeded."""

    async def run(self) -> None:
        """Never returns. A list that fails is tried again soon."""
        while True:
            try:
                missed = await self.once()
            except KubeError as error:
                logger.warning("re-list failed", extra={"error": error.message})
                self.tried.set()
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self.tried.set()
            if self.done.is_set():
                for key in missed:
                    self._metrics.watch_missed.labels(key.kind).inc()
                    logger.warning("no watch told of a change", extra={"object": "/".join(key)})
            self.done.set()
            await asyncio.sleep(self._seconds)

    async def once(self) -> list[Key]:
        """One re-list; returns whose change no watch had told of."""
        loop = asyncio.get_running_loop()
        started, missed = loop.time(), list[Key]()
        self._forget()
        for namespace in self._namespaces:
            for resource in OWN_KINDS:
                objects = await self._kube.list(resource, namespace)
                for obj in objects:
                    self._metrics.states.seen(obj)
                missed += self._triggers.relisted(
                    resource.kind, objects, namespace=namespace, spread=self._seconds / 3
                )
        for key in missed:
            if not self._triggers.knows(key):
                self._metrics.states.gone(key)
        self._metrics.resync_seconds.set(loop.time() - started)
        return missed
