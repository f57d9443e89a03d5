"""Cases: lists that needn't be consistent, but not older than a version."""

from __future__ import annotations

import asyncio

import pytest

from pointsman.api.names import CONFIGMAP, CORE_EVENT, LLMROUTER
from pointsman.kube import Retryable
from tests.conformance.stage import Stage, obj
from tests.conformance.table import Table

VERSIONS = Table()
case = VERSIONS.case


@case("list: what is not older than an own write shows it")
async def _(s: Stage) -> None:
    for number in range(3):
        made = await s.kube.create(obj(CONFIGMAP, s.ns, f"n{number}"))
        version = int(made["metadata"]["resourceVersion"])
        found = await s.kube.list(CONFIGMAP, s.ns, labels="", since=version)
        assert made in found
        assert found.version >= version
        assert [i["kind"] for i in found] == ["ConfigMap"] * len(found)


@case("list: not older than the version that a list told comes whole, in pages and sorted")
async def _(s: Stage) -> None:
    names = [f"n{number:04}" for number in range(510)]
    for start in range(0, len(names), 51):
        batch = names[start : start + 51]
        await asyncio.gather(*(s.kube.create(obj(LLMROUTER, s.ns, name, spec={})) for name in batch))
    told = await s.kube.list(LLMROUTER, s.ns)
    found = await s.kube.list(LLMROUTER, s.ns, since=told.version)
    assert [i["metadata"]["name"] for i in found] == names
    assert found == told


@case("list: of none tells its version too, and one not older than it doesn't wait")
async def _(s: Stage) -> None:
    await s.kube.create(obj(CONFIGMAP, s.ns, "a"))
    told = await s.kube.list(LLMROUTER, s.ns, labels="none=such")
    assert told == []
    assert told.version > 0
    assert await s.kube.list(LLMROUTER, s.ns, labels="none=such", since=told.version) == []


@case("list: events, of which the server keeps no cache, not older than one")
async def _(s: Stage) -> None:
    about = {"kind": "Pod", "name": "p", "namespace": s.ns}
    made = await s.kube.create(
        obj(CORE_EVENT, s.ns, "e", involvedObject=about, reason="Why", message="so", type="Warning")
    )
    version = int(made["metadata"]["resourceVersion"])
    found = await s.kube.list(CORE_EVENT, s.ns, since=version)
    assert [i["metadata"]["name"] for i in found] == ["e"]


@case("list: not older than what never was is Retryable")
async def _(s: Stage) -> None:
    told = await s.kube.list(LLMROUTER, s.ns)
    with pytest.raises(Retryable):
        await s.kube.list(LLMROUTER, s.ns, since=told.version + 1_000_000)
