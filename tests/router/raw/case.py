"""One case of the raw suite, and the one way they're all run.

A case says what a client writes, and then everything that follows from it: what the client is told, what
the engine gets (byte by byte what's forwarded, or nothing), and what becomes of the connection. The runner
checks all of that for each case, sent at once and in pieces, and that the next request on that connection
(where there may be one) and on another one is answered as if nothing had happened.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.router.engine import FakeEngine, Received
from tests.router.stack import Answer, RawClient, Stack, configuration, eventually, service, tagged, variant

PATH = "/v1/chat/completions"
LINE = b"POST /v1/chat/completions HTTP/1.1\r\n"
BODY = b'{"model":"chat"}'
LENGTH = b"Content-Length: 16\r\n"
HOST = b"Host: api.example\r\n"
MODELS = b"GET /v1/models HTTP/1.1\r\n"
SMUGGLED = b'POST /v1/completions HTTP/1.1\r\nHost: evil\r\nContent-Length: 16\r\n\r\n{"model":"chat"}'
NEXT = b'{"model":"chat","n":"next"}'
OTHER = b'{"model":"chat","n":"other"}'


@dataclass(frozen=True)
class Told:
    """An answer as the client gets it."""

    status: int
    code: str | None = None
    """The error's code; None where it's no error."""
    fields: Mapping[str, str | None] = field(default_factory=dict)
    """Fields it has with these values, or (None) hasn't."""
    body: bytes | None = None
    """None: whatever the engine or the router says."""
    to_head: bool = False


@dataclass(frozen=True)
class Got:
    """A request as the engine gets it, beside host, id and length, which the runner knows."""

    fields: Sequence[tuple[str, str]] = ()
    """In their order; names in lower case."""
    body: bytes = BODY
    path: str = PATH
    id: str = ""
    """The request's id, where the client gave one."""


@dataclass(frozen=True)
class Case:
    """Named as a manual would."""

    name: str
    sent: bytes | tuple[bytes | float, ...]
    """Pieces and, in seconds, pauses."""
    told: Sequence[Told]
    got: Sequence[Got] = ()
    goes_on: bool = True
    """Whether the connection carries another request."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)
    """Further top-level members of the configuration."""
    hits: str = ""
    """The setting that is counted as hit."""
    logged: str = "127.0.0.1"
    """The client's address in the access log."""
    whole_only: bool = False
    """Whether it has no meaning in pieces."""


def refused(name: str, sent: bytes, status: int = 400, code: str = "bad_request", **more: Any) -> Case:
    """Framing can't be trusted: one error, and the connection ends."""
    return Case(name, sent, (Told(status, code),), goes_on=False, **more)


def answered(name: str, sent: bytes, status: int, code: str | None, **more: Any) -> Case:
    """Answered by the router itself; the connection goes on."""
    return Case(name, sent, (Told(status, code),), **more)


def passed(name: str, sent: bytes, *fields: tuple[str, str], **more: Any) -> Case:
    """Reaches the engine with exactly these fields of its own."""
    known = {key: more.pop(key) for key in ("body", "path", "id") if key in more}
    return Case(name, sent, (Told(200),), (Got(fields, **known),), **more)


def post(*fields: bytes, line: bytes = LINE, host: bytes = HOST, body: bytes = BODY) -> bytes:
    """A request with a right length and these further fields."""
    length = b"Content-Length: %d\r\n" % len(body)
    return line + host + b"".join(one + b"\r\n" for one in fields) + length + b"\r\n" + body


def bare(*fields: bytes, line: bytes = LINE, host: bytes = HOST, body: bytes = b"") -> bytes:
    """A request with these fields and no length but what they say."""
    return line + host + b"".join(one + b"\r\n" for one in fields) + b"\r\n" + body


async def check(case: Case, stack: Stack) -> None:
    """Runs a case and checks everything it says."""
    engine = await stack.engine()
    document = configuration(service("chat", variant("v", engine)), **case.settings)
    await stack.start(document | dict(case.document))
    other = await stack.client()
    for rounds in _manners(case):
        engine.requests.clear()
        client = await stack.client()
        expected: list[tuple[Got, str]] = []
        for pieces in rounds:
            sending = asyncio.ensure_future(_send(client, pieces))
            ids = [await _answer(client, told, case, last) for told, last in _with_last(case.told)]
            await sending
            forwarded = [given for given, told in zip(ids, case.told, strict=True) if told.status == 200]
            expected += zip(case.got, forwarded[: len(case.got)], strict=True)
        if case.goes_on:
            next_id = _told_well(await client.ask(post(body=NEXT)))
            expected.append((Got(body=NEXT), next_id))
        else:
            await _is_over(client)
        expected.append((Got(body=OTHER), _told_well(await other.ask(post(body=OTHER)))))
        _engine_got(engine, expected)
    await eventually(lambda: not stack.router.buffered_bytes)
    _counted(case, stack)


def _manners(case: Case) -> list[list[Sequence[bytes | float]]]:
    """At once, with another request behind it where none may follow; in pieces that end where nobody would
    expect it; and three times in a row, since a connection's head is recognised when it comes again."""
    sent = case.sent
    if not isinstance(sent, bytes):
        return [[sent]]
    behind = sent if case.goes_on or case.whole_only else sent + SMUGGLED
    if case.whole_only or len(sent) > 4096:
        return [[(behind,)]]
    step = max(1, len(sent) // 12)
    pieces = [sent[at : at + step] for at in range(0, len(sent), step)]
    manners: list[list[Sequence[bytes | float]]] = [[(behind,)], [pieces]]
    if case.goes_on:
        manners.append([(sent,)] * 3)
    return manners


async def _send(client: RawClient, pieces: Sequence[bytes | float]) -> None:
    try:
        for piece in pieces:
            if isinstance(piece, bytes):
                await client.send(piece)
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(piece)
    except OSError:
        pass  # refused before it was all said


def _with_last(told: Sequence[Told]) -> list[tuple[Told, bool]]:
    return [(one, at == len(told) - 1) for at, one in enumerate(told)]


async def _answer(client: RawClient, told: Told, case: Case, last: bool) -> str:
    """Reads and checks one answer; gives back its request's id."""
    answer = await client.answer(to_head=told.to_head)
    code = answer.error.get("code") if answer.status >= 400 and not told.to_head else None
    assert (answer.status, code) == (told.status, told.code), answer
    if answer.status < 200:
        return ""
    assert answer.field("connection") == ("close" if last and not case.goes_on else None)
    for name, value in told.fields.items():
        assert answer.field(name) == value, answer.fields
    if told.code is not None:
        kind = (
            "server_error"
            if told.status >= 500 and told.status not in (501, 505)
            else "invalid_request_error"
        )
        assert answer.error["type"] == kind
        assert answer.field("content-type") == "application/json"
    if told.body is not None:
        assert answer.body == told.body
    made = answer.field("x-request-id")
    assert made
    return made


def _told_well(answer: Answer) -> str:
    assert answer.status == 200, answer
    assert answer.document == {"object": "chat.completion"}
    return answer.field("x-request-id") or ""


async def _is_over(client: RawClient) -> None:
    """Nothing more comes, whatever else is asked."""
    try:
        await client.send(SMUGGLED)
    except OSError:
        return
    assert await client.closed()


def _engine_got(engine: FakeEngine, expected: Sequence[tuple[Got, str]]) -> None:
    """Exactly these requests, byte by byte, and in their order."""
    assert [_shown(one) for one in engine.requests] == [
        (
            f"POST {got.path} HTTP/1.1",
            [
                ("host", engine.address),
                *got.fields,
                ("content-length", str(len(got.body))),
                ("x-request-id", tagged(got.id or told_id, variant="v")),
            ],
            got.body,
        )
        for got, told_id in expected
    ]


def _shown(received: Received) -> tuple[str, list[tuple[str, str]], bytes]:
    return received.line, received.fields, received.body


def _counted(case: Case, stack: Stack) -> None:
    hit = stack.router.stats.limits_hit
    assert set(hit) == ({case.hits} if case.hits else set())
    logged = {entry["client"] for entry in stack.entries() if entry["bytesIn"] not in (len(OTHER), len(NEXT))}
    assert logged in (set(), {case.logged}), logged


def document(**fields: Any) -> bytes:
    """A JSON body."""
    return json.dumps({"model": "chat", **fields}).encode()
