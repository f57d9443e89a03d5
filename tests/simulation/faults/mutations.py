"""Defects put into the operator on purpose, each to be told by the oracle that is there for it.

A mutation is a change of the source of one function. It's made in the running process, for as long as its
cases take; what it replaces has to stand there exactly once, so that a mutation can't quietly stop to be one.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import json
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.simulation.faults.runs import NO_FAULT, Case, Runs
from tests.simulation.faults.table import FAULTS, SEEDS, Moment
from tests.simulation.faults.timeline import Violation

Changes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Mutation:
    """A defect, and who is to tell."""

    name: str
    where: str
    """`module:function` or `module:Class.method`: where it's called by that name."""
    changes: Changes
    """What stands there, and what is to stand there instead."""
    oracle: str
    """What one of the violations begins with."""
    scenario: str
    fault: str = NO_FAULT


SURGE, CANARY = "a change comes in by Surge", "a canary is good"
_STATE = """    if decision.state is not None and raw is not None:
        raw = await self._write_status(key, raw, _with_state(raw, decision))
"""
_DONE = """    raw = results.objects.get((key.kind, key.name), raw) if raw is not None else None
"""
_REFUSED = """    except Conflict:
        raise
"""
_INSISTED = """    except Conflict:
        there = await self._kube.get(RESOURCES[deletion.kind], namespace, deletion.name)
        uid = there["metadata"]["uid"]
        await self._kube.delete(RESOURCES[deletion.kind], namespace, deletion.name, uid=uid)
"""

MUTATIONS = (
    Mutation(
        "effects come before the state",
        "pointsman.engine.reconcile:Reconciler._carry_out",
        ((_STATE, ""), (_DONE, _DONE + _STATE)),
        "O15 state first",
        SURGE,
    ),
    Mutation(
        "traffic comes before capacity",
        "pointsman.core.rollout.machine:_traffic",
        (("weight = _weight(state, seen)", "weight = 100"),),
        "O15 readiness",
        SURGE,
    ),
    Mutation(
        "the old revision goes before routers have let go of it",
        "pointsman.core.service:_retained",
        (("settled = after == facts.state and facts.acknowledged()", "settled = True"),),
        "O15 under traffic",
        "a change is reverted while it takes the traffic",
    ),
    Mutation(
        "weights don't add up",
        "pointsman.core.rollout.machine:_traffic",
        (("Share(state.stable, 100 - weight)", "Share(state.stable, 90 - weight)"),),
        "O15 weights",
        SURGE,
    ),
    Mutation(
        "a deletion has no precondition that counts",
        "pointsman.engine.apply:Applier._delete",
        ((_REFUSED, _INSISTED),),
        "O15 not ours",
        SURGE,
        "swapped",
    ),
    Mutation(
        "an apply doesn't say which object it means",
        "pointsman.engine.apply:_sent",
        (("if there is None:", "if True:"),),
        "O15 not ours",
        SURGE,
        "swapped",
    ),
    Mutation(
        "ownership isn't checked",
        "pointsman.engine.looking:_divided",
        (("if owned.is_owned(raw, uid)", "if uid"),),
        "O15 not ours",
        SURGE,
        "swapped",
    ),
    Mutation(
        "a condition is never cleared",
        "pointsman.core.conditions:_condition",
        (("[verdict.holds]", "[verdict.holds and (before is None or before.status != 'False')]"),),
        "O2 end",
        "a service is created",
    ),
    Mutation(
        "time gets into the status",
        "pointsman.core.conditions:_condition",
        (("before.last_transition_time if before and unchanged else timestamp(now)", "timestamp(now)"),),
        "O1 idempotence",
        "a service is created",
    ),
    Mutation(
        "a pass that failed isn't tried again",
        "pointsman.engine.queue:KeyQueue._after",
        (("self.add(key, dirty or Priority.NORMAL, max(retry, 0.001))", "pass"),),
        "O5 end",
        SURGE,
        "500",
    ),
    Mutation(
        "what happens during a pass is forgotten",
        "pointsman.engine.queue:KeyQueue._after",
        (("self.add(key, dirty)", "pass"),),
        "O6 end",
        "two services change at once",
        "disorder",
    ),
    Mutation(
        "the re-list finds nothing",
        "pointsman.app.resync:Resync.once",
        (("for resource in OWN_KINDS:", "for resource in ():"),),
        "O3 end",
        "a service is scaled up",
        "lost-event",
    ),
    Mutation(
        "state is written over whatever is there",
        "pointsman.engine.reconcile:Reconciler._write_status",
        (("resource_version=version", "resource_version=None"),),
        "O12 steps",
        "a change is reverted while it takes the traffic",
        "two-operators",
    ),
    Mutation(
        "the finalizer isn't held",
        "pointsman.engine.reconcile:Reconciler._held",
        (("if not seen.decision.finalize or seen.raw is None:", "if True:"),),
        "O16 forgotten",
        "a service is deleted at rest",
    ),
    Mutation(
        "a deleted service doesn't wait for its routers",
        "pointsman.core.service:_dismantle",
        (("facts.forgotten(), _is_late(world)", "True, _is_late(world)"),),
        "O16 forgotten",
        "a service is deleted at rest",
    ),
    Mutation(
        "a candidate gets a step's requests before its engines",
        "pointsman.core.rollout.plan:Plan.weight",
        (("self.phases[: state.index]", "self.phases[: state.index + 1]"),),
        "O15 readiness",
        CANARY,
    ),
    Mutation(
        "a canary begins with its last weight",
        "pointsman.core.rollout.plan:Plan.weight",
        (("phase = self.phase(state.index)", "phase = self.phases[-1]"),),
        "O15 declared",
        CANARY,
    ),
    Mutation(
        "the stable variant gives up engines for its candidate",
        "pointsman.core.rollout.plan:Plan.engines",
        (("if state.stable is not None and", "if state.candidate is None and state.stable is not None and"),),
        "O15 capacity",
        CANARY,
    ),
    Mutation(
        "a step counts as begun before routers know of it",
        "pointsman.core.analysis:look",
        (("if not facts.acknowledged() or state.weight", "if state.weight"),),
        "O15 acknowledged",
        "routers take no configuration in the middle of a canary",
    ),
    Mutation(
        "a candidate is promoted before routers know of it",
        "pointsman.core.service:observation",
        (("acknowledged=facts.acknowledged()", "acknowledged=True"),),
        "O15 acknowledged",
        CANARY,
        "disorder",
    ),
    Mutation(
        "a rejected candidate keeps its requests",
        "pointsman.core.rollout.machine:_traffic",
        (
            (
                "    return (Share(state.stable, 100),)",
                "    return state.traffic or (Share(state.stable, 100),)",
            ),
        ),
        "O15 rejected",
        "a canary is bad",
    ),
    Mutation(
        "a rejected candidate is tried again",
        "pointsman.core.rollout.machine:_aim",
        (("if state.rejection(seen.target):", "if False:"),),
        "O15 rejected",
        "a canary is bad",
    ),
    Mutation(
        "what too few requests told counts as a pass",
        "pointsman.core.analysis.looking:_compared",
        (("if lacking:", "if False:"),),
        "O15 verdicts",
        "a canary has no requests, and then some",
    ),
    Mutation(
        "what one step showed counts for the next",
        "pointsman.core.variant:division",
        (('f"{name}/{index}" if', 'f"{name}/0" if'),),
        "O15 verdicts",
        CANARY,
    ),
    Mutation(
        "looks are forgotten from one pass to the next",
        "pointsman.core.analysis.record:parse",
        (("looks=status.looks,", "looks=0,"),),
        "O15 looks",
        "a canary has no requests, and then some",
    ),
)


@contextlib.contextmanager
def made(mutation: Mutation) -> Iterator[None]:
    """The operator with the defect."""
    module_name, _, path = mutation.where.partition(":")
    module = importlib.import_module(module_name)
    *outer, name = path.split(".")
    holder: Any = getattr(module, outer[0]) if outer else module
    original = getattr(holder, name)
    source = textwrap.dedent(inspect.getsource(original))
    for old, new in mutation.changes:
        assert source.count(old) == 1, f"{mutation.where} no longer says {old!r} exactly once"
        source = source.replace(old, new)
    local: dict[str, Any] = {}
    code = compile("from __future__ import annotations\n" + source, mutation.where, "exec")
    home = importlib.import_module(original.__module__)
    exec(code, vars(home), local)  # noqa: S102 - that is what a mutation is
    setattr(holder, name, local[name])
    try:
        yield
    finally:
        setattr(holder, name, original)


def caught(mutation: Mutation) -> tuple[Case, Violation] | None:
    """The first run in which the oracle tells, and what it says; None where it never does."""
    with made(mutation):
        runs = Runs(awaited=mutation.oracle)
        for case in _cases(runs, mutation):
            for violation in runs.carry_out(case).violations:
                if violation.oracle.startswith(mutation.oracle):
                    return case, violation
    return None


def _cases(runs: Runs, mutation: Mutation) -> Iterator[Case]:
    if mutation.fault in FAULTS and FAULTS[mutation.fault].moment is Moment.SEED:
        # A race is met by chance: by more draws than whoever has all the other runs to go by.
        return (Case(mutation.scenario, mutation.fault, at) for at in range(1, 4 * SEEDS + 1))
    return (case for case in runs.cases(mutation.scenario) if case.fault == mutation.fault)


def show() -> int:
    """Makes every mutation in turn, and prints who told. The exit status: 1 where somebody kept silent."""
    began, silent = time.monotonic(), 0
    for mutation in MUTATIONS:
        found = caught(mutation)
        silent += found is None
        told = f"{found[1]}\n    in {found[0]}" if found else f"NOT CAUGHT by {mutation.oracle}"
        print(f"{mutation.name}: {told}", flush=True)
    figures = {
        "mutations": len(MUTATIONS),
        "caught": len(MUTATIONS) - silent,
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(figures))
    return 1 if silent else 0
