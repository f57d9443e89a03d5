"""Ten minutes of two variants' requests, as unruly as real ones: bursts, moods, heavy tails.

Each second has its own rate of arrivals and its own slowness. Bursts come to both variants and slow both; a
slowly wandering load does so too; and each variant has moods of its own that last some ten seconds, so that
neighbouring requests resemble each other. Each request then has its own noise: lognormal in every other
rollout, in the others with a Pareto tail whose variance is infinite. Rollouts differ in their base: a fixed
threshold is set once, while prompts and load change from day to day.

All answers are streams, or a part of them comes as a whole: then its time to first token is the time it
takes, a hundred times as long. A candidate is bad from the beginning, or only after some minutes. Clients
wait as long as it takes, or leave before the first token of a stream when it takes them too long; each has a
patience of its own. Routers count those as `pointsman_router.records.windows` does. Routers may all begin
anew in the middle.

What comes out is what routers would report: counts on the product's own scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pointsman.core.judging import Kind, Look, Metric, Summary
from pointsman_router.records.windows import LONG
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
BURST: Final = 3.0
"""How much denser requests are in a burst than outside."""
BURST_SECONDS: Final = 8.0
CALM_SECONDS: Final = 40.0
MOOD_SECONDS: Final = 10.0
MINUTE: Final = TICKS * TICK_SECONDS

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Histograms = list[dict[int, int]]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How many requests come."""

    rate: float
    """Of both variants, a second."""
    weight: float
    """The candidate's part."""


BUSY: Final = Arrivals(rate=50.0, weight=0.1)
QUIET: Final = Arrivals(rate=2.5, weight=0.5)


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
    after: int = 0
    """For how many minutes nothing is wrong."""
    whole: float = 0.0
    """The part of all answers that aren't streams."""
    slower_whole: float = 1.0
    """By how much these are later."""
    told: bool = True
    """Whether routers count the two kinds apart."""
    patience: float = math.inf
    """How many times what's usual half of the clients wait for the first token of a stream."""
    restart: int = 0
    """At which tick all routers begin anew, and forget what they counted; 0: none does."""
    arrivals: Arrivals = BUSY


@dataclass(frozen=True, slots=True)
class Timing:
    """How long something takes."""

    kind: Kind
    metric: Metric
    median: float
    noise: float
    """Of single requests, as the standard deviation of logarithms."""
    burst: float
    """How much slower bursts are."""


FIRST, EACH = Metric.TIME_TO_FIRST_TOKEN, Metric.TIME_PER_OUTPUT_TOKEN
STREAMS: Final = (
    Timing(Kind.STREAMED, FIRST, median=0.06, noise=0.6, burst=1.4),
    Timing(Kind.STREAMED, EACH, median=0.03, noise=0.4, burst=1.2),
)
WHOLE: Final = (
    Timing(Kind.WHOLE, FIRST, median=6.0, noise=0.9, burst=1.2),
    Timing(Kind.WHOLE, EACH, median=0.033, noise=0.4, burst=1.2),
)
"""Two hundred tokens in the median; that lengths differ is in the noise."""
DAYS: Final = 0.2
"""How much rollouts' medians differ, as the standard deviation of logarithms."""
LOAD: Final = 0.15
OWN: Final = 0.08
"""How much both variants' slowness wanders together, and how much each one's own."""
PATIENCES: Final = 0.7
"""How much clients' patience differs, as the standard deviation of logarithms."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is seen of a rollout."""

    looks: list[Look]
    """At each tick, since the beginning: what the product judges by."""
    success: Floats
    """The part of the candidate's requests that didn't fail, minute by minute."""
    slowest: Floats
    """The 99th percentile of its time to first token, minute by minute."""


@dataclass(slots=True)
class Side:
    """One variant's requests, without what is wrong with it."""

    requests: Counts
    """Second by second."""
    draws: Floats
    """Of each request, by which it's of the one kind or the other."""
    patience: Floats
    """Of each request's client, beside what's usual among them."""
    logs: dict[tuple[Kind, Metric], Floats]
    """What each would take as either kind."""

    @property
    def seconds(self) -> Counts:
        """When each request came."""
        return np.repeat(np.arange(self.requests.size), self.requests)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one variant's clients wait for the first token of a stream, in logarithms of seconds."""

    waits: Floats
    left: NDArray[np.bool_]
    """Whose client left before it came."""
    least: float
    """Who left sooner than this tells nothing."""


class Rollout:
    """One rollout's traffic."""

    def __init__(self, seed: int, own: float = OWN, arrivals: Arrivals = BUSY) -> None:
        self._rng = np.random.default_rng(seed)
        self._own = own
        seconds = _ROWS * TICK_SECONDS
        self._bursts = self._bursting(seconds)
        calm = arrivals.rate / (1 + (BURST - 1) * BURST_SECONDS / (BURST_SECONDS + CALM_SECONDS))
        arrived = self._rng.poisson(calm * np.where(self._bursts, BURST, 1.0))
        candidate = self._rng.binomial(arrived, arrivals.weight)
        self._errors = self._rng.uniform(0.5, 1.5)
        self._tailed = bool(seed % 2)
        # By a generator of its own, so that mixtures change nothing of rollouts that have none.
        others = np.random.default_rng((seed, 1))
        self._stable, self._candidate = (
            Side(requests, others.random(size := int(requests.sum())), _patience(seed, side, size), {})
            for side, requests in enumerate((arrived - candidate, candidate))
        )
        self._counted: dict[tuple[object, ...], Counts] = {}
        for timing in STREAMS:
            self._measure(self._rng, timing, seconds)
        for timing in WHOLE:
            self._measure(others, timing, seconds)

    def requests(self) -> Counts:
        """The candidate's, at each look since the beginning."""
        return np.cumsum(_by_tick(self._candidate.requests))[TICKS - 1 :: TICKS]

    def run(self, effect: Effect) -> Run:
        """What routers report of both variants, with this effect on the candidate."""
        came = self._stayed(self._candidate, effect)
        failed = self._failed(came, effect, effect.errors)
        stable = self._stayed(self._stable, effect)
        pairs = zip(
            self._summaries(self._stable, stable, self._failed(stable, effect, 0.0), effect),
            self._summaries(self._candidate, came, failed, effect),
            strict=True,
        )
        first = self._counts(self._candidate, Kind.STREAMED, FIRST, effect)
        looks = [Look(TICK_SECONDS * (at + 1.0), *pair) for at, pair in enumerate(pairs)]
        return Run(
            _forgetful(looks, effect.restart),
            _success(_by_minute(came), _by_minute(failed)),
            _slowest(first[TICKS - 1 :: TICKS]),
        )

    def _summaries(self, side: Side, requests: Counts, failed: Counts, effect: Effect) -> list[Summary]:
        totals, errors = (np.cumsum(_by_tick(each)).tolist() for each in (requests, failed))
        found: dict[Kind, dict[Metric, Counts]] = {kind: {} for kind in Kind}
        for timing in (*STREAMS, *WHOLE) if effect.whole else STREAMS:
            found[timing.kind][timing.metric] = self._counts(side, timing.kind, timing.metric, effect)
        streams, whole = found[Kind.STREAMED], found[Kind.WHOLE]
        if not effect.told:
            streams, whole = {metric: streams[metric] + whole[metric] for metric in whole}, {}
        return [
            Summary(requests, failed, histograms=first, whole=second)
            for requests, failed, first, second in zip(
                totals, errors, _histograms(streams), _histograms(whole), strict=False
            )
        ]

    def _slower(self, side: Side, kind: Kind, effect: Effect) -> float:
        """How many times as long the first tokens of one side take, once something is wrong."""
        if side is self._stable:
            return 1.0
        return effect.slower if kind is Kind.STREAMED else effect.slower_whole

    def _first(self, side: Side, kind: Kind, effect: Effect) -> Floats:
        """What every first token takes."""
        late = np.where(side.seconds >= effect.after * MINUTE, np.log(self._slower(side, kind, effect)), 0.0)
        return np.asarray(side.logs[kind, FIRST] + late)

    def _leaving(self, side: Side, effect: Effect) -> Patience | None:
        """Who leaves; None where everybody waits."""
        if effect.patience == math.inf:
            return None
        usual = float(np.median(self._stable.logs[Kind.STREAMED, FIRST]))
        waits = usual + math.log(effect.patience) + PATIENCES * side.patience
        left = (self._first(side, Kind.STREAMED, effect) > waits) & (side.draws >= effect.whole)
        return Patience(waits, left, usual + math.log(LONG))

    def _stayed(self, side: Side, effect: Effect) -> Counts:
        """The requests that count as such, second by second: whose client saw the answer's end."""
        leaving = self._leaving(side, effect)
        if leaving is None:
            return side.requests
        return side.requests - np.bincount(side.seconds[leaving.left], minlength=side.requests.size)

    def _bursting(self, seconds: int) -> NDArray[np.bool_]:
        lengths = self._rng.exponential([CALM_SECONDS, BURST_SECONDS], (seconds // 4, 2)).ravel() + 0.5
        states = np.arange(lengths.size) % 2 == 1
        return np.repeat(states, lengths.astype(int) + 1)[100 : 100 + seconds]

    def _wander(self, rng: np.random.Generator, seconds: int, size: float) -> Floats:
        """A first-order autoregression that starts where it would be anyway."""
        keep = np.exp(-1 / MOOD_SECONDS)
        steps = rng.standard_normal(seconds) * size * np.sqrt(1 - keep**2)
        steps[0] = rng.standard_normal() * size
        # As a sum of what is left of earlier steps; after a hundred seconds nothing is.
        return np.convolve(steps, keep ** np.arange(100))[:seconds]

    def _measure(self, rng: np.random.Generator, timing: Timing, seconds: int) -> None:
        median = np.log(timing.median) + rng.standard_normal() * DAYS
        shared = median + self._wander(rng, seconds, LOAD) + np.where(self._bursts, np.log(timing.burst), 0.0)
        moods = [shared + self._wander(rng, seconds, self._own) for _ in range(2)]
        for side, slow in zip((self._stable, self._candidate), moods, strict=True):
            noise = self._noise(rng, timing, int(side.requests.sum()))
            side.logs[timing.kind, timing.metric] = np.repeat(slow, side.requests) + noise

    def _noise(self, rng: np.random.Generator, timing: Timing, size: int) -> Floats:
        noise = rng.standard_normal(size) * timing.noise
        if self._tailed:
            long = rng.random(size) < 0.1
            noise[long] += rng.exponential(1 / 1.5, int(long.sum()))
        return noise

    def _failed(self, requests: Counts, effect: Effect, more: float) -> Counts:
        # Twice as many fail in bursts; over all requests it's the effect's rate.
        inside = BURST * BURST_SECONDS / (BURST * BURST_SECONDS + CALM_SECONDS)
        rate = effect.base * self._errors / (1 + inside) * np.where(self._bursts, 2.0, 1.0)
        rate[effect.after * MINUTE :] += more
        return np.asarray(self._rng.binomial(requests, np.minimum(rate, 1.0)))

    def _counts(self, side: Side, kind: Kind, metric: Metric, effect: Effect) -> Counts:
        """How many of each tick and all before fell into which bucket."""
        slower = self._slower(side, kind, effect)
        bad = (
            (slower, effect.after) if slower != 1 and (metric is FIRST or effect.patience < math.inf) else ()
        )
        key = (side is self._stable, kind, metric, effect.whole, effect.patience, bad)
        if key not in self._counted:
            self._counted[key] = self._count(side, kind, metric, effect)
        return self._counted[key]

    def _count(self, side: Side, kind: Kind, metric: Metric, effect: Effect) -> Counts:
        chosen = (side.draws < effect.whole) == (kind is Kind.WHOLE)
        logs = self._first(side, kind, effect) if metric is FIRST else side.logs[kind, metric]
        leaving = self._leaving(side, effect) if kind is Kind.STREAMED else None
        if leaving is not None:
            told = metric is FIRST and leaving.waits >= leaving.least
            chosen &= ~leaving.left | told
            logs = np.where(leaving.left, leaving.waits, logs)
        return _counted(logs[chosen], side.seconds[chosen] // TICK_SECONDS)


def _forgetful(looks: list[Look], restart: int) -> list[Look]:
    """What routers tell that began anew at a tick."""
    if not restart:
        return looks
    lost = looks[restart - 1]
    return looks[:restart] + [replace(look.since(lost), seconds=look.seconds) for look in looks[restart:]]


def _patience(seed: int, side: int, size: int) -> Floats:
    """By a generator of its own, so that who waits changes nothing where everybody does."""
    return np.random.default_rng((seed, 2, side)).standard_normal(size)


def _success(requests: Counts, failed: Counts) -> Floats:
    return np.asarray(1 - failed / np.maximum(requests, 1))


def _slowest(so_far: Counts) -> Floats:
    """The 99th percentile of each minute, from counts since the beginning."""
    minutes = np.diff(so_far, axis=0, prepend=0)
    share = np.cumsum(minutes, axis=1) / np.maximum(minutes.sum(axis=1, keepdims=True), 1)
    return np.asarray(LOWEST * 2.0 ** ((np.argmax(share >= 0.99, axis=1) + 0.5) / PER_DOUBLING))


def _by_minute(seconds: Counts) -> Counts:
    return np.asarray(seconds.reshape(WATCHED, MINUTE).sum(axis=1))


def _by_tick(seconds: Counts) -> Counts:
    return np.asarray(seconds.reshape(_ROWS, TICK_SECONDS).sum(axis=1))


def _counted(logs: Floats, ticks: Counts) -> Counts:
    """How many of each tick and all before fell into which bucket, as `scale.index` has it."""
    buckets = ((logs / np.log(2) - np.log2(LOWEST)) * PER_DOUBLING).astype(np.int64)
    flat = ticks * BUCKETS + np.clip(buckets, 0, BUCKETS - 1)
    counts = np.bincount(flat, minlength=_ROWS * BUCKETS).reshape(_ROWS, BUCKETS)
    return np.asarray(np.cumsum(counts, axis=0))


def _histograms(found: Mapping[Metric, Counts]) -> list[dict[Metric, dict[int, int]]]:
    """Of the ticks at which is judged, as routers report them."""
    filled = {metric: _sparse(counts) for metric, counts in found.items()}
    return [{metric: rows[tick] for metric, rows in filled.items()} for tick in range(LOOKS * TICKS)]


def _sparse(counts: Counts) -> Histograms:
    found = []
    for row in counts[: LOOKS * TICKS]:
        filled = np.flatnonzero(row)
        found.append(dict(zip(filled.tolist(), row[filled].tolist(), strict=True)))
    return found
