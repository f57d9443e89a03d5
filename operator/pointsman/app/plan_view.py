"""A plan in words: what changes, what follows, what it needs, and which steps it takes. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pointsman.api.names import Key
from pointsman.app.drawing import Line, Piece, Tone, clean, line, table
from pointsman.app.plan_look import Address, Planned
from pointsman.app.rollout_seen import Seen, lasting
from pointsman.app.rollout_steps import rungs
from pointsman.core.experiment.asking import WEIGHT
from pointsman.core.plan import Change, Demand, Effect, Plan

SHOWN_CHARS, SHOWN_CHANGES = 40, 50
FITTED = frozenset({Effect.FIRST, Effect.NEW, Effect.UNDER_WAY})
"""Effects by which engines start."""
MOVING = frozenset({Effect.NEW, Effect.PROMPT, Effect.UNDER_WAY})
"""Effects that take steps."""

SAYS: Mapping[Effect, Callable[[Plan], str]] = {
    Effect.NOTHING: lambda plan: "Nothing: it says what is so already.",
    Effect.LIVE: lambda plan: "It takes effect at once. No revision is made, and no pod is restarted.",
    Effect.FIRST: lambda plan: (
        f"{plan.target} is the first: it serves once its engines are ready and routers have it."
    ),
    Effect.NEW: lambda plan: f"{plan.target} is to take the place of {plan.stable}.",
    Effect.UNDER_WAY: lambda plan: f"{plan.target} is on its way already, and goes on by what this says.",
    Effect.PROMPT: lambda plan: (
        f"{plan.target} is to take the place of {plan.stable}: the same engines by another prompt. "
        "No pod is restarted, added or moved."
    ),
    Effect.BACK: lambda plan: f"Back to {plan.stable}, in one pass: {plan.replaced} is dropped.",
    Effect.REJECTED: lambda plan: (
        f"Nothing: {plan.target} was rejected before, and isn't tried again. {plan.stable} goes on serving."
    ),
    Effect.PAUSED: lambda plan: "Nothing: spec.paused is true.",
    Effect.UNMET: lambda plan: "Nothing, as long as what it names isn't there.",
}


def view(planned: Planned, now: datetime) -> list[Line]:
    """The whole plan."""
    parts = [
        [_title(planned)],
        _changes(planned),
        [line(Piece("what happens", Tone.BOLD)), *_happens(planned)],
        _needs(planned.plan),
        _steps(planned, now),
        list(_notes(planned)),
    ]
    shown: list[Line] = []
    for part in parts:
        if part:
            shown += [(), *part] if shown else part
    return shown


def used(address: Address, by: Sequence[Key]) -> str:
    """For whom something counts that has no plan of its own."""
    kind, _, name = address
    if not by:
        return f"{kind} {name!r} changes nothing by itself: no LLMService names it"
    services = ", ".join(repr(key.name) for key in by)
    return f"{kind} {name!r} counts for {services}, which {'names' if len(by) == 1 else 'name'} it"


def wanting(plan: Plan) -> bool:
    """Whether it would not get there: something is missing, doesn't fit, or was rejected."""
    refused = plan.fit is not None and plan.fit.holds is False and plan.fit.reason == "ModelDoesNotFit"
    return plan.effect in (Effect.UNMET, Effect.REJECTED) or plan.unmet is not None or refused


def _title(planned: Planned) -> Line:
    metadata, plan = planned.service["metadata"], planned.plan
    word = "new" if not plan.stable and plan.effect is Effect.FIRST else ""
    word = word or ("changed" if plan.changes else "its model changes" if plan.restarts else "as it is")
    return line(Piece(metadata["name"], Tone.BOLD), Piece(f"  {metadata['namespace']}  ", Tone.DIM), word)


def _changes(planned: Planned) -> list[Line]:
    found = planned.plan.changes
    if not found:
        return []
    more = len(found) - SHOWN_CHANGES
    rest = [line(Piece(f"  and {more} more", Tone.DIM))] if more > 0 else []
    return [line(Piece("changes", Tone.BOLD)), *table([_row(one) for one in found[:SHOWN_CHANGES]]), *rest]


def _row(change: Change) -> list[Piece]:
    tone = Tone.WARN if change.renews else Tone.GOOD
    words = "changes the revision" if change.renews else change.part.value
    return [
        Piece(clean(change.path)),
        Piece(_shown(change.before)),
        Piece("→"),
        Piece(_shown(change.after)),
        Piece(words, tone),
    ]


def _shown(value: Any) -> str:
    text = "unset" if value is None else clean(value if isinstance(value, str) else json.dumps(value))
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 1] + "…"


def _happens(planned: Planned) -> Iterator[Line]:
    plan = planned.plan
    yield line(f"  {SAYS[plan.effect](plan)}")
    if plan.unmet is not None:
        yield line("  ", Piece(clean(plan.unmet.message), Tone.BAD))
    if plan.replaced and plan.effect in MOVING:
        yield line(
            f"  {plan.replaced}, which is on its way now, is dropped; it begins anew from {plan.stable}."
        )
    if plan.restarts:
        yield line("  " + _leaving(planned))
    if any(change.path.split(".")[0] == "experiment" for change in plan.changes):
        yield line(f"  {_experiment(planned)}")
    if plan.asks_source:
        yield line("  First a Job asks the model's source what it holds; the rest is known after that.")


def _experiment(planned: Planned) -> str:
    declared = planned.service["spec"].get("experiment")
    if not declared:
        return "The experiment ends, and its challenger gets no more requests."
    name, weight = clean(str(declared["promptRef"]["name"])), int(declared.get("weight") or WEIGHT)
    begins = f"An experiment begins: {name} answers {weight} % of conversations"
    return f"{begins} while nothing is rolled out. It ends in a recommendation and switches nothing."


def _leaving(planned: Planned) -> str:
    spec = planned.service["spec"]
    drain = timedelta(seconds=int(spec.get("drainSeconds") or 300))
    if (spec.get("rollout") or {}).get("strategy") == "Recreate":
        return f"The old engines finish (at most {lasting(drain)}) and go first: nobody is served then."
    return f"The old engines serve until then, finish what they have (at most {lasting(drain)}) and go."


def _needs(plan: Plan) -> list[Line]:
    rows: list[list[Piece]] = []
    if plan.demand is not None:
        rows += _pods(plan, plan.demand)
    if plan.fit is not None and plan.effect in FITTED:
        tone = Tone.BAD if plan.fit.holds is False else Tone.GOOD if plan.fit.holds else Tone.PLAIN
        rows.append([Piece("fit"), Piece(f"{plan.fit.reason}: {clean(plan.fit.message)}", tone)])
    return [line(Piece("needs", Tone.BOLD)), *table(rows)] if rows else []


def _pods(plan: Plan, demand: Demand) -> Iterator[list[Piece]]:
    yield [Piece("pods"), Piece(f"{demand.pods}{_more(plan, demand)}")]
    if not demand.resource:
        return
    each = f"{demand.each} {demand.resource} each"
    yield [Piece("accelerators"), Piece(f"{each}, {demand.additional} in addition at the most")]
    if demand.beside <= 0:
        return
    if demand.places is None:
        yield [Piece("room"), Piece("not known: nodes can't be looked at", Tone.DIM)]
        return
    short = demand.beside - demand.places
    words = f"for {demand.places} such pod{'s' * (demand.places != 1)} now"
    wait = f"; {short} would wait for room" if short > 0 else ""
    yield [Piece("room"), Piece(words + wait, Tone.WARN if short > 0 else Tone.GOOD)]


def _more(plan: Plan, demand: Demand) -> str:
    if plan.effect is Effect.FIRST:
        return ""
    if demand.beside:
        return f", {abs(demand.beside)} {'more' if demand.beside > 0 else 'fewer'} than there are now"
    return ", in place of the old"


def _steps(planned: Planned, now: datetime) -> list[Line]:
    if planned.plan.effect not in MOVING:
        return []
    seen = Seen(_moving(planned), now)
    made = rungs(seen)
    if planned.plan.effect is Effect.PROMPT:
        made = [rung for rung in made if rung.name not in ("engines", "draining")]
    rows = [[Piece("·", Tone.DIM), Piece(rung.name), Piece(rung.asks)] for rung in made]
    right = (
        frozenset({1})
        if seen.strategy == "Canary" and planned.plan.effect is not Effect.FIRST
        else frozenset()
    )
    least = sum((rung.least for rung in made), timedelta())
    return [
        line(Piece("steps", Tone.BOLD), f"  {seen.strategy}"),
        *table(rows, right),
        *_times(planned, least),
    ]


def _moving(planned: Planned) -> Mapping[str, Any]:
    """The service with what is to be its candidate."""
    service, plan = planned.service, planned.plan
    status = service.get("status") or {}
    at = {**(status.get("rollout") or {}), "stable": plan.stable, "candidate": plan.target}
    return {**service, "status": {**status, "rollout": at}}


def _times(planned: Planned, least: timedelta) -> Iterator[Line]:
    if least:
        yield line(f"  at least {lasting(least)} in all by the declared times")
    starts = (planned.service.get("status") or {}).get("startup") or ()
    if starts and planned.plan.effect is not Effect.PROMPT:
        took = timedelta(seconds=int(starts[0].get("total") or 0))
        yield line(Piece(f"  engines took {lasting(took)} to start the last time", Tone.DIM))


def _notes(planned: Planned) -> Iterator[Line]:
    if planned.kept_replicas is not None:
        said = (
            f"replicas stay {planned.kept_replicas}: the manifest doesn't name them, so an apply leaves them"
        )
        yield line(Piece(said, Tone.DIM))
    if planned.silent:
        said = f"no answer from the admin ports of routers at {', '.join(planned.silent)}"
        yield line(Piece(f"{said}: what they know isn't in this", Tone.DIM))
