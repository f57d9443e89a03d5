"""What the router counts, and how Prometheus reads it.

Counting is plain integer arithmetic on the request path; prometheus-client only renders, when scraped.
Labels are bounded: services and variants come from the configuration, codes from HTTP, everything else from
fixed sets. What belongs to no service (an unknown model or route) is counted under empty names.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

_PREFIX: Final = "pointsman_router_"
FIRST_BYTE_BOUNDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
DURATION_BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


class Distribution:
    """A histogram: `bounds` are upper bounds in seconds."""

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

    __slots__ = ("bytes_in", "bytes_out", "codes", "duration", "first_byte", "in_flight", "retries")

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        self.retries: dict[str, int] = {}
        """By reason: connect, stale, draining."""
        self.first_byte = Distribution(FIRST_BYTE_BOUNDS)
        self.duration = Distribution(DURATION_BOUNDS)
        self.in_flight = 0
        self.bytes_in = 0
        self.bytes_out = 0

    @property
    def requests(self) -> int:
        return sum(self.codes.values())

    @property
    def errors(self) -> int:
        """Answers that were the engine's or the router's fault."""
        return sum(count for code, count in self.codes.items() if code >= 500)

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
        """Forgets variants that are no longer configured, unless something of theirs is still in flight."""
        for key in [k for k, s in self.variants.items() if k[0] and k not in known and not s.in_flight]:
            del self.variants[key]


class Gauge:
    """What is true now, read when scraped: see `Observed`."""

    __slots__ = ("help", "labels", "name", "values")

    def __init__(self, name: str, help_: str, labels: tuple[str, ...] = ()) -> None:
        self.name = name
        self.help = help_
        self.labels = labels
        self.values: list[tuple[tuple[str, ...], float]] = []


def render(stats: Stats, gauges: Iterable[Gauge]) -> bytes:
    """Everything in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Families(stats, gauges))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Families:
    """prometheus-client's idea of a collector, over counters it doesn't own."""

    def __init__(self, stats: Stats, gauges: Iterable[Gauge]) -> None:
        self._stats = stats
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        labels = ("service", "variant")
        requests = CounterMetricFamily(_PREFIX + "requests", "Requests answered", labels=(*labels, "code"))
        retries = CounterMetricFamily(_PREFIX + "retries", "Attempts repeated", labels=(*labels, "reason"))
        received = CounterMetricFamily(_PREFIX + "received_bytes", "Request bodies", labels=labels)
        sent = CounterMetricFamily(_PREFIX + "sent_bytes", "Response bodies", labels=labels)
        in_flight = GaugeMetricFamily(_PREFIX + "in_flight", "Requests being answered", labels=labels)
        first = HistogramMetricFamily(
            _PREFIX + "first_byte_seconds", "From a request's end to its answer's first byte", labels=labels
        )
        duration = HistogramMetricFamily(
            _PREFIX + "duration_seconds", "From a request's end to its answer's end", labels=labels
        )
        for key, one in sorted(self._stats.variants.items()):
            for code, count in sorted(one.codes.items()):
                requests.add_metric((*key, str(code)), count)
            for reason, count in sorted(one.retries.items()):
                retries.add_metric((*key, reason), count)
            received.add_metric(key, one.bytes_in)
            sent.add_metric(key, one.bytes_out)
            in_flight.add_metric(key, one.in_flight)
            first.add_metric(key, one.first_byte.cumulated(), one.first_byte.total)
            duration.add_metric(key, one.duration.cumulated(), one.duration.total)
        yield from (requests, retries, received, sent, in_flight, first, duration)
        refused = CounterMetricFamily(
            _PREFIX + "refused_connections", "Connections ended for what they sent", labels=("code",)
        )
        for code, count in sorted(self._stats.refusals.items()):
            refused.add_metric((str(code),), count)
        yield refused
        yield self._limits_hit()
        yield CounterMetricFamily(
            _PREFIX + "config_refusals", "Configurations refused", value=self._stats.config_refusals
        )
        yield self._key_requests()
        yield from map(_gauge_family, self._gauges)

    def _limits_hit(self) -> Metric:
        family = CounterMetricFamily(
            _PREFIX + "limits_hit", "Times that a setting's bound was passed", labels=("limit",)
        )
        for setting, count in sorted(self._stats.limits_hit.items()):
            family.add_metric((_camel(setting),), count)
        return family

    def _key_requests(self) -> Metric:
        family = CounterMetricFamily(_PREFIX + "key_requests", "Requests that bore a key", labels=("key",))
        for name, one in sorted(self._stats.keys.items()):
            family.add_metric((name,), one.requests)
        return family


def _camel(name: str) -> str:
    """A setting's name as it's written in configurations."""
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _gauge_family(gauge: Gauge) -> Metric:
    family = GaugeMetricFamily(_PREFIX + gauge.name, gauge.help, labels=gauge.labels)
    for labels, value in gauge.values:
        family.add_metric(labels, value)
    return family
