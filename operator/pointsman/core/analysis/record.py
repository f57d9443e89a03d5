"""What status holds of an analysis, with what the statistics keep between looks."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any

from pointsman.api.service_status import AnalysisStatus, Found, GateStatus, Step
from pointsman.core import judging
from pointsman.core.conditions import timestamp
from pointsman.core.judging import Evidence, Gate, Look, Metric, Summary

MEMORY_LIMIT = 32_768
"""Characters that the schema allows. Where looks don't fit, the evidence stays and the next look begins."""
UNPACKED_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Memory:
    """What the statistics keep."""

    evidence: Evidence = field(default_factory=Evidence)
    last: Look = judging.NOTHING
    """The last look of the step."""
    mark: Look = judging.NOTHING
    """From which the interval under way counts: one with too few requests is joined to the next."""
    base: Look = judging.NOTHING
    """From which a turn is looked for."""
    calm: Evidence = field(default_factory=Evidence)
    """How much more than chance the difference had moved until then."""
    origin: Look = judging.NOTHING
    """What routers had counted of what is left out: the other looks are without it."""


@dataclass(frozen=True, slots=True)
class Record:
    """How far the comparison of one step is."""

    window: str
    step: Step
    started: datetime
    observed: datetime | None = None
    looks: int = 0
    stable_samples: int = 0
    candidate_samples: int = 0
    set_aside: int = 0
    gates: tuple[GateStatus, ...] = ()
    memory: Memory = field(default_factory=Memory)

    def having(self, verdict: Found) -> list[GateStatus]:
        """The gates that say this."""
        return [gate for gate in self.gates if gate.verdict is verdict]

    @property
    def candidate(self) -> str:
        """Whom it is about."""
        return self.window.rpartition("/")[0]


def parse(status: AnalysisStatus | None) -> Record | None:
    """What status holds; None where it holds nothing, or nothing that could be used."""
    if status is None:
        return None
    started, observed = moment(status.started_at), moment(status.observed_at)
    if started is None:
        return None
    return Record(
        window=status.window,
        step=status.step,
        started=started,
        observed=observed,
        looks=status.looks,
        stable_samples=status.stable_samples,
        candidate_samples=status.candidate_samples,
        set_aside=status.set_aside,
        gates=status.gates,
        memory=unpack(status.memory or ""),
    )


def document(record: Record, asked: Sequence[Gate]) -> dict[str, Any]:
    """The record as status has it."""
    found = {
        "window": record.window,
        "step": record.step.value,
        "startedAt": timestamp(record.started),
        "observedAt": timestamp(record.observed) if record.observed else None,
        "looks": record.looks,
        "stableSamples": record.stable_samples,
        "candidateSamples": record.candidate_samples,
        "setAside": record.set_aside,
        "gates": [gate.model_dump(mode="json", by_alias=True, exclude_none=True) for gate in record.gates],
        "memory": pack(record.memory, asked),
    }
    return {name: value for name, value in found.items() if value not in (None, [], "")}


def pack(memory: Memory, asked: Sequence[Gate]) -> str:
    """A memory as one text. Of looks only what gates ask for is kept."""
    if memory == Memory():
        return ""
    told = {"evidence": memory.evidence.document(), "calm": memory.calm.document()}
    if memory.origin != judging.NOTHING:
        told["origin"] = _look(memory.origin, asked)
    looks = list(dict.fromkeys((memory.last.seconds, memory.mark.seconds, memory.base.seconds)))
    by_time = {look.seconds: look for look in (memory.last, memory.mark, memory.base)}
    whole = {
        **told,
        "looks": [_look(by_time[seconds], asked) for seconds in looks],
        "which": [looks.index(look.seconds) for look in (memory.last, memory.mark, memory.base)],
    }
    for document in (whole, told):
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        packed = b64encode(zlib.compress(text.encode(), 9)).decode()
        if len(packed) <= MEMORY_LIMIT:
            return packed
    return ""


def unpack(text: str) -> Memory:
    """The memory of a text; an empty one of what is none."""
    if not text:
        return Memory()
    try:
        inflating = zlib.decompressobj()
        found = json.loads(inflating.decompress(b64decode(text), UNPACKED_LIMIT))
        looks = [_parsed(look) for look in found.get("looks", ())]
        last, mark, base = (looks[int(at)] for at in found["which"]) if looks else (judging.NOTHING,) * 3
        origin = _parsed(found["origin"]) if "origin" in found else judging.NOTHING
        return Memory(_evidence(found["evidence"]), last, mark, base, _evidence(found["calm"]), origin)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, zlib.error):
        return Memory()


def _evidence(document: Mapping[str, Any]) -> Evidence:
    if not all(map(_is_number, _leaves(document))):
        raise ValueError("not an evidence")
    return Evidence.of(document)


def _leaves(value: object) -> list[object]:
    if isinstance(value, Mapping):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _look(look: Look, asked: Sequence[Gate]) -> dict[str, Any]:
    # Who left tells of nothing but the first token's time (`Summary.telling`).
    metrics = {Metric.TIME_TO_FIRST_TOKEN.value, *(gate.metric.value for gate in asked)}
    sides = {"stable": look.stable.document(), "candidate": look.candidate.document()}
    for side in sides.values():
        for part in ("histograms", "whole"):
            if part in side:
                side[part] = {name: kept for name, kept in side[part].items() if name in metrics}
    return {"seconds": look.seconds, **sides}


def _parsed(document: Mapping[str, Any]) -> Look:
    seconds = float(document["seconds"])
    return Look(seconds, Summary.of(document["stable"]), Summary.of(document["candidate"]))


def moment(text: str | None) -> datetime | None:
    """A time as status has it; None for what is none."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return found if found.tzinfo else None
