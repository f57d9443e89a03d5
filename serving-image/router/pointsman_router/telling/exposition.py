"""How Prometheus reads what the router counts: prometheus-client only renders, when scraped.

Every family is declared once, in a table; its labels are services, variants and fixed words. Import it late:
its library is slow to load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from pointsman_router.records.metrics import Distribution, Stats, VariantStats

_PREFIX: Final = "pointsman_router_"


class Gauge:
    """What is true now, read when scraped."""

    __slots__ = ("help", "labels", "name", "values")

    def __init__(self, name: str, help_: str, labels: tuple[str, ...] = ()) -> None:
        self.name = name
        self.help = help_
        self.labels = labels
        self.values: list[tuple[tuple[str, ...], float]] = []


class _Counter(NamedTuple):
    """A number of each variant, or one for each word of a fixed set (`label`)."""

    name: str
    help: str
    label: str
    of: Callable[[VariantStats], dict[str, int] | dict[int, int]]


class _Histogram(NamedTuple):
    name: str
    help: str
    of: Callable[[VariantStats], Distribution]


_COUNTERS: Final = (
    _Counter("requests", "Requests answered", "code", lambda one: one.codes),
    _Counter("retries", "Attempts repeated", "reason", lambda one: one.retries),
    _Counter("engine_failures", "What engines did wrong", "reason", lambda one: one.failures),
    _Counter("ejections", "Engines left out for their failures", "", lambda one: {"": one.ejections}),
    _Counter("cut_requests", "Requests ended by an engine's going away", "", lambda one: {"": one.cut}),
    _Counter("shadowed_requests", "Copies of requests answered", "", lambda one: {"": one.shadowed}),
    _Counter("shadow_dropped", "Copies without room", "", lambda one: {"": one.shadow_dropped}),
    _Counter("received_bytes", "Request bodies", "", lambda one: {"": one.bytes_in}),
    _Counter("sent_bytes", "Response bodies", "", lambda one: {"": one.bytes_out}),
)
_GAUGES: Final = (
    _Counter("in_flight", "Requests being answered, or waiting to be", "", lambda one: {"": one.in_flight}),
    _Counter("queued", "Requests waiting for an engine to have room", "", lambda one: {"": one.queued}),
)
_HISTOGRAMS: Final = (
    _Histogram(
        "first_byte_seconds", "From a request's end to its answer's first byte", lambda one: one.first_byte
    ),
    _Histogram(
        "chunk_seconds", "Between one read of a stream and the next; a sample of them", lambda one: one.gaps
    ),
    _Histogram("feedback_score", "Scores reported of answers, 0 to 1", lambda one: one.feedback),
    _Histogram("duration_seconds", "From a request's end to its answer's end", lambda one: one.duration),
)


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
        for kind, declared in ((CounterMetricFamily, _COUNTERS), (GaugeMetricFamily, _GAUGES)):
            yield from (self._per_variant(kind, one) for one in declared)
        yield from map(self._histogram, _HISTOGRAMS)
        stats = self._stats
        yield _words("refused_connections", "Connections ended for what they sent", "code", stats.refusals)
        hits = {_camel(setting): count for setting, count in stats.limits_hit.items()}
        yield _words("limits_hit", "Times that a setting's bound was passed", "limit", hits)
        asked = {name: one.requests for name, one in stats.keys.items()}
        yield _words("key_requests", "Requests that bore a key", "key", asked)
        yield CounterMetricFamily(
            _PREFIX + "config_refusals", "Configurations refused", value=stats.config_refusals
        )
        yield from map(_gauge_family, self._gauges)

    def _per_variant(
        self, kind: type[CounterMetricFamily] | type[GaugeMetricFamily], declared: _Counter
    ) -> Metric:
        labels = ("service", "variant", *((declared.label,) if declared.label else ()))
        family = kind(_PREFIX + declared.name, declared.help, labels=labels)
        for key, one in sorted(self._stats.variants.items()):
            for word, count in sorted(declared.of(one).items()):
                family.add_metric((*key, str(word)) if declared.label else key, count)
        return family

    def _histogram(self, declared: _Histogram) -> Metric:
        family = HistogramMetricFamily(_PREFIX + declared.name, declared.help, labels=("service", "variant"))
        for key, one in sorted(self._stats.variants.items()):
            values = declared.of(one)
            family.add_metric(key, values.cumulated(), values.total)
        return family


def _words(name: str, help_: str, label: str, counts: dict[str, int] | dict[int, int]) -> Metric:
    family = CounterMetricFamily(_PREFIX + name, help_, labels=(label,))
    for word, count in sorted(counts.items()):
        family.add_metric((str(word),), count)
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
