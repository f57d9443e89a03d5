"""What the admin port tells: signals, phases, probes, health and metrics."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pointsman_router.engines.endpoints import Endpoint, Slice
from pointsman_router.telling import probe, signals
from tests.router.engine import FakeEngine, Turn, hang, raw, reply
from tests.router.stack import CHAT, Stack, configuration, eventually, get, post, service, variant

LOADING = {
    "phase": "Loading",
    "since": 1,
    "bytesLoaded": 5,
    "bytesTotal": 10,
    "timings": {"preflight": 0.5},
    "inFlight": 0,
    "reason": "",
    "message": "",
}


@pytest.fixture(autouse=True)
def quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_UNREADY_SECONDS", 0.05)
    monkeypatch.setattr(signals, "_READY_SECONDS", 0.4)
    monkeypatch.setattr(signals, "_ROUND_SECONDS", 0.01)
    monkeypatch.setattr(signals, "_TIMEOUT_SECONDS", 0.2)


@asynccontextmanager
async def polling(stack: Stack, port: FakeEngine, ready: bool = False) -> AsyncIterator[None]:
    """A router whose one engine has its status on `port`."""
    document = service("chat")
    upstream = {"service": "chat-engines", "podPrefix": "chat-", "statusPort": port.port}
    document["variants"] = [{"name": "r1", "upstream": upstream}]
    await stack.start(configuration(document))
    endpoint = Endpoint("127.0.0.1", "chat-r1-abc", ready)
    stack.router.state.replace_slices({"s": Slice("chat-engines", (endpoint,))})
    task = asyncio.ensure_future(signals.Poller(stack.router).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _engine(stack: Stack) -> dict[str, Any]:
    answer = await stack.admin("GET", "/signals")
    engine: dict[str, Any] = answer.document["services"]["chat"]["variants"]["r1"]["engines"][0]
    return engine


async def test_an_engine_that_is_not_ready_tells_how_far_it_is(stack: Stack) -> None:
    status = await stack.engine(always=reply(LOADING))
    async with polling(stack, status):
        await eventually(lambda: len(status.requests) >= 2)
        assert status.requests[0].path == "/status"
        assert await _engine(stack) == {
            "pod": "chat-r1-abc",
            "address": "127.0.0.1:8000",
            "ready": False,
            "ejected": False,
            "inFlight": 0,
            "phase": "Loading",
            "bytesLoaded": 5,
            "bytesTotal": 10,
            "timings": {"preflight": 0.5},
            "reason": "",
            "message": "",
        }


async def test_a_failed_engine_tells_why(stack: Stack) -> None:
    failed = {"phase": "Failed", "reason": "OutOfMemory", "message": "needs 20 GiB, has 16"}
    status = await stack.engine(always=reply(failed, 503))
    async with polling(stack, status):
        await eventually(lambda: status.requests)
        await asyncio.sleep(0.05)
        engine = await _engine(stack)
        assert (engine["phase"], engine["reason"], engine["message"]) == tuple(failed.values())


async def test_a_ready_engine_is_asked_less_often(stack: Stack) -> None:
    status = await stack.engine(always=reply({"phase": "Ready"}))
    async with polling(stack, status, ready=True):
        await asyncio.sleep(0.3)
        assert len(status.requests) == 1
        await eventually(lambda: len(status.requests) == 2)


async def test_a_phase_is_forgotten_once_nothing_answers(stack: Stack) -> None:
    status = await stack.engine(reply(LOADING), always=hang)
    async with polling(stack, status):
        await eventually(lambda: stack.router.state.table.services["chat"].variants[0].engines[0].phase.phase)
        await eventually(lambda: len(status.requests) == 2)
        assert (await _engine(stack))["phase"] == "Loading", "one silence says nothing"
        engine = stack.router.state.table.services["chat"].variants[0].engines[0]
        await eventually(lambda: engine.phase.missed >= 2)
        assert (await _engine(stack))["phase"] == ""


@pytest.mark.parametrize("body", [b"[]", b"nonsense", b'{"phase": 7, "bytesLoaded": "x", "timings": []}'])
async def test_a_status_that_makes_no_sense_is_no_phase(stack: Stack, body: bytes) -> None:
    status = await stack.engine(
        always=raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    )
    async with polling(stack, status):
        await eventually(lambda: len(status.requests) >= 2)
        assert (await _engine(stack))["phase"] == ""


async def test_signals_tell_what_runs_and_what_happened(stack: Stack) -> None:
    good = await stack.engine()
    bad = await stack.engine(always=reply({"error": {}}, 500))
    variants = (variant("r1", good, weight=50), variant("r2", bad, weight=50))
    await stack.start(configuration(service("chat", *variants), service("other")))
    for _ in range(20):
        await stack.ask(CHAT)
    document = (await stack.admin("GET", "/signals")).document
    table = stack.router.state.table
    assert (document["config"], document["configError"]) == (table.hash, "")
    assert document["services"]["other"] == {
        "hash": table.services["other"].hash,
        "cut": 0,
        "leaving": 0,
        "variants": {},
    }
    chat = document["services"]["chat"]
    assert chat["hash"] == table.services["chat"].hash
    r1, r2 = chat["variants"]["r1"], chat["variants"]["r2"]
    assert (r1["endpoints"], r1["ready"], r1["inFlight"]) == (1, 1, 0)
    assert (r1["requests"], r1["errors"]) == (len(good.requests), 0)
    assert (r2["requests"], r2["errors"]) == (len(bad.requests), len(bad.requests))
    assert r1["requests"] + r2["requests"] == 20


async def test_signals_tell_what_is_in_flight_and_a_refused_configuration(stack: Stack) -> None:
    engine = await stack.engine(always=hang)
    await stack.start()
    client = await stack.client()
    await client.send(CHAT)
    await eventually(lambda: engine.requests)
    stack.router.state.apply_config({"name": "x", "format": 9})
    document = (await stack.admin("GET", "/signals")).document
    assert document["services"]["chat"]["variants"]["stable"]["inFlight"] == 1
    assert "format: 9" in document["configError"]
    assert document["config"] == stack.router.state.table.hash


def only(kind: str) -> Any:
    """An engine that does one kind only, and says of others what vLLM says."""
    answers = {
        "chat": ("/v1/chat/completions", {"choices": [{"message": {"content": "p"}}]}),
        "completion": ("/v1/completions", {"choices": [{"text": "p"}]}),
        "embedding": ("/v1/embeddings", {"data": [{"embedding": [0.1]}]}),
        "score": ("/v1/score", {"data": [{"score": 0.5}]}),
        "rerank": ("/v1/rerank", {"results": [{"index": 0}]}),
        "transcription": ("/v1/audio/transcriptions", {"text": ""}),
    }

    async def script(turn: Turn) -> None:
        path, document = answers[kind]
        if turn.request.path == path:
            await reply(document)(turn)
        elif turn.request.path == "/v1/completions":
            await reply({"error": {"message": "no completions", "code": 400}}, 400)(turn)
        else:
            await reply({"detail": "Not Found"}, 404)(turn)

    return script


@pytest.mark.parametrize("kind", [kind.name for kind in probe.KINDS])
async def test_a_probe_finds_out_what_an_engine_does_and_remembers_it(stack: Stack, kind: str) -> None:
    engine = await stack.engine(always=only(kind))
    await stack.start(
        configuration(service("s", variant("r1", engine), names=["alias"], engine_model="m", generation=7))
    )
    answer = await stack.admin("POST", "/probe/s")
    assert answer.status == 200
    document = answer.document
    assert 0 <= document.pop("seconds") < 5
    assert document == {
        "ok": True,
        "service": "s",
        "generation": 7,
        "hash": stack.router.state.table.services["s"].hash,
        "variant": "r1",
        "kind": kind,
    }
    asked = len(engine.requests)
    assert (await stack.admin("POST", "/probe/s")).status == 200
    assert len(engine.requests) == asked + 1, "what worked comes first the next time"
    assert b"m" in engine.requests[-1].body
    assert b"alias" not in engine.requests[-1].body, "it went through the router's own stages"


async def test_a_chat_probe_asks_for_one_token(stack: Stack) -> None:
    engine = await stack.engine(always=only("chat"))
    await stack.start()
    await stack.admin("POST", "/probe/chat")
    assert engine.requests[0].document["max_tokens"] == 1
    assert (engine.requests[0].field("x-request-id") or "").startswith("probe-")


async def test_probes_are_neither_counted_nor_logged(stack: Stack) -> None:
    await stack.engine(always=only("chat"))
    await stack.start()
    await stack.admin("POST", "/probe/chat")
    stats = stack.router.state.table.services["chat"].variants[0].stats
    assert (stats.requests, stats.in_flight) == (0, 0)
    assert stack.entries() == []


@pytest.mark.parametrize(
    ("script", "reason", "message"),
    [
        (reply({"error": {"message": "dead", "code": 500}}, 500), "EngineError", "500: dead"),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"), "EngineError", "200: {}"),
        (raw(b"nonsense\r\n\r\n"), "EngineError", "502: Engine failure"),
        (reply({"error": {"message": "key?", "code": 401}}, 401), "EngineError", "401: key?"),
        (
            reply({"error": {"message": "no such model", "code": 404}}, 404),
            "EngineError",
            "chat: 404: no such model",
        ),
    ],
    ids=["500", "no choices", "garbage", "401", "nothing at all"],
)
async def test_a_probe_that_proves_nothing_says_why(
    stack: Stack, script: Any, reason: str, message: str
) -> None:
    await stack.engine(always=script)
    await stack.start()
    answer = await stack.admin("POST", "/probe/chat")
    assert answer.status == 503
    document = answer.document
    assert (document["ok"], document["reason"]) == (False, reason)
    assert message in document["message"]
    assert document["generation"] == 1
    assert document["hash"] == stack.router.state.table.services["chat"].hash


async def test_a_probe_without_engines_says_so(stack: Stack) -> None:
    await stack.start(
        configuration(service("chat", variant("r1")), service("dead", variant("r1", "127.0.0.1:1")))
    )
    assert (await stack.admin("POST", "/probe/chat")).document["reason"] == "NoReadyEndpoint"
    assert (await stack.admin("POST", "/probe/dead")).document["reason"] == "EngineUnreachable"
    answer = await stack.admin("POST", "/probe/nobody")
    assert (answer.status, answer.document["reason"]) == (404, "UnknownService")
    answer = await stack.admin("POST", "/probe/chat?variant=r9")
    assert (answer.status, answer.document["reason"]) == (404, "UnknownVariant")


async def test_a_probe_reaches_a_variant_without_weight_when_it_is_named(stack: Stack) -> None:
    stable, candidate = await stack.engine(always=only("chat")), await stack.engine(always=only("embedding"))
    variants = (variant("stable", stable), variant("candidate", candidate, weight=0))
    await stack.start(configuration(service("chat", *variants)))
    for name, kind in (("stable", "chat"), ("candidate", "embedding")):
        answer = await stack.admin("POST", f"/probe/chat?variant={name}")
        assert (answer.document["variant"], answer.document["kind"]) == (name, kind)


async def test_a_named_variant_without_engines_is_not_answered_for_by_another(stack: Stack) -> None:
    stable = await stack.engine(always=only("chat"))
    variants = (variant("stable", stable), variant("candidate", weight=0))
    await stack.start(configuration(service("chat", *variants)))
    answer = await stack.admin("POST", "/probe/chat?variant=candidate")
    assert (answer.status, answer.document["reason"]) == (503, "NoReadyEndpoint")


async def test_a_probe_nobody_waits_for_is_given_up(stack: Stack) -> None:
    engine = await stack.engine(always=hang)
    await stack.start()
    _, writer = await asyncio.open_connection("127.0.0.1", stack.admin_port)
    writer.write(b"POST /probe/chat HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    await eventually(lambda: engine.requests)
    writer.transport.abort()
    await eventually(lambda: engine.left == 1)


async def test_a_probe_has_its_time(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "TIMEOUT_SECONDS", 0.1)
    engine = await stack.engine(always=hang)
    await stack.start()
    answer = await stack.admin("POST", "/probe/chat")
    assert (answer.status, answer.document["reason"]) == (503, "Timeout")
    await eventually(lambda: engine.left == 1)


async def test_readiness_follows_configuration_and_draining(stack: Stack) -> None:
    await stack.start()
    assert (await stack.admin("GET", "/readyz")).status == 200
    stack.router.draining = True
    answer = await stack.admin("GET", "/readyz")
    assert (answer.status, answer.body) == (503, b"draining\n")
    assert (await stack.admin("GET", "/healthz")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/probe/chat", 405),
        ("POST", "/signals", 405),
        ("POST", "/probe/", 405),
        ("DELETE", "/metrics", 405),
    ],
)
async def test_the_admin_port_answers_nothing_else(stack: Stack, method: str, path: str, status: int) -> None:
    await stack.start()
    assert (await stack.admin(method, path)).status == status


async def test_the_admin_port_is_as_strict_about_http(stack: Stack) -> None:
    await stack.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", stack.admin_port)
    writer.write(b"GET /signals HTTP/1.1\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
    writer.transport.abort()


async def test_nothing_of_the_admin_port_is_on_the_public_one(stack: Stack) -> None:
    await stack.start()
    for path in ("/healthz", "/readyz", "/metrics", "/signals"):
        assert (await stack.ask(get(path))).status == 404
    assert (await stack.ask(post("/probe/chat", {"model": "chat"}))).status == 404
