"""The status port: what probes and routers may ask of the entrypoint, from its first second on.

A few GET paths over HTTP/1.1, one request per connection, on asyncio alone; it reads the State and changes
nothing. Without a framework, so that it answers before anything heavy is imported.
"""

from __future__ import annotations

import asyncio
import json
import time

from pointsman_engine.state import Phase, State

_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}
_READ_TIMEOUT_S = 5.0
_MAX_HEAD = 16 * 1024


def answer(state: State, method: str, path: str, monotonic: float) -> tuple[int, dict[str, object]]:
    """Status code and JSON body for a request."""
    if method not in ("GET", "HEAD"):
        return 405, {"error": "only GET"}
    phase: dict[str, object] = {"phase": str(state.phase)}
    match path.partition("?")[0]:
        case "/status":
            return 200, state.document(monotonic)
        case "/readyz":
            ready = state.phase is Phase.READY and not state.hung(monotonic)
            return (200 if ready else 503), phase
        case "/livez":
            return (503 if state.hung(monotonic) else 200), phase
        case "/startedz":
            return (200 if state.started else 503), phase
        case _:
            return 404, {"error": "paths: /status /readyz /livez /startedz"}


async def serve_status(state: State, port: int) -> asyncio.Server:
    """Listens on all addresses. Raises OSError where the port is taken."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
            line = head.partition(b"\r\n")[0].decode("latin-1").split(" ")
            code, body = answer(state, line[0], line[1], time.monotonic()) if len(line) == 3 else (400, {})
            writer.write(render(code, body, with_body=line[0] != "HEAD"))
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # A client that is slow, gone or no HTTP gets no answer; there is nobody to tell.
        finally:
            writer.close()

    return await asyncio.start_server(handle, port=port, limit=_MAX_HEAD)


def render(code: int, body: dict[str, object], *, with_body: bool = True) -> bytes:
    """An HTTP/1.1 response with a JSON body, after which the connection ends."""
    content = json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {code} {_REASONS[code]}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (content if with_body else b"")
