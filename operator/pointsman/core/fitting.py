"""Whether the model fits: the condition, the gate before a new revision's first engine, and what is recorded.

An estimate refuses newborns alone. What has a Deployment runs on whatever the estimate says, because it may
be wrong and an engine knows better; and what isn't known refuses nothing.
"""

from __future__ import annotations

import json
from typing import Any

from pointsman.api import names
from pointsman.api.conditions import ConditionType, Reason
from pointsman.api.hardware import Fit
from pointsman.api.service_status import Step
from pointsman.core import sizing
from pointsman.core.conditions import Verdict
from pointsman.core.facts import Facts
from pointsman.core.fit import GIB, Estimate, Placement, estimate
from pointsman.core.sizing import Document
from pointsman.core.world import Manifest


def verdict(facts: Facts) -> Verdict:
    """The condition ModelFits for the revision that the spec asks for."""
    kind, found = ConditionType.MODEL_FITS, calculated(facts)
    if isinstance(found, str):
        return Verdict(kind, None, Reason.FIT_UNKNOWN, found)
    arithmetic = _arithmetic(facts, found)
    if found.fits:
        return Verdict(kind, True, Reason.FITS, f"{arithmetic}{_at_once(facts, found)}")
    said = f"{arithmetic}. {_largest(found)}"
    if refused(facts):
        shorter = ", a shorter engine.maxModelLen" if found.largest else ""
        said += (
            f" No engine is started: use more or larger accelerators{shorter} or quantised weights; "
            "hardware.fit Advisory starts it all the same"
        )
        return Verdict(kind, False, Reason.MODEL_DOES_NOT_FIT, said)
    if _advisory(facts):
        said += " hardware.fit is Advisory, so it is started"
        return Verdict(kind, False, Reason.FIT_OVERRIDDEN, said)
    said += " It was started before that was so, and stays"
    return Verdict(kind, False, Reason.MODEL_DOES_NOT_FIT, said)


def refused(facts: Facts) -> bool:
    """Whether the estimate keeps the wanted revision from its first engine."""
    state = facts.state
    stable = state.stable is not None and facts.target == state.stable.revision
    if facts.target in facts.deployments or stable or _advisory(facts):
        return False
    if state.step is Step.DRAINING and facts.wanted == state.candidate:
        # The old revision gives way to it already: an edit that came later mustn't leave users with neither.
        return False
    found = calculated(facts)
    return isinstance(found, Estimate) and not found.fits


def startable(facts: Facts) -> bool:
    """Whether the wanted revision could be started now: all it is made of is known, and it isn't refused."""
    known = facts.born or (facts.resolution is not None and bool(facts.image))
    return known and not refused(facts)


def overridden(facts: Facts) -> bool:
    """Whether the wanted revision is started against the estimate."""
    found = calculated(facts)
    return _advisory(facts) and isinstance(found, Estimate) and not found.fits


def record(facts: Facts) -> dict[str, str]:
    """The annotation by which a ControllerRevision keeps what was calculated when it was to start."""
    found = calculated(facts)
    if isinstance(found, str):
        return {}
    kept: dict[str, Any] = {
        "fits": found.fits,
        "budget": found.budget,
        "needed": found.needed,
        "weights": found.weights,
        "activations": found.activations,
        "overhead": found.overhead + found.reserve,
        "cache": found.cache,
        "context": found.context,
        "largestContext": found.largest,
    }
    if overridden(facts):
        kept["override"] = Fit.ADVISORY.value
    return {names.ANNOTATION_FIT: json.dumps(kept, sort_keys=True, separators=(",", ":"))}


def amended(facts: Facts) -> dict[str, Any] | None:
    """The wanted revision's ControllerRevision, where an override came after its birth and isn't recorded."""
    if facts.target in facts.deployments or not overridden(facts):
        return None
    written = next((c for c in facts.world.frozen() if c["metadata"]["name"] == facts.target), None)
    wanted = record(facts)
    if written is None or wanted.items() <= (written["metadata"].get("annotations") or {}).items():
        return None
    return {"metadata": {"name": facts.target, "annotations": wanted}, **_frozen(written)}


def _frozen(written: Manifest) -> dict[str, Any]:
    return {"revision": written["revision"], "data": written["data"]}


def known(facts: Facts) -> Document | None:
    """What is known of the model's source: as frozen at birth, else as just found; None: not yet."""
    return facts.revisions[facts.target].facts if facts.born else facts.resolution


def calculated(facts: Facts) -> Estimate | str:
    """The estimate for the wanted revision, or why there is none."""
    spec, model = facts.world.service.spec, facts.model
    if model is None:
        return "the model isn't known"
    where, found = sizing.placement(spec), known(facts)
    if where is None:
        return "hardware.deviceMemory isn't declared, so nothing is calculated"
    argument = sizing.uncounted(spec)
    if argument:
        return f"engine.args[{argument}] isn't part of the calculation"
    if found is None and model.facts is None:
        return "the model's source is being asked for its facts"
    shape = sizing.model(spec, model.facts, found or {})
    if not shape.weights:
        return "how large the model is isn't known: declare model.facts.parameters"
    result = estimate(shape, sizing.adapted(where, spec, found or {}))
    if result.fits and not (shape.cached and result.context):
        return "weights fit; of the cache too little is known: declare layers, heads, context in model.facts"
    return result


def _advisory(facts: Facts) -> bool:
    hardware = facts.world.service.spec.hardware
    return hardware is not None and hardware.fit is Fit.ADVISORY


def _arithmetic(facts: Facts, found: Estimate) -> str:
    where = sizing.placement(facts.world.service.spec)
    assert where is not None
    parts = [f"weights {_gib(found.weights)}"]
    if found.cache:
        parts.append(f"one sequence of {found.context:,} tokens {_gib(found.cache)}")
    parts += [f"activations {_gib(found.activations)}", f"overhead {_gib(found.overhead + found.reserve)}"]
    return (
        f"needs {_gib(found.needed)} GiB of {_devices(where)} to start ({', '.join(parts)}); "
        f"the engine may use {_gib(found.budget)} ({_gib(where.device)} x {where.percent} %)"
    )


def _devices(where: Placement) -> str:
    count = where.tensor * where.pipeline * where.data
    return "the accelerator" if count == 1 else f"each of {count} accelerators"


def _largest(found: Estimate) -> str:
    if found.largest:
        return f"The largest context that would fit is {found.largest:,} tokens."
    return "No context is short enough."


def _at_once(facts: Facts, found: Estimate) -> str:
    if not found.at_once:
        return ""
    where = sizing.placement(facts.world.service.spec)
    asked = f"; max-num-seqs is {where.sequences:,}" if where and where.sequences else ""
    return f"; the cache holds {found.at_once:,} such sequence{'s' * (found.at_once > 1)} at once{asked}"


def _gib(amount: int) -> str:
    return f"{amount / GIB:.1f}"
