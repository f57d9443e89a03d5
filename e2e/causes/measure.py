"""Injects causes and takes the times: act, sign, status, mend, sign, clear, Ready again.

Several scenes run at once, each in its own namespace; a scene that fails says what was there instead, and the
others go on.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from e2e.causes import signs
from e2e.causes.cause import SERVICE, Act, Cause, Scene
from e2e.cluster import ClusterError
from e2e.conditions import condition
from e2e.namespace import LABEL, Manifest, Namespace
from e2e.release import Release
from e2e.waiting import GaveUp
from e2e.watching import Sign, View, Watcher

STATUS_WITHIN_S = 90.0
"""How long a scene waits for our status; what counts is far less, and the table says it."""
READY_WITHIN_S = 300.0


@dataclass(slots=True)
class Row:
    """What was measured of one cause; times in seconds, None where it didn't come that far."""

    cause: str
    reason: str
    types: str = ""
    """The conditions that gave the reason."""
    message: str = ""
    act_to_sign: float | None = None
    sign_to_status: float | None = None
    mend_to_sign: float | None = None
    sign_to_clear: float | None = None
    ready_after: float | None = None
    """From the sign of the mend until Ready is True."""
    problem: str = ""


@dataclass(slots=True)
class Measuring:
    """One run over causes."""

    release: Release
    watcher: Watcher
    at_once: int
    rows: dict[str, Row] = field(default_factory=dict)

    async def all(self, causes: Sequence[Cause]) -> list[Row]:
        """Measures all; those that touch the node come first, one by one."""
        room, hub = asyncio.Semaphore(self.at_once), asyncio.Lock()
        for cause in causes:
            if cause.alone:
                await self._one(cause)

        async def within(cause: Cause) -> None:
            if cause.hub:
                async with hub, room:
                    await self._one(cause)
            else:
                async with room:
                    await self._one(cause)

        # Those that wait for each other begin first.
        together = sorted((c for c in causes if not c.alone), key=lambda cause: not cause.hub)
        await asyncio.gather(*map(within, together))
        return [self.rows[cause.name] for cause in causes]

    async def _one(self, cause: Cause) -> None:
        row = self.rows[cause.name] = Row(cause.name, cause.reason)
        name = re.sub(r"[^a-z0-9]+", "-", cause.name.lower()).strip("-")
        namespace = Namespace(self.release.cluster.kubectl, f"e2e-{name}-{os.urandom(2).hex()}")
        scene = Scene(self.release, namespace)
        try:
            await asyncio.to_thread(namespace.create, {LABEL: "cause", **dict(cause.labels)})
            await self._measure(cause, scene, row)
        except (GaveUp, ClusterError, AssertionError) as error:
            found = self.watcher.views[namespace.name].get("llmservices", SERVICE)
            row.problem = f"{cause.name}: {error}; status: {signs.shown(found)}"
        finally:
            await self._away(cause, scene)
        print(told(row), flush=True)

    async def _measure(self, cause: Cause, scene: Scene, row: Row) -> None:
        name = scene.namespace.name

        async def until(sign: Sign, timeout_s: float, what: str) -> float:
            return await self.watcher.until(name, sign, timeout_s, f"{cause.name}: {what}")

        if cause.before:
            await asyncio.to_thread(cause.before, scene)
            await until(cause.settled, READY_WITHIN_S, "what has to be there beforehand")
        shown = cause.shown or signs.says(SERVICE, cause.reason, cause.says)
        flaps = self._flaps(name)
        # Looked for from the act on: what comes and goes must not be missed.
        patience = cause.patience_s + STATUS_WITHIN_S
        saying = asyncio.create_task(until(shown, patience, f"status to say {cause.reason}"))
        try:
            acted, signed = await self._do(cause.act, cause.sign, cause, scene, "Kubernetes' sign")
            row.act_to_sign = signed - acted
            said = await asyncio.wait_for(saying, STATUS_WITHIN_S)
        except TimeoutError:
            raise GaveUp(f"waited {STATUS_WITHIN_S:.0f} s for status to say {cause.reason}") from None
        finally:
            saying.cancel()
        row.sign_to_status = max(0.0, said - signed)
        self._note(row, self.watcher.views[name])
        acted, signed = await self._do(cause.mend, cause.mended, cause, scene, "the sign of the mend")
        row.mend_to_sign = signed - acted
        cleared = signed
        if not cause.steady:
            cleared = await until(lambda view: not shown(view), STATUS_WITHIN_S, "status to be clear")
        row.sign_to_clear = max(0.0, cleared - signed)
        row.ready_after = max(0.0, await until(signs.ready(SERVICE), READY_WITHIN_S, "Ready again") - signed)
        if cause.steady and flaps:
            row.problem = f"{cause.name}: Ready or Available was lost: {flaps[0]}"

    def _flaps(self, namespace: str) -> list[str]:
        """What status says from now on whenever Ready or Available isn't True."""
        lost: list[str] = []

        def hear(kind: str, item: Manifest) -> None:
            if kind == "llmservices" and item["metadata"]["namespace"] == namespace:
                said = [condition(item, type_) for type_ in ("Ready", "Available")]
                if any(it.status != "True" for it in said):
                    lost.append("; ".join(map(str, said)))

        self.watcher.listen(hear)
        return lost

    async def _do(
        self, act: Act, sign: Sign | None, cause: Cause, scene: Scene, what: str
    ) -> tuple[float, float]:
        """Acts; returns the times of the act and of its first sign, which may come while it's acted."""
        began = time.monotonic()
        looking = asyncio.create_task(
            self.watcher.until(
                scene.namespace.name, sign or signs.nothing, cause.patience_s, f"{cause.name}: {what}"
            )
        )
        try:
            await asyncio.to_thread(act, scene)
        except BaseException:
            looking.cancel()
            raise
        return began, await looking

    @staticmethod
    def _note(row: Row, view: View) -> None:
        found = view.get("llmservices", SERVICE)
        giving = [it for it in signs.complaints(found) if it.reason == row.reason]
        row.types = ", ".join(it.type for it in giving)
        row.message = giving[0].message if giving else condition(found, "Ready").message

    async def _away(self, cause: Cause, scene: Scene) -> None:
        def clean() -> None:
            if cause.clean:
                cause.clean(scene)
            where = f"--namespace={scene.namespace.name}"
            scene.namespace.kubectl.try_run("delete", "llmservices", "--all", where, "--wait=false")
            scene.namespace.remove(wait=False)

        await asyncio.to_thread(clean)


def told(row: Row) -> str:
    """A row as it comes in."""
    if row.problem:
        return f"FAIL {row.problem}"
    return f"ok   {row.cause}: {row.types or 'status'} {row.reason} ({row.message})"
