"""When it's worth coming back: the Retry-After of a service that can't answer now.

Taken from what is known: engines that are spared until a certain time, engines that start: how
long that took before, and how fast they load. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, inf
from typing import Final

from pointsman_router.table import ServiceState

_UNKNOWN_SECONDS: Final = 2
_MAX_SECONDS: Final = 300


def retry_after(service: ServiceState, now: float) -> int:
    """Seconds, at least 1. Where nothing has weight yet, what is to have it first counts."""
    soonest = min(_times(service, now), default=None)
    if soonest is None:
        return _UNKNOWN_SECONDS
    return min(max(ceil(soonest), 1), _MAX_SECONDS)


def _times(service: ServiceState, now: float) -> Iterator[float]:
    """How long each engine that may answer will still be out of it, where that's known."""
    for variant in service.routed or service.variants:
        if not variant.engines and variant.start_seconds:
            yield variant.start_seconds  # none has begun
        for engine in variant.engines:
            if engine.ready:
                if now < engine.aside_until < inf:
                    yield engine.aside_until - now
            else:
                left = engine.phase.seconds_left(now, variant.start_seconds)
                if left is not None:
                    yield left
