"""How long engines take to start: the ledger of past starts, and what follows from it for the next ones.

Entrypoints measure themselves and routers pass it on; what happens before a container's first second is in
its pod. A row is written once per revision and stays, so an unchanged world gives an unchanged ledger. What
ticks while engines load (`loading`) is told seldom. Decides nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pointsman.api import names
from pointsman.api.service_status import STARTS_KEPT, LoadingStatus, StartupRecord
from pointsman.core.conditions import timestamp
from pointsman.core.observed import EngineSignals, RouterSignals, ServiceSignals, VariantSignals
from pointsman.core.variant import Variant
from pointsman.core.world import Manifest

PHASES = ("", "Preflight", "Downloading", "Loading", "Proving", "Ready")
"""What an entrypoint says of itself, in the order of a start; the first: nothing yet."""
READY = "Ready"

LOADING_EVERY_SECONDS = 10.0
"""How often status tells, at most, how far loading is."""

BUDGET_FACTOR = 3
LEAST_BUDGET_SECONDS = 600

_TIMINGS = {
    "preflight": "preflight",
    "download": "weights",
    "load": "load",
    "compile": "compile",
    "firstToken": "firstToken",
    "proof": "proof",
}
"""Fields of a row by what entrypoints call them."""


def engines(signals: Iterable[RouterSignals], service: str, revision: str) -> list[EngineSignals]:
    """The engines of one revision, each as the router that knows it best tells of it, by pod."""
    best: dict[str, EngineSignals] = {}
    for router in signals:
        known = router.services.get(service)
        alike = of_revision(known, revision) if known else []
        for engine in (engine for variant in alike for engine in variant.engines):
            pod = engine.pod or engine.address
            if pod not in best or _progress(engine) > _progress(best[pod]):
                best[pod] = engine
    return [engine for _, engine in sorted(best.items())]


def of_revision(known: ServiceSignals, revision: str) -> list[VariantSignals]:
    """The variants of a service, in one router, that run on one revision's engines."""
    return [signals for name, signals in known.variants.items() if Variant.parse(name).revision == revision]


def _progress(engine: EngineSignals) -> tuple[int, float, int]:
    order = PHASES.index(engine.phase) if engine.phase in PHASES else 0
    share = engine.bytes_loaded / engine.bytes_total if engine.bytes_total else 0.0
    return order, share, engine.bytes_loaded


def record(rows: Sequence[StartupRecord], revision: str) -> StartupRecord | None:
    """The row of a revision, once its start was measured."""
    return next((row for row in rows if row.revision == revision), None)


def is_awaited(rows: Sequence[StartupRecord], revision: str, told: Sequence[EngineSignals]) -> bool:
    """Whether routers are about to tell of a start that is over: they ask engines every few seconds."""
    return record(rows, revision) is None and any(e.ready and e.phase in PHASES[1:-1] for e in told)


def due(rows: Sequence[StartupRecord], revision: str, told: Sequence[EngineSignals]) -> bool:
    """Whether all engines of a revision have told how long their start took, and no row holds it."""
    return record(rows, revision) is None and bool(told) and all(e.phase == READY and e.timings for e in told)


def recorded(
    rows: Sequence[StartupRecord], revision: str, told: Sequence[EngineSignals], pods: Sequence[Manifest]
) -> list[dict[str, Any]]:
    """The rows with one more, of the slowest engine that told; the newest first."""
    kept = [row.model_dump(mode="json", by_alias=True, exclude_none=True) for row in rows]
    if not due(rows, revision, told):
        return kept
    slowest = max(told, key=lambda engine: (_engine_total(engine), engine.pod))
    pod = next((pod for pod in pods if pod["metadata"]["name"] == slowest.pod), None)
    return [_row(revision, slowest, pod), *kept][:STARTS_KEPT]


def _row(revision: str, engine: EngineSignals, pod: Manifest | None) -> dict[str, Any]:
    phases = {
        **(_before_start(pod) if pod else {}),
        **{field: engine.timings[name] for name, field in _TIMINGS.items() if name in engine.timings},
    }
    before = phases.get("scheduling", 0.0) + phases.get("image", 0.0)
    row: dict[str, Any] = {"revision": revision}
    row |= {field: _whole(seconds) for field, seconds in phases.items()}
    row["total"] = _whole(before + _engine_total(engine))
    if engine.bytes_total:
        row["weightBytes"] = engine.bytes_total
    return row


def _engine_total(engine: EngineSignals) -> float:
    return engine.timings.get("total") or sum(engine.timings.values())


def _whole(seconds: float) -> int:
    return min(max(round(seconds), 0), 2**31 - 1) if math.isfinite(seconds) else 0


def _before_start(pod: Manifest) -> dict[str, float]:
    """What happened before the engine's first second, by the pod's own times (whole seconds). Admission may
    have put other containers beside it.

    A container that was started again says nothing of the first time, so its image is left out then.
    """
    status = pod.get("status") or {}
    created = _moment(pod["metadata"].get("creationTimestamp"))
    conditions = status.get("conditions") or ()
    placed = next(
        (_moment(c.get("lastTransitionTime")) for c in conditions if c.get("type") == "PodScheduled"), None
    )
    statuses: Iterable[Mapping[str, Any]] = status.get("containerStatuses") or ()
    container = next((one for one in statuses if one.get("name") == names.ENGINE_CONTAINER), {})
    running = (container.get("state") or {}).get("running") or {}
    begun = _moment(running.get("startedAt")) if not container.get("restartCount") else None
    found = {}
    if created and placed:
        found["scheduling"] = max((placed - created).total_seconds(), 0.0)
    if placed and begun:
        found["image"] = max((begun - placed).total_seconds(), 0.0)
    return found


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def engine_seconds(row: StartupRecord) -> int:
    """From an engine's first second to ready: what is left of a start without the pod's own part."""
    return max(row.total - (row.scheduling or 0) - (row.image or 0), 0)


def hinted(rows: Sequence[StartupRecord], revision: str) -> int | None:
    """The seconds that routers tell waiting clients: of the revision's own measured start, else of the last
    one of any other. Where routes are compiled no revisions are at hand, so that may be one of another model;
    routers correct it by the pace at which weights load."""
    row = record(rows, revision) or next(iter(rows), None)
    return engine_seconds(row) if row else None


@dataclass(frozen=True, slots=True)
class Kind:
    """What the length of an engine's start goes by."""

    model: str
    """URI of the model."""
    device: str
    """What it computes on."""
    weight_bytes: int = 0
    """Size of the weights; 0 where it isn't known."""


def expected(rows: Sequence[StartupRecord], revision: str, kinds: Mapping[str, Kind]) -> int | None:
    """How many seconds an engine of a revision should take from its first second to ready: by the revision's
    own measured start, else by the newest that compares, of the revisions whose `kinds` are known; None where
    none does."""
    own, kind = record(rows, revision), kinds.get(revision)
    if own or kind is None:
        return engine_seconds(own) if own else None
    shares = ((row, _share(kind, kinds.get(row.revision), row)) for row in rows)
    return next((_whole(engine_seconds(row) * share) for row, share in shares if share), None)


def _share(kind: Kind, other: Kind | None, row: StartupRecord) -> float:
    """How much longer a start takes than another's that was measured, on the same sort of device: in
    proportion to the weights, else as long where it's the same model. 0: they don't compare."""
    if other is None or other.device != kind.device:
        return 0.0
    if kind.weight_bytes and row.weight_bytes:
        return kind.weight_bytes / row.weight_bytes
    return 1.0 if other.model == kind.model else 0.0


def budget(seconds: int | None, most: int) -> int:
    """How many seconds an engine of a newborn revision may take before it's started again: three times what
    is expected, and all of `most` where nothing is."""
    return most if seconds is None else min(max(BUDGET_FACTOR * seconds, LEAST_BUDGET_SECONDS), most)


def loading(
    before: LoadingStatus | None, revision: str, told: Sequence[EngineSignals], now: datetime
) -> Mapping[str, Any] | None:
    """How far the slowest engine of a revision that isn't ready is; None before any of it told.

    What was told stays for ten seconds, and longer while nothing moves or nobody tells: where the only router
    starts anew engines don't.
    """
    starting = [engine for engine in told if not engine.ready and engine.phase]
    kept = before.model_dump(mode="json", by_alias=True, exclude_none=True) if before else None
    if not starting and (before is None or not any(engine.ready for engine in told)):
        return kept if before and before.revision == revision else None
    slowest = min(starting, key=_progress, default=EngineSignals(""))
    found: dict[str, Any] = {"revision": revision, "stage": slowest.phase or "Pending"}
    if slowest.bytes_total:
        found |= {"bytesLoaded": slowest.bytes_loaded, "bytesTotal": slowest.bytes_total}
    since = _moment(before.observed_at) if before else None
    passed = (now - since).total_seconds() if since else math.inf
    if kept and (passed < LOADING_EVERY_SECONDS or all(kept.get(key) == found.get(key) for key in _MOVING)):
        return kept
    if before and before.stage == found["stage"] and before.revision == revision and passed < math.inf:
        moved = found.get("bytesLoaded", 0) - (before.bytes_loaded or 0)
        if moved > 0:
            found["bytesPerSecond"] = int(moved / passed)
    return {**found, "observedAt": timestamp(now)}


_MOVING = ("revision", "stage", "bytesLoaded", "bytesTotal")
