"""What the twin has beyond the Protocol: faults, hands, kubelets, watches. (Its verbs: tests/conformance.)"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.api.names import CONFIGMAP, POD
from pointsman.core.patch import between
from pointsman.kube import Retryable
from pointsman.kube.fields import Kind, merge_patched, merged, paths, value_at, without
from pointsman.kube.twin import Call, MemoryKube

MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "ns"}}
RUNNING = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "ns"},
    "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 7, "containers": [{"name": "c"}]},
}


async def test_a_fault_before_a_request_means_it_never_happened() -> None:
    def fail(call: Call) -> None:
        raise Retryable("lost")

    kube = MemoryKube(before=fail)
    with pytest.raises(Retryable):
        await kube.apply(MAP, manager="m")
    assert kube.store.objects == {}
    assert kube.calls == []


async def test_a_fault_after_a_request_loses_only_the_answer() -> None:
    def fail(call: Call) -> None:
        raise Retryable("lost")

    kube = MemoryKube(after=fail)
    with pytest.raises(Retryable):
        await kube.apply(MAP, manager="m")
    assert len(kube.store.objects) == 1


async def test_calls_tell_writes_that_changed_something() -> None:
    kube = MemoryKube()
    await kube.apply(MAP, manager="m")
    await kube.apply(MAP, manager="m")
    await kube.list(CONFIGMAP, "ns")
    assert [(c.verb, c.changed, c.writes) for c in kube.calls] == [
        ("apply", True, True),
        ("apply", False, True),
        ("list", False, False),
    ]


async def test_a_pod_on_a_node_stays_until_its_kubelet_has_stopped_it() -> None:
    kube = MemoryKube()
    made = await kube.create(RUNNING)
    await kube.delete(POD, "ns", "p", uid=made["metadata"]["uid"])
    going = await kube.get(POD, "ns", "p")
    assert going["metadata"]["deletionGracePeriodSeconds"] == 7
    kube.finish(POD, "ns", "p")
    assert await kube.list(POD, "ns") == []


async def test_a_watch_tells_of_its_kind_and_namespace_alone() -> None:
    kube = MemoryKube()
    seen = []

    async def follow() -> None:
        async for event in kube.watch(CONFIGMAP, "ns"):
            seen.append((event.type, event.object["metadata"]["name"]))

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    made = await kube.apply(MAP, manager="m")
    await kube.apply(MAP, manager="m")
    await kube.apply({**MAP, "metadata": {"name": "x", "namespace": "other"}}, manager="m")
    await kube.create(RUNNING)
    await kube.edit(CONFIGMAP, "ns", "a", {"data": {"k": "v"}})
    await kube.delete(CONFIGMAP, "ns", "a", uid=made["metadata"]["uid"])
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert seen == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]
    assert kube.store.watchers == set()


async def test_what_is_given_out_isnt_what_is_kept() -> None:
    kube = MemoryKube()
    made = await kube.apply({**MAP, "data": {"k": "v"}}, manager="m")
    made["data"]["k"] = "changed"
    (await kube.list(CONFIGMAP, "ns"))[0]["data"]["k"] = "changed"
    assert (await kube.get(CONFIGMAP, "ns", "a"))["data"] == {"k": "v"}


DEPLOYMENT = Kind("apps/v1", "Deployment")
_names: st.SearchStrategy[Any] = st.sampled_from(["a", "b", "c"])
_containers: st.SearchStrategy[Any] = st.lists(
    st.fixed_dictionaries(
        {"name": _names},
        optional={
            "image": _names,
            "env": st.lists(
                st.fixed_dictionaries({"name": _names, "value": _names}),
                max_size=3,
                unique_by=lambda e: e["name"],
            ),
        },
    ),
    max_size=3,
    unique_by=lambda c: c["name"],
)
_specs = st.fixed_dictionaries(
    {},
    optional={
        "spec": st.fixed_dictionaries(
            {},
            optional={"replicas": st.integers(0, 3), "selector": st.dictionaries(_names, _names, max_size=2)},
        ),
        "containers": _containers,
    },
)


@given(_specs, _specs)
def test_merging_holds_everything_the_intent_states(
    live: dict[str, object], intent: dict[str, object]
) -> None:
    result = merged(DEPLOYMENT, live, intent)
    for path in paths(DEPLOYMENT, intent):
        if path and path[-1][0] == "f" and value_at(intent, path) not in ({}, []):
            assert value_at(result, path) == value_at(intent, path)
    assert merged(DEPLOYMENT, result, intent) == result


@given(_specs)
def test_taking_away_every_path_leaves_nothing(value: dict[str, object]) -> None:
    assert without(value, [path for path in paths(DEPLOYMENT, value) if path]) == {}


_json = st.recursive(
    st.booleans() | st.integers(0, 3) | _names,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_names, _json, max_size=3), st.dictionaries(_names, _json, max_size=3))
def test_a_merge_patch_between_two_documents_takes_one_to_the_other(
    old: dict[str, object], new: dict[str, object]
) -> None:
    assert merge_patched(old, between(old, new)) == new
