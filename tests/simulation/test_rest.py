"""What `Site.rest` waits for, and what it doesn't: oracles compare what is there when all has come to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pointsman.api import names
from pointsman.kube.protocol import Conflict, Kube
from tests.simulation.cluster import NAMESPACE
from tests.simulation.faults.beginnings import REMOTE
from tests.simulation.faults.process import Edges
from tests.simulation.faults.proxy import Carry, Request
from tests.simulation.faults.site import Restless, Site
from tests.simulation.stories import CHAT, edited
from tests.unit.engine import virtual

Story = Callable[[Site], Awaitable[None]]


def played(story: Story, *, edges: Edges | None = None) -> None:
    async def play() -> None:
        site = Site()
        site.edges = edges or Edges()
        await site.start_all()
        await site.apply("LLMService", "chat", CHAT)
        await site.rest()
        assert site.condition("chat", "Ready")[0] == "True"
        await story(site)
        await site.close()

    virtual.run(play())


def test_a_pass_whose_requests_hang_is_waited_for() -> None:
    async def story(site: Site) -> None:
        await site.apply("LLMService", "chat", edited(engine={"maxModelLen": 1024}))
        await site.rest()
        assert site.condition("chat", "Ready")[:2] == ("True", "Answering")
        assert site.find("LLMService", "chat")["status"]["rollout"]["step"] == "Steady"

    # Longer than it takes between two looks, so that there is quiet in the middle of each pass.
    played(story, edges=Edges(delay=lambda: 25.0))


def test_a_pass_that_began_before_its_event_came_has_not_looked() -> None:
    async def story(site: Site) -> None:
        # Until it has read all that it did itself.
        await site.look_again()
        await site.look_again()
        await site.apply("LLMService", "chat", edited(engine={"maxModelLen": 1024}))
        # It goes by what was read before.
        site.processes[0].look_at_everything()
        await site.rest()
        ready = site.find("LLMService", "chat")["status"]["conditions"][0]
        assert (ready["status"], ready["observedGeneration"]) == ("True", 2)

    played(story, edges=Edges(delay=lambda: 25.0))


def test_a_deletion_that_waits_for_routers_is_waited_for() -> None:
    async def story(site: Site) -> None:
        # One of their own: a router on demand goes with the last service.
        await site.apply("LLMRouter", "front", {"replicas": 1})
        await site.apply("LLMService", "chat", edited(routerRef={"name": "front"}))
        await site.rest()
        site.routers.deaf = True
        site.poke()
        began = site.now
        await site.delete("LLMService", "chat")
        await site.rest()
        assert site.find("LLMService", "chat") is None
        assert (site.now - began).total_seconds() > 60

    played(story)


def test_a_deletion_that_never_ends_is_told() -> None:
    async def story(site: Site) -> None:
        held = {"metadata": {"finalizers": ["example.com/theirs"]}}
        await site.kube.edit(names.LLMSERVICE, NAMESPACE, "chat", held)
        await site.delete("LLMService", "chat")
        with pytest.raises(Restless, match="the deletion of LLMService 'chat'"):
            await site.rest()

    played(story)


def test_a_job_that_is_tried_anew_each_minute_lets_all_rest_in_between() -> None:
    async def story(site: Site) -> None:
        site.hub = {"reason": "WeightsNotFound", "message": "no such repository"}
        await site.apply("LLMService", "chat", REMOTE)
        for _ in range(3):
            await site.rest()
            # Told, and standing: not in the middle of the next try.
            assert site.condition("chat", "Ready")[:2] == ("False", "WeightsNotFound")
            assert [job["status"]["conditions"][0]["type"] for job in site.all("Job")] == ["Failed"]
            await asyncio.sleep(65.0)

    played(story)


def test_a_write_that_was_refused_is_waited_for_until_it_isnt() -> None:
    async def story(site: Site) -> None:
        await site.delete("Service", "default-router")
        await site.rest()
        assert site.find("Service", "default-router") is not None

    refused: list[str] = []

    async def happening(request: Request, kube: Kube, carry: Carry) -> Any:
        if (request.verb, request.kind) == ("apply", "Service") and len(refused) < 3:
            refused.append(request.name)
            raise Conflict("it has been modified")
        return await carry(kube)

    played(story, edges=Edges(happening))
    assert len(refused) == 3
