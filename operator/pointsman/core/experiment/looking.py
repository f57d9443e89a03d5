"""One look, and what it comes to: a recommendation, or to go on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from pointsman.api.experiment import Experiment
from pointsman.api.experiment_status import MetricStatus, Recommendation
from pointsman.core import judging, rollout
from pointsman.core.analysis import counts, stretch
from pointsman.core.experiment import asking, record, waiting
from pointsman.core.experiment.record import Record
from pointsman.core.facts import Facts
from pointsman.core.judging import Look
from pointsman.core.variant import Share, Variant

INTERVAL: Final = timedelta(seconds=60)
"""Between looks. An experiment lasts for hours, so it needn't be looked at more often."""
RETRY_SECONDS: Final = 2.0
"""When to try a look again that not every router was ready for."""
ROUTERS_SECONDS: Final = 15.0
"""When to see again whether routers of an older release are gone: no event tells of it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of the experiment after this pass."""

    record: Record | None = None
    """What status keeps; None where none has begun."""
    challenger: Variant | None = None
    """Who shares the stable variant's requests now; None for nobody."""
    waits: str = ""
    """What it waits for, in words."""


def look(facts: Facts, *, proven: bool) -> Found:
    """What is known now: after a look, where one is due. `proven`: the service has answered, undivided."""
    given, known = facts.world.service.spec.experiment, _known(facts)
    if given is None:
        return Found()
    challenger, stable = waiting.rival(facts), facts.state.stable
    settled = facts.settled(facts.state)
    if known and settled and stable and challenger and not known.is_of(stable, challenger):
        known = None
    if known is not None and known.recommendation is not None:
        return Found(known)
    waits = waiting.hindrance(facts, challenger, proven=proven)
    if waits or stable is None or challenger is None:
        return Found(known, waits=waits)
    after = _looked(facts, given, _going(facts, given, known, stable, challenger), (stable, challenger))
    return Found(after, None if after.recommendation else challenger)


def kept(facts: Facts) -> Found:
    """What the last look left, with nothing added: for a service that is paused."""
    known = _known(facts)
    ended = known is not None and known.recommendation is not None
    waits = "" if ended else "spec.paused is true: requests stay divided as they are, and no look is taken"
    return Found(known, waits=waits)


def under_way(facts: Facts) -> bool:
    """Whether what is done hangs on what routers tell of an experiment."""
    known = _known(facts)
    ended = known is not None and known.recommendation is not None
    return bool(facts.state.window) or (facts.world.service.spec.experiment is not None and not ended)


def divided(after: rollout.State, found: Found, given: Experiment | None) -> rollout.State:
    """A rollout's state with the challenger's share, where the experiment goes on and nothing is on its
    way."""
    if found.challenger is None or found.record is None or given is None:
        return after
    if after.candidate is not None or after.stable is None or after.stable.name != found.record.control:
        return after
    weight = given.weight or asking.WEIGHT
    shares = (Share(after.stable, 100 - weight), Share(found.challenger, weight))
    return replace(after, traffic=shares, window=found.record.window)


def next_look(facts: Facts, found: Found) -> float | None:
    """In how many seconds a pass has something to do that no event tells of; None: never."""
    if facts.world.service.spec.paused or not under_way(facts):
        return None
    known = found.record
    if found.waits or known is None or known.window_started is None or not facts.state.window:
        return ROUTERS_SECONDS if facts.settled(facts.state) and found.waits else None
    left = (_due(known) - facts.world.now).total_seconds()
    return left if left > 0 else RETRY_SECONDS


def _known(facts: Facts) -> Record | None:
    """What status holds of the experiment that is declared; another one's is dropped."""
    given, known = facts.world.service.spec.experiment, record.parse(facts.world.service.status.experiment)
    return known if known and given and known.declared == asking.declared(given) else None


def _going(
    facts: Facts, given: Experiment, known: Record | None, stable: Variant, challenger: Variant
) -> Record:
    """The record to go on with. Of other engines nothing is kept: what a prompt does to them is another
    question."""
    if known is None or (known.control, known.challenger) != (stable.name, challenger.name):
        return record.begun(given, stable, challenger)
    return known if facts.state.window == known.window else record.resumed(known, given)


def _looked(facts: Facts, given: Experiment, known: Record, pair: tuple[Variant, Variant]) -> Record:
    """The record after what routers tell now; the same where not all of them could be asked."""
    now = facts.world.now
    if facts.state.window != known.window or not facts.acknowledged():
        return known
    if known.window_started is None:
        return replace(known, started=known.started or now, window_started=now)
    if now < _due(known):
        return known
    seconds = (now - known.window_started).total_seconds()
    service = facts.world.service.metadata.name
    found = counts.total(facts.world.signals, service, known.window, pair, seconds)
    return known if found is None else _judged(given, known, found.look, now)


def _due(known: Record) -> datetime:
    """Never before the window has lasted as long, though the last look belonged to another one."""
    assert known.window_started is not None
    return max(known.observed or known.window_started, known.window_started) + INTERVAL


def _judged(given: Experiment, known: Record, told: Look, now: datetime) -> Record:
    asked, memory = asking.gates(given), known.memory
    if stretch.torn(memory, told):
        return replace(known, observed=now, memory=stretch.mended(memory, told))
    seen = stretch.seen(memory, told)
    if judging.interval_over(memory.mark, seen):
        memory = replace(memory, evidence=memory.evidence.after(asked, memory.mark, seen), mark=seen)
    found = judging.compare(asked, seen, memory.evidence, asking.error(given))
    after = replace(
        known.counting(seen),
        observed=now,
        looks=known.looks + 1,
        metrics=tuple(MetricStatus.model_validate(one) for one in asking.statuses(found)),
        memory=replace(memory, last=seen),
    )
    ended = asking.recommended(found)
    if ended is None and _over(given, known, now):
        why = "; ".join(one.reason for one in found)
        ended = Recommendation.UNDECIDED, f"nothing is certain after maxSeconds: {why}"
    if ended is None:
        return after
    return replace(after, recommendation=ended[0], message=ended[1], concluded=now)


def _over(given: Experiment, known: Record, now: datetime) -> bool:
    most = timedelta(seconds=given.max_seconds or asking.MAX_SECONDS)
    return known.started is not None and now - known.started >= most
