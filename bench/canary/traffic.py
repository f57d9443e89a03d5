"""Ten minutes of two variants' requests, as unruly as real ones: bursts, moods, heavy tails.

Each second has its own rate of arrivals and its own slowness. Bursts come to both variants and slow both; a
slowly wandering load does so too; and each variant has moods of its own that last some ten seconds, so that
neighbouring requests resemble each other. Each request then has its own noise: lognormal in every other
rollout, in the others with a Pareto tail whose variance is infinite. Rollouts differ in their base: a fixed
threshold is set once, while prompts and load change from day to day.

What comes out is what routers would report: counts on the product's own scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pointsman.core.judging import Look, Metric, Summary
from pointsman_router.scale import BUCKETS, LOWEST, PER_DOUBLING

TICK_SECONDS: Final = 10
"""How often routers are asked."""
TICKS: Final = 6
"""Of one look, at which is judged."""
LOOKS: Final = 10
"""With a candidate's 300 requests each: 3,000 in all."""
WATCHED: Final = 20
"""For how many looks fixed thresholds may go on."""
_ROWS: Final = WATCHED * TICKS
RATE: Final = 50.0
WEIGHT: Final = 0.1
BURST: Final = 3.0
"""How much denser requests are in a burst than outside."""
BURST_SECONDS: Final = 8.0
CALM_SECONDS: Final = 40.0
MOOD_SECONDS: Final = 10.0

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Histograms = list[dict[int, int]]


@dataclass(frozen=True, slots=True)
class Effect:
    """What's wrong with a candidate."""

    name: str
    slower: float = 1.0
    """By how much its time to first token is longer."""
    errors: float = 0.0
    """How many more of its requests fail."""
    base: float = 0.005
    """How many fail anyway, on average over rollouts; from half to one and a half times as many in each."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How long something takes."""

    metric: Metric
    median: float
    noise: float
    """Of single requests, as the standard deviation of logarithms."""
    burst: float
    """How much slower bursts are."""


KINDS: Final = (
    Kind(Metric.TIME_TO_FIRST_TOKEN, median=0.06, noise=0.6, burst=1.4),
    Kind(Metric.TIME_PER_OUTPUT_TOKEN, median=0.03, noise=0.4, burst=1.2),
)
DAYS: Final = 0.2
"""How much rollouts' medians differ, as the standard deviation of logarithms."""
LOAD: Final = 0.15
OWN: Final = 0.08
"""How much both variants' slowness wanders together, and how much each one's own."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is seen of a rollout."""

    looks: list[Look]
    """At each tick, since the beginning: what the product judges by."""
    success: Floats
    """The part of the candidate's requests that didn't fail, minute by minute."""
    slowest: Floats
    """The 99th percentile of its time to first token, minute by minute."""


class Rollout:
    """One rollout's traffic, the candidate's still without what is wrong with it."""

    def __init__(self, seed: int, own: float = OWN) -> None:
        self._rng = np.random.default_rng(seed)
        self._own = own
        seconds = _ROWS * TICK_SECONDS
        self._bursts = self._bursting(seconds)
        calm = RATE / (1 + (BURST - 1) * BURST_SECONDS / (BURST_SECONDS + CALM_SECONDS))
        arrived = self._rng.poisson(calm * np.where(self._bursts, BURST, 1.0))
        self._candidate = self._rng.binomial(arrived, WEIGHT)
        self._stable = arrived - self._candidate
        self._errors = self._rng.uniform(0.5, 1.5)
        self._tailed = bool(seed % 2)
        self._logs: dict[Metric, Floats] = {}
        self._stable_histograms: dict[Metric, Histograms] = {}
        for kind in KINDS:
            self._measure(kind, seconds)

    def requests(self) -> Counts:
        """The candidate's, at each look since the beginning."""
        return np.cumsum(_by_tick(self._candidate))[TICKS - 1 :: TICKS]

    def run(self, effect: Effect) -> Run:
        """What routers report of both variants, with this effect on the candidate."""
        failed = self._failed(self._candidate, effect, effect.errors)
        counts = self._counts(Metric.TIME_TO_FIRST_TOKEN, effect.slower)
        histograms = {
            Metric.TIME_TO_FIRST_TOKEN: self._histograms(Metric.TIME_TO_FIRST_TOKEN, effect.slower),
            Metric.TIME_PER_OUTPUT_TOKEN: self._histograms(Metric.TIME_PER_OUTPUT_TOKEN, 1.0),
        }
        stable = _summaries(self._stable, self._failed(self._stable, effect, 0.0), self._stable_histograms)
        pairs = zip(stable, _summaries(self._candidate, failed, histograms), strict=True)
        return Run(
            [Look(TICK_SECONDS * (at + 1.0), *pair) for at, pair in enumerate(pairs)],
            _success(_by_minute(self._candidate), _by_minute(failed)),
            _slowest(counts[TICKS - 1 :: TICKS]),
        )

    def _bursting(self, seconds: int) -> NDArray[np.bool_]:
        lengths = self._rng.exponential([CALM_SECONDS, BURST_SECONDS], (seconds // 4, 2)).ravel() + 0.5
        states = np.arange(lengths.size) % 2 == 1
        return np.repeat(states, lengths.astype(int) + 1)[100 : 100 + seconds]

    def _wander(self, seconds: int, size: float) -> Floats:
        """A first-order autoregression that starts where it would be anyway."""
        keep = np.exp(-1 / MOOD_SECONDS)
        steps = self._rng.standard_normal(seconds) * size * np.sqrt(1 - keep**2)
        steps[0] = self._rng.standard_normal() * size
        # As a sum of what is left of earlier steps; after a hundred seconds nothing is.
        return np.convolve(steps, keep ** np.arange(100))[:seconds]

    def _measure(self, kind: Kind, seconds: int) -> None:
        median = np.log(kind.median) + self._rng.standard_normal() * DAYS
        shared = median + self._wander(seconds, LOAD) + np.where(self._bursts, np.log(kind.burst), 0.0)
        slow = {name: shared + self._wander(seconds, self._own) for name in ("stable", "candidate")}
        stable = np.repeat(slow["stable"], self._stable) + self._noise(kind, int(self._stable.sum()))
        self._stable_histograms[kind.metric] = _sparse(_counted(stable, self._stable))
        self._logs[kind.metric] = np.repeat(slow["candidate"], self._candidate) + self._noise(
            kind, int(self._candidate.sum())
        )

    def _noise(self, kind: Kind, size: int) -> Floats:
        noise = self._rng.standard_normal(size) * kind.noise
        if self._tailed:
            long = self._rng.random(size) < 0.1
            noise[long] += self._rng.exponential(1 / 1.5, int(long.sum()))
        return noise

    def _failed(self, requests: Counts, effect: Effect, more: float) -> Counts:
        # Twice as many fail in bursts; over all requests it's the effect's rate.
        inside = BURST * BURST_SECONDS / (BURST * BURST_SECONDS + CALM_SECONDS)
        rate = effect.base * self._errors / (1 + inside) * np.where(self._bursts, 2.0, 1.0)
        return np.asarray(self._rng.binomial(requests, np.minimum(rate + more, 1.0)))

    @lru_cache(maxsize=8)  # noqa: B019
    def _counts(self, metric: Metric, slower: float) -> Counts:
        return _counted(self._logs[metric] + np.log(slower), self._candidate)

    @lru_cache(maxsize=8)  # noqa: B019
    def _histograms(self, metric: Metric, slower: float) -> Histograms:
        return _sparse(self._counts(metric, slower))


def _summaries(requests: Counts, failed: Counts, histograms: Mapping[Metric, Histograms]) -> list[Summary]:
    totals, errors = np.cumsum(_by_tick(requests)).tolist(), np.cumsum(_by_tick(failed)).tolist()
    return [
        Summary(
            totals[tick], errors[tick], histograms={metric: rows[tick] for metric, rows in histograms.items()}
        )
        for tick in range(LOOKS * TICKS)
    ]


def _success(requests: Counts, failed: Counts) -> Floats:
    return np.asarray(1 - failed / np.maximum(requests, 1))


def _slowest(so_far: Counts) -> Floats:
    """The 99th percentile of each minute, from counts since the beginning."""
    minutes = np.diff(so_far, axis=0, prepend=0)
    share = np.cumsum(minutes, axis=1) / np.maximum(minutes.sum(axis=1, keepdims=True), 1)
    return np.asarray(LOWEST * 2.0 ** ((np.argmax(share >= 0.99, axis=1) + 0.5) / PER_DOUBLING))


def _by_minute(seconds: Counts) -> Counts:
    return np.asarray(seconds.reshape(WATCHED, TICKS * TICK_SECONDS).sum(axis=1))


def _by_tick(seconds: Counts) -> Counts:
    return np.asarray(seconds.reshape(_ROWS, TICK_SECONDS).sum(axis=1))


def _counted(logs: Floats, requests: Counts) -> Counts:
    """How many of each tick and all before fell into which bucket, as `scale.index` has it."""
    buckets = ((logs / np.log(2) - np.log2(LOWEST)) * PER_DOUBLING).astype(np.int64)
    ticks = np.repeat(np.arange(_ROWS), _by_tick(requests))
    flat = ticks * BUCKETS + np.clip(buckets, 0, BUCKETS - 1)
    counts = np.bincount(flat, minlength=_ROWS * BUCKETS).reshape(_ROWS, BUCKETS)
    return np.asarray(np.cumsum(counts, axis=0))


def _sparse(counts: Counts) -> Histograms:
    """Of the ticks at which is judged, as routers report them."""
    found = []
    for row in counts[: LOOKS * TICKS]:
        filled = np.flatnonzero(row)
        found.append(dict(zip(filled.tolist(), row[filled].tolist(), strict=True)))
    return found
