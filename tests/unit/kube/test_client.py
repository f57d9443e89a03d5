"""The real client against answers that a real server gives rarely: retries, errors, pages, credentials."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kubernetes.aio import client as library

from pointsman import __version__
from pointsman.api.names import CONFIGMAP, LLMSERVICE
from pointsman.kube import AlreadyExists, Conflict, Forbidden, Invalid, KubeError, NotFound, Retryable
from pointsman.kube.client import AioKube
from pointsman.kube.throttle import Bucket
from tests.unit.kube.server import Scripted, serving, status

OK: tuple[int, Any, Any] = (200, {"metadata": {"name": "a", "managedFields": [{"manager": "m"}]}}, {})
MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "ns"}}


@asynccontextmanager
async def client(scripted: Scripted, **options: Any) -> AsyncIterator[tuple[AioKube, list[float]]]:
    """A client of the scripted server, and how long it slept between tries."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with serving(scripted) as url:
        configuration = library.Configuration(host=url)
        configuration.api_key["BearerToken"] = "bearer secret"
        kube = AioKube(configuration, sleep=sleep, jitter=lambda: 1.0, **options)
        try:
            yield kube, slept
        finally:
            await kube.close()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(status(404, "NotFound"), NotFound, id="404"),
        pytest.param(status(409, "AlreadyExists"), AlreadyExists, id="409, the name is taken"),
        pytest.param(status(409, "Conflict"), Conflict, id="409, a precondition"),
        pytest.param(status(422, "Invalid"), Invalid, id="422"),
        pytest.param(status(400, "BadRequest"), Invalid, id="400"),
        pytest.param(status(403, "Forbidden", "exceeded quota"), Forbidden, id="403"),
        pytest.param(status(401, "Unauthorized"), Forbidden, id="401"),
        pytest.param((500, {}, {}), Retryable, id="500 without a word"),
        pytest.param(status(503), Retryable, id="503"),
        pytest.param(status(504), Retryable, id="504"),
        pytest.param(status(429), Retryable, id="429"),
    ],
)
async def test_errors_have_types_and_the_servers_words(answer: Any, error: type[KubeError]) -> None:
    async with client(Scripted([answer])) as (kube, _):
        with pytest.raises(error) as caught:
            await kube.create(MAP)
    assert caught.value.message == (answer[1].get("message") or "500 Internal Server Error")


async def test_what_can_be_sent_twice_is_tried_three_times() -> None:
    scripted = Scripted([status(500), status(503), OK])
    async with client(scripted) as (kube, slept):
        await kube.apply(MAP, manager="m")
    assert len(scripted.seen) == 3
    assert slept == [0.4, 0.8]


async def test_a_create_that_may_have_happened_is_not_sent_again() -> None:
    scripted = Scripted([status(500), OK])
    async with client(scripted) as (kube, _):
        with pytest.raises(Retryable):
            await kube.create(MAP)
    assert len(scripted.seen) == 1


async def test_what_never_reached_the_server_is_sent_again_whatever_it_is() -> None:
    configuration = library.Configuration(host="http://127.0.0.1:1")
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    kube = AioKube(configuration, sleep=sleep)
    with pytest.raises(Retryable):
        await kube.create(MAP)
    await kube.close()
    assert len(slept) == 2


@pytest.mark.parametrize(
    ("answer", "waited", "asked"),
    [
        pytest.param(status(429, retryAfterSeconds=2), [2.0, 2.0], 2.0, id="in the body"),
        pytest.param((429, {}, {"Retry-After": "3"}), [3.0, 3.0], 3.0, id="in the header"),
        pytest.param(status(429, retryAfterSeconds=60), [], 60.0, id="too long to wait here: the queue does"),
        pytest.param((429, {}, {"Retry-After": "soon"}), [0.4, 0.8], 0.0, id="no number"),
    ],
)
async def test_retry_after_is_kept(answer: Any, waited: list[float], asked: float) -> None:
    async with client(Scripted([answer])) as (kube, slept):
        with pytest.raises(Retryable) as caught:
            await kube.get(CONFIGMAP, "ns", "a")
    assert slept == waited
    assert caught.value.after_seconds == asked


async def test_no_answer_in_time_is_retryable() -> None:
    async with client(Scripted([OK], delay=0.5), timeout_seconds=0.05) as (kube, _):
        with pytest.raises(Retryable):
            await kube.get(CONFIGMAP, "ns", "a")


async def test_an_answer_that_is_no_json_object_is_retryable() -> None:
    async with client(Scripted([(200, ["x"], {})])) as (kube, _):  # type: ignore[list-item]
        with pytest.raises(Retryable):
            await kube.get(CONFIGMAP, "ns", "a")


async def test_pages_are_put_together_and_lists_never_come_from_a_cache() -> None:
    def page(name: str, token: str) -> Any:
        return 200, {"metadata": {"continue": token}, "items": [{"metadata": {"name": name}}]}, {}

    scripted = Scripted([page("a", "t1"), page("b", "t2"), page("c", "")])
    async with client(scripted) as (kube, _):
        found = await kube.list(LLMSERVICE, "ns", labels="x=y")
    assert [(i["kind"], i["metadata"]["name"]) for i in found] == [("LLMService", name) for name in "abc"]
    assert [s.query.get("continue") for s in scripted.seen] == [None, "t1", "t2"]
    assert all(s.query["limit"] == "500" and s.query["labelSelector"] == "x=y" for s in scripted.seen)
    assert all("resourceVersion" not in s.query for s in scripted.seen)


async def test_a_list_by_version_says_so_once_and_the_token_after_that() -> None:
    first: Any = (200, {"metadata": {"continue": "t1", "resourceVersion": "9"}, "items": []}, {})
    last: Any = (200, {"metadata": {"resourceVersion": "9"}, "items": [{"metadata": {"name": "a"}}]}, {})
    scripted = Scripted([first, last])
    async with client(scripted) as (kube, _):
        found = await kube.list(LLMSERVICE, "ns", since=7)
    assert found.version == 9
    asked = [(s.query.get("resourceVersion"), s.query.get("resourceVersionMatch")) for s in scripted.seen]
    assert asked == [("7", "NotOlderThan"), (None, None)]


async def test_a_server_that_does_not_get_to_a_version_is_not_asked_again() -> None:
    code, body, headers = status(504, "Timeout")
    body["details"] = {"retryAfterSeconds": 1, "causes": [{"reason": "ResourceVersionTooLarge"}]}
    async with client(Scripted([(code, body, headers)])) as (kube, slept):
        with pytest.raises(Retryable):
            await kube.list(LLMSERVICE, "ns", since=7)
    assert slept == []


async def test_a_list_whose_token_expired_begins_anew() -> None:
    first: Any = (200, {"metadata": {"continue": "t1"}, "items": [{"metadata": {"name": "old"}}]}, {})
    whole: Any = (200, {"metadata": {}, "items": [{"metadata": {"name": "new"}}]}, {})
    async with client(Scripted([first, status(410, "Expired"), whole])) as (kube, _):
        found = await kube.list(LLMSERVICE, "ns")
    assert [item["metadata"]["name"] for item in found] == ["new"]


async def test_requests_say_who_we_are_and_field_managers_whose_fields() -> None:
    scripted = Scripted([OK])
    async with client(scripted) as (kube, _):
        shown = await kube.apply(MAP, manager="pointsman", force=False)
        await kube.patch_status(LLMSERVICE, "ns", "a", {"x": None}, resource_version="7")
        await kube.delete(CONFIGMAP, "ns", "a", uid="u", propagation="Foreground")
    assert shown["metadata"] == {"name": "a"}, "managedFields are dropped"
    apply, patch, delete = scripted.seen
    assert apply.headers["User-Agent"] == f"pointsman/{__version__}"
    assert apply.headers["Authorization"] == "bearer secret"
    assert (apply.method, apply.headers["Content-Type"]) == ("PATCH", "application/apply-patch+yaml")
    assert apply.query == {"fieldManager": "pointsman", "force": "false"}
    assert patch.path == "/apis/serving.pointsman.dev/v1alpha1/namespaces/ns/llmservices/a/status"
    assert patch.query == {"fieldManager": "pointsman-status"}
    assert patch.body == {"status": {"x": None}, "metadata": {"resourceVersion": "7"}}
    assert (delete.method, delete.body["preconditions"], delete.body["propagationPolicy"]) == (
        "DELETE",
        {"uid": "u"},
        "Foreground",
    )


async def test_every_try_is_observed() -> None:
    calls: list[tuple[str, str, int]] = []

    def observe(verb: str, kind: str, code: int, seconds: float) -> None:
        calls.append((verb, kind, code))

    async with client(Scripted([status(503), OK]), observer=observe) as (kube, _):
        await kube.get(CONFIGMAP, "ns", "a")
    assert calls == [("get", "ConfigMap", 503), ("get", "ConfigMap", 200)]


async def test_kinds_we_dont_know_and_objects_without_namespace_never_leave() -> None:
    scripted = Scripted([OK])
    async with client(scripted) as (kube, _):
        for wrong in (
            {**MAP, "kind": "Secret"},
            {**MAP, "apiVersion": "v2"},
            {**MAP, "metadata": {"name": "a"}},
        ):
            with pytest.raises(Invalid):
                await kube.apply(wrong, manager="m")
    assert scripted.seen == []


async def test_writes_wait_for_their_bucket_and_reads_dont() -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(round(seconds, 3))

    bucket = Bucket(10, 2, monotonic=lambda: 0.0, sleep=sleep)
    async with client(Scripted([OK]), writes=bucket) as (kube, _):
        for _ in range(4):
            await kube.apply(MAP, manager="m")
            await kube.get(CONFIGMAP, "ns", "a")
            await kube.patch_status(LLMSERVICE, "ns", "a", {}, resource_version=None)
    assert waits == [0.1, 0.2]


@pytest.mark.parametrize(
    ("rate", "takes_at", "waits"),
    [
        pytest.param(10.0, [0, 0, 0], [0.1], id="two at once, the third waits for a tenth"),
        pytest.param(10.0, [0, 0, 0, 0], [0.1, 0.2], id="those who come later wait longer"),
        pytest.param(10.0, [0, 0, 0.2, 0.2], [], id="tokens come back with time"),
        pytest.param(10.0, [0, 99, 99, 99], [0.1], id="but never more than the burst"),
        pytest.param(0.0, [0] * 9, [], id="rate 0: no limit"),
    ],
)
async def test_bucket(rate: float, takes_at: list[float], waits: list[float]) -> None:
    slept: list[float] = []
    clock = [0.0]

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 3))

    bucket = Bucket(rate, 2, monotonic=lambda: clock[0], sleep=sleep)
    for at in takes_at:
        clock[0] = at
        await bucket.take()
    assert slept == waits
