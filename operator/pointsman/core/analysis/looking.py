"""One look, and what it comes to: on, back, or wait, and for what.

A gate that fails rejects at once, whatever else is missing. To go on takes all of it: the step's time, its
samples, every gate, then the word of each check, and at last a person's where one is asked. Too few samples
are never a pass, and neither is a check that doesn't answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pointsman.api import rollout as api
from pointsman.api.conditions import Reason
from pointsman.api.service_status import Found as Says
from pointsman.api.service_status import GateStatus, Step
from pointsman.core import rollout
from pointsman.core.analysis import counts, gates, record, stretch, turning
from pointsman.core.analysis.counts import Total
from pointsman.core.analysis.record import Memory, Record
from pointsman.core.facts import Facts
from pointsman.core.judging import Gate
from pointsman.core.rollout import UNJUDGED, Checks, Judged, Phase, Word

AFTER_SECONDS = 3600
SAMPLE_SECONDS = 10.0
"""How often what routers count is taken in. The judge's own error rates were measured so."""
RETRY_SECONDS = 2.0
"""When to try a look again that not every router was ready for."""

WAITING = Judged(Word.WAIT, Reason.AWAITING_ROUTER, "the step begins when every router has acknowledged it")


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of the candidate after this pass."""

    record: Record | None = None
    """What status keeps; None where nothing was measured of this candidate."""
    judged: Judged = UNJUDGED
    settled: bool = False
    """Nothing more is to be found out by comparing: it's for checks and people to say."""


def look(facts: Facts, checks: Checks) -> Found:
    """What is known of the candidate now: after a look, where one is due, else as the last one left it."""
    state, phase = facts.state, facts.plan.measured(facts.state)
    before = kept(facts).record
    if phase is None or state.candidate is None or state.stable is None:
        return Found(before)
    if before is None or (before.window, before.step) != (state.division.window, state.step):
        if not facts.acknowledged() or state.weight != phase.weight:
            return Found(before, WAITING)
        return Found(_begun(facts, before), Judged(message=_words(facts)))
    after = _looked(facts, before)
    compared = _bereft(facts) if _is_bereft(facts) else _compared(facts, phase, after)
    return Found(after, _judged(facts, phase, compared, checks), compared.word is Word.PASS)


def kept(facts: Facts) -> Found:
    """What the last look left, with nothing added: for a service that is paused."""
    status = facts.world.service.status.rollout
    before = record.parse(status.analysis if status else None)
    candidate = facts.state.candidate
    return Found(before if before and candidate and before.candidate == candidate.name else None)


def document(facts: Facts, after: rollout.State, found: Found) -> dict[str, Any] | None:
    """What status says of it: as long as there is this candidate."""
    known = found.record
    if known is None or after.candidate is None or after.candidate.name != known.candidate:
        return None
    return record.document(known, gates.gates(_spec(facts)))


def next_look(facts: Facts, found: Found) -> float | None:
    """In how many seconds a pass has something to do that no event tells of; None: nothing is measured."""
    phase = facts.plan.measured(facts.state)
    if phase is None or found.record is None:
        return None
    if _is_bereft(facts):
        return SAMPLE_SECONDS
    known, now = found.record, facts.world.now
    if _due(facts, known) <= now:
        return RETRY_SECONDS
    passed = max((now - known.started).total_seconds(), 0.0)
    moments = [
        (_due(facts, known) - known.started).total_seconds(),
        float(phase.seconds),
        float(_patience(facts).after_seconds or AFTER_SECONDS),
        (passed // SAMPLE_SECONDS + 1) * SAMPLE_SECONDS,
    ]
    return min(moment for moment in moments if moment > passed) - passed


def _due(facts: Facts, known: Record) -> datetime:
    interval = timedelta(seconds=rollout.interval(_spec(facts).analysis))
    return (known.observed or known.started) + interval


def _begun(facts: Facts, before: Record | None) -> Record:
    """A new step's record. What the step before has shown stays evidence, beside what this one shows."""
    memory, state = Memory(), facts.state
    if before is not None and before.window != state.division.window:
        kept = before.memory
        asked = gates.gates(_spec(facts))
        memory = Memory(kept.evidence.with_step_ended(asked, kept.last))
    # Never before the step itself, though clocks of two operators differ.
    started = max(facts.world.now, state.since or facts.world.now)
    return Record(state.division.window, state.step, started, memory=memory)


def _looked(facts: Facts, known: Record) -> Record:
    """The record after what routers tell now; the same where not every router could be asked.

    Every ten seconds what came since is taken in, since short intervals tell how much more than chance the
    difference moves; a verdict follows when a look is due.
    """
    state, now = facts.state, facts.world.now
    seconds = (now - known.started).total_seconds()
    due, spec = now >= _due(facts, known), _spec(facts)
    if state.stable is None or state.candidate is None:
        return known
    memory = known.memory
    if not due and seconds - memory.origin.seconds - memory.mark.seconds < SAMPLE_SECONDS:
        return known
    pair, service = (state.stable, state.candidate), facts.world.service.metadata.name
    found = counts.total(facts.world.signals, service, known.window, pair, seconds)
    if found is None:
        return known
    asked = gates.gates(spec)
    if _is_bereft(facts):
        return replace(known, memory=stretch.begun(memory, found.look))
    if stretch.torn(memory, found.look):
        return replace(known, observed=now, memory=stretch.mended(memory, found.look))
    found = replace(found, look=stretch.seen(memory, found.look))
    sampled = replace(known, memory=turning.sampled(memory, asked, found.look))
    return _judging(sampled, asked, gates.false_rejection(spec), found, now) if due else sampled


def _judging(known: Record, asked: Sequence[Gate], error: float, found: Total, now: datetime) -> Record:
    seen, memory, looks = found.look, known.memory, known.looks + 1
    judgements = turning.judge(asked, memory, seen, looks, error) if asked else ()
    return replace(
        known,
        observed=now,
        looks=looks,
        stable_samples=seen.stable.requests,
        candidate_samples=seen.candidate.requests,
        set_aside=found.set_aside,
        gates=tuple(GateStatus.model_validate(one) for one in gates.statuses(judgements)),
        memory=turning.remembered(memory, seen),
    )


# What it comes to.


def _judged(facts: Facts, phase: Phase, compared: Judged, checks: Checks) -> Judged:
    """What was compared, then what checks say, then a person. A no is one whatever else is missing."""
    if compared.word is Word.REJECT:
        return compared
    if checks.failed:
        return Judged(Word.REJECT, Reason.CANARY_REJECTED, checks.failed)
    if compared.word is Word.WAIT:
        return compared
    stuck = _unanswered(facts, checks) if checks.stuck else compared
    if stuck.word is not Word.PASS:
        return stuck
    if checks.running:
        return Judged(
            Word.WAIT, Reason.CHECKS_RUNNING, f"{_words(facts)}; checks are asked: {checks.running}"
        )
    if phase.manual and not _approved(facts):
        return Judged(Word.WAIT, Reason.AWAITING_APPROVAL, _asking(facts))
    return Judged(Word.PASS)


def _unanswered(facts: Facts, checks: Checks) -> Judged:
    passed = (facts.world.now - checks.since).total_seconds() if checks.since else 0.0
    about = f"{_words(facts)}; {checks.stuck}"
    return _out_of_patience(facts, passed, Judged(Word.WAIT, Reason.CHECK_UNANSWERED, about), checks.stuck)


def _is_bereft(facts: Facts) -> bool:
    """Whether nobody is left to compare the candidate with, whose part of the requests it gets meanwhile."""
    stable = facts.state.stable
    return facts.state.step is Step.CANARY and stable is not None and facts.down(stable.revision)


def _bereft(facts: Facts) -> Judged:
    assert facts.state.stable is not None
    stable = facts.state.stable.revision
    about = f"no engine of the stable {stable} answers, so its requests go to the candidate"
    return Judged(Word.WAIT, Reason.STABLE_FAILING, f"{about}; they are compared when one does again")


def _compared(facts: Facts, phase: Phase, known: Record) -> Judged:
    """What time, samples and gates come to."""
    failing = known.having(Says.FAIL)
    if failing and phase.gated:
        return Judged(Word.REJECT, Reason.CANARY_REJECTED, "; ".join(gate.message for gate in failing))
    elapsed = (facts.world.now - known.started).total_seconds()
    lacking = _lacking(facts, phase, known)
    if elapsed < phase.seconds:
        return Judged(message=_words(facts))
    if lacking:
        return _undecided(facts, lacking, known, elapsed)
    return Judged(Word.PASS)


def _lacking(facts: Facts, phase: Phase, known: Record) -> list[str]:
    """What hasn't been found out yet, by name."""
    found = [f"{phase.samples:,} requests"] if known.candidate_samples < phase.samples else []
    if not phase.gated:
        return found
    passed = {(gate.metric, gate.statistic) for gate in known.having(Says.PASS)}
    for gate in gates.keys(gates.gates(_spec(facts))):
        if gate not in passed:
            found.append(" ".join(part.value for part in gate if part))
    return found


def _undecided(facts: Facts, lacking: Sequence[str], known: Record, elapsed: float) -> Judged:
    about = f"{_words(facts)}; nothing is certain yet about {', '.join(lacking)}"
    found = "; ".join(gate.message for gate in known.having(Says.INCONCLUSIVE)) or ", ".join(lacking)
    return _out_of_patience(facts, elapsed, Judged(Word.WAIT, Reason.AWAITING_SAMPLES, about), found)


def _out_of_patience(facts: Facts, passed: float, waiting: Judged, found: str) -> Judged:
    """What follows when nothing was found out for so many seconds: at first it waits."""
    patience = _patience(facts)
    after = patience.after_seconds or AFTER_SECONDS
    if passed < after or patience.action in (None, api.Action.WAIT):
        return waiting
    if patience.action is api.Action.REJECT:
        why = f"inconclusive after {after:,} seconds, and analysis.inconclusive says Reject"
        return Judged(Word.REJECT, Reason.CANARY_REJECTED, f"{why}: {found}")
    if _approved(facts):
        return Judged(Word.PASS)
    return Judged(Word.WAIT, Reason.AWAITING_APPROVAL, f"{waiting.message}; {_asking(facts)}")


def _words(facts: Facts) -> str:
    """Where the rollout is, in words that hold still."""
    state, plan = facts.state, facts.plan
    if state.step is Step.BAKING:
        return "the candidate has all requests and is compared with the stable variant as it was before"
    phase = plan.phases[state.index]
    share = f"{phase.weight} % of requests"
    if phase.shadow:
        share = f"copies of {phase.shadow} % of requests"
    if plan.bake:
        return "the stable variant is measured before the switch"
    return f"step {state.index + 1} of {len(plan.phases)}: the candidate has {share} and is compared"


def _asking(facts: Facts) -> str:
    assert facts.state.candidate is not None
    return f"set rollout.approve to {facts.state.candidate.name} to go on"


def _approved(facts: Facts) -> bool:
    candidate = facts.state.candidate
    return candidate is not None and facts.plan.approve == candidate.name


def _patience(facts: Facts) -> api.Inconclusive:
    analysis = _spec(facts).analysis
    return (analysis and analysis.inconclusive) or api.Inconclusive()


def _spec(facts: Facts) -> api.Rollout:
    return facts.world.service.spec.rollout or api.Rollout()
