"""What is true of a router now, for its metrics; what it counts stands in `metrics`.

Import it late: the library that renders is slow to load.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST

from pointsman_router import version
from pointsman_router.router import Router
from pointsman_router.telling import exposition
from pointsman_router.telling.exposition import Gauge

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST


def render(router: Router, watches: Mapping[str, float]) -> bytes:
    """Everything in Prometheus' text format. `watches`: when each followed resource was last heard of."""
    return exposition.render(router.stats, _gauges(router, watches))


def _gauges(router: Router, heard: Mapping[str, float]) -> list[Gauge]:
    now = monotonic()
    build = Gauge("build_info", "1, with the version as label", ("version",))
    build.values.append(((version.current(),), 1))
    watches = Gauge("watch_silence_seconds", "Since the API server was last heard of", ("resource",))
    watches.values += [((name,), now - last) for name, last in sorted(heard.items())]
    return [
        build,
        watches,
        _plain("ready", "Whether clients should be sent here", router.ready),
        _plain("config_error", "Whether the newest configuration was refused", bool(router.state.error)),
        _plain("tls_error", "Whether the newest certificate was refused", bool(router.tls_error)),
        _plain("buffered_bytes", "Request bodies held in memory", router.buffered_bytes),
        _plain("client_connections", "Connections of clients", len(router.connections)),
        _plain("access_log_dropped_lines", "Lines a slow reader made us drop", router.log.dropped),
        *_engine_gauges(router),
    ]


def _plain(name: str, help_: str, value: float) -> Gauge:
    gauge = Gauge(name, help_)
    gauge.values.append(((), value))
    return gauge


def _engine_gauges(router: Router) -> tuple[Gauge, ...]:
    labels = ("service", "variant", "state")
    endpoints = Gauge("endpoints", "Engines there are", labels)
    out = Gauge("ejected_endpoints", "Ready engines left out for their failures", labels[:2])
    connections = Gauge("upstream_connections", "Connections to engines", labels)
    for service in router.state.table.services.values():
        for variant in service.variants:
            key = (service.name, variant.name)
            ready = len(variant.ready)
            idle = sum(len(engine.pool.idle) for engine in variant.engines)
            open_ = sum(engine.pool.open for engine in variant.engines)
            endpoints.values += [((*key, "ready"), ready), ((*key, "unready"), len(variant.engines) - ready)]
            connections.values += [((*key, "idle"), idle), ((*key, "busy"), open_ - idle)]
            out.values.append((key, sum(engine.ejected for engine in variant.ready)))
    return endpoints, out, connections
