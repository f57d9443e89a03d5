"""Stands for vLLM behind our real entrypoint, where a scenario sends hundreds of requests a second.

    python engine.py REPORT_FD GO_FD MODEL [OPTION...]

It speaks what the entrypoint and routers expect, and dies as vLLM does: from SIGTERM on new requests get 500
while /health stays 200, what is in flight is cut short, and a second later it's gone. An answer has
`max_tokens` tokens, `token_seconds` (a field of the request) apart. Runs by itself: it imports nothing of
this project.

On demand it does what engines do on bad days, by arguments that vLLM hasn't got: see Script.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOKEN_SECONDS = 0.02
LAST_WORDS_SECONDS = 1.0
SPREAD = 0.5
"""Of the logarithm of the time to a first token: one in a hundred takes more than three times the median."""
OPTION = "--scripted-"
MENDED = Path("/tmp/mended")
SSE = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Script:
    """What the engine is told to do; each field is an argument, `--scripted-says=Paris` for instance."""

    says: str = "la "
    """First token of every answer."""
    error: str = ""
    """Ends with this error instead of serving."""
    hogs: int = 0
    """MiB of memory that it takes before it serves."""
    fills: int = 0
    """MiB that it writes to /tmp before it serves."""
    refuses: str = ""
    """Requests to this path get 500, until there is a file MENDED in the pod."""
    loads: float = 0.0
    """Seconds until it is healthy."""
    first: float = 0.0
    """Seconds until an answer's first token: the median, each answer's own is drawn from a log-normal."""
    fails: float = 0.0
    """Part of the requests that get 500, drawn one by one."""

    @classmethod
    def of(cls, options: list[str]) -> Script:
        """The script among all the options that the engine was given."""
        told = dict(
            option.removeprefix(OPTION).split("=", 1) for option in options if option.startswith(OPTION)
        )
        made = {name: type(getattr(cls(), name))(value) for name, value in told.items()}
        return cls(**made)


@dataclass(slots=True)
class Engine:
    """The whole state of the engine."""

    model: str
    script: Script = Script()
    in_flight: int = 0
    ending: bool = False
    began: float = field(default_factory=time.monotonic)

    @property
    def loading(self) -> bool:
        """Whether it isn't healthy yet."""
        return time.monotonic() - self.began < self.script.loads


async def serve(engine: Engine, port: int) -> None:
    """Serves until SIGTERM, and then until the last words are said."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            stays = True
            while stays:
                line, fields = await read_head(reader)
                body = await reader.readexactly(int(fields.get("content-length") or 0))
                await answer(engine, line, fields, body, writer)
                stays = fields.get("connection", "").lower() != "close"
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has left, which is how every connection ends
        finally:
            writer.close()

    async with await asyncio.start_server(accept, "0.0.0.0", port, backlog=1024):
        await stop.wait()
        engine.ending = True
        await asyncio.sleep(LAST_WORDS_SECONDS)


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    """The request line, and the header fields by their names in lower case."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.split("\r\n")
    return line, {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in fields)}


async def answer(
    engine: Engine, line: str, fields: dict[str, str], body: bytes, writer: asyncio.StreamWriter
) -> None:
    """Answers one request."""
    method, path, _ = line.split(" ")
    if path == "/metrics":
        gauges = (("running", engine.in_flight), ("waiting", 0))
        text = "".join(f'vllm:num_requests_{name}{{engine="0"}} {float(value)}\n' for name, value in gauges)
        writer.write(whole(200, text.encode(), b"text/plain"))
    elif method == "GET":
        writer.write(whole(503 if engine.loading else 200, b"{}"))
    elif path == engine.script.refuses and not MENDED.exists():
        writer.write(whole(500, b'{"error":{"message":"the scripted engine refuses","type":"server_error"}}'))
    elif engine.ending:
        writer.write(whole(500, b'{"error":{"message":"the engine is dead","type":"server_error"}}'))
    elif random.random() < engine.script.fails:
        writer.write(whole(500, b'{"error":{"message":"a bad moment","type":"server_error"}}'))
    else:
        engine.in_flight += 1
        try:
            asked = Asked.of(json.loads(body), fields, chat=path.startswith("/v1/chat/"))
            await complete(engine, asked, writer)
        finally:
            engine.in_flight -= 1
    await writer.drain()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for."""

    id: str
    """The answer's, made of the request's own as vLLM makes it."""
    chat: bool
    streamed: bool
    tokens: int
    token_seconds: float

    @classmethod
    def of(cls, document: dict[str, Any], fields: dict[str, str], *, chat: bool) -> Asked:
        """The request that a body and its header fields make."""
        return cls(
            id=f"{'chatcmpl' if chat else 'cmpl'}-{fields.get('x-request-id', '1')}",
            chat=chat,
            streamed=bool(document.get("stream")),
            tokens=int(document.get("max_tokens") or 16),
            token_seconds=float(document.get("token_seconds") or TOKEN_SECONDS),
        )

    @property
    def about(self) -> dict[str, Any]:
        """The fields that say what a document is, and which pod wrote it."""
        kind = f"chat.completion{'.chunk' if self.streamed else ''}" if self.chat else "text_completion"
        pod = os.environ.get("HOSTNAME", "")
        return {"id": self.id, "object": kind, "created": 1, "system_fingerprint": pod}

    def event(self, choice: dict[str, Any] | None, **fields: Any) -> bytes:
        """One chunk of a chunked body with one event in it."""
        document = {**self.about, "choices": [choice] if choice else [], **fields}
        return chunk(b"data: " + json.dumps(document).encode() + b"\n\n")

    def last_events(self, finish: str, usage: dict[str, int]) -> Iterator[bytes]:
        """What a stream ends with."""
        yield self.event({"index": 0, "delta": {}, "finish_reason": finish})
        yield self.event(None, usage=usage)
        yield chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


async def complete(engine: Engine, asked: Asked, writer: asyncio.StreamWriter) -> None:
    """Answers a completion, of a chat or of a prompt, streamed or whole, token by token."""
    says = engine.script.says
    if asked.streamed:
        writer.write(SSE)
    await asyncio.sleep(engine.script.first * random.lognormvariate(0.0, SPREAD))
    done = 0
    while done < asked.tokens and not engine.ending:
        await asyncio.sleep(asked.token_seconds)
        token = "la " if done else says
        done += 1
        if asked.streamed:
            writer.write(asked.event({"index": 0, "delta": {"content": token}, "finish_reason": None}))
            await writer.drain()
    finish = "length" if done == asked.tokens else "abort"
    usage = {"prompt_tokens": 1, "completion_tokens": done, "total_tokens": done + 1}
    if asked.streamed:
        writer.write(b"".join(asked.last_events(finish, usage)))
        return
    text = (says + "la " * (done - 1)) if done else ""
    said = {"message": {"role": "assistant", "content": text}} if asked.chat else {"text": text}
    choice = {"index": 0, **said, "finish_reason": finish, "logprobs": None}
    document = {**asked.about, "model": engine.model, "choices": [choice], "usage": usage}
    writer.write(whole(200, json.dumps(document).encode()))


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def whole(status: int, body: bytes, kind: bytes = b"application/json") -> bytes:
    """A response that announces its length."""
    head = b"HTTP/1.1 %d Word\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n"
    return head % (status, kind, len(body)) + body


def main(arguments: list[str]) -> None:
    report_fd, go_fd, model, *options = arguments
    with os.fdopen(int(report_fd), "w") as report:
        report.write('{"ok": true, "devices": 1}\n')
    with os.fdopen(int(go_fd)) as go:
        if go.readline().strip() != "go":
            return
    script = Script.of(options)
    if script.error:
        raise RuntimeError(script.error)
    hoard = bytearray(os.urandom(1 << 20) * script.hogs)
    if script.fills:
        Path("/tmp/filling").write_bytes(bytes(script.fills << 20))
    port = next(int(option.partition("=")[2]) for option in options if option.startswith("--port="))
    asyncio.run(serve(Engine(model, script), port))
    del hoard


if __name__ == "__main__":
    main(sys.argv[1:])
