"""A scripted counterpart for trials: variants that answer by a table, an embedding service, and a gate."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Reply = tuple[int, Any]


@dataclass
class Asked:
    """One request as it came."""

    path: str
    variant: str
    override: str
    """Members that stand, whatever a prompt fixes."""
    body: dict[str, Any]
    token: str


@dataclass
class Script:
    """What is answered, by path; what was asked."""

    by_path: dict[str, Callable[[Asked], Reply]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def reply(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        found = self.by_path.get(asked.path)
        return found(asked) if found else (404, {"error": {"message": f"no {asked.path} here"}})


def completion(text: str | None, *, tokens: int | None = None, **more: Any) -> Reply:
    """A chat completion as engines make it. `more` goes into the choice; `message` is merged."""
    message = {"role": "assistant", "content": text, **more.pop("message", {})}
    document: dict[str, Any] = {"choices": [{"message": message, "finish_reason": "stop", **more}]}
    return 200, document | ({"usage": {"completion_tokens": tokens}} if tokens is not None else {})


def by_tokens(*pieces: str) -> Reply:
    """A chat completion that tells its tokens."""
    return completion("".join(pieces), logprobs={"content": [{"token": piece} for piece in pieces]})


def said(asked: Asked) -> str:
    """What the user said last."""
    messages = asked.body.get("messages") or [{"content": ""}]
    return str(messages[-1]["content"])


@contextmanager
def serving(script: Script) -> Iterator[Script]:
    """The script on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            parts = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            variant, override = (parse_qs(parts.query).get(name, [""])[0] for name in ("variant", "override"))
            token = self.headers.get("Authorization", "")
            status, document = script.reply(Asked(parts.path, variant, override, json.loads(content), token))
            if status == 0:
                self.close_connection = True
                return
            data = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{script.url}/elsewhere")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
