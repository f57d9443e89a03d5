"""What the router counts.

Counting is plain integer arithmetic on the request path; `exposition` renders it, when scraped.
Labels are bounded: services and variants come from the configuration, codes from HTTP, everything else from
fixed sets. What belongs to no service (an unknown model or route) is counted under empty names.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterable
from typing import Final

FIRST_BYTE_BOUNDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
GAP_BOUNDS: Final = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)
SCORE_BOUNDS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
DURATION_BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


class Distribution:
    """A histogram: `bounds` are upper bounds, of seconds where nothing else is said."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulated(self) -> list[tuple[str, float]]:
        """Pairs of upper bound and number of values up to it, as Prometheus wants them."""
        sums: list[tuple[str, float]] = []
        running = 0
        for bound, count in zip((*self.bounds, float("inf")), self.counts, strict=True):
            running += count
            sums.append(("+Inf" if bound == float("inf") else str(bound), running))
        return sums


class VariantStats:
    """What happened to the requests of one variant since the process started."""

    __slots__ = (
        "bytes_in",
        "bytes_out",
        "codes",
        "cut",
        "duration",
        "ejections",
        "failures",
        "feedback",
        "first_byte",
        "gaps",
        "in_flight",
        "queued",
        "retries",
        "shadow_dropped",
        "shadowed",
    )

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        self.retries: dict[str, int] = {}
        """By reason: connect, stale, draining."""
        self.first_byte = Distribution(FIRST_BYTE_BOUNDS)
        self.gaps = Distribution(GAP_BOUNDS)
        """Between one read of a stream and the next; one of many is measured."""
        self.duration = Distribution(DURATION_BOUNDS)
        self.in_flight = 0
        """Requests that are being answered, or wait to be."""
        self.queued = 0
        """Of those, how many wait for an engine to have room."""
        self.failures: dict[str, int] = {}
        """What engines did wrong, by reason: connect, closed, malformed, excess, timeout, status."""
        self.ejections = 0
        """Times that an engine was left out for its failures."""
        self.cut = 0
        """Requests that an engine's going away, or the router's, ended before their answer was whole."""
        self.shadowed = 0
        """Copies of other variants' requests that it answered, or failed to; they are in no other count."""
        self.shadow_dropped = 0
        """Copies that there was no room for."""
        self.feedback = Distribution(SCORE_BOUNDS)
        """Scores that were reported of its answers."""
        self.bytes_in = 0
        self.bytes_out = 0

    @property
    def requests(self) -> int:
        return sum(self.codes.values())

    @property
    def errors(self) -> int:
        """Answers that were the engine's or the router's fault."""
        return sum(count for code, count in self.codes.items() if code >= 500)

    def count_failure(self, reason: str) -> None:
        self.failures[reason] = self.failures.get(reason, 0) + 1

    def count_retry(self, reason: str) -> None:
        self.retries[reason] = self.retries.get(reason, 0) + 1


class KeyStats:
    """What was asked with the keys of one name since the process started."""

    __slots__ = ("requests",)

    def __init__(self) -> None:
        self.requests = 0


class Stats:
    """All counters of a router process."""

    __slots__ = ("config_refusals", "keys", "limits_hit", "refusals", "variants")

    def __init__(self) -> None:
        self.variants: dict[tuple[str, str], VariantStats] = {}
        """By service and variant; ("", "") holds what belongs to no service."""
        self.refusals: dict[int, int] = {}
        """Connections ended for malformed or excessive input, by the code they were told."""
        self.config_refusals = 0
        self.limits_hit: dict[str, int] = {}
        """By the name of the setting whose bound was passed."""
        self.keys: dict[str, KeyStats] = {}
        """By the keys' names; exactly those that are configured."""

    def hit(self, setting: str) -> None:
        """Counts that a bound was passed. `setting`: its field in `settings`, so that labels stay bounded."""
        self.limits_hit[setting] = self.limits_hit.get(setting, 0) + 1

    def keep_keys(self, names: Iterable[str]) -> None:
        """Counts for these keys from here on, and forgets others."""
        self.keys = {name: self.keys.get(name) or KeyStats() for name in names}

    def of(self, service: str, variant: str) -> VariantStats:
        key = (service, variant)
        stats = self.variants.get(key)
        if stats is None:
            stats = self.variants[key] = VariantStats()
        return stats

    def keep_only(self, known: set[tuple[str, str]]) -> None:
        """Forgets variants that are no longer configured, unless something of theirs is still in flight. What
        was cut of them stays with their service: it's told when the last one of them has gone."""
        for key in [k for k, s in self.variants.items() if k[0] and k not in known and not s.in_flight]:
            gone, whole = self.variants.pop(key), (key[0], "")
            if whole in known:
                self.of(*whole).cut += gone.cut

    def ended(self, service: str, configured: Container[str]) -> tuple[int, int]:
        """Of a service: the requests that were cut, and those in flight at variants that aren't known now."""
        mine = [(variant, stats) for (name, variant), stats in self.variants.items() if name == service]
        leaving = sum(s.in_flight for variant, s in mine if variant and variant not in configured)
        return sum(stats.cut for _, stats in mine), leaving
