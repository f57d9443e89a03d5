"""Chooses the engine for a request: a variant by its weight, in it the less busy of two.

Two random candidates compared by what they have in flight come close to the best choice without routers
having to agree on anything. Engines whose connections just failed are taken only where there is nothing
else. Pure but for the randomness that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from pointsman_router.engine import Engine
from pointsman_router.state import ServiceState, VariantState
from pointsman_router.wishes import Wish

Random = Callable[[], float]
"""A number in [0, 1)."""


def pick(
    service: ServiceState,
    tried: Collection[Engine],
    now: float,
    random: Random,
    only: str = "",
    wish: Wish | None = None,
) -> tuple[VariantState, Engine | None] | None:
    """The variant and engine to try next; None when none is ready, and a variant without engine when each
    of its ready ones has as many requests as it may have.

    `tried`: engines that failed this request already; one of them is given again only where no other is
    ready. `only`: the variant to stay in, whatever its weight.
    """
    variants = tuple(v for v in service.variants if v.name == only) if only else service.routed
    if len(variants) == 1:
        first = variants[0]
    elif variants:
        first = _by_weight(variants, random)
    else:
        return None
    ready = first.ready
    if ready:
        engine = _less_busy(ready, random)
        if engine.aside_until <= now and engine not in tried:
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


def _by_weight(variants: Sequence[VariantState], random: Random) -> VariantState:
    """The variant whose share the draw falls into, among all of them."""
    left = random() * sum(variant.weight for variant in variants)
    for variant in variants:
        left -= variant.weight
        if left < 0:
            return variant
    return variants[-1]


def _less_busy(engines: Sequence[Engine], random: Random) -> Engine:
    count = len(engines)
    if count == 1:
        return engines[0]
    draw = random() * count
    index = int(draw)
    # The fraction left over is a second, independent draw.
    other = (index + 1 + int((draw - index) * (count - 1))) % count
    one, two = engines[index], engines[other]
    return one if one.in_flight <= two.in_flight else two


def _careful(
    first: VariantState,
    variants: Sequence[VariantState],
    tried: Collection[Engine],
    now: float,
    random: Random,
) -> tuple[VariantState, Engine] | None:
    """The first choice fell through. Better another variant than an engine that just failed; better that
    engine than no answer. A variant without weight isn't among them: it may have been rejected."""
    order = [first, *_shuffled([v for v in variants if v is not first], random)]
    for aside, again in ((False, False), (True, False), (True, True)):
        for variant in order:
            engines = [
                engine
                for engine in variant.ready
                if (again or engine not in tried) and (aside or engine.aside_until <= now)
            ]
            if engines:
                return variant, _less_busy(engines, random)
    return None


def _shuffled(variants: list[VariantState], random: Random) -> list[VariantState]:
    """In random order, by weight."""
    order = []
    while variants:
        order.append(_by_weight(variants, random))
        variants.remove(order[-1])
    return order
