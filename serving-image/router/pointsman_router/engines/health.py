"""Which engines are left out for a while, and how they come back.

An engine is judged by what requests saw of it, never asked on the side. Three things follow from a failure:
a short rest, after a connection that couldn't be made or a 503; ejection, after so many failures in a row;
and, when that time is over, one request that decides (half-open): all others still pass the engine by until
the verdict is there. Everything here is a preference: where nothing else is left, `pick` takes such an engine
rather than none. Pure: times are passed in, engines are only marked.
"""

from __future__ import annotations

from collections.abc import Collection
from math import inf
from typing import Final

from pointsman_router.engines.engine import Engine
from pointsman_router.settings import Ejection

_REST_SECONDS: Final = 0.5
_REST_MAX_SECONDS: Final = 8.0
_NOT_A_FAULT: Final = frozenset({501, 505})
"""What the request asked for isn't there; the engine is well."""


def is_failure(status: int) -> bool:
    """Whether an answer's status speaks against the engine that gave it."""
    return status >= 500 and status not in _NOT_A_FAULT


def taken(engine: Engine, now: float) -> bool:
    """A request goes to the engine. Whether it's the one that decides if the engine comes back."""
    if not engine.ejected or engine.probed or now < engine.aside_until:
        return False
    engine.probed = True
    engine.aside_until = inf
    return True


def undecided(engine: Engine, now: float) -> None:
    """The request that was to decide ended without saying anything of the engine; so the next one does."""
    if engine.probed:
        engine.probed = False
        engine.aside_until = now


def rest(engine: Engine, now: float) -> None:
    """The engine should be spared for a moment: longer, the more often it failed in a row."""
    if not engine.ejected:
        doubled: float = 2 ** min(max(engine.failures - 1, 0), 8)
        engine.aside_until = now + min(_REST_SECONDS * doubled, _REST_MAX_SECONDS)


def reached(engine: Engine) -> None:
    """A connection could be made, so there's no reason to spare an engine that only couldn't be reached."""
    if not engine.ejected:
        engine.aside_until = 0.0


def failed(engine: Engine, peers: Collection[Engine], now: float, settings: Ejection) -> bool:
    """Counts a failure. Whether the engine is left out for it, out of its `peers` that take requests."""
    engine.failures += 1
    if engine.ejected:
        if not engine.probed:
            return False  # it was out already: an older request, or one that had nowhere else to go
    elif engine.failures < settings.failures or not _may_leave(engine, peers, settings):
        return False
    doubled: float = 2 ** min(engine.ejections, 16)
    engine.aside_until = now + min(settings.seconds * doubled, settings.max_seconds)
    engine.ejections += 1
    engine.ejected = True
    engine.ejected_at = now
    engine.probed = False
    return True


def began_well(engine: Engine, sent_at: float, settings: Ejection) -> None:
    """An answer to a request sent at `sent_at` began as it should. That ends an ejection; one more failure
    is enough for the next, since whether the answer also ends well isn't known yet."""
    if engine.ejected and sent_at >= engine.ejected_at:
        engine.ejected = engine.probed = False
        engine.aside_until = 0.0
        engine.failures = max(settings.failures - 1, 0)


def succeeded(engine: Engine) -> None:
    """An answer was complete and no failure."""
    if not engine.ejected:
        engine.failures = 0
        engine.ejections = 0


def _may_leave(engine: Engine, peers: Collection[Engine], settings: Ejection) -> bool:
    """Whether one more may be left out: within the bound, and never the last one."""
    out = 1 + sum(peer.ejected for peer in peers)
    return engine in peers and out < len(peers) and out * 100 <= settings.max_percent * len(peers)
