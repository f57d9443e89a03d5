"""What was listed holds until something is seen that it doesn't show."""

from __future__ import annotations

from typing import Any

import pytest

from pointsman.api.names import (
    CONTROLLERREVISION,
    DEPLOYMENT,
    ENDPOINTSLICE,
    LABEL_ROLE,
    LABEL_ROUTER,
    LABEL_SERVICE,
    LLMSERVICE,
    POD,
    ROLE_PROMPT,
)
from pointsman.engine.abreast import Abreast
from pointsman.engine.recall import COPIES, Recall
from pointsman.kube.protocol import Kube, Object, Objects, Retryable
from pointsman.kube.twin import MemoryKube
from tests.simulation.faults.proxy import Carry, Proxied, Request

NS = "team-a"
OURS = f"{LABEL_SERVICE}=chat"


class Site:
    """A twin, and how many LISTs it was asked for."""

    def __init__(self) -> None:
        self.twin = MemoryKube()
        self.lists = 0
        self.kube = Abreast(Proxied(self.twin, self._count), watched=(DEPLOYMENT, ENDPOINTSLICE, LLMSERVICE))

    async def _count(self, request: Request, kube: Kube, carry: Carry) -> Any:
        self.lists += request.verb == "list"
        return await carry(kube)

    async def make(self, name: str, **labels: str) -> Object:
        metadata = {"name": name, "namespace": NS, "labels": labels}
        return await self.kube.apply(
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {}}, manager="m"
        )

    async def listed(self, labels: str = OURS) -> tuple[list[str], int]:
        """Names, and how many LISTs they took."""
        before = self.lists
        since = self.kube.since(DEPLOYMENT)
        found = await self.kube.list(DEPLOYMENT, NS, labels=labels, since=since)
        return [item["metadata"]["name"] for item in found], self.lists - before


@pytest.fixture
async def site() -> Site:
    site = Site()
    await site.make("one", **{LABEL_SERVICE: "chat"})
    assert await site.listed() == (["one"], 1)
    return site


async def test_what_nothing_was_seen_of_is_not_read_again(site: Site) -> None:
    assert await site.listed() == (["one"], 0)
    (first,) = await site.kube.list(DEPLOYMENT, NS, labels=OURS, since=site.kube.since(DEPLOYMENT))
    first["spec"]["changed"] = True
    (again,) = await site.kube.list(DEPLOYMENT, NS, labels=OURS, since=site.kube.since(DEPLOYMENT))
    assert "changed" not in again["spec"], "everybody gets an own copy"


async def test_an_own_write_is_read(site: Site) -> None:
    await site.make("two", **{LABEL_SERVICE: "chat"})
    assert await site.listed() == (["one", "two"], 1)
    assert await site.listed() == (["one", "two"], 0)


async def test_what_a_watch_tells_is_read(site: Site) -> None:
    site.kube.saw(await site.twin.edit(DEPLOYMENT, NS, "one", {"spec": {"replicas": 3}}))
    assert await site.listed() == (["one"], 1)


async def test_a_service_does_not_mind_another(site: Site) -> None:
    await site.make("other", **{LABEL_SERVICE: "mail"})
    assert await site.listed() == (["one"], 0)
    assert await site.listed("") == (["one", "other"], 1)


async def test_a_copy_of_a_prompt_is_found_among_the_others_as_soon_as_it_is_made() -> None:
    kube = Abreast(MemoryKube(), watched=(CONTROLLERREVISION,))

    async def copies() -> list[str]:
        since = kube.since(CONTROLLERREVISION)
        found = await kube.list(CONTROLLERREVISION, NS, labels=COPIES, since=since)
        return [item["metadata"]["name"] for item in found]

    async def make(name: str, **labels: str) -> None:
        metadata = {"name": name, "namespace": NS, "labels": {LABEL_SERVICE: "chat", **labels}}
        made = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": metadata, "revision": 1}
        await kube.apply(made, manager="m")

    await make("first", **{LABEL_ROLE: ROLE_PROMPT})
    assert await copies() == ["first"]
    await make("second", **{LABEL_ROLE: ROLE_PROMPT})
    assert await copies() == ["first", "second"]
    await make("first", **{LABEL_ROLE: "theirs"})
    assert await copies() == ["second"]


async def test_a_list_that_nothing_would_touch_is_read_each_time(site: Site) -> None:
    assert await site.listed("tier=one") == ([], 1)
    await site.make("two", tier="one")
    assert await site.listed("tier=one") == (["two"], 1)


async def test_what_a_watch_tells_late_changes_nothing(site: Site) -> None:
    (known,) = await site.kube.list(DEPLOYMENT, NS, labels=OURS, since=site.kube.since(DEPLOYMENT))
    site.kube.saw(known)
    assert await site.listed() == (["one"], 0)


async def test_a_child_whose_label_was_taken_is_missed(site: Site) -> None:
    owner = {"kind": "LLMService", "name": "chat", "uid": "u", "controller": True}
    theirs = {"metadata": {"labels": {LABEL_SERVICE: None}, "ownerReferences": [owner]}}
    site.kube.saw(await site.twin.edit(DEPLOYMENT, NS, "one", theirs))
    assert await site.listed() == ([], 1)


async def test_a_label_that_only_has_to_be_there_is_known(site: Site) -> None:
    assert await site.listed(LABEL_ROUTER) == ([], 1)
    await site.make("default-router", **{LABEL_ROUTER: "default"})
    assert await site.listed(LABEL_ROUTER) == (["default-router"], 1)


async def test_a_deletion_of_ours_is_read_of_every_service(site: Site) -> None:
    made = await site.make("two", **{LABEL_SERVICE: "mail"})
    await site.listed()
    await site.kube.delete(DEPLOYMENT, NS, "two", uid=made["metadata"]["uid"])
    assert await site.listed(f"{LABEL_SERVICE}=mail") == ([], 1)
    assert await site.listed() == (["one"], 1), "it may have been this one's"


async def test_consistent_reads_are_reads(site: Site) -> None:
    await site.kube.list(DEPLOYMENT, NS, labels=OURS)
    await site.kube.list(DEPLOYMENT, NS, labels=OURS)
    assert site.lists == 3


async def test_everything_is_read_again_after_a_re_list(site: Site) -> None:
    site.kube.forget()
    assert await site.listed() == (["one"], 1)


async def test_kinds_that_are_not_watched_are_read(site: Site) -> None:
    await site.kube.list(POD, NS)
    for _ in range(2):
        await site.kube.list(POD, NS, since=site.kube.since(POD))
    assert site.lists == 4


@pytest.mark.parametrize("forgotten", [False, True])
async def test_what_was_seen_while_a_list_was_under_way_is_read(forgotten: bool) -> None:
    here = Site()

    async def happening(request: Request, kube: Kube, carry: Carry) -> Any:
        answer = await carry(kube)
        if request.verb == "list" and request.since is not None and not here.lists:
            here.kube.saw(await here.twin.edit(DEPLOYMENT, NS, "one", {"spec": {"replicas": 3}}))
            if forgotten:
                here.kube.forget()
        return answer

    here.kube = Abreast(Proxied(Proxied(here.twin, here._count), happening), watched=(DEPLOYMENT,))
    await here.make("one", **{LABEL_SERVICE: "chat"})
    await here.kube.list(DEPLOYMENT, NS, labels="other=scope")
    here.lists = -1
    assert (await here.listed())[1] == 1
    assert await here.listed() == (["one"], 1)
    assert await here.listed() == (["one"], 0)


def listed(version: int) -> Objects:
    return Objects([{"kind": DEPLOYMENT.kind, "metadata": {"name": "one"}}], version)


def seen(recall: Recall, version: int) -> None:
    metadata = {"namespace": NS, "name": "one", "labels": {LABEL_SERVICE: "chat"}}
    recall.touch({"kind": DEPLOYMENT.kind, "metadata": metadata}, version)


@pytest.mark.parametrize("later_first", [True, False])
def test_of_two_that_are_under_way_neither_is_taken_for_the_other(later_first: bool) -> None:
    recall, scope = Recall(), (DEPLOYMENT.kind, NS, OURS)
    readings = [recall.reading(scope, 100), recall.reading(scope, 100)]
    first, second = (reading.__enter__() for reading in readings)
    one, other = (1, 0) if later_first else (0, 1)
    reads = (first, second)
    recall.keep(reads[one], listed(101))
    readings[one].__exit__(None, None, None)
    seen(recall, 105)
    recall.keep(reads[other], listed(102))
    readings[other].__exit__(None, None, None)
    assert recall.find(scope, 0) is None, "it doesn't show what was seen"
    with recall.reading(scope, 105) as again:
        recall.keep(again, listed(105))
    assert recall.find(scope, 105) is not None


def test_an_older_list_takes_no_newer_ones_place() -> None:
    recall, scope = Recall(), (DEPLOYMENT.kind, NS, OURS)
    with recall.reading(scope, 100) as older, recall.reading(scope, 100) as newer:
        recall.keep(newer, listed(120))
        recall.keep(older, listed(110))
    assert recall.find(scope, 115) is not None


async def test_a_list_that_lacks_what_was_seen_is_not_acted_on(site: Site) -> None:
    class Behind(MemoryKube):
        async def list(self, *args: Any, **kwargs: Any) -> Objects:
            return Objects((), 1)

    kube = Abreast(Behind())
    with pytest.raises(Retryable):
        await kube.list(DEPLOYMENT, NS, since=5)
