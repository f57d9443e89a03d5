"""What all routers counted of one window, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from pointsman.core.judging import Look, Summary
from pointsman.core.observed import Counted, RouterSignals
from pointsman.core.variant import Variant


@dataclass(frozen=True, slots=True)
class Total:
    """The sum over all routers, since the window began."""

    look: Look
    set_aside: int


def total(
    signals: Sequence[RouterSignals],
    service: str,
    window: str,
    pair: tuple[Variant, Variant],
    seconds: float,
) -> Total | None:
    """What was counted of the stable variant and of the candidate; None while not every router counts under
    this window: what one of them doesn't tell might be the very requests that failed."""
    told = [router.services[service].analysis for router in signals if service in router.services]
    if not told or len(told) < len(signals) or any(one.window != window for one in told):
        return None
    stable, candidate = ([one.variants.get(variant.name, Counted()) for one in told] for variant in pair)
    return Total(
        Look(seconds, _sum(stable), _sum(candidate)),
        sum(counted.set_aside for counted in (*stable, *candidate)),
    )


def _sum(counted: Sequence[Counted]) -> Summary:
    found = Summary()
    for one in counted:
        found = found.plus(Summary.of(asdict(one)))
    return found
