"""`pointsman rollout NAME`: a rollout as its status tells it, once or until it has ended.

It reads one object and writes nothing. What is drawn is `rollout_view`'s; here is only when to look.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime

from pointsman.api import names
from pointsman.app.debug import kubeconfig_of
from pointsman.app.drawing import Piece, Tone, line
from pointsman.app.rollout_seen import Seen
from pointsman.app.rollout_view import ended, view
from pointsman.app.screen import Screen, screen
from pointsman.engine.clock import utc_now
from pointsman.kube import config
from pointsman.kube.client import AioKube
from pointsman.kube.protocol import Kube, KubeError, NotFound, Object, Retryable

Sleep = Callable[[float], Awaitable[None]]
READY, NOT_READY, FAILED = 0, 1, 2
"""Exit statuses: shown (and, after a watch, ready); ended otherwise, as rejected; can't be read."""


async def run(arguments: argparse.Namespace) -> int:
    """Runs the command; returns its exit status."""
    try:
        path = kubeconfig_of(arguments.kubeconfig)
        configuration = await config.load(path, arguments.context)
        namespace = arguments.namespace or config.namespace(path, arguments.context)
        async with contextlib.AsyncExitStack() as stack:
            kube = AioKube(configuration)
            stack.push_async_callback(kube.close)
            shown = screen(arguments.color, redraws=arguments.watch)
            if not arguments.watch:
                return await once(kube, namespace, arguments.name, shown)
            return await follow(kube, namespace, arguments.name, shown, interval=arguments.interval)
    except (config.NoCluster, KubeError) as error:
        print(f"pointsman rollout: {error}", file=sys.stderr)
        return FAILED


async def once(
    kube: Kube, namespace: str, name: str, shown: Screen, now: Callable[[], datetime] = utc_now
) -> int:
    """Shows it as it is. Raises the kube errors."""
    shown.show(view(Seen(await _service(kube, namespace, name), now())))
    return READY


async def follow(
    kube: Kube,
    namespace: str,
    name: str,
    shown: Screen,
    *,
    interval: float,
    now: Callable[[], datetime] = utc_now,
    sleep: Sleep = asyncio.sleep,
) -> int:
    """Shows it again and again until it has ended. A terminal is redrawn, a log gets what changed."""
    last = ""
    while True:
        try:
            raw = await _service(kube, namespace, name)
        except Retryable as error:
            if shown.redraws or last != str(error):
                shown.show([line(Piece(f"no answer, trying again: {error}", Tone.WARN))])
            last = str(error)
            await sleep(interval)
            continue
        seen = Seen(raw, now())
        version = str(raw["metadata"].get("resourceVersion"))
        if shown.redraws or version != last:
            shown.show(view(seen))
        last = version
        if ended(seen):
            return READY if seen.ready else NOT_READY
        await sleep(interval)


async def _service(kube: Kube, namespace: str, name: str) -> Object:
    try:
        return await kube.get(names.LLMSERVICE, namespace, name)
    except NotFound:
        raise NotFound(f"there is no LLMService {name!r} in namespace {namespace!r}") from None
