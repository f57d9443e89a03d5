"""The ladder of a rollout: which steps its strategy has, which are done, and what the present one lacks.

One table for each strategy, of which a plan makes use too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from pointsman.app.drawing import Line, Piece, Tone, table
from pointsman.app.rollout_seen import CanaryStep, Seen, lasting


class Mark(Enum):
    """Where a rung stands."""

    DONE = "✓"
    NOW = "▶"
    LATER = "·"


TONES = {Mark.DONE: Tone.GOOD, Mark.NOW: Tone.NOW, Mark.LATER: Tone.DIM}


@dataclass(frozen=True, slots=True)
class Rung:
    """One step as people speak of it."""

    name: str
    at: tuple[tuple[str, int | None], ...]
    """(step, index) of status at which it is the present one; None: any index."""
    asks: str
    """What it takes, in words."""
    least: timedelta = timedelta()
    """How long it lasts at least."""


TRIAL = Rung("trial", (("Trial", None),), "the suite passes, and answers agree")
_FIRST: tuple[tuple[str, int | None], ...] = (("Starting", None), ("Capacity", 0))
"""What comes before anything else of a canary: its first engines."""
ENGINES = Rung("engines", (("Starting", None), ("Capacity", None)), "the new ones are ready beside the old")
SWITCH = Rung("traffic", (("Traffic", None),), "every router has taken all of it to the candidate")


def rungs(seen: Seen) -> list[Rung]:
    """All steps of the strategy that is declared."""
    trial = [TRIAL] if seen.tried else []
    match seen.strategy:
        case "Canary":
            first = [Rung(TRIAL.name, (*_FIRST, *TRIAL.at), TRIAL.asks)] if seen.tried else []
            return [*first, *_canary(seen.steps, seen.checked)]
        case "BlueGreen":
            by_hand = ", and a person approves" if seen.declared.get("approval") == "Manual" else ""
            agreed = ", checks say yes" if seen.checked else ""
            measuring = Rung("measuring", (("Canary", None),), f"the stable one is measured{agreed}{by_hand}")
            asks = f"it has all traffic; the old one stays ready for at least {lasting(seen.bake)}{agreed}"
            baking = Rung("baking", (("Traffic", None), ("Baking", None)), asks, seen.bake)
            return [ENGINES, *trial, measuring, baking]
        case "Recreate":
            drain = Rung("draining", (("Draining", None),), "the old ones finish and go; nobody is served")
            return [drain, Rung(ENGINES.name, ENGINES.at, "the new ones are ready"), *trial, SWITCH]
        case _:
            return [ENGINES, *trial, SWITCH]


def _canary(steps: Sequence[CanaryStep], checked: bool) -> list[Rung]:
    made = []
    for index, step in enumerate(steps):
        name = f"{step.weight} %" if not step.shadow else f"shadow {step.shadow} %"
        before = (("Capacity", index),) if index else _FIRST
        made.append(Rung(name, (*before, ("Canary", index)), _asks(step, checked), step.least))
    last: tuple[tuple[str, int | None], ...] = (("Capacity", len(steps)), ("Traffic", None))
    return [*made, Rung("100 %", last, "all engines are ready, and every router has taken it")]


def _asks(step: CanaryStep, checked: bool) -> str:
    asks = [f"at least {lasting(step.least)}"] if step.least else []
    asks += [f"{step.samples:,} samples"] if step.samples else []
    asks += ["all gates pass", *(["checks say yes"] if checked else [])]
    return ", ".join([*asks, *(["approval by hand"] if step.by_hand else [])])


def present(seen: Seen, ladder: Sequence[Rung]) -> int | None:
    """Which rung a rollout stands on; None where on none."""
    for at, rung in enumerate(ladder):
        if any(step == seen.step and index in (None, seen.index) for step, index in rung.at):
            return at
    return None


def ladder(seen: Seen) -> list[Line]:
    """All steps with where they stand, and of the present one what it has and lacks."""
    made = rungs(seen)
    here = present(seen, made)
    rows = []
    for at, rung in enumerate(made):
        mark = Mark.LATER if here is None or at > here else Mark.NOW if at == here else Mark.DONE
        said = {Mark.NOW: progress(seen), Mark.LATER: rung.asks}.get(mark, _result(seen, rung))
        tone = Tone.BOLD if mark is Mark.NOW else Tone.DIM
        rows.append([Piece(mark.value, TONES[mark]), Piece(rung.name, tone), Piece(said, _dim(mark))])
    return table(rows, frozenset({1}) if seen.strategy == "Canary" else frozenset())


def _result(seen: Seen, rung: Rung) -> str:
    """What a step that is over has found, where it leaves something to say."""
    found = seen.rollout.get("trial") or {}
    if rung.name != TRIAL.name or found.get("variant") != seen.candidate:
        return ""
    cases, prompts = int(found.get("cases") or 0), int(found.get("prompts") or 0)
    parts = [f"{cases - int(found.get('failed') or 0):,} of {cases:,} cases pass"] if cases else []
    parts += [f"{int(found.get('agreed') or 0):,} of {prompts:,} answers agree"] if prompts else []
    return ", ".join(parts)


def _dim(mark: Mark) -> Tone:
    return Tone.DIM if mark is Mark.LATER else Tone.PLAIN


def progress(seen: Seen) -> str:
    """What the present step has, of what it needs."""
    match seen.step:
        case "Canary" if seen.strategy != "Canary":
            return f"{lasting(seen.elapsed or timedelta())}; the stable one is measured, to compare with"
        case "Canary":
            return _canary_progress(seen, seen.steps[min(seen.index, len(seen.steps) - 1)])
        case "Starting" | "Capacity":
            return _engines(seen)
        case "Trial":
            return "it is tried before it gets any traffic"
        case "Traffic":
            return "routers are taking it"
        case "Baking":
            return f"{_of(seen.elapsed, seen.bake)}; the old one stays ready"
        case _:
            return "the old ones finish their requests"


def _canary_progress(seen: Seen, step: CanaryStep) -> str:
    if seen.elapsed is None:
        return "routers are taking this weight"
    samples = int(seen.analysis.get("candidateSamples") or 0)
    parts = [_of(seen.elapsed, step.least)]
    parts.append(_samples(samples, step.samples, seen.elapsed))
    if step.by_hand:
        parts.append("approved" if seen.approved else "waits for approval in the end")
    return "; ".join(parts)


def _samples(have: int, wanted: int, elapsed: timedelta) -> str:
    if not wanted:
        return f"{have:,} samples"
    said = f"{have:,} of {wanted:,} samples"
    if not 0 < have < wanted:
        return said
    return f"{said}, at this pace {lasting(elapsed * (wanted - have) / have)} more"


def _of(elapsed: timedelta | None, least: timedelta) -> str:
    passed = lasting(elapsed or timedelta())
    return f"{passed} of at least {lasting(least)}" if least else passed


def _engines(seen: Seen) -> str:
    ready, asked = int(seen.status.get("readyReplicas") or 0), int(seen.status.get("replicas") or 0)
    loading = seen.status.get("loading") or {}
    done, total = int(loading.get("bytesLoaded") or 0), int(loading.get("bytesTotal") or 0)
    stage = f"; {loading['stage']}" if loading.get("stage") else ""
    stage += f" {100 * done // total} %" if total and stage else ""
    return f"engines come up: {ready} of {asked} are ready{stage}"


def least_left(seen: Seen) -> timedelta:
    """How long it takes at least until all of it is done, by the declared times."""
    made = rungs(seen)
    here = present(seen, made)
    if here is None:
        return timedelta()
    rest = sum((rung.least for rung in made[here + 1 :]), timedelta())
    counted = (seen.elapsed or timedelta()) if seen.step in ("Canary", "Baking") else timedelta()
    return max(made[here].least - counted, timedelta()) + rest
