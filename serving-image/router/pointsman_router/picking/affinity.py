"""Where the beginnings of prompts are cached: which engine is to get a request that begins like earlier ones.

An engine keeps what it computed for a prompt and skips the longest beginning it still has, so a request costs
least where most of it is known. Three kinds of traffic decide how this is done; each breaks a simpler rule:

- *Few long beginnings, many short ends* (documents, few-shot prompts). Hashing whole prompts would scatter
  them, so prompts are compared block by block: a chain of hashes, each over its block and all before it. The
  longest one that was seen before tells who has it.
- *Conversations.* Each turn repeats the last one and adds to it, so the longest known beginning is the whole
  earlier request (its chain's `tip`), and its engine is right however little of the new prompt that is.
- *One system prompt, many users.* Everything begins alike; "the longest known beginning" alone would send all
  of it to the engine that saw it first and leave others empty. So a beginning that others went on from
  differently counts only where it's at least three quarters of the prompt. Else the request goes where its
  own part says, and its engine learns the system prompt too, at the price of computing it once. And where
  load spreads a beginning over several engines, all of them are remembered, and what follows it is divided.

What nobody has seen goes by rendezvous hashing (the engine with the highest hash of key and engine): routers
that share nothing agree on it, a restart forgets nothing of it, and an engine that comes or goes moves only
what it must. The key is the chain's hash at the largest power of two of blocks within the first half: deep
enough to tell documents apart behind a common preamble, shallow enough to leave different ends out, and,
since powers of two are far apart, hardly ever another one when a conversation grows. Where a beginning that
doesn't count reaches deeper than that, the key is the first block past it.

All of it yields to load: an engine whose requests exceed a share of the variant's mean, plus one, is passed
over; where it knows nothing of the prompt, half of that margin is enough. The counts are this router's own;
routers needn't agree on load.

Memory: at most CAPACITY hashes in a router process, about 150 bytes each (8 MiB when full), the least
recently useful going first; with the default blocks that stands for 16 MiB of different text. It holds
numbers for engines, not engines: one that's gone is dropped when met.
Knows nothing of requests, JSON or HTTP.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

from xxhash import xxh3_64_intdigest as digest

from pointsman_router.engines.engine import Engine
from pointsman_router.picking.wishes import Wish
from pointsman_router.settings import Picking

CAPACITY: Final = 65_536
_MOST_ENGINES: Final = 8
"""How many engines are remembered for one beginning."""
_LEAST_SHARE: Final = 0.1


class Known(NamedTuple):
    """Who was given prompts with one beginning."""

    engines: tuple[int, ...]
    """Their numbers, the latest to come last."""
    tip: bool
    """Whether no prompt went on from here yet."""


class Memory:
    """What a router process remembers of all its services, bounded.

    Two plain dicts: what was used since the newer one was begun is in it, and when that has half of the
    capacity the older one is dropped as a whole. An ordered one that drops its oldest entries one by one lays
    all of them out anew every now and then, and stops the event loop for that long.
    """

    __slots__ = ("_half", "_newer", "_older")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._half = capacity // 2
        self._newer: dict[int, Known] = {}
        self._older: dict[int, Known] = {}

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)

    def get(self, key: int) -> Known | None:
        """What is known under a key."""
        return self._newer.get(key) or self._older.get(key)

    def deepest(self, chain: Sequence[int], salt: int, most: int) -> tuple[int, Known | None]:
        """How many of a prompt's first `most` blocks are known, and what is; (0, None) where none is. That it
        was of use is remembered. A long prompt that's new is looked up as often as it has blocks, hence no
        calls in here."""
        newer, older = self._newer, self._older
        for depth in range(most, 0, -1):
            key = chain[depth - 1] ^ salt
            if key in newer:
                return depth, newer[key]
            if key in older:
                known = older[key]
                self.put(key, known)
                return depth, known
        return 0, None

    def put(self, key: int, known: Known) -> None:
        """Remembers, or remembers that it was of use."""
        self._newer[key] = known
        if len(self._newer) >= self._half:
            self._older, self._newer = self._newer, {}

    def learn(self, chain: Sequence[int], salt: int, inner: Known, tip: Known) -> None:
        """Remembers blocks that nothing was known of, up to a prompt's end."""
        if len(self._newer) + len(chain) > self._half:
            self._older, self._newer = self._newer, {}
        newer = self._newer
        for block in chain:
            newer[block ^ salt] = inner
        newer[chain[-1] ^ salt] = tip

    def drop(self, key: int) -> None:
        self._newer.pop(key, None)
        self._older.pop(key, None)


@dataclass(frozen=True, slots=True)
class Placement:
    """What choosing among one variant's engines goes by."""

    salt: int
    """Keeps the memories of variants apart."""
    engines: Mapping[int, Engine]
    """All of the variant's, by their numbers."""
    ready: Sequence[Engine]
    memory: Memory
    picking: Picking
    alone: Mapping[int, tuple[Known, Known]]
    """What is noted of blocks that one engine alone has, within a prompt and at its end, by its number:
    nearly all that is remembered, hence not made anew each time."""

    @classmethod
    def of(cls, name: str, engines: Iterable[Engine], memory: Memory, picking: Picking) -> Placement:
        """`name`: of service and variant."""
        every = {engine.number: engine for engine in engines}
        ready = tuple(engine for engine in every.values() if engine.ready)
        alone = {number: (Known((number,), False), Known((number,), True)) for number in every}
        return cls(digest(name.encode()), every, ready, memory, picking, alone)


def load(engine: Engine, now: float) -> float:
    """Its requests in flight, as many as they are for an engine that is still warming up."""
    return engine.in_flight if engine.full_at <= now else engine.in_flight / share(engine, now)


def share(engine: Engine, now: float) -> float:
    """What part of its full share of requests an engine takes: it grows from when it became ready."""
    seconds = engine.routing.engines.slow_start_seconds
    return min(max(1 - (engine.full_at - now) / seconds, _LEAST_SHARE), 1.0) if seconds else 1.0


def choose(place: Placement, wish: Wish, tried: Collection[Engine], now: float) -> Engine | None:
    """The engine that suits the wish best among those that may be taken; None when there is none."""
    if wish.session:
        return _of_session(place, wish.session, tried, now)
    chain = wish.chain
    depth, known = place.memory.deepest(chain, place.salt, len(chain))
    if known is not None and known.engines[-1] not in place.engines:
        depth, known = _longest_known(place, chain, depth)
    engine, passed = None, depth
    if known is not None and (known.tip or _counts(depth, chain)):
        engine, passed = _of_holders(place, chain, depth, known, tried, now), 0
    if engine is None:
        engine = _of_all(place, wish, passed, tried, now)
    if engine is not None and chain:
        _remember(place, chain, depth, known, engine)
    return engine


def _counts(depth: int, chain: Sequence[int]) -> bool:
    """Whether so long a beginning, which other prompts share, decides where this one goes."""
    return 4 * depth >= 3 * len(chain)


def _longest_known(place: Placement, chain: Sequence[int], most: int) -> tuple[int, Known | None]:
    """How many blocks of a prompt, up to so many, are known on engines that are still there, and on which."""
    memory, salt, engines = place.memory, place.salt, place.engines
    depth, known = memory.deepest(chain, salt, most)
    while known is not None:
        if known.engines[-1] in engines or not engines.keys().isdisjoint(known.engines):
            break
        memory.drop(chain[depth - 1] ^ salt)
        depth, known = memory.deepest(chain, salt, depth - 1)
    return depth, known


def _usable(engine: Engine, tried: Collection[Engine], now: float) -> bool:
    return (
        engine.ready
        and engine.aside_until <= now
        and engine.in_flight < engine.max_requests
        and engine not in tried
    )


def _of_session(place: Placement, session: int, tried: Collection[Engine], now: float) -> Engine | None:
    """Where the session was last. Only what keeps that engine from taking it makes it move: the bound on
    load is no reason, since whoever asks for sessions has state to lose."""
    key = session ^ place.salt
    known = place.memory.get(key)
    engine = None if known is None else place.engines.get(known.engines[-1])
    if engine is None or not _usable(engine, tried, now):
        engine = highest(place.ready, session, tried, now)
        if engine is None:
            return None
    place.memory.put(key, place.alone[engine.number][1])
    return engine


def _of_holders(
    place: Placement, chain: Sequence[int], depth: int, known: Known, tried: Collection[Engine], now: float
) -> Engine | None:
    """One of those that have the longest beginning and may be taken, while that counts."""
    find, percent = place.engines.get, place.picking.load_percent
    while True:
        holders = [engine for engine in map(find, known.engines) if engine is not None]
        # Past the end there is nothing to tell holders apart by, nor any need to.
        key = chain[min(depth, len(chain) - 1)]
        engine = highest(holders, key, tried, now, load_bound(place.ready, percent))
        if engine is not None:
            return engine
        same = known.engines
        while same == known.engines:
            depth, shorter = _longest_known(place, chain, depth - 1)
            if shorter is None or not _counts(depth, chain):
                return None
            known = shorter


def _of_all(
    place: Placement, wish: Wish, passed: int, tried: Collection[Engine], now: float
) -> Engine | None:
    """The engine that every router would choose; a less busy one where that has too much to do."""
    chain, percent = wish.chain, float(place.picking.load_percent)
    key = wish.adapter
    if not key:
        depth = (1 << len(chain).bit_length() >> 2) or 1
        if depth <= passed:
            depth = min(passed + 1, len(chain))
        key, percent = chain[depth - 1], (100 + percent) / 2
    ready = place.ready
    engine = highest(ready, key, tried, now, load_bound(ready, percent))
    if engine is None:
        usable = [engine for engine in ready if _usable(engine, tried, now)]
        engine = min(usable, key=lambda engine: load(engine, now)) if usable else None
    return engine


def load_bound(ready: Sequence[Engine], percent: float) -> float:
    """How many requests in flight an engine may have and still get another one for its cache's sake.
    `percent`: of the mean of all that are ready."""
    total = 0
    for engine in ready:
        total += engine.in_flight
    return percent * total / (100 * len(ready)) + 1


def highest(
    engines: Iterable[Engine], key: int, tried: Collection[Engine], now: float, bound: float = inf
) -> Engine | None:
    """The first that may be taken and isn't busier than the bound, in the order that every router gives
    engines for this key; None where there is none."""
    best, found = -1, None
    for engine in engines:
        in_flight = engine.in_flight
        # `_usable` and `load` in place: this is asked of every engine for every prompt that's new.
        if (
            in_flight <= bound
            and in_flight < engine.max_requests
            and engine.aside_until <= now
            and engine.ready
            and engine not in tried
            and (engine.full_at <= now or load(engine, now) <= bound)
        ):
            score = digest(engine.identity, key)
            if score > best:
                best, found = score, engine
    return found


def _remember(
    place: Placement, chain: Sequence[int], depth: int, known: Known | None, engine: Engine
) -> None:
    """Notes that the engine has this prompt now. Of what was known only the deepest block is touched:
    that's where the next prompt parts from it, and what nobody looks up may be forgotten."""
    memory, number = place.memory, engine.number
    if known is not None:
        tip = known.tip and depth == len(chain)
        if tip != known.tip or number not in known.engines:
            others = [one for one in known.engines if one != number and one in place.engines]
            memory.put(chain[depth - 1] ^ place.salt, Known((*others[1 - _MOST_ENGINES :], number), tip))
    if depth < len(chain):
        memory.learn(chain[depth:], place.salt, *place.alone[number])
