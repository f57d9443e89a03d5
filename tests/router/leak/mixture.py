"""The mixture of requests that the leak test sends: right and wrong ones, clients and engines that go away.

Each kind says what its client sends and how it goes on. The engine reads what it should do from the body.
"""

import asyncio
import struct
from dataclasses import dataclass
from typing import cast

from tests.router.stack import RawClient, get, post

CHAT = "/v1/chat/completions"


def _chat(**fields: object) -> bytes:
    return post(CHAT, {"model": "chat", "messages": [{"role": "user", "content": "x" * 600}], **fields})


@dataclass(frozen=True)
class Kind:
    """One kind of request. `share`: how often it comes, relative to the others."""

    name: str
    share: int
    sent: bytes
    statuses: tuple[int, ...] = (200,)
    """What its client may be told."""
    leaves: bool = False
    """The client goes away without reading the answer's end; the connection is reset."""
    closes: bool = False
    """The router ends the connection after the answer."""
    cut: bool = False
    """The answer ends before it's complete, and the client can see that."""
    answers: int = 1


KINDS = (
    Kind("a chat", 30, _chat()),
    Kind("a stream", 15, _chat(stream=True)),
    Kind("an alias", 10, post(CHAT, {"model": "alias", "messages": []})),
    Kind("five at once", 4, _chat() * 5, answers=5),
    Kind("a list of models", 5, get("/v1/models")),
    Kind("an unknown model", 5, post(CHAT, {"model": "no", "messages": []}), (404,)),
    Kind("an unknown route", 3, get("/metrics"), (404,)),
    Kind("no JSON", 3, post(CHAT, b"{"), (400,)),
    Kind("an engine's error", 3, _chat(user="error"), (500,)),
    Kind("an engine that turns away", 2, _chat(user="busy"), (503,)),
    Kind("an engine that resets", 2, _chat(user="reset"), (502,)),
    Kind("an engine that answers rubbish", 2, _chat(user="rubbish"), (502,)),
    Kind("a stream that breaks", 2, _chat(stream=True, user="break")),
    Kind("an answer that breaks", 2, _chat(user="break"), cut=True),
    Kind("a client that leaves a stream", 4, _chat(stream=True, user="slow"), leaves=True),
    Kind("a client that leaves a wait", 3, _chat(user="never"), leaves=True),
    Kind("half a request", 3, _chat()[:200], leaves=True),
    Kind("smuggling", 2, post(CHAT, {}, "Transfer-Encoding: chunked"), (400,), closes=True),
    Kind("an endless head", 1, b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 20_000, (400, 431), closes=True),
    Kind("nothing at all", 2, b"", leaves=True),
)


async def ask(kind: Kind, client: RawClient) -> bool:
    """Sends one of a kind and checks its answer. Whether the connection can be used again."""
    if kind.leaves:
        return await _leave(kind, client)
    try:
        await client.send(kind.sent)
        for _ in range(kind.answers):
            answer = await client.answer()
            assert answer.status in kind.statuses, (kind.name, answer)
    except (asyncio.IncompleteReadError, ConnectionError):
        assert kind.cut or kind.closes, kind.name
        return False
    assert not kind.cut, kind.name
    return not kind.closes


async def _leave(kind: Kind, client: RawClient) -> bool:
    await client.send(kind.sent)
    if b'"slow"' in kind.sent:
        await client.head()
        await client.chunk()
    sock = client.writer.get_extra_info("socket")
    sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER 0: a reset, as of a client that crashed
    client.close()
    return False


class Engine(asyncio.Protocol):
    """Answers at once, as the request's `user` member asks for."""

    ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    EVENT = b'10\r\ndata: {"a": 1}\n\n\r\n'

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.data = b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, found, body = self.data.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            return
        self.data = b""
        self._answer(body)

    def _answer(self, body: bytes) -> None:
        write = self.transport.write
        if b'"break"' in body:
            write(self.STREAM + self.EVENT if b'"stream"' in body else self.ANSWER[:-1])
            self.transport.close()
        elif b'"slow"' in body:
            write(self.STREAM + self.EVENT)
        elif b'"reset"' in body:
            self.transport.abort()
        elif b'"rubbish"' in body:
            write(b"220 mail.example ESMTP\r\n")
        elif b'"error"' in body or b'"busy"' in body:
            status = b"500 Oops" if b'"error"' in body else b"503 Busy"
            write(self.ANSWER.replace(b"200 OK", status))
        elif b'"stream"' in body:
            write(self.STREAM + self.EVENT * 5 + b"0\r\n\r\n")
        elif b'"never"' not in body:
            write(self.ANSWER)
