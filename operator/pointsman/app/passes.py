"""One pass as the queue runs it: carried out, told in one line."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pointsman.api.names import Key
from pointsman.engine.log import log_pass
from pointsman.engine.queue import Outcome
from pointsman.engine.reconcile import Reconciler, Report

logger = logging.getLogger("pointsman.pass")


class Passes:
    """Wraps a Reconciler. `monotonic` gives seconds for the time a pass took."""

    def __init__(self, reconciler: Reconciler, *, monotonic: Callable[[], float]) -> None:
        self._reconciler = reconciler
        self._monotonic = monotonic

    async def run(self, key: Key) -> Outcome:
        """One pass. What it raises goes on to the queue, which backs off."""
        started = self._monotonic()
        try:
            report = await self._reconciler.reconcile(key)
        except Exception as error:
            self._log(key, started, error=error)
            raise
        self._log(key, started, report=report)
        return report

    def _log(
        self, key: Key, started: float, *, report: Report | None = None, error: Exception | None = None
    ) -> None:
        fields: dict[str, Any] = {}
        if report is not None:
            fields = {
                "generation": report.generation or None,
                "decision": report.decision or None,
                "applied": report.applied,
                "deleted": report.deleted,
                "requeueAfter": report.requeue_after,
            }
        log_pass(
            logger,
            kind=key.kind,
            namespace=key.namespace,
            name=key.name,
            seconds=self._monotonic() - started,
            because=report.because if report is not None else "",
            error=error,
            fields=fields,
        )
