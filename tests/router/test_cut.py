"""What an engine's going away cuts: it ends in an error that everybody can read, and is counted."""

import asyncio
from typing import Any

import pytest

from pointsman_router.engines.endpoints import Endpoint, Slice
from tests.router.engine import SSE_HEAD, Script, Turn, chunk, close, event, gated, reply
from tests.router.stack import STREAM, RawClient, Stack, configuration, eventually, post, service

TOKEN = {"choices": [{"delta": {"content": "Hel"}, "finish_reason": None}]}
LAST = event(b'{"choices":[{"delta":{"content":""},"finish_reason":"abort","stop_reason":null}]}')
DONE = event(b"[DONE]")
ABORTED = b'{"choices":[{"message":{"content":"Hel"},"finish_reason":"abort"}]}'


class Serving:
    """A router whose one engine is a pod: called ready, then leaving, then gone."""

    def __init__(self, stack: Stack, port: int, window: bool = False) -> None:
        self.stack = stack
        upstream = {"service": "chat-engines", "port": port}
        self.document = service("chat") | {"variants": [{"name": "chat-1", "upstream": upstream}]}
        if window:
            self.document |= {"analysis": {"window": "chat-1/0"}}

    async def start(self) -> None:
        await self.stack.start(configuration(self.document))
        self.has(Endpoint("127.0.0.1", "chat-1-abc", True))

    def has(self, *endpoints: Endpoint) -> None:
        self.stack.router.state.replace_slices({"s": Slice("chat-engines", endpoints)})

    def leaves(self) -> None:
        self.has(Endpoint("127.0.0.1", "chat-1-abc", False, True))

    def cut(self) -> float:
        return self.stack.metric("cut_requests_total", service="chat", variant="chat-1")


async def serving(stack: Stack, script: Script, window: bool = False) -> Serving:
    engine = await stack.engine(always=script)
    made = Serving(stack, engine.port, window)
    await made.start()
    return made


def stopped_after(gate: asyncio.Event, *pieces: bytes) -> Script:
    """A stream whose first event comes at once, and what is to follow when the gate opens."""

    async def script(turn: Turn) -> None:
        await turn.write(SSE_HEAD + chunk(event(TOKEN)))
        await gate.wait()
        for piece in pieces:
            await turn.write(piece)
            await asyncio.sleep(0.02)

    return script


async def streaming(stack: Stack) -> RawClient:
    client = await stack.client()
    await client.send(STREAM)
    assert (await client.head()).status == 200
    assert await client.chunk() == event(TOKEN)
    return client


async def rest(client: RawClient) -> bytes:
    """What is left of a chunked body, which must end as one."""
    pieces = []
    while data := await client.chunk():
        pieces.append(data)
    return b"".join(pieces)


async def test_a_stream_finishes_while_its_engine_leaves(stack: Stack) -> None:
    gate = asyncio.Event()
    made = await serving(stack, gated(gate))
    client = await stack.client()
    await client.send(STREAM)
    await client.head()
    await client.chunk()
    made.leaves()
    made.has()
    gate.set()
    assert await rest(client) == DONE
    assert made.cut() == 0


ENDINGS: dict[str, tuple[bytes, ...]] = {
    "one event a chunk": (chunk(LAST), chunk(DONE) + b"0\r\n\r\n"),
    "all at once": (chunk(LAST) + chunk(DONE) + b"0\r\n\r\n",),
    "in one chunk": (chunk(LAST + DONE) + b"0\r\n\r\n",),
    "in the middle of an event": (chunk(LAST[:60]), chunk(LAST[60:] + DONE) + b"0\r\n\r\n"),
    "a connection that closes": (),
}


@pytest.mark.parametrize("pieces", ENDINGS.values(), ids=ENDINGS)
async def test_a_stream_that_is_stopped_ends_in_an_error_event(
    stack: Stack, pieces: tuple[bytes, ...]
) -> None:
    gate = asyncio.Event()
    made = await serving(stack, stopped_after(gate, *pieces), window=True)
    client = await streaming(stack)
    made.leaves()
    gate.set()
    if not pieces:
        await asyncio.sleep(0.02)
        await stack.engines[0].stop()
    told = await rest(client)
    assert b"abort" not in told
    assert b"[DONE]" not in told, "nobody may take it for whole"
    assert told.startswith(b'data: {"error":')
    assert told.endswith(b"\n\n")
    assert told.count(b"data: ") == 1
    assert b'"code":"engine_stopped"' in told
    assert made.cut() == 1
    variants = (await stack.admin("GET", "/signals")).document["services"]["chat"]
    assert variants["variants"]["chat-1"]["cut"] == 1
    counts = variants["analysis"]["variants"]["chat-1"]
    assert (counts["requests"], counts["errors"]) == (0, 0), "it says nothing of the variant"
    (entry,) = stack.entries()
    assert (entry["status"], entry["ending"]) == (503, "engine_stopped")


async def test_what_was_whole_before_the_stop_is_passed_on(stack: Stack) -> None:
    gate = asyncio.Event()
    made = await serving(stack, stopped_after(gate, chunk(event(TOKEN) + LAST + DONE) + b"0\r\n\r\n"))
    client = await streaming(stack)
    made.leaves()
    gate.set()
    told = await rest(client)
    assert told.startswith(event(TOKEN) + b'data: {"error":')
    assert made.cut() == 1


async def test_a_stream_of_anthropics_api_ends_in_its_own_error_event(stack: Stack) -> None:
    gate = asyncio.Event()
    delta = b'{"type":"message_delta","delta":{"stop_reason":null,"stop_sequence":null},"usage":{}}'
    last = (
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        b"event: message_delta\n" + event(delta) + b"event: message_stop\n" + event({"type": "message_stop"})
    )
    made = await serving(stack, stopped_after(gate, chunk(last) + b"0\r\n\r\n"))
    client = await stack.client()
    await client.send(post("/v1/messages", {"model": "chat", "messages": [], "stream": True}))
    await client.head()
    assert await client.chunk() == event(TOKEN)
    made.leaves()
    gate.set()
    told = await rest(client)
    before, _, error = told.partition(b"event: error\n")
    assert before == b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
    assert b'"type":"error"' in error
    assert b"message_stop" not in told
    assert made.cut() == 1


async def test_the_connection_of_a_cut_stream_takes_the_next_request(stack: Stack) -> None:
    gate = asyncio.Event()
    made = await serving(stack, stopped_after(gate, chunk(LAST), chunk(DONE) + b"0\r\n\r\n"))
    client = await streaming(stack)
    made.leaves()
    gate.set()
    await rest(client)
    assert (await client.ask(STREAM)).status == 503
    assert made.cut() == 1, "what came too late isn't cut"


def whole(gate: asyncio.Event) -> Script:
    async def script(turn: Turn) -> None:
        await gate.wait()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
            ABORTED
        )
        await turn.write(head + ABORTED)

    return script


async def _leave_while_asking(stack: Stack, made: Serving, gate: asyncio.Event) -> Any:
    asked = asyncio.ensure_future(stack.chat())
    await eventually(lambda: stack.engines[0].requests)
    made.leaves()
    gate.set()
    return await asked


async def test_half_an_answer_that_is_no_stream_is_an_error_response(stack: Stack) -> None:
    gate = asyncio.Event()
    made = await serving(stack, whole(gate))
    answer = await _leave_while_asking(stack, made, gate)
    assert (answer.status, answer.error["code"]) == (503, "engine_stopped")
    assert answer.field("retry-after") == "1", "official clients ask again by themselves"
    assert answer.field("x-pointsman-revision") == "chat-1"
    assert made.cut() == 1


async def test_a_request_that_was_still_waiting_is_cut_too(stack: Stack) -> None:
    gate = asyncio.Event()

    async def gone(turn: Turn) -> None:
        await gate.wait()
        await close(turn)

    made = await serving(stack, gone)
    answer = await _leave_while_asking(stack, made, gate)
    assert (answer.status, answer.error["code"]) == (503, "engine_stopped")
    assert made.cut() == 1
    failures = stack.router.state.table.services["chat"].variants[0].stats.failures
    assert failures == {}, "a pod that goes has done nothing wrong"


async def test_a_pod_that_vanished_without_notice_counts_as_gone(stack: Stack) -> None:
    gate = asyncio.Event()
    made = await serving(stack, stopped_after(gate, chunk(LAST), chunk(DONE) + b"0\r\n\r\n"))
    client = await streaming(stack)
    made.has()
    gate.set()
    assert b"engine_stopped" in await rest(client)
    assert made.cut() == 1


async def test_an_engine_that_breaks_without_going_has_failed(stack: Stack) -> None:
    made = await serving(stack, stopped_after(asyncio.Event()))
    client = await streaming(stack)
    await stack.engines[0].stop()
    assert b"engine_failed" in await rest(client)
    assert made.cut() == 0


async def test_a_text_that_speaks_of_aborting_passes(stack: Stack) -> None:
    gate = asyncio.Event()
    text = event({"choices": [{"delta": {"content": '"finish_reason":"abort"'}}]})
    made = await serving(stack, stopped_after(gate, chunk(text), chunk(DONE) + b"0\r\n\r\n"))
    client = await streaming(stack)
    made.leaves()
    gate.set()
    assert await rest(client) == text + DONE
    assert made.cut() == 0


async def test_probes_that_are_cut_are_not_counted(stack: Stack) -> None:
    gate = asyncio.Event()
    made = await serving(stack, whole(gate))
    asked = asyncio.ensure_future(stack.admin("POST", "/probe/chat"))
    await eventually(lambda: stack.engines[0].requests)
    made.leaves()
    gate.set()
    assert (await asked).status == 503
    assert made.cut() == 0


async def test_many_streams_are_cut_and_each_is_counted(stack: Stack) -> None:
    gate = asyncio.Event()
    made = await serving(stack, stopped_after(gate, chunk(LAST), chunk(DONE) + b"0\r\n\r\n"))
    clients = [await streaming(stack) for _ in range(50)]
    made.leaves()
    gate.set()
    told = await asyncio.gather(*map(rest, clients))
    assert all(b"engine_stopped" in one and one.endswith(b"\n\n") for one in told)
    assert made.cut() == 50


async def test_an_engine_that_comes_back_is_a_new_one(stack: Stack) -> None:
    made = await serving(stack, reply({}))
    made.has()
    made.has(Endpoint("127.0.0.1", "chat-1-def", True))
    assert (await stack.chat()).status == 200
    (engine,) = stack.router.state.table.services["chat"].variants[0].engines
    assert not engine.leaving
