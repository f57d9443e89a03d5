"""A model hub on loopback, as far as the real client talks to one.

Repositories are given as files; big ones are answered by a redirect to another server, as the hub does with
LFS. It checks tokens, knows gated and broken repositories, and remembers what it was asked.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 2000
"""Bytes from which a file is one for LFS."""


@dataclass
class Repo:
    """One repository, at one commit, which `main` and `v1` name too."""

    files: Mapping[str, bytes]
    parameters: Mapping[str, int] | None = None
    """How many of each number format it says it has; None: it doesn't say."""
    token: str = ""
    """Who doesn't show it doesn't see the repository."""
    gated: bool = False
    failures: int = 0
    """How many requests to the API are still to be answered by 503."""
    slow_s: float = 0.0
    bytes_per_second: int = 0
    """How fast a big file goes out; 0: at once."""
    cut: str = ""
    """A file whose first transfer ends halfway."""


@dataclass
class HubServer:
    """A running hub."""

    repos: dict[str, Repo]
    asked: list[str] = field(default_factory=list)
    url: str = ""
    cdn: str = ""


def handler(hub: HubServer) -> type[BaseHTTPRequestHandler]:
    """What answers requests as this hub."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            hub.asked.append(f"{self.command} {path}")
            if path.startswith("/cdn/"):
                self.content(path.removeprefix("/cdn/"))
            elif path.startswith("/api/models/"):
                name, _, revision = path.removeprefix("/api/models/").partition("/revision/")
                self.api(name, revision or "main")
            else:
                name, _, rest = path.lstrip("/").partition("/resolve/")
                revision, _, file = rest.partition("/")
                self.file(name, revision, file)

        def refused(self, name: str, revision: str) -> bool:
            repo = hub.repos.get(name)
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if token and token not in {"", "good", *(r.token for r in hub.repos.values())}:
                self.reply(401, b'{"error":"Invalid credentials"}')
            elif repo is None or (repo.token and repo.token != token):
                # As the hub does it: who isn't known is told 401 for what doesn't exist, too.
                self.reply(404 if token else 401, b"{}", {"X-Error-Code": "RepoNotFound"})
            elif repo.gated:
                self.reply(403 if token else 401, b"{}", {"X-Error-Code": "GatedRepo"})
            elif revision not in ("main", "v1", COMMIT):
                self.reply(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            else:
                return False
            return True

        def api(self, name: str, revision: str) -> None:
            if self.refused(name, revision):
                return
            if hub.repos[name].failures:
                hub.repos[name].failures -= 1
                self.reply(503, b"busy")
                return
            siblings = [
                {"rfilename": path, "size": len(content), "blobId": hashlib.sha1(content).hexdigest()}
                for path, content in hub.repos[name].files.items()
            ]
            body = {
                "id": name,
                "modelId": name,
                "sha": COMMIT,
                "siblings": siblings,
                "private": False,
                "tags": [],
            }
            stored = hub.repos[name].parameters
            if stored is not None:
                body["safetensors"] = {"parameters": dict(stored), "total": sum(stored.values())}
            self.reply(200, json.dumps(body).encode())

        def file(self, name: str, revision: str, path: str) -> None:
            if self.refused(name, revision):
                return
            repo = hub.repos[name]
            if path not in repo.files:
                self.reply(404, b"", {"X-Error-Code": "EntryNotFound"})
                return
            content = repo.files[path]
            headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
            if len(content) < LARGE:
                self.reply(200, content, headers)
                return
            headers |= {
                "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
                "X-Linked-Size": str(len(content)),
                "Location": f"{hub.cdn}/cdn/{name}/{path}",
            }
            self.reply(302, b"", headers)

        def content(self, where: str) -> None:
            name = next(name for name in hub.repos if where.startswith(f"{name}/"))
            repo, path = hub.repos[name], where.removeprefix(f"{name}/")
            content = repo.files[path]
            start = 0
            if wanted := self.headers.get("Range", "").removeprefix("bytes="):
                start = int(wanted.partition("-")[0])
            headers = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"} if start else {}
            threading.Event().wait(repo.slow_s)
            if repo.cut == path:
                repo.cut = ""
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2])
                self.close_connection = True
                return
            self.reply(206 if start else 200, content[start:], headers, repo.bytes_per_second)

        def reply(
            self, code: int, body: bytes, headers: Mapping[str, str] | None = None, rate: int = 0
        ) -> None:
            self.send_response(code)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                piece = rate // 10 or len(body) or 1
                with suppress(OSError):  # the client may be gone by now
                    for start in range(0, len(body), piece):
                        self.wfile.write(body[start : start + piece])
                        threading.Event().wait(0.1 if rate else 0)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextmanager
def serving(repos: dict[str, Repo], certificate: tuple[Path, Path] | None = None) -> Iterator[HubServer]:
    """A hub with these repositories; with `certificate` (certificate and key) over TLS."""
    hub = HubServer(repos)
    # Another host name for the second: the client takes a redirect within one host for the hub's own.
    with _server(hub, certificate) as hub.url, _server(hub, certificate) as cdn:
        hub.cdn = cdn.replace("127.0.0.1", "localhost")
        yield hub


@contextmanager
def _server(hub: HubServer, certificate: tuple[Path, Path] | None) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
