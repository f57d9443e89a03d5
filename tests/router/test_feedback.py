"""What is reported of an answer finds the variant that gave it, by the answer's id alone."""

import asyncio
import hashlib
from typing import Any

import pytest

from pointsman_router import scale
from pointsman_router.answering import feedback
from pointsman_router.picking.naming import lines_of, tag_in, tag_of
from tests.router.engine import SSE_HEAD, FakeEngine, Turn, chunk, event, reply
from tests.router.stack import Answer, Stack, configuration, post, service, tagged, variant

WINDOW = {"analysis": {"window": "next/0"}}


async def like_vllm(turn: Turn) -> None:
    """An engine that makes its answer's id of the request's."""
    name = turn.request.field("x-request-id")
    await reply({"id": f"chatcmpl-{name}", "object": "chat.completion"})(turn)


def two(stable: FakeEngine, candidate: FakeEngine) -> dict[str, Any]:
    variants = variant("stable", stable, weight=50), variant("next", candidate, weight=50)
    return configuration(service("chat", *variants) | WINDOW)


async def started(stack: Stack) -> dict[str, Any]:
    engines = [await stack.engine(always=like_vllm) for _ in range(2)]
    document = two(*engines)
    await stack.start(document)
    return document


async def report(stack: Stack, document: Any, *fields: str) -> Answer:
    return await stack.ask(post("/v1/feedback", document, *fields))


async def answers(stack: Stack, count: int = 2) -> dict[str, list[str]]:
    """Ids of answers, by the variant that gave them."""
    found: dict[str, list[str]] = {"stable": [], "next": []}
    for _ in range(count):
        answer = await stack.chat()
        found[answer.field("x-pointsman-revision") or ""].append(answer.document["id"])
    return found


def scores(stack: Stack, name: str) -> dict[int, int]:
    window = stack.router.state.table.services["chat"].window
    assert window is not None
    return window.variants[name].feedback_score.counts


async def test_a_report_counts_for_the_variant_that_answered(stack: Stack) -> None:
    await started(stack)
    found = await answers(stack)
    answer = await report(stack, {"id": found["next"][0], "score": 0.5})
    assert (answer.status, answer.document["variant"]) == (202, "next")
    assert answer.document["id"] == found["next"][0]
    assert scores(stack, "next") == {scale.index(0.5): 1}
    assert scores(stack, "stable") == {}
    assert stack.metric("feedback_score_count", service="chat", variant="next") == 1
    assert stack.metric("feedback_score_sum", service="chat", variant="next") == 0.5


async def test_another_replica_takes_it_and_so_does_a_restarted_one(stack: Stack) -> None:
    document = await started(stack)
    (name,) = (await answers(stack))["next"]
    other = Stack()
    await other.start(document)
    try:
        assert (await report(other, {"id": name, "score": 1})).document["variant"] == "next"
        assert scores(other, "next") == {scale.index(1.0): 1}
    finally:
        await other.close()


async def test_an_answer_is_reported_once(stack: Stack) -> None:
    await started(stack)
    (name,) = (await answers(stack))["stable"]
    for _ in range(3):
        assert (await report(stack, {"id": name, "score": 0})).status == 202
    assert scores(stack, "stable") == {0: 1}


async def test_what_is_remembered_of_reports_is_bounded(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feedback, "_REMEMBERED", 3)
    await started(stack)
    state = stack.router.state.table.services["chat"].variants[0]
    reports = feedback.Reports()
    for number in (*range(10), 9, 0):
        reports.take(feedback.Report(number, state, 1.0, frozenset()))
    assert state.stats.feedback.counts[-2] == 11, "the first is forgotten, and counts again"


async def test_labels_say_what_a_validator_found(stack: Stack) -> None:
    await started(stack)
    first, second, *_ = (await answers(stack, 10))["next"]
    assert (await report(stack, {"id": first, "labels": ["flagged", "rude"]})).status == 202
    assert (await report(stack, {"id": second, "labels": ["blocked"], "score": 0.1})).status == 202
    window = stack.router.state.table.services["chat"].window
    assert window is not None
    counts = window.variants["next"]
    assert (counts.flagged, counts.blocked, sum(counts.feedback_score.counts.values())) == (1, 1, 1)


async def test_the_client_gets_its_own_request_id_back(stack: Stack) -> None:
    await started(stack)
    answer = await stack.ask(post("/v1/chat/completions", {"model": "chat"}, "X-Request-Id: mine"))
    assert answer.field("x-request-id") == "mine"
    name = answer.field("x-pointsman-revision") or ""
    assert answer.document["id"] == "chatcmpl-" + tagged("mine", variant=name)
    assert (await report(stack, {"id": answer.document["id"], "score": 1})).status == 202


@pytest.mark.parametrize(
    "name",
    [
        "chatcmpl-0123456789abcdef",
        "chatcmpl-0123456789abcdef-v0123456789",
        tag_of("chat", "next").decode(),
        "x" + tag_of("chat", "gone").decode(),
        "x" + tag_of("other", "next").decode(),
        "é",
    ],
)
async def test_an_answer_that_nobody_here_gave_is_unknown(stack: Stack, name: str) -> None:
    await started(stack)
    answer = await report(stack, {"id": name, "score": 1})
    assert answer.status == 404
    assert (answer.error["code"], answer.error["param"]) == ("answer_not_found", "id")
    assert "X-Request-Id" in answer.error["message"]


GOOD = "x" + tag_of("chat", "next").decode()


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({"score": 1}, "id"),
        ({"id": "", "score": 1}, "id"),
        ({"id": "x" * 513, "score": 1}, "id"),
        ({"id": 7, "score": 1}, "id"),
        ({"id": GOOD}, "score"),
        ({"id": GOOD, "score": 1.01}, "score"),
        ({"id": GOOD, "score": -0.1}, "score"),
        ({"id": GOOD, "score": True}, "score"),
        ({"id": GOOD, "score": "1"}, "score"),
        ({"id": GOOD, "labels": "flagged"}, "labels"),
        ({"id": GOOD, "labels": ["x"] * 17}, "labels"),
        ({"id": GOOD, "labels": ["x" * 65]}, "labels"),
        ({"id": GOOD, "labels": [1]}, "labels"),
        ({"id": GOOD, "score": 1, "text": "bad!"}, "text"),
    ],
)
async def test_a_malformed_report_says_what_is_wrong(stack: Stack, document: Any, param: str) -> None:
    await started(stack)
    answer = await report(stack, document)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "invalid_feedback", param)
    assert scores(stack, "next") == {}


@pytest.mark.parametrize("body", [b"", b"[]", b"{"])
async def test_what_is_no_json_object_is_refused(stack: Stack, body: bytes) -> None:
    await started(stack)
    assert (await report(stack, body)).status == 400


async def test_without_a_window_reports_are_counted_all_the_same(stack: Stack) -> None:
    engine = await stack.engine(always=like_vllm)
    await stack.start(configuration(service("chat", variant("stable", engine))))
    name = (await stack.chat()).document["id"]
    assert (await report(stack, {"id": name, "score": 0.9})).status == 202
    assert stack.metric("feedback_score_count", service="chat", variant="stable") == 1


async def test_reports_need_a_key_where_requests_do_and_one_that_may_use_the_model(stack: Stack) -> None:
    engine = await stack.engine(always=like_vllm)
    document = configuration(service("chat", variant("next", engine)), service("other", variant("v", engine)))
    keys = {"chat-key": ["chat"], "other-key": ["other"], "every-key": []}
    document["keys"] = [
        {"name": name, "sha256": hashlib.sha256(name.encode()).hexdigest(), "models": models}
        for name, models in keys.items()
    ]
    await stack.start(document)
    told = {"id": GOOD, "score": 1}
    assert (await report(stack, told)).status == 401
    assert (await report(stack, told, "Authorization: Bearer other-key")).status == 404
    assert (await report(stack, told, "Authorization: Bearer chat-key")).status == 202
    assert (await report(stack, told, "Authorization: Bearer every-key")).status == 202


# Names.


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("chat-1a2b3c4d", [b"x-pointsman-revision: chat-1a2b3c4d"]),
        (
            "chat-1a2b3c4d.support-v7.0a1b2c3d",
            [b"x-pointsman-revision: chat-1a2b3c4d", b"x-pointsman-prompt: support-v7"],
        ),
        (
            "chat-1a2b3c4d.a.b.0a1b2c3d",
            [b"x-pointsman-revision: chat-1a2b3c4d", b"x-pointsman-prompt: a.b"],
        ),
        ("v1.2", [b"x-pointsman-revision: v1.2"]),
        ("two words", []),
        ("a\r\nb: c", []),
        ("é", []),
    ],
)
def test_an_answer_tells_its_revision_and_its_prompt(name: str, lines: list[bytes]) -> None:
    assert lines_of(name) == lines


def test_a_tag_is_the_same_in_every_release() -> None:
    """Answers outlive the router that passed them on."""
    assert tag_of("chat", "chat-1a2b3c4d") == TAG
    assert tag_in(b"chatcmpl-abc" + TAG) == TAG


TAG = b"-va512809bde"


async def test_every_answer_of_an_engine_tells_who_it_was(stack: Stack) -> None:
    name = "chat-1a2b3c4d.support-v7.0a1b2c3d"
    engine = await stack.engine(
        reply({}), reply({"error": {}}, 400), reply({}, 500, {"content-type": "text/x"})
    )
    await stack.start(configuration(service("chat", variant(name, engine))))
    for status in (200, 400, 500):
        answer = await stack.chat()
        assert answer.status == status
        assert answer.field("x-pointsman-revision") == "chat-1a2b3c4d"
        assert answer.field("x-pointsman-prompt") == "support-v7"
    assert (await stack.ask(post("/v1/chat/completions", {"model": "x"}))).field(
        "x-pointsman-revision"
    ) is None


async def test_a_stream_that_begins_before_its_engine_answers_tells_it_too(stack: Stack) -> None:
    async def late(turn: Turn) -> None:
        await asyncio.sleep(0.3)
        await turn.write(SSE_HEAD + chunk(event(b"[DONE]")) + b"0\r\n\r\n")

    engine = await stack.engine(always=late)
    await stack.start(configuration(service("chat", variant("chat-1", engine)), commentSeconds=0.05))
    answer = await stack.chat(stream=True)
    assert b": waiting" in answer.body
    assert answer.field("x-pointsman-revision") == "chat-1"
