"""The operator's own metrics, in a registry of their own, each named and explained once.

Labels are bounded: kinds, verbs, outcomes, and for the state of objects their namespace and name. Decisions
read nothing of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from pointsman import __version__
from pointsman.api.names import LLMROUTER, LLMSERVICE, Key
from pointsman.core.variant import Variant
from pointsman.engine.queue import Finished, KeyQueue

_PASS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
_CALL_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0)


_TEXTS = {
    "queue_wait": "How long a due key waited for a worker, in seconds.",
    "api_requests": "Requests to the API server; code 0: no answer.",
    "api_seconds": "Duration of a request to the API server, in seconds.",
    "applies": "Objects of plans: changed, noop, skipped, refused, failed, deleted.",
    "watch_missed": "Changes that a re-list found and no watch had told of. Above 0 a trigger was lost.",
    "watch_silence": "Seconds since a watch of this kind brought an event.",
    "loop_lag": "By how much the last timer of the event loop was late, in seconds.",
}


class Metrics:
    """All metrics. One instance per process."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.registry = registry = CollectorRegistry()
        self._monotonic = monotonic
        self._seen: dict[str, float] = {}
        self.states = ObjectStates()
        registry.register(self.states)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"pointsman_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"pointsman_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
            return Histogram(f"pointsman_{name}", text, labels, registry=registry, buckets=buckets)

        self.reconciles = counter("reconcile", "Passes, by how they ended.", "kind", "result")
        self.reconcile_seconds = histogram(
            "reconcile_seconds", "Duration of a pass, in seconds.", _PASS_BUCKETS, "kind"
        )
        self.queue_wait_seconds = histogram("queue_wait_seconds", _TEXTS["queue_wait"], _PASS_BUCKETS)
        self.api_requests = counter("api_requests", _TEXTS["api_requests"], "verb", "kind", "code")
        self.api_seconds = histogram("api_request_seconds", _TEXTS["api_seconds"], _CALL_BUCKETS, "verb")
        self.applies = counter("applies", _TEXTS["applies"], "kind", "outcome")
        self.status_writes = counter("status_writes", "Writes of a status subresource.", "kind")
        self.watch_events = counter("watch_events", "Events that watches brought.", "kind")
        self.watch_missed = counter("watch_missed", _TEXTS["watch_missed"], "kind")
        self.watch_silence = gauge("watch_last_activity_seconds", _TEXTS["watch_silence"], "kind")
        self.resync_seconds = gauge("resync_seconds", "Duration of the last full re-list, in seconds.")
        self.loop_lag_seconds = gauge("event_loop_lag_seconds", _TEXTS["loop_lag"])
        gauge("build_info", "Always 1.", "version").labels(__version__).set(1)

    def watch_queue(self, queue: KeyQueue) -> None:
        """Shows the queue's depth and age."""
        depth = Gauge("pointsman_queue_depth", "Keys that wait for a worker.", registry=self.registry)
        depth.set_function(lambda: queue.depth)
        oldest = Gauge(
            "pointsman_queue_oldest_seconds",
            "How long the key that waits longest has waited for a worker.",
            registry=self.registry,
        )
        oldest.set_function(lambda: queue.oldest_seconds)

    def api_called(self, verb: str, kind: str, code: int, seconds: float) -> None:
        """Observer of the API client."""
        self.api_requests.labels(verb, kind, str(code)).inc()
        self.api_seconds.labels(verb).observe(seconds)
        if verb == "patch_status" and 200 <= code < 300:
            self.status_writes.labels(kind).inc()

    def applied(self, kind: str, outcome: str) -> None:
        """Observer of the applier."""
        self.applies.labels(kind, outcome).inc()

    def finished(self, finished: Finished) -> None:
        """Observer of the queue."""
        result = "ok" if finished.error is None else type(finished.error).__name__
        self.reconciles.labels(finished.key.kind, result).inc()
        self.reconcile_seconds.labels(finished.key.kind).observe(finished.seconds)
        self.queue_wait_seconds.observe(finished.waited)

    def watched(self, kind: str) -> None:
        """A watch of this kind brought an event."""
        if kind not in self._seen:
            self.watch_silence.labels(kind).set_function(lambda: self._monotonic() - self._seen[kind])
        self._seen[kind] = self._monotonic()
        self.watch_events.labels(kind).inc()

    def exposition(self) -> bytes:
        """The text format of all metrics."""
        return generate_latest(self.registry)


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told of one object's status. Nothing else of it is kept: it would be most of what a service
    takes of memory."""

    conditions: tuple[tuple[str, str], ...]
    step: str
    weights: tuple[tuple[str, int], ...]
    starts: tuple[tuple[str, str, int], ...]

    @classmethod
    def of(cls, status: Mapping[str, Any]) -> _Told:
        """Nothing of a status that isn't as the schema has it now: an older one may have let it in."""
        try:
            return cls._of(status)
        except (KeyError, TypeError, AttributeError):
            return cls((), "", (), ())

    @classmethod
    def _of(cls, status: Mapping[str, Any]) -> _Told:
        rollout = status.get("rollout") or {}
        return cls(
            # The same few words in every object, and a text of its own for each of them as it was read.
            tuple((intern(c["type"]), intern(c["status"])) for c in status.get("conditions") or ()),
            intern(rollout.get("step") or ""),
            tuple(sorted(_weights(rollout).items())),
            tuple(_starts(status)),
        )


class ObjectStates:
    """Conditions and traffic of our objects, as last seen. A collector: read when somebody scrapes."""

    def __init__(self) -> None:
        self._told: dict[Key, _Told] = {}

    def seen(self, obj: Mapping[str, Any]) -> None:
        """The object as an event or a list showed it."""
        metadata = obj["metadata"]
        key = Key(obj["kind"], metadata.get("namespace", ""), metadata["name"])
        if key.kind in (LLMSERVICE.kind, LLMROUTER.kind):
            self._told[key] = _Told.of(obj.get("status") or {})

    def gone(self, key: Key) -> None:
        """The object is no more."""
        self._told.pop(key, None)

    def collect(self) -> Iterator[Metric]:
        """For the registry."""
        labels = ["namespace", "name", "type", "status"]
        conditions = {
            kind: GaugeMetricFamily(
                f"pointsman_{kind.lower()}_condition", "1 for the status it has.", labels=labels
            )
            for kind in (LLMSERVICE.kind, LLMROUTER.kind)
        }
        step = GaugeMetricFamily(
            "pointsman_rollout_step", "1 for the step a rollout is in.", labels=["namespace", "name", "step"]
        )
        weight = GaugeMetricFamily(
            "pointsman_rollout_weight",
            "Share of traffic, in percent.",
            labels=["namespace", "name", "role"],
        )
        starts = GaugeMetricFamily(
            "pointsman_startup_seconds",
            "How long the engines of a revision took to start, in seconds, by phase.",
            labels=["namespace", "name", "role", "phase"],
        )
        for key, told in self._told.items():
            where = [key.namespace, key.name]
            for kind, state in told.conditions:
                conditions[key.kind].add_metric([*where, kind, state], 1)
            if told.step:
                step.add_metric([*where, told.step], 1)
            for role, share in told.weights:
                weight.add_metric([*where, role], share)
            for role, phase, seconds in told.starts:
                starts.add_metric([*where, role, phase], seconds)
        yield from (*conditions.values(), step, weight, starts)


_ROLES = ("candidate", "stable")
"""Parts in a rollout that have engines; of one revision in both, the last counts."""


def _starts(status: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    """Role, phase and seconds of what is known of the starts of the revisions in use. Engines that stable and
    candidate share are the stable one's."""
    rollout = status.get("rollout") or {}
    roles = {Variant.parse(rollout[role]).revision: role for role in _ROLES if rollout.get(role)}
    for row in status.get("startup") or ():
        if row["revision"] in roles:
            for phase, seconds in row.items():
                if phase not in ("revision", "weightBytes"):
                    yield roles[row["revision"]], intern(phase), seconds


def _weights(rollout: Mapping[str, Any]) -> dict[str, int]:
    """Traffic by role: revisions' names would be a label without bounds."""
    roles = {rollout.get("stable"): "stable", rollout.get("candidate"): "candidate"}
    shares = {roles.get(item["revision"], "other"): item["weight"] for item in rollout.get("traffic") or ()}
    return shares if rollout else {}
