"""A misbehaving engine as a case: what it does, what the client sees of it, what counts it.

The runner asks the rest of every case alike: nothing is left of it in the pool, and the next requests, on the
same client connection and on another, are answered rightly.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from pointsman_router.engines.engine import Engine
from tests.router.engines.rough import RIGHT, RoughEngine, Script
from tests.router.stack import CHAT, STREAM, RawClient, Stack, configuration, eventually, service, variant

QUICK = {"firstByteSeconds": 0.25, "idleStreamSeconds": 0.25, "connectSeconds": 0.25, "maxAttempts": 2}
"""Times that no case but a hanging one comes near."""


@dataclass(frozen=True)
class Seen:
    """What the client gets and what is counted."""

    status: int
    code: str = ""
    """Of the error, in the body or in the last event; empty where the engine's own answer passes."""
    body: bytes = b""
    """Of the engine's answer, as far as it passes; before the error event or the cut."""
    cut: bool = False
    """Whether the answer's end is missing, for the client to see."""
    counted: int = 0
    """Code in the metric, where it isn't the status."""
    reason: str = ""
    """Of `engine_failures_total`; empty: none is counted."""
    failures: int = 1
    retried: str = ""
    limit: str = ""
    """Of `limits_hit_total`."""


@dataclass(frozen=True)
class Case:
    """One engine. `seen`: one view, or several where a race decides between them."""

    name: str
    script: Script
    seen: tuple[Seen, ...]
    request: bytes = CHAT
    kept: bool = False
    """Whether its connection is used again."""
    listening: bool = True
    settings: Mapping[str, float] = field(default_factory=dict)


def broken(words: str, script: Script, limit: str = "", **rest: object) -> Case:
    """An answer that can't be believed from its head on: 502, and nothing of it passes."""
    reason = str(rest.pop("reason", "excess" if limit else "malformed"))
    seen = Seen(502, "engine_failed", reason=reason, limit=limit)
    return Case(words, script, (seen,), **rest)  # type: ignore[arg-type]


def silent(words: str, script: Script, **rest: object) -> Case:
    """An engine that doesn't begin its answer in time: 504."""
    seen = Seen(504, "engine_timeout", reason="timeout", limit="firstByteSeconds")
    return Case(words, script, (seen,), **rest)  # type: ignore[arg-type]


def cut(words: str, script: Script, body: bytes, reason: str, **more: object) -> Case:
    """An answer that breaks in its body: cut, so that nobody takes it for whole."""
    counted = 504 if reason == "timeout" else 502
    return Case(words, script, (Seen(200, body=body, cut=True, counted=counted, reason=reason, **more),))  # type: ignore[arg-type]


def ends(words: str, script: Script, body: bytes, reason: str, limit: str = "") -> Case:
    """A stream that breaks: what was whole of it passes, then an error event and a proper end."""
    slow = reason == "timeout"
    code, counted = ("engine_timeout", 504) if slow else ("engine_failed", 502)
    seen = Seen(200, code, body, counted=counted, reason=reason, limit=limit)
    return Case(words, script, (seen,), STREAM)


def passes(
    words: str, script: Script, body: bytes, *, status: int = 200, kept: bool, reason: str = ""
) -> Case:
    """An answer that reaches the client as it is."""
    return Case(words, script, (Seen(status, body=body, reason=reason),), kept=kept)


async def run(case: Case, stack: Stack) -> None:
    """Plays a case."""
    rough = RoughEngine(case.script)
    await rough.start()
    if not case.listening:
        await rough.stop()
    try:
        await stack.start(
            configuration(service("chat", variant("v", rough.address)), **{**QUICK, **case.settings})
        )
        client = await stack.client()
        await client.send(case.request)
        seen = await _view(client, case)
        await _counted(stack, seen)
        engine = stack.router.state.table.services["chat"].variants[0].engines[0]
        await _clean(engine, rough, case.kept)
        await _next_is_right(stack, client, rough, seen)
        await _clean(engine, rough, True)
    finally:
        await rough.stop()


async def _view(client: RawClient, case: Case) -> Seen:
    """Reads the answer and finds the view it is."""
    answer = await client.head()
    seen = next((view for view in case.seen if view.status == answer.status), None)
    assert seen is not None, f"the client got {answer.status}"
    body, whole = await _body(client, answer.field("content-length"), answer.field("transfer-encoding"))
    assert whole is not seen.cut, "it should be cut" if seen.cut else "it should be whole"
    if seen.code:
        assert body.startswith(seen.body)
        error = body[len(seen.body) :]
        if seen.status == 200:
            assert error.startswith(b"data: ")
            assert error.endswith(b"\n\n")
            assert error.count(b"\n\n") == 1
            error = error.removeprefix(b"data: ")
        assert json.loads(error)["error"]["code"] == seen.code
    else:
        assert body == seen.body
    return seen


async def _body(client: RawClient, length: str | None, transfer: str | None) -> tuple[bytes, bool]:
    """The body, and whether it's whole."""
    body = b""
    try:
        if transfer == "chunked":
            while data := await client.chunk():
                body += data
            await asyncio.wait_for(client.reader.readexactly(0), 5)
        else:
            body = await asyncio.wait_for(client.reader.readexactly(int(length or 0)), 5)
    except asyncio.IncompleteReadError as error:
        return body + (b"" if transfer else error.partial), False
    except ConnectionError:
        return body, False
    return body, True


async def _counted(stack: Stack, seen: Seen) -> None:
    code = str(seen.counted or seen.status)
    where = {"service": "chat", "variant": "v"}
    await eventually(lambda: stack.metric("requests_total", **where, code=code) == 1)
    stats = stack.router.state.table.services["chat"].variants[0].stats
    assert stats.failures == ({seen.reason: seen.failures} if seen.reason else {})
    assert stats.retries == ({seen.retried: seen.failures - 1} if seen.retried else {})
    assert stats.in_flight == 0
    if seen.limit:
        assert stack.metric("limits_hit_total", limit=seen.limit) >= 1
    if seen.reason:
        metric = stack.metric("engine_failures_total", **where, reason=seen.reason)
        assert metric == seen.failures


async def _clean(engine: Engine, rough: RoughEngine, kept: bool) -> None:
    """Nothing is left of the case: no connection but one that may be used again, nothing in flight."""
    await eventually(lambda: engine.pool.open == len(engine.pool.idle) == rough.open == kept)
    assert engine.in_flight == 0


async def _next_is_right(stack: Stack, client: RawClient, rough: RoughEngine, seen: Seen) -> None:
    """The engine came to its senses: so do its answers."""
    rough.sane = True
    if rough._server is None:
        await rough.start()
    if not seen.cut:
        again = await client.ask(CHAT)
        assert (again.status, again.body) == (200, RIGHT), "the next request on the same connection"
    other = await stack.ask(CHAT)
    assert (other.status, other.body) == (200, RIGHT), "the next request on another connection"
