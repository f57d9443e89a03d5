"""What `pointsman rollout` shows: who gets which share, the steps, the gates, an experiment, and what is
awaited.

From the object alone, so that whoever may read an LLMService sees all of it. Pure: the time is an argument.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

from pointsman.app.drawing import Line, Piece, Tone, clean, line, table
from pointsman.app.experiment_view import experiment
from pointsman.app.rollout_checks import checks
from pointsman.app.rollout_gates import gates
from pointsman.app.rollout_seen import Seen, lasting, moment
from pointsman.app.rollout_steps import ladder, least_left

BAR = 20
BLANK: Line = ()


def view(seen: Seen) -> list[Line]:
    """The whole of it, top to bottom."""
    parts = [
        [_title(seen), *_state(seen)],
        _variants(seen),
        [line(Piece("steps", Tone.BOLD)), *ladder(seen)] if seen.candidate else [],
        _compared(seen),
        checks(seen),
        experiment(seen),
        list(_awaited(seen)),
    ]
    shown: list[Line] = []
    for part in parts:
        if part:
            shown += [BLANK, *part] if shown else part
    return shown


def _title(seen: Seen) -> Line:
    return line(Piece(seen.name, Tone.BOLD), Piece(f"  {seen.namespace}  ", Tone.DIM), seen.strategy)


def _state(seen: Seen) -> Iterator[Line]:
    if not seen.current:
        yield line(Piece("  what was declared last hasn't been looked at yet", Tone.WARN))
    for kind in ("Available", "Ready"):
        told = seen.condition(kind)
        if told:
            holds = told.get("status") == "True"
            word = f"{kind}: {told.get('reason', '')}"
            yield line("  ", Piece(clean(word), Tone.GOOD if holds else Tone.WARN))


def _variants(seen: Seen) -> list[Line]:
    rows = []
    given = ("stable", seen.stable), ("candidate", seen.candidate), ("challenger", seen.challenger)
    for role, name in given:
        if not name:
            continue
        weight, shadow = seen.weight_of(name)
        bar = "█" * round(BAR * weight / 100)
        copies = f"and copies of {shadow} %" if shadow else ""
        tone = Tone.GOOD if role == "stable" else Tone.NOW
        rows.append(
            [
                Piece(role, Tone.DIM),
                Piece(clean(name), Tone.BOLD),
                Piece(f"{weight} %"),
                Piece(bar + "░" * (BAR - len(bar)), tone),
                Piece(copies),
            ]
        )
    return [*table(rows, frozenset({2})), *_engines(seen)]


def _engines(seen: Seen) -> list[Line]:
    if "replicas" not in seen.status:
        return []
    ready, asked = int(seen.status.get("readyReplicas") or 0), int(seen.status["replicas"] or 0)
    return [line(f"  {ready} of {asked} engines ready")]


def _compared(seen: Seen) -> list[Line]:
    found = seen.analysis
    rows = gates(list(found.get("gates") or ()))
    if not rows or not seen.candidate:
        return []
    counted = (
        f"{int(found.get('candidateSamples') or 0):,} requests to the candidate, "
        f"{int(found.get('stableSamples') or 0):,} to the stable one in this step; "
        f"{int(found.get('setAside') or 0):,} set aside as warm-up"
    )
    return [line(Piece("gates", Tone.BOLD), Piece(f"  {counted}", Tone.DIM)), *rows, *_age(seen)]


def _age(seen: Seen) -> list[Line]:
    at = seen.analysis.get("observedAt")
    if not at:
        return []
    passed = max(seen.now - moment(at), timedelta())
    looks = int(seen.analysis.get("looks") or 0)
    return [line(Piece(f"  look {looks:,}, {lasting(passed)} ago", Tone.DIM))]


def _awaited(seen: Seen) -> Iterator[Line]:
    ready = seen.condition("Ready")
    rejected = seen.rejection
    if rejected:
        yield line(Piece("rejected  ", Tone.BAD), Piece(clean(str(rejected.get("variant"))), Tone.BOLD))
        yield line(f"  {clean(str(rejected.get('message') or ready.get('message', '')))}")
        yield line(Piece("  It isn't tried again: change the spec, or go back to the stable one.", Tone.DIM))
        return
    if not seen.candidate:
        if seen.ready:
            yield line("no change is on its way")
        elif ready.get("message"):
            yield line(Piece("waits for  ", Tone.BOLD), clean(str(ready["message"])))
        return
    yield line(Piece("waits for  ", Tone.BOLD), clean(str(ready.get("message") or ready.get("reason", ""))))
    least = least_left(seen)
    if least:
        yield line(Piece(f"  at least {lasting(least)} more until all of it is done", Tone.DIM))
    if ready.get("reason") == "AwaitingApproval":
        yield line("  ", Piece(_approval(seen), Tone.NOW))


def _approval(seen: Seen) -> str:
    """What to do without Git: it approves exactly what is looked at."""
    body = json.dumps({"spec": {"rollout": {"approve": seen.candidate}}})
    return f"kubectl -n {seen.namespace} patch llmservice {seen.name} --type=merge -p '{body}'"


def ended(seen: Seen) -> bool:
    """Whether nothing more will come by itself."""
    return seen.current and not seen.candidate and (seen.ready or seen.stalled)
