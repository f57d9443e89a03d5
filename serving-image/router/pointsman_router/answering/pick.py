"""Chooses the engine for a request: a variant by the request's draw, then in it by the service's policy.

A request goes where its beginning, session or adapter is known (`affinity`). Others go to the less busy of
two random engines, which comes close to the best choice without routers having to agree on anything, or to
one engine after the other. Engines that are set aside are taken only where there is nothing else. Pure but
for the randomness that is passed in and for what placements remember.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from pointsman_router.engines.engine import Engine
from pointsman_router.picking.affinity import choose, load, share
from pointsman_router.picking.wishes import Wish
from pointsman_router.table import ServiceState, VariantState, shares

Random = Callable[[], float]
"""A number in [0, 1)."""


def pick(
    service: ServiceState,
    tried: Collection[Engine],
    now: float,
    random: Random,
    only: str = "",
    wish: Wish | None = None,
    draw: float = 0.0,
) -> tuple[VariantState, Engine | None] | None:
    """The variant and engine to try next; None when none is ready, and a variant without engine when each
    that may be taken has as many requests as it may have.

    `tried`: engines that failed this request already; one of them is given again only where no other is
    ready. `only`: the variant to stay in, whatever its weight. `draw`: the request's own, in [0, 1), so that
    every attempt belongs to the same variant as long as weights allow.
    """
    variants = tuple(v for v in service.variants if v.name == only) if only else service.routed
    if not variants:
        return None
    first = variants[0] if len(variants) == 1 else by_share(service.shares, draw)
    ready = first.ready
    if ready:
        engine: Engine | None
        if wish is not None and len(ready) > 1:
            engine = choose(first.placement, wish, tried, now)
            if engine is not None:
                return first, engine
        else:
            engine = _in_turn(first, now, random) if first.turns else _less_busy(ready, now, random)
            if engine.aside_until <= now and engine.in_flight < engine.max_requests and engine not in tried:
                return first, engine
    return _careful(first, variants, tried, now, random)


def has_another(service: ServiceState, tried: Collection[Engine], only: str = "") -> bool:
    """Whether a variant that takes requests has a ready engine that wasn't tried."""
    return any(
        engine not in tried
        for variant in service.variants
        if (variant.name == only if only else variant.weight)
        for engine in variant.ready
    )


def by_share(shares: Sequence[tuple[float, VariantState]], draw: float) -> VariantState:
    """The variant whose share a draw from [0, 1) falls into."""
    for end, variant in shares:
        if draw < end:
            return variant
    return shares[-1][1]


def _less_busy(engines: Sequence[Engine], now: float, random: Random) -> Engine:
    count = len(engines)
    if count == 1:
        return engines[0]
    draw = random() * count
    index = int(draw)
    # The fraction left over is a second, independent draw.
    other = (index + 1 + int((draw - index) * (count - 1))) % count
    one, two = engines[index], engines[other]
    return one if load(one, now) <= load(two, now) else two


def _in_turn(variant: VariantState, now: float, random: Random) -> Engine:
    """The next one; an engine that is warming up lets a turn go by as often as its share is missing."""
    ready, turns = variant.ready, variant.turns
    assert turns is not None
    engine = ready[next(turns) % len(ready)]
    if engine.full_at > now and random() >= share(engine, now):
        engine = ready[next(turns) % len(ready)]
    return engine


def _careful(
    first: VariantState,
    variants: Sequence[VariantState],
    tried: Collection[Engine],
    now: float,
    random: Random,
) -> tuple[VariantState, Engine | None] | None:
    """The first choice fell through. Better another variant than an engine that just failed; better that
    engine than no answer; but better wait for one that's full. A variant without weight isn't among them: it
    may have been rejected."""
    order = [first, *_shuffled([v for v in variants if v is not first], random)]
    for aside, again in ((False, False), (True, False), (True, True)):
        for variant in order:
            engines = [
                engine
                for engine in variant.ready
                if (again or engine not in tried) and (aside or engine.aside_until <= now)
            ]
            if engines:
                free = [engine for engine in engines if engine.in_flight < engine.max_requests]
                return variant, _less_busy(free, now, random) if free else None
    return None


def _shuffled(variants: list[VariantState], random: Random) -> list[VariantState]:
    """In random order, by weight."""
    order = []
    while variants:
        order.append(by_share(shares(variants), random()))
        variants.remove(order[-1])
    return order
