"""What a window measures of a service's variants, through real sockets."""

import asyncio
from typing import Any

import pytest

from pointsman_router import scale
from pointsman_router.config import Analysis
from pointsman_router.engines.endpoints import Endpoint, Slice
from pointsman_router.records.windows import BATCH, Counts, Warmth, Window
from tests.router.engine import SSE_HEAD, Script, Turn, chunk, close, event, events, gated, hang, raw, reply
from tests.router.stack import (
    STREAM,
    Stack,
    configuration,
    eventually,
    post,
    refused_address,
    service,
    variant,
)

USAGE = {"choices": [], "usage": {"prompt_tokens": 7, "total_tokens": 49, "completion_tokens": 42}}
WHOLE = {"object": "chat.completion", "choices": [{"finish_reason": "stop"}], "usage": USAGE["usage"]}


def measured(*variants: dict[str, Any], window: str = "next/0", **analysis: Any) -> dict[str, Any]:
    return configuration(service("chat", *variants) | {"analysis": {"window": window, **analysis}})


async def one_engine(stack: Stack, *scripts: Script, always: Script | None = None, **analysis: Any) -> None:
    engine = await stack.engine(*scripts, always=always)
    await stack.start(measured(variant("next", engine), **analysis))


async def counted(stack: Stack, name: str = "next") -> dict[str, Any]:
    """What /signals tells of a variant."""
    document = (await stack.admin("GET", "/signals")).document
    found: dict[str, Any] = document["services"]["chat"]["analysis"]["variants"][name]
    return found


def middles(histogram: dict[str, int]) -> list[float]:
    return [scale.middle(int(bucket)) for bucket, count in histogram.items() for _ in range(count)]


def slow(first: float, gap: float, count: int, usage: bool = False) -> Script:
    """A stream of that many tokens, one each `gap` seconds."""

    async def script(turn: Turn) -> None:
        await asyncio.sleep(first)
        await turn.write(SSE_HEAD)
        for n in range(count):
            if n:
                await asyncio.sleep(gap)
            await turn.write(chunk(event({"choices": [{"delta": {"content": f"t{n}"}}]})))
        if usage:
            await turn.write(chunk(event(USAGE)))
        await turn.write(chunk(event(b"[DONE]")) + b"0\r\n\r\n")

    return script


async def test_a_stream_is_measured_by_its_first_byte_its_pace_and_its_length(stack: Stack) -> None:
    await one_engine(stack, slow(0.1, 0.05, 5))
    await stack.ask(STREAM)
    found = await counted(stack)
    assert (found["requests"], found["errors"], found["setAside"], found["shadowed"]) == (1, 0, 0, 0)
    (first,) = middles(found["histograms"]["timeToFirstToken"])
    (pace,) = middles(found["histograms"]["timePerOutputToken"])
    (length,) = middles(found["histograms"]["outputLength"])
    assert 0.09 < first < 0.19
    assert 0.045 < pace < 0.1
    assert length == pytest.approx(0.005, rel=0.03), "in thousands of tokens"


async def test_tokens_are_what_usage_says_where_the_answer_has_it(stack: Stack) -> None:
    await one_engine(stack, slow(0, 0, 3, usage=True), reply(WHOLE))
    await stack.ask(STREAM)
    await stack.chat()
    found = (await counted(stack))["histograms"]["outputLength"]
    assert middles(found) == pytest.approx([0.042, 0.042], rel=0.03)


async def test_an_answer_that_is_no_stream_is_measured_as_a_whole(stack: Stack) -> None:
    async def later(turn: Turn) -> None:
        await asyncio.sleep(0.2)
        await reply(WHOLE)(turn)

    await one_engine(stack, later)
    await stack.chat()
    found = (await counted(stack))["histograms"]
    (whole,), (pace,) = middles(found["timeToFirstToken"]), middles(found["timePerOutputToken"])
    assert 0.19 < whole < 0.4
    assert pace == pytest.approx(whole / 42, rel=0.06)


async def test_streams_and_whole_answers_are_told_together_and_whole_ones_apart_too(stack: Stack) -> None:
    await one_engine(stack, *([slow(0, 0.01, 3)] * 2), *([reply(WHOLE)] * 3))
    for _ in range(2):
        await stack.ask(STREAM)
    for _ in range(3):
        await stack.chat()
    found = await counted(stack)
    for metric in ("timeToFirstToken", "timePerOutputToken"):
        everything, whole = found["histograms"][metric], found["whole"][metric]
        assert (sum(everything.values()), sum(whole.values())) == (5, 3)
        assert all(everything[bucket] >= count for bucket, count in whole.items())
    assert set(found["whole"]) == {"timeToFirstToken", "timePerOutputToken"}
    assert sum(found["histograms"]["outputLength"].values()) == 5, "what isn't a time has no kinds"


async def test_an_answer_without_tokens_has_no_pace(stack: Stack) -> None:
    await one_engine(stack, reply({"data": [], "usage": {"prompt_tokens": 3, "total_tokens": 3}}))
    await stack.ask(post("/v1/embeddings", {"model": "chat", "input": "x"}))
    found = await counted(stack)
    assert found["requests"] == sum(found["histograms"]["timeToFirstToken"].values()) == 1
    assert found["histograms"]["timePerOutputToken"] == found["histograms"]["outputLength"] == {}


async def test_what_a_text_says_of_tokens_is_not_believed(stack: Stack) -> None:
    said = {
        "choices": [
            {
                "delta": {
                    "content": 'data: {"error" "completion_tokens": 900, "finish_reason":"content_filter"'
                }
            }
        ]
    }
    await one_engine(stack, events(said, said))
    await stack.ask(STREAM)
    found = await counted(stack)
    assert middles(found["histograms"]["outputLength"]) == pytest.approx([0.002], rel=0.03)
    assert found["blocked"] == 0


BROKEN: dict[str, Script] = {
    "500": reply({"error": {"message": "x"}}, 500),
    "closed": close,
    "malformed": raw(b"nonsense\r\n\r\n"),
    "cut in the middle": events({"n": 1}, end=False),
    "an error in the stream": events({"n": 1}, {"error": {"message": "engine died", "code": 500}}),
    "an error without [DONE]": raw(
        SSE_HEAD + chunk(event({"n": 1})) + chunk(b'event: error\ndata: {"type": "error"}\n\n') + b"0\r\n\r\n"
    ),
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
async def test_what_an_engine_does_wrong_is_an_error_and_has_no_times(stack: Stack, script: Script) -> None:
    await one_engine(stack, script)
    await stack.ask(STREAM)
    found = await counted(stack)
    assert (found["requests"], found["errors"]) == (1, 1)
    assert not any(found["histograms"].values())


async def test_an_engine_that_says_nothing_is_an_error(stack: Stack) -> None:
    engine = await stack.engine(always=hang)
    await stack.start(configuration(measured(variant("next", engine))["services"][0], firstByteSeconds=0.1))
    assert (await stack.chat()).status == 504
    assert (await counted(stack))["errors"] == 1


async def test_an_engine_that_cannot_be_reached_is_an_error(stack: Stack) -> None:
    address = await refused_address()
    document = measured(variant("next", address))["services"][0]
    await stack.start(configuration(document, maxAttempts=1))
    assert (await stack.chat()).status == 503
    found = await counted(stack)
    assert (found["requests"], found["errors"]) == (1, 1)


async def test_a_clients_mistake_is_no_error_and_has_no_times(stack: Stack) -> None:
    await one_engine(stack, reply({"error": {"message": "too long"}}, 400))
    await stack.chat()
    found = await counted(stack)
    assert (found["requests"], found["errors"]) == (1, 0)
    assert not any(found["histograms"].values())


async def test_a_client_that_leaves_is_neither_an_error_nor_an_answer(stack: Stack) -> None:
    gate = asyncio.Event()
    await one_engine(stack, gated(gate))
    client = await stack.client()
    await client.send(STREAM)
    await client.head()
    client.close()
    await eventually(lambda: stack.engines[0].left or not stack.router.in_flight)
    found = await counted(stack)
    assert (found["requests"], found["errors"]) == (0, 0)


async def test_what_reached_no_engine_does_not_count(stack: Stack) -> None:
    await stack.start(measured(variant("next")))
    assert (await stack.chat()).status == 503
    assert (await counted(stack))["requests"] == 0


async def test_a_full_queue_says_nothing_of_an_engine(stack: Stack) -> None:
    engine = await stack.engine(always=hang)
    document = measured(variant("next", engine))["services"][0]
    await stack.start(configuration(document, maxRequests=1, maxQueued=0))
    client = await stack.client()
    await client.send(STREAM)
    await eventually(lambda: engine.requests)
    assert (await stack.chat()).status == 503
    assert (await counted(stack))["requests"] == 0


async def test_an_answer_that_a_filter_ended_is_blocked(stack: Stack) -> None:
    blocked = {"choices": [{"delta": {}, "finish_reason": "content_filter"}]}
    await one_engine(stack, events({"n": 1}, blocked), reply(WHOLE))
    await stack.ask(STREAM)
    await stack.chat()
    assert (await counted(stack))["blocked"] == 1


async def test_a_probe_is_not_measured(stack: Stack) -> None:
    await one_engine(stack, always=reply(WHOLE))
    assert (await stack.admin("POST", "/probe/chat")).status == 200
    assert (await counted(stack))["requests"] == 0


async def test_a_stream_passes_through_a_window_as_it_came(stack: Stack) -> None:
    documents = [{"choices": [{"delta": {"content": "x" * n}}]} for n in range(40)]
    engine = await stack.engine(always=events(*documents))
    await stack.start(measured(variant("next", engine)))
    answer = await stack.ask(STREAM)
    assert answer.body == b"".join(event(document) for document in (*documents, b"[DONE]"))


# Windows that come and go.


async def test_without_a_window_nothing_is_told(stack: Stack) -> None:
    await stack.engine()
    await stack.start()
    await stack.chat()
    assert "analysis" not in (await stack.admin("GET", "/signals")).document["services"]["chat"]
    assert stack.router.state.table.services["chat"].variants[0].measure is None


async def test_a_window_goes_on_while_endpoints_change_and_another_begins_at_zero(stack: Stack) -> None:
    engine = await stack.engine(always=reply(WHOLE))
    await stack.start(measured(variant("next", engine)))
    await stack.chat()
    stack.router.state.replace_slices({"other": Slice("else", (Endpoint("10.0.0.1", "x", True),))})
    await stack.chat()
    assert (await counted(stack))["requests"] == 2
    assert stack.router.state.apply_config(measured(variant("next", engine), window="next/1"))
    assert (await counted(stack))["requests"] == 0
    assert stack.router.state.apply_config(configuration(service("chat", variant("next", engine))))
    assert stack.router.state.apply_config(measured(variant("next", engine), window="next/1"))
    assert (await counted(stack))["requests"] == 0


async def test_a_request_counts_to_the_window_it_began_in(stack: Stack) -> None:
    gate = asyncio.Event()
    engine = await stack.engine(always=gated(gate))
    await stack.start(measured(variant("next", engine)))
    client = await stack.client()
    await client.send(STREAM)
    await client.head()
    assert stack.router.state.apply_config(measured(variant("next", engine), window="next/1"))
    gate.set()
    while await client.chunk():
        pass
    assert (await counted(stack))["requests"] == 0


async def test_signals_name_the_window_and_every_variant(stack: Stack) -> None:
    engine = await stack.engine()
    await stack.start(measured(variant("stable", engine), variant("next", engine, weight=0)))
    told = (await stack.admin("GET", "/signals")).document["services"]["chat"]["analysis"]
    nothing = Counts().document()
    assert told == {"window": "next/0", "variants": {"stable": nothing, "next": nothing}}
    assert set(nothing) == {
        "requests",
        "errors",
        "blocked",
        "flagged",
        "setAside",
        "shadowed",
        "histograms",
        "whole",
    }


# What is set aside.


async def test_the_first_requests_to_a_new_engine_are_set_aside(stack: Stack) -> None:
    old, new = await stack.engine(always=reply(WHOLE)), await stack.engine(always=reply(WHOLE))
    variants = (variant("stable", old, weight=50), variant("next", new, weight=50))
    await stack.start(measured(*variants, warmUpRequests=3))
    for _ in range(100):
        await stack.chat()
    stable, candidate = await counted(stack, "stable"), await counted(stack, "next")
    assert (stable["requests"], stable["setAside"]) == (50, 0)
    assert (candidate["requests"], candidate["setAside"]) == (50, 3)
    assert sum(candidate["histograms"]["timeToFirstToken"].values()) == 47
    assert sum(candidate["histograms"]["outputLength"].values()) == 50, "a cold cache shortens no answer"


async def test_errors_of_a_new_engine_are_not_set_aside(stack: Stack) -> None:
    await one_engine(stack, always=reply({"error": {}}, 500), warmUpRequests=10)
    for _ in range(3):
        await stack.chat()
    found = await counted(stack)
    assert (found["requests"], found["errors"], found["setAside"]) == (3, 3, 0)


async def test_the_first_seconds_are_set_aside_for_everyone(stack: Stack) -> None:
    engine = await stack.engine(always=reply(WHOLE))
    variants = (variant("stable", engine, weight=50), variant("next", engine, weight=50))
    await stack.start(measured(*variants, warmUpSeconds=0.3))
    for _ in range(4):
        await stack.chat()
    await asyncio.sleep(0.3)
    for _ in range(96):
        await stack.chat()
    both = [await counted(stack, name) for name in ("stable", "next")]
    assert sum(one["setAside"] for one in both) == 4
    assert all(one["setAside"] for one in both)


def test_a_candidates_engines_stay_warm_from_window_to_window() -> None:
    warmth = Warmth("next", [("stable", 1), ("next", 2)])
    assert not warmth.takes(("stable", 1), 2), "it was at work before"
    assert [warmth.takes(("next", 2), 2) for _ in range(4)] == [True, True, False, False]
    assert [warmth.takes(("stable", 3), 1) for _ in range(2)] == [True, False], "it joined later"
    warmth.keep_only({("next", 2)})
    assert not warmth.takes(("next", 2), 2)


async def test_a_pause_between_two_steps_leaves_engines_warm(stack: Stack) -> None:
    engine = await stack.engine(always=reply(WHOLE))
    first, between = (
        measured(variant("next", engine), warmUpRequests=1),
        service("chat", variant("next", engine)),
    )
    await stack.start(first)
    for document in (first, configuration(between), measured(variant("next", engine), window="next/1")):
        assert stack.router.state.apply_config(document)
        await stack.chat()
    last = measured(variant("next", engine), window="next/1", warmUpRequests=1)
    assert stack.router.state.apply_config(last)
    await stack.chat()
    assert (await counted(stack))["setAside"] == 0


async def test_another_candidate_finds_its_engines_cold(stack: Stack) -> None:
    engine = await stack.engine(always=reply(WHOLE))
    variants = variant("stable", engine, weight=50), variant("next", engine, weight=50)
    await stack.start(measured(*variants, warmUpRequests=1))
    await stack.chat()
    other = variant("stable", engine, weight=50), variant("other", engine, weight=50)
    document = measured(*other, window="other/0", warmUpRequests=1)
    assert stack.router.state.apply_config(document)
    for _ in range(100):
        await stack.chat()
    assert (await counted(stack, "other"))["setAside"] == 1
    assert (await counted(stack, "stable"))["setAside"] == 0


def test_a_window_that_is_about_a_variant_and_a_step_measures_each_apart() -> None:
    window = Window(Analysis("next/0"), Warmth("next", []), 0.0)
    window.of("next").answered((b'{"completion_tokens": 10}',), 0, 0.1, 1.0, True, False)
    window.of("next").failed()
    window.of("stable").refused()
    assert (window.variants["next"].requests, window.variants["next"].errors) == (2, 1)
    assert (window.variants["stable"].requests, window.variants["stable"].errors) == (1, 0)
    told = window.document()["variants"]["next"]["histograms"]["timePerOutputToken"]
    assert middles(told) == pytest.approx([0.1], rel=0.03)


def test_answers_are_counted_by_the_batch_or_when_somebody_asks() -> None:
    window = Window(Analysis("next/0"), Warmth("next", []), 0.0)
    measure = window.of("next")
    for _ in range(2 * BATCH + 1):
        measure.answered((b'{"finish_reason": "content_filter"}',), 0, 0.1, 1.0, False, False)
    assert (measure.counts.requests, measure.counts.blocked) == (2 * BATCH + 1, 2 * BATCH)
    assert window.usual(streamed=False) == pytest.approx(1.0, rel=0.03)
    assert measure.counts.blocked == 2 * BATCH + 1
