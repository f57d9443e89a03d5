"""Carries out a Plan: applies, then deletions, each only where something would change.

Applying what is there already costs the server more than creating it, so an object whose content and intent
are what they were after our last apply is left alone. That memory may be lost at any time: then the object
itself tells whether it still is what was applied (`sameness`). Stops at the first failure: what comes later
in a plan relies on what comes earlier.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pointsman.api.names import MANAGER, RESOURCES
from pointsman.core.inventory import Deletion, Plan
from pointsman.core.world import Manifest, ObjectKey, key_of
from pointsman.engine import sameness
from pointsman.kube.protocol import Conflict, Invalid, Kube, KubeError, NotFound, Object, Retryable

BINDINGS = frozenset({"RoleBinding"})
"""Applied after Roles: who isn't an administrator may only bind a Role that the server can look up."""
WORKLOADS = frozenset({"Deployment", "Job"})
"""Applied after everything else is there: they start pods, and pods read the rest."""
TELLING = frozenset({"Deployment", "Job", "LLMRouter", "Service"})
"""Kinds whose status a decision looks at."""
LOOKUP_SECONDS = (0.05, 0.2, 0.5)
"""Pauses while the server's own cache learns of a Role that was just made."""

Observer = Callable[[str, str], None]
"""Called per object with its kind and changed, noop, skipped, refused, failed or deleted."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One object that couldn't be applied or deleted, in the server's words."""

    key: ObjectKey
    error: KubeError


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done."""

    changed: tuple[ObjectKey, ...] = ()
    unchanged: tuple[ObjectKey, ...] = ()
    """Applied or skipped, and the same as before."""
    removed: tuple[ObjectKey, ...] = ()
    refused: tuple[ObjectKey, ...] = ()
    """Names taken by something that isn't ours: those the plan knew, and those only the server knew."""
    failed: tuple[Failure, ...] = ()
    """Where it stopped. Later steps of the plan weren't tried."""
    objects: Mapping[ObjectKey, Object] = field(default_factory=dict)
    """What was applied, as it is now. Who goes on to write one of these needs its new version."""

    @property
    def applied(self) -> int:
        """How many objects are others now."""
        return len(self.changed)

    @property
    def deleted(self) -> int:
        """How many objects were deleted."""
        return len(self.removed)

    @property
    def complete(self) -> bool:
        """Whether everything that was planned is done."""
        return not self.failed and not self.refused


@dataclass(frozen=True, slots=True)
class _Memory:
    uid: str
    version: str
    content: bytes
    intent: bytes


class Applier:
    """One per process. `limit` bounds its memory, in objects; the oldest go first."""

    def __init__(
        self,
        kube: Kube,
        *,
        limit: int = 100_000,
        observe: Observer = lambda kind, outcome: None,
    ) -> None:
        self._kube = kube
        self._limit = limit
        self._observe = observe
        self._memory: dict[tuple[str, str, str], _Memory] = {}

    async def execute(self, plan: Plan, namespace: str, *, observed: Sequence[Manifest]) -> Applied:
        """Does what the plan says to objects of one namespace.

        `observed`: the objects of ours that the plan was made from. One that is missing there counts as
        new: it's applied without force and its name given up to whoever holds it.

        Raises Retryable and Conflict, after which the pass should end: the world isn't what it was.
        """
        seen = {key_of(obj): obj for obj in observed}
        objects: dict[ObjectKey, Object] = {}
        done = Applied(refused=plan.refused, objects=objects)
        for wave in _waves(plan.apply):
            results = await _all(*(self._apply(obj, namespace, seen, objects) for obj in wave))
            refused = done.refused
            done = _added(done, [(key_of(obj), result) for obj, result in zip(wave, results, strict=True)])
            if done.failed or done.refused != refused:
                # Pods mustn't start on what somebody else has written meanwhile.
                return done
        if not done.complete:
            # Something desired isn't there, so nothing it was to replace may go.
            return done
        for deletion in plan.delete:
            done = _added(done, [((deletion.kind, deletion.name), await self._delete(deletion, namespace))])
            if done.failed:
                return done
        return done

    async def _apply(
        self,
        intent: Manifest,
        namespace: str,
        seen: Mapping[ObjectKey, Manifest],
        objects: dict[ObjectKey, Object],
    ) -> str | Failure:
        key = key_of(intent)
        there, digest = seen.get(key), sameness.digest(intent)
        if there is not None and self._known((namespace, *key), there, intent, digest):
            return self._counted(key, "skipped")
        try:
            # Not forced where we saw nothing: whoever made an object of that name meanwhile keeps it.
            result = await self._send(_sent(intent, there), force=there is not None)
        except Invalid as error:
            if there is None:
                return self._failed(key, error)
            repaired = await self._repair(_sent(intent, there))
            if isinstance(repaired, KubeError):
                return self._failed(key, repaired)
            result = repaired
        except Conflict:
            if there is not None:
                raise
            return self._counted(key, "refused")
        except KubeError as error:
            return self._failed(key, error)
        self._remember((namespace, *key), result, digest)
        objects[key] = result
        before = there["metadata"].get("resourceVersion") if there is not None else None
        return self._counted(key, "noop" if result["metadata"]["resourceVersion"] == before else "changed")

    async def _send(self, intent: Manifest, *, force: bool) -> Object:
        for pause in LOOKUP_SECONDS if intent["kind"] in BINDINGS else ():
            try:
                return await self._kube.apply(intent, manager=MANAGER, force=force)
            except NotFound:
                await asyncio.sleep(pause)
        return await self._kube.apply(intent, manager=MANAGER, force=force)

    async def _repair(self, intent: Manifest) -> Object | KubeError:
        """A hand may have left a state that no apply can mend: a renamed port stays beside ours, and two
        ports of one name are invalid. Written over as a whole, once, the object takes an apply again."""
        try:
            await self._kube.overwrite(intent)
            return await self._send(intent, force=True)
        except (Conflict, Retryable):
            raise
        except KubeError as error:
            return error

    async def _delete(self, deletion: Deletion, namespace: str) -> str | Failure:
        key = (deletion.kind, deletion.name)
        self._memory.pop((namespace, *key), None)
        try:
            await self._kube.delete(
                RESOURCES[deletion.kind],
                namespace,
                deletion.name,
                uid=deletion.uid,
                propagation=deletion.propagation,
            )
        except NotFound:
            pass
        except Conflict:
            raise
        except KubeError as error:
            return self._failed(key, error)
        return self._counted(key, "deleted")

    def recognises(self, obj: Mapping[str, Any]) -> bool:
        """Whether a child as a watch shows it tells nothing: it is what we applied, and no decision looks at
        whatever else of it may have changed."""
        metadata = obj["metadata"]
        memory = self._memory.get((metadata.get("namespace", ""), *key_of(obj)))
        if memory is None or memory.uid != metadata.get("uid"):
            return False
        if memory.version == metadata.get("resourceVersion"):
            return True
        return obj["kind"] not in TELLING and memory.content == sameness.content(obj)

    def _known(self, at: tuple[str, str, str], there: Manifest, intent: Manifest, digest: bytes) -> bool:
        memory = self._memory.get(at)
        if memory is None or memory.uid != there["metadata"].get("uid"):
            if not sameness.holds(there, intent):
                return False
            self._remember(at, there, digest)
            return True
        if memory.intent != digest:
            return False
        # A workload's status changes all the time; only a change of content is a reason to look closer.
        version = there["metadata"].get("resourceVersion")
        return memory.version == version or memory.content == sameness.content(there)

    def _remember(self, at: tuple[str, str, str], result: Manifest, intent: bytes) -> None:
        metadata = result["metadata"]
        self._memory.pop(at, None)
        self._memory[at] = _Memory(
            metadata["uid"], metadata["resourceVersion"], sameness.content(result), intent
        )
        while len(self._memory) > self._limit:
            del self._memory[next(iter(self._memory))]

    def _counted(self, key: ObjectKey, outcome: str) -> str:
        self._observe(key[0], outcome)
        return outcome

    def _failed(self, key: ObjectKey, error: KubeError) -> Failure:
        self._observe(key[0], "failed")
        if isinstance(error, Retryable):
            raise error
        return Failure(key, error)


async def _all(*applies: Coroutine[Any, Any, str | Failure]) -> list[str | Failure]:
    """What all of them give. Where one raises, the others are over too before the pass ends: a request that
    is still under way would land among those of the next pass."""
    results = await asyncio.gather(*applies, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def _sent(intent: Manifest, there: Manifest | None) -> Manifest:
    """What goes to the server: the marked intent, where we saw one of ours for exactly that object. Whoever
    has taken its name since keeps it."""
    marked = sameness.marked(intent)
    if there is None:
        return marked
    return {**marked, "metadata": {**marked["metadata"], "uid": there["metadata"]["uid"]}}


def _waves(manifests: Sequence[Manifest]) -> list[list[Manifest]]:
    """Objects that can be applied at the same time; the plan's order holds between waves."""
    first = [obj for obj in manifests if obj["kind"] not in BINDINGS | WORKLOADS]
    later = [[obj for obj in manifests if obj["kind"] in kinds] for kinds in (BINDINGS, WORKLOADS)]
    return [wave for wave in (first, *later) if wave]


def _added(done: Applied, results: Sequence[tuple[ObjectKey, str | Failure]]) -> Applied:
    def keys(*outcomes: str) -> tuple[ObjectKey, ...]:
        return tuple(key for key, result in results if result in outcomes)

    return Applied(
        changed=done.changed + keys("changed"),
        unchanged=done.unchanged + keys("noop", "skipped"),
        removed=done.removed + keys("deleted"),
        refused=done.refused + keys("refused"),
        failed=done.failed + tuple(result for _, result in results if isinstance(result, Failure)),
        objects=done.objects,
    )
