"""What people, clusters and engines do in scenarios: each act has words, and happens to a site."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pointsman.api import names
from pointsman.api.model import ModelSpec
from pointsman.api.service import ServiceSpec
from pointsman.core import revision
from tests.simulation.cluster import NAMESPACE
from tests.simulation.faults.site import Site
from tests.simulation.measuring import Manner

PATIENCE_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Act:
    """Something that somebody does."""

    words: str
    do: Callable[[Site], Awaitable[None]]


async def _rest(site: Site) -> None:
    await site.rest()


REST = Act("all comes to rest", _rest)


def apply(kind: str, name: str, spec: Mapping[str, Any]) -> Act:
    """`kubectl apply`."""

    async def do(site: Site) -> None:
        await site.apply(kind, name, spec)
        site.poke()

    return Act(f"{kind} {name} is applied", do)


def serve(spec: Mapping[str, Any], name: str = "chat") -> Act:
    """A service is applied."""
    return apply("LLMService", name, spec)


def delete(kind: str, name: str) -> Act:
    """`kubectl delete`."""

    async def do(site: Site) -> None:
        if site.find(kind, name) is not None:
            await site.delete(kind, name)

    return Act(f"{kind} {name} is deleted", do)


def create(obj: Mapping[str, Any]) -> Act:
    """Somebody else makes an object."""

    async def do(site: Site) -> None:
        await site.kube.create(
            {**obj, "metadata": {**obj["metadata"], "namespace": NAMESPACE}}, manager="them"
        )

    return Act(f"somebody makes {obj['kind']} {obj['metadata']['name']}", do)


def edit(kind: str, name: str, patch: Mapping[str, Any]) -> Act:
    """A hand edits an object."""

    async def do(site: Site) -> None:
        await site.kube.edit(names.RESOURCES[kind], NAMESPACE, name, patch)

    return Act(f"a hand edits {kind} {name}", do)


def engines_deployment(site: Site) -> str:
    """The name of the stable revision of `chat`."""
    return str(site.find("LLMService", "chat")["status"]["rollout"]["stable"])


def edit_engine(kind: str, patch: Mapping[str, Any]) -> Act:
    """A hand edits an object of the revision that serves."""

    async def do(site: Site) -> None:
        await site.kube.edit(names.RESOURCES[kind], NAMESPACE, engines_deployment(site), patch)

    return Act(f"a hand edits the {kind} of the revision that serves", do)


def remove_engine(kind: str) -> Act:
    """A hand deletes an object of the revision that serves."""

    async def do(site: Site) -> None:
        await site.delete(kind, engines_deployment(site))

    return Act(f"a hand deletes the {kind} of the revision that serves", do)


def lose_status(kind: str, name: str) -> Act:
    """A restored backup comes without status."""

    async def do(site: Site) -> None:
        lost = dict.fromkeys(site.find(kind, name)["status"])
        resource = names.RESOURCES[kind]
        await site.kube.patch_status(resource, NAMESPACE, name, lost, resource_version=None)

    return Act(f"{kind} {name} loses its status", do)


def stand_in(words: str, **changes: Any) -> Act:
    """Something around the operator is another: `accelerators`, `hub`, `unmounted`, `deaf`, `certified` …"""

    async def do(site: Site) -> None:
        for name, value in changes.items():
            setattr(site.routers if hasattr(site.routers, name) else site, name, value)
        site.timeline.look()
        site.poke()

    return Act(words, do)


def fails(spec: Mapping[str, Any], state: Mapping[str, Any] | None, name: str = "chat") -> Act:
    """Engines of the revision that a spec asks for fail with this container state; None: no longer."""
    wanted = ServiceSpec.model_validate(spec)
    model = ModelSpec.model_validate(spec["model"])
    found = revision.name_of(name, wanted, model)

    async def do(site: Site) -> None:
        if state is None:
            site.failing.pop(found, None)
        else:
            site.failing[found] = state
        site.poke()

    return Act(f"engines of {found} {'fail' if state else 'work'}", do)


def requests(rate: float) -> Act:
    """So many requests come in a second, from now on."""

    async def do(site: Site) -> None:
        site.routers.measuring.rate = rate

    return Act(f"{rate:g} requests come in a second", do)


def answers(variant: str, manner: Manner) -> Act:
    """A variant answers in another manner than the others."""

    async def do(site: Site) -> None:
        site.routers.measuring.manners[variant] = manner

    return Act(f"{variant} answers as {manner}", do)


def wait(seconds: float) -> Act:
    """Time passes."""

    async def do(site: Site) -> None:
        await asyncio.sleep(seconds)

    return Act(f"{seconds:g} s pass", do)


def until(step: str, name: str = "chat", *, index: int | None = None) -> Act:
    """Until a service's rollout is at this step, however short that is."""

    def there(site: Site) -> bool:
        at = _rollout(site, name)
        return at.get("step", "") == step and index in (None, at.get("stepIndex", 0))

    async def do(site: Site) -> None:
        if not await _comes(site, there):
            # A fault may keep it from there; whoever waits has to do something some day.
            site.tell(f"{name} never came to {step}; it is at {_rollout(site, name).get('step', '')}")

    return Act(f"until {name} is at {step}{'' if index is None else f' {index}'}", do)


def says(condition: str, reason: str, name: str = "chat") -> Act:
    """Until status says so, which it has to sooner or later."""

    async def do(site: Site) -> None:
        if not await _comes(site, lambda site: site.condition(name, condition)[1] == reason):
            site.timeline.missed(f"{name} never says {condition}/{reason}")

    return Act(f"until {name} says {condition}/{reason}", do)


async def _comes(site: Site, there: Callable[[Site], bool]) -> bool:
    """Whether it came to that, or somebody did something else meanwhile."""
    deadline = site.now.timestamp() + PATIENCE_SECONDS
    while not there(site) and not site.interrupted:
        if site.now.timestamp() > deadline:
            return False
        await asyncio.sleep(0.05)
    return True


def upgrade(version: str, **changes: Any) -> Act:
    """Another release of the operator takes over."""

    async def do(site: Site) -> None:
        await site.upgrade(replace(site.settings, operator_version=version, **changes))

    return Act(f"the operator is {version} now", do)


def _rollout(site: Site, name: str) -> Mapping[str, Any]:
    found = site.find("LLMService", name) or {}
    rollout: Mapping[str, Any] = (found.get("status") or {}).get("rollout") or {}
    return rollout
