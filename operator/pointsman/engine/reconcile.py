"""One pass: look, decide, state before effects, effects, look closer, status once.

The order is the point. Changed rollout state is written first, with the resourceVersion that was read: a
crash after it re-enters the same state, and of two leaders one gets a 409 and has no effects. Status comes
last and only if it differs. Everything here may be the last thing that happens before a crash.

What a look shows may be older than what is stored, though never older than what this process has seen before.
Where something would be destroyed by it, it's looked at again, consistently, and decided anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from pointsman.api import names
from pointsman.api.conditions import ConditionType, Reason
from pointsman.core import conditions, patch, router
from pointsman.core.conditions import Verdict
from pointsman.core.decision import Decision
from pointsman.core.world import Manifest, ModelWorld, PromptWorld, RouterWorld, ServiceWorld, SuiteWorld
from pointsman.engine import looking
from pointsman.engine.apply import Applier, Failure
from pointsman.engine.events import Recorder
from pointsman.engine.gather import Gatherer
from pointsman.engine.parsing import Unreadable
from pointsman.engine.queue import Outcome
from pointsman.kube.protocol import Kube, NotFound

World = TypeVar("World", ServiceWorld, RouterWorld, ModelWorld, PromptWorld, SuiteWorld)
Closer = Callable[[Gatherer, looking.Seen[World]], Awaitable[looking.Seen[World]]]
"""The look after the effects."""


@dataclass(frozen=True, slots=True)
class Report(Outcome):
    """How a pass ended: what the queue has to know, and what the log says."""

    applied: int = 0
    deleted: int = 0
    because: str = ""
    generation: int = 0
    decision: str = ""
    """Hash of what was decided; a recorded World's file has the same."""


@dataclass(slots=True)
class Reconciler:
    """Carries out passes. Remembers nothing between them but the applier's cache."""

    kube: Kube
    gatherer: Gatherer
    applier: Applier
    recorder: Recorder
    now: Callable[[], datetime]
    _certain: Gatherer = field(init=False)

    def __post_init__(self) -> None:
        self._certain = self.gatherer.certain()

    async def reconcile(self, key: names.Key) -> Report:
        """One pass for one object. Raises the kube errors; the queue retries those."""
        passes = {
            names.LLMSERVICE.kind: self._service,
            names.LLMROUTER.kind: self._router,
            names.LLMMODEL.kind: self._model,
            names.PROMPTSUITE.kind: self._suite,
            names.PROMPTVERSION.kind: self._prompt,
        }
        try:
            return await passes[key.kind](key)
        except Unreadable as unreadable:
            return await self._report_unreadable(key, unreadable)

    async def _service(self, key: names.Key) -> Report:
        seen = await looking.service(self.gatherer, key, self.now())
        seen = seen and await self._held(self.gatherer, key, seen)
        if seen is not None and _destroys(seen):
            seen = await looking.service(self._certain, key, self.now())
            seen = seen and await looking.named(self._certain, seen)
        if seen is None:
            return Report(because="gone")
        return await self._carry_out(key, seen, looking.service_closer)

    async def _router(self, key: names.Key) -> Report:
        seen = await looking.named(self.gatherer, await looking.router(self.gatherer, key, self.now()))
        if router.abandoned(seen.world) or _destroys(seen):
            seen = await looking.named(self._certain, await looking.router(self._certain, key, self.now()))
        if router.abandoned(seen.world) and seen.raw is not None:
            await self._delete_router(seen.raw)
            return Report(deleted=1, because="on demand, and nobody asks any more")
        return await self._carry_out(key, seen, looking.router_closer)

    async def _model(self, key: names.Key) -> Report:
        seen = await looking.model(self.gatherer, key, self.now())
        if seen is None:
            return Report(wake=await self.gatherer.users(key), because="gone")
        return await self._carry_out(key, seen, looking.no_closer)

    async def _prompt(self, key: names.Key) -> Report:
        seen = await looking.prompt(self.gatherer, key, self.now())
        if seen is None:
            return Report(wake=await self.gatherer.users(key), because="gone")
        return await self._carry_out(key, seen, looking.no_closer)

    async def _suite(self, key: names.Key) -> Report:
        seen = await looking.suite(self.gatherer, key, self.now())
        if seen is None:
            return Report(because="gone")
        return await self._carry_out(key, seen, looking.no_closer)

    async def _carry_out(self, key: names.Key, seen: looking.Seen[World], closer: Closer[World]) -> Report:
        raw, decision = seen.raw, seen.decision
        if decision.state is not None and raw is not None:
            raw = await self._write_status(key, raw, _with_state(raw, decision))
        plan = seen.plan
        # A router made on demand is among its own desired objects.
        ours = [*seen.owned, raw] if raw is not None else [*seen.owned]
        results = await self.applier.execute(plan, key.namespace, observed=ours)
        raw = results.objects.get((key.kind, key.name), raw) if raw is not None else None
        told = (await closer(self.gatherer, seen)).decision
        if raw is not None:
            raw = await self._tell(key, raw, told, results.failed)
        if decision.finalize is False and raw is not None:
            await self._release(key, raw)
        if results.failed:
            # Status says it; the queue comes back, later each time.
            raise results.failed[0].error
        taken = set(results.refused) - set(plan.refused)
        return Report(
            # A name was taken since we looked: the next look finds who has it.
            requeue_after=1.0 if taken else told.requeue_after,
            wake=told.wake,
            applied=results.applied,
            deleted=results.deleted,
            because=told.because,
            generation=raw["metadata"].get("generation", 0) if raw else 0,
            decision=looking.fingerprint(told),
        )

    async def _tell(
        self, key: names.Key, raw: Manifest, decision: Decision, failed: Sequence[Failure]
    ) -> Manifest:
        """Status, with what was refused, and the events of what changed by it."""
        if decision.status is None:
            await self.recorder.record(raw, decision.notes)
            return raw
        status = _complete(raw, decision)
        if failed:
            status = self._amended(raw, status, _refused(failed[0]))
        after = await self._write_status(key, raw, status)
        await self.recorder.transitions(raw, after, decision.notes)
        return after

    async def _write_status(self, key: names.Key, raw: Manifest, status: Mapping[str, Any]) -> Manifest:
        """Writes what differs, fenced by the version that was read; a Conflict ends the pass."""
        difference = patch.between(_status(raw), status)
        if not difference:
            return raw
        resource = names.RESOURCES[key.kind]
        version = raw["metadata"]["resourceVersion"]
        return await self.kube.patch_status(
            resource, key.namespace, key.name, difference, resource_version=version
        )

    async def _held(
        self, gatherer: Gatherer, key: names.Key, seen: looking.Seen[World]
    ) -> looking.Seen[World]:
        """Our finalizer, which must stand before any effect, beside the last reads before them."""
        if not seen.decision.finalize or seen.raw is None:
            return await looking.named(gatherer, seen)
        holding = asyncio.ensure_future(self._hold(key, seen.raw))
        try:
            seen = await looking.named(gatherer, seen)
        finally:
            # A write that is still under way would land among those of the next pass.
            raw = await holding
        return replace(seen, raw=raw)

    async def _hold(self, key: names.Key, raw: Manifest) -> Manifest:
        held = list(raw["metadata"].get("finalizers") or ())
        if names.FINALIZER in held:
            return raw
        return await self._write_finalizers(key, raw, [*held, names.FINALIZER])

    async def _release(self, key: names.Key, raw: Manifest) -> None:
        held = list(raw["metadata"].get("finalizers") or ())
        if names.FINALIZER in held:
            await self._write_finalizers(key, raw, [name for name in held if name != names.FINALIZER])

    async def _write_finalizers(self, key: names.Key, raw: Manifest, finalizers: list[str]) -> Manifest:
        return await self.kube.patch_finalizers(
            names.RESOURCES[key.kind],
            key.namespace,
            key.name,
            finalizers,
            resource_version=raw["metadata"]["resourceVersion"],
        )

    async def _delete_router(self, raw: Manifest) -> None:
        meta = raw["metadata"]
        try:
            await self.kube.delete(names.LLMROUTER, meta["namespace"], meta["name"], uid=meta["uid"])
        except NotFound:
            return

    async def _report_unreadable(self, key: names.Key, unreadable: Unreadable) -> Report:
        """Says what can't be read and touches nothing else: what served before goes on serving. What is being
        deleted is let go."""
        raw = unreadable.raw
        generation = raw["metadata"].get("generation", 0)
        if (raw["kind"], raw["metadata"]["name"]) == (key.kind, key.name):
            if raw["metadata"].get("deletionTimestamp"):
                # Nothing is left to read it for; routers leave out whatever goes.
                await self._release(key, raw)
                return Report(because="deleting: unreadable", generation=generation)
            verdicts = _not_ready(Reason.INVALID_SPEC, unreadable.message, ConditionType.STALLED)
            status = {**_status(raw), "observedGeneration": generation}
            before = raw
            raw = await self._write_status(key, raw, self._amended(raw, status, verdicts))
            await self.recorder.transitions(before, raw)
        return Report(because=f"unreadable: {unreadable.message}", generation=generation)

    def _amended(
        self, raw: Manifest, status: Mapping[str, Any], verdicts: list[Verdict]
    ) -> Mapping[str, Any]:
        generation = raw["metadata"].get("generation", 0)
        said = conditions.amend(
            status.get("conditions") or (), verdicts, generation=generation, now=self.now()
        )
        return {**status, "conditions": said}


def _destroys(seen: looking.Seen[World]) -> bool:
    """Whether by this look something would go that can't be brought back."""
    return bool(seen.plan.delete) or seen.decision.finalize is False


def _status(raw: Manifest) -> Mapping[str, Any]:
    return raw.get("status") or {}


STATE = ("rollout", "experiment")
"""What of a status is written before the effects."""


def _with_state(raw: Manifest, decision: Decision) -> Mapping[str, Any]:
    """The status as it is, with the decided state."""
    decided = {"rollout": decision.state, "experiment": decision.experiment}
    kept = {name: value for name, value in _status(raw).items() if name not in STATE}
    return kept | {name: value for name, value in decided.items() if value is not None}


def _complete(raw: Manifest, decision: Decision) -> Mapping[str, Any]:
    """The decided status; the state stays as it was just written."""
    written = {name: _status(raw)[name] for name in STATE if name in _status(raw)}
    return {**(decision.status or {}), **written}


def _refused(failure: Failure) -> list[Verdict]:
    kind, name = failure.key
    message = f"{kind} {name!r} is refused: {failure.error.message}"
    return _not_ready(Reason.APPLY_REFUSED, message, ConditionType.RECONCILING)


def _not_ready(reason: Reason, message: str, beside: ConditionType) -> list[Verdict]:
    return [Verdict(ConditionType.READY, False, reason, message), Verdict(beside, True, reason, message)]
