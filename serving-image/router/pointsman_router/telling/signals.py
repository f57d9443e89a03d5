"""What the router knows of its engines, for the operator: one compact JSON document.

The phases come from each engine's status port, asked whether or not the engine is ready: that is how loading
shows up in a service's status before a request could reach the engine.
"""

from __future__ import annotations

import asyncio
import logging
from time import monotonic
from typing import Any

import orjson

from pointsman_router import fetch
from pointsman_router.config import LATER_FIELDS
from pointsman_router.engines.engine import READY, Engine, Phase
from pointsman_router.fetch import FetchError, Target
from pointsman_router.records.metrics import Stats
from pointsman_router.router import Router
from pointsman_router.table import ServiceState, VariantState

LOADING = "Loading"
_UNREADY_SECONDS = 2.0
_READY_SECONDS = 15.0
_ROUND_SECONDS = 0.25
_TIMEOUT_SECONDS = 2.0
_MAX_ASKING = 64
_MAX_BYTES = 64 * 1024
_MAX_MISSED = 2
_LONGEST_SECONDS = 1e9

logger = logging.getLogger("pointsman_router.signals")


class Poller:
    """Asks engines' status ports: often while they aren't ready, seldom when they are."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._asking: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Polls until cancelled."""
        while True:
            now = monotonic()
            for engine in tuple(self._router.state.engines):
                if _due(engine, now) and len(self._asking) < _MAX_ASKING:
                    engine.phase.asked_at = now
                    engine.phase.asking = True
                    task = asyncio.create_task(self._ask(engine))
                    self._asking.add(task)
                    task.add_done_callback(self._asking.discard)
            await asyncio.sleep(_ROUND_SECONDS)

    async def _ask(self, engine: Engine) -> None:
        before = engine.phase.phase
        await _ask(engine)
        if engine.phase.phase != before and (engine.held or not engine.ready):
            self._router.state.reconsider()


def _due(engine: Engine, now: float) -> bool:
    phase = engine.phase
    if not engine.status_port or phase.asking:
        return False
    settled = engine.ready and phase.phase == READY
    return now - phase.asked_at >= (_READY_SECONDS if settled else _UNREADY_SECONDS)


async def _ask(engine: Engine) -> None:
    before = engine.phase
    try:
        target = Target(engine.pool.host, engine.status_port)
        _, body = await fetch.get(target, "/status", _TIMEOUT_SECONDS, _MAX_BYTES)
        engine.phase = read_phase(orjson.loads(body))
        engine.phase.told_at = monotonic()
        engine.phase.bytes_per_second = _pace(before, engine.phase, engine.phase.told_at)
    except (OSError, FetchError, ValueError):
        # One missed answer says nothing; after that, better to know nothing than what was.
        engine.phase = before if before.missed + 1 < _MAX_MISSED else Phase()
        engine.phase.missed = before.missed + 1
    engine.phase.asking = False
    engine.phase.asked_at = before.asked_at


def _pace(before: Phase, now: Phase, at: float) -> float:
    """How fast an engine loads, by two answers; as before where the new one shows no progress."""
    loaded, seconds = now.bytes_loaded - before.bytes_loaded, at - before.answered_at
    now.answered_at = at
    if now.phase != LOADING or before.phase != LOADING or loaded < 0 or seconds <= 0:
        return 0.0
    if not loaded:
        now.answered_at = before.answered_at
        return before.bytes_per_second
    return loaded / seconds


def read_phase(document: object) -> Phase:
    """What an entrypoint says of itself; ill-typed members are left out. Raises ValueError for no object."""
    if not isinstance(document, dict):
        raise ValueError("not an object")
    timings = document.get("timings")
    return Phase(
        phase=_text(document.get("phase")),
        bytes_loaded=_count(document.get("bytesLoaded")),
        bytes_total=_count(document.get("bytesTotal")),
        timings={k: v for k, v in timings.items() if isinstance(v, (int, float))}
        if isinstance(timings, dict)
        else {},
        elapsed=_seconds(document.get("elapsed")),
        reason=_text(document.get("reason")),
        message=_text(document.get("message")),
    )


def _text(value: object) -> str:
    return value[:1000] if isinstance(value, str) else ""


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) and 0 <= value < _LONGEST_SECONDS else 0.0


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def describe(router: Router) -> dict[str, Any]:
    """The document of `GET /signals`."""
    state = router.state
    return {
        "config": state.table.hash,
        "configError": state.error,
        "understands": list(LATER_FIELDS),
        "tlsError": router.tls_error,
        "services": {
            name: _describe_service(service, router.stats) for name, service in state.table.services.items()
        },
    }


def _describe_service(service: ServiceState, stats: Stats) -> dict[str, Any]:
    cut, leaving = stats.ended(service.name, {variant.name for variant in service.variants})
    staying = (engine for variant in service.variants for engine in variant.engines)
    return {
        "hash": service.hash,
        "cut": cut,
        "leaving": leaving + sum(engine.in_flight for engine in staying if engine.leaving),
        "variants": {variant.name: _describe_variant(variant) for variant in service.variants},
        **({} if service.window is None else {"analysis": service.window.document()}),
    }


def _describe_variant(variant: VariantState) -> dict[str, Any]:
    return {
        "endpoints": len(variant.engines),
        "ready": len(variant.ready),
        "ejected": sum(engine.ejected for engine in variant.ready),
        "inFlight": sum(engine.in_flight for engine in variant.engines),
        "queued": variant.stats.queued,
        "requests": variant.stats.requests,
        "errors": variant.stats.errors,
        "cut": variant.stats.cut,
        "engines": [_describe_engine(engine) for engine in variant.engines],
    }


def _describe_engine(engine: Engine) -> dict[str, Any]:
    phase = engine.phase
    return {
        "pod": engine.pod,
        "address": engine.address,
        "ready": engine.ready,
        "ejected": engine.ejected,
        "inFlight": engine.in_flight,
        "phase": phase.phase,
        "bytesLoaded": phase.bytes_loaded,
        "bytesTotal": phase.bytes_total,
        "timings": phase.timings,
        "reason": phase.reason,
        "message": phase.message,
    }
