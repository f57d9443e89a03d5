"""Which window of each service is open, over all tables that are compiled meanwhile.

Endpoints come and go every few seconds, and a window goes on; when its name or its warm-up changes, another
one begins at zero. What an engine's first requests are is known by the candidate, whose windows follow each
other, with pauses in between while capacity is made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from time import monotonic

from pointsman_router import config as contract
from pointsman_router.engines.engine import Engine
from pointsman_router.records.windows import Warmth, Window, candidate_of


class Windows:
    """The windows of all services."""

    def __init__(self) -> None:
        self._open: dict[str, Window] = {}
        self._warmth: dict[str, Warmth] = {}

    def of(self, service: contract.Service, found: Mapping[str, tuple[Engine, ...]]) -> Window | None:
        """The window that a service is measured in now; None for none. `found`: each variant's engines."""
        warmth = self._warmth.get(service.name)
        pairs = {(name, engine.number) for name, engines in found.items() for engine in engines}
        if warmth is not None:
            warmth.keep_only(pairs)
        analysis = service.analysis
        if not analysis.window:
            self._open.pop(service.name, None)
            if warmth is not None and warmth.candidate not in found:
                del self._warmth[service.name]
            return None
        window = self._open.get(service.name)
        if window is not None and window.analysis == analysis:
            return window
        candidate = candidate_of(analysis.window)
        if warmth is None or warmth.candidate != candidate:
            at_work = [
                (n, engine.number) for n, engines in found.items() for engine in engines if engine.ready
            ]
            warmth = self._warmth[service.name] = Warmth(candidate, at_work)
        window = self._open[service.name] = Window(analysis, warmth, monotonic())
        return window

    def keep_only(self, services: Collection[str]) -> None:
        """Forgets services that are no longer configured."""
        self._open = {name: window for name, window in self._open.items() if name in services}
        self._warmth = {name: warmth for name, warmth in self._warmth.items() if name in services}
