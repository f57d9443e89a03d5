"""The composition root: every part made once, wired, started in order and stopped in the other order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from pointsman import __version__
from pointsman.api.names import API_VERSION, Key, Resource
from pointsman.app import memory
from pointsman.app.metrics import Metrics
from pointsman.app.passes import Passes
from pointsman.app.resync import Resync
from pointsman.app.settings import AppSettings
from pointsman.app.watching import CHILD_KINDS, Watches
from pointsman.app.web import Web
from pointsman.engine.abreast import Abreast
from pointsman.engine.apply import Applier
from pointsman.engine.clock import loop_time, utc_now
from pointsman.engine.events import Recorder
from pointsman.engine.gather import Gatherer
from pointsman.engine.queue import Finished, KeyQueue
from pointsman.engine.reconcile import Reconciler
from pointsman.engine.triggers import DELETED, OWN_KINDS, Triggers
from pointsman.kube import config
from pointsman.kube.client import AioKube
from pointsman.kube.protocol import Kube, KubeError
from pointsman.kube.throttle import Bucket
from pointsman.signals.client import HttpSignals

logger = logging.getLogger(__name__)

STUCK_SECONDS = 600.0
"""A due key that waits so long while a worker is free means that the queue is broken."""
SERVED_WITHIN_SECONDS = 15.0
"""How long our kinds may take to be served after a chart brought them together with the operator."""

GOODBYE_SECONDS = 7.0
"""How long watches may take to end; kopf needs about five."""


class NotServed(Exception):
    """The API server doesn't serve our kinds."""


class Operator:
    """One running operator. `run` it once; `stop` may be set at any time."""

    def __init__(self, settings: AppSettings) -> None:
        self.settings = settings
        self.stop = asyncio.Event()
        self.metrics = Metrics()

    async def run(self) -> None:
        """Runs until `stop` is set. Raises NotServed, NoCluster, or what ended the watches."""
        configuration = await self._configuration()
        async with contextlib.AsyncExitStack() as stack:
            client = self._kube(configuration)
            stack.push_async_callback(client.close)
            await wait_until_served(client)
            kube = Abreast(client, watched=(*OWN_KINDS, *CHILD_KINDS))
            signals = HttpSignals()
            stack.push_async_callback(signals.close)
            applier = Applier(kube, observe=self.metrics.applied)
            queue = self._queue(kube, signals, applier)
            self._take_signals(queue)
            triggers = Triggers(queue.add, applier.recognises)
            watches = self._watches(kube, triggers)
            resync = self._resync(kube, triggers)
            web = self._web(queue, resync, watches)
            await web.start()
            stack.push_async_callback(web.stop)
            await self._serve(queue, triggers, resync, watches)

    async def _configuration(self) -> Any:
        return await config.load(self.settings.kubeconfig, self.settings.kube_context)

    def _watches(self, kube: Abreast, triggers: Triggers) -> Watches:
        async def login() -> config.Access:
            return await config.access(await self._configuration())

        def on_event(resource: Resource, kind: str | None, obj: Mapping[str, Any]) -> None:
            # Items of a watch's first list come without their type.
            typed = {**obj, "apiVersion": resource.api_version, "kind": resource.kind}
            self.metrics.watched(resource.kind)
            kube.saw(typed)
            self._dispatch(triggers, resource, kind, typed)

        return Watches(login, on_event, namespaces=self.settings.watch_namespaces)

    async def _serve(self, queue: KeyQueue, triggers: Triggers, resync: Resync, watches: Watches) -> None:
        others = [
            asyncio.create_task(resync.run()),
            asyncio.create_task(_start(watches, resync)),
            asyncio.create_task(self._measure_lag()),
            asyncio.create_task(
                memory.give_back(lambda: queue.running == 0 and queue.depth == 0, lambda: queue.finished)
            ),
        ]
        stopping = asyncio.create_task(self.stop.wait())
        try:
            logger.info("started", extra={"version": __version__})
            ends: set[asyncio.Future[Any]] = {watches.ended, stopping, *others}
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            told = self.stop.is_set()
            self.stop.set()
            # Passes finish while the watches say goodbye: both take seconds.
            await asyncio.gather(queue.drain(self.settings.drain_seconds), watches.stop(GOODBYE_SECONDS))
            for task in (*others, stopping):
                task.cancel()
            await asyncio.gather(*others, stopping, return_exceptions=True)
            logger.info("stopped")
        if not told:
            raise _reason([watches.ended, *others])

    def _dispatch(
        self, triggers: Triggers, resource: Resource, kind: str | None, obj: Mapping[str, Any]
    ) -> None:
        if resource not in OWN_KINDS:
            triggers.child_event(kind, obj)
            return
        metadata = obj["metadata"]
        if kind == DELETED:
            self.metrics.states.gone(Key(resource.kind, metadata["namespace"], metadata["name"]))
        else:
            self.metrics.states.seen(obj)
        triggers.own_event(kind, obj)

    def _kube(self, configuration: Any) -> AioKube:
        rate = self.settings.writes_per_second

        def bucket() -> Bucket:
            return Bucket(rate, 2 * rate, monotonic=loop_time)

        return AioKube(
            configuration,
            # Within a pass, all kinds of children are read at the same time; but each connection's buffers
            # take a quarter of a mebibyte.
            connections=self.settings.concurrency * 2,
            writes=bucket(),
            status_writes=bucket(),
            observer=self.metrics.api_called,
        )

    def _queue(self, kube: Abreast, signals: HttpSignals, applier: Applier) -> KeyQueue:
        reconciler = Reconciler(
            kube=kube,
            gatherer=Gatherer(kube, signals, self.settings.for_decisions(), kube.since),
            applier=applier,
            recorder=Recorder(kube, now=utc_now, instance=self.settings.pod_name),
            now=utc_now,
        )
        passes = Passes(reconciler, monotonic=loop_time)
        queue = KeyQueue(
            passes.run,
            draw=random.random,
            concurrency=self.settings.concurrency,
            pass_seconds=self.settings.pass_seconds,
            observe=self._finished,
        )
        self.metrics.watch_queue(queue)
        return queue

    def _finished(self, finished: Finished) -> None:
        self.metrics.finished(finished)

    def _resync(self, kube: Abreast, triggers: Triggers) -> Resync:
        return Resync(
            kube,
            triggers,
            self.metrics,
            namespaces=self.settings.watch_namespaces,
            seconds=self.settings.resync_seconds,
            forget=kube.forget,
        )

    def _web(self, queue: KeyQueue, resync: Resync, watches: Watches) -> Web:
        def alive() -> str:
            stuck = queue.stuck_seconds
            return f"a key has waited {stuck:.0f} s for a free worker" if stuck > STUCK_SECONDS else ""

        def ready() -> str:
            if self.stop.is_set():
                return "stopping"
            if not watches.started:
                return "watches aren't started"
            return "" if resync.done.is_set() else "the first list isn't complete"

        return Web(
            self.metrics,
            queue,
            alive=alive,
            ready=ready,
            http_port=self.settings.http_port,
            debug_port=self.settings.debug_port,
        )

    def _take_signals(self, queue: KeyQueue) -> None:
        """SIGTERM and SIGINT stop the operator; SIGUSR2 writes the queue and all tasks to stderr."""
        loop = asyncio.get_running_loop()
        # Not in a thread other than the main one, where nobody sends us signals either.
        with contextlib.suppress(ValueError, RuntimeError):
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop.set)
            loop.add_signal_handler(signal.SIGUSR2, dump, queue)

    async def _measure_lag(self) -> None:
        loop, pause = asyncio.get_running_loop(), 0.5
        while True:
            due = loop.time() + pause
            await asyncio.sleep(pause)
            self.metrics.loop_lag_seconds.set(max(0.0, loop.time() - due))


async def _start(watches: Watches, resync: Resync) -> None:
    """Starts the watches after the first re-list: what is read at the start would be in memory twice. Never
    returns."""
    await resync.tried.wait()
    watches.start()
    await asyncio.Event().wait()


async def wait_until_served(kube: Kube, seconds: float = SERVED_WITHIN_SECONDS) -> None:
    """Returns once the API server serves our kinds. Raises NotServed, naming those that are missing."""
    wanted = {resource.kind for resource in OWN_KINDS}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        try:
            missing = wanted - await kube.served(API_VERSION)
            problem = f"the API server doesn't serve {', '.join(sorted(missing))} of {API_VERSION}"
        except KubeError as error:
            missing, problem = wanted, f"the API server can't be asked: {error.message}"
        if not missing:
            return
        if loop.time() >= deadline:
            raise NotServed(f"{problem}; install the CustomResourceDefinitions (the chart's crds.enabled)")
        await asyncio.sleep(0.5)


def dump(queue: KeyQueue) -> None:
    """Writes what the process is doing to stderr, for a person who looks into a hanging one."""
    for line in queue.snapshot():
        print(line, file=sys.stderr)
    for task in asyncio.all_tasks():
        task.print_stack(limit=4, file=sys.stderr)


def _reason(tasks: Sequence[asyncio.Future[Any]]) -> BaseException:
    """Why the operator ended without being told to."""
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            return error
    return RuntimeError("the watches ended without a reason")
