"""The router asks by itself, through its own stages, as a tenant that nobody counts.

So what a probe or a trial finds is what a client would: the same model name, the same rewriting, the same
choice of an engine. Answers are taken whole, within bounds.
"""

from __future__ import annotations

import asyncio
from typing import Final

from pointsman_router import routes
from pointsman_router.answering.exchange import Exchange
from pointsman_router.clients.request import Request
from pointsman_router.router import Router

MAX_ANSWER_BYTES: Final = 1024 * 1024


class Sink:
    """Takes an answer whole."""

    paused = False
    address = b"probe"

    def __init__(self) -> None:
        self.status = 0
        self.content = bytearray()
        self.cut_short = False
        """Whether the answer is longer than what is kept of it, or broke off."""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, status: int, lines: list[bytes], length: int | None) -> None:
        self.status = status

    def body(self, data: bytes, complete: bool) -> None:
        if len(self.content) + len(data) <= MAX_ANSWER_BYTES:
            self.content += data
        else:
            self.cut_short = True

    def chunks(self) -> None:
        return None

    def cut(self) -> None:
        self.status = 502
        self.cut_short = True

    def finished(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def ask(
    router: Router,
    path: bytes,
    content_type: bytes,
    body: bytes,
    only: str,
    *,
    probe: bool = False,
    override: frozenset[str] = frozenset(),
) -> tuple[Exchange, Sink]:
    """Asks and waits; given up where nobody waits any more. `only`: the variant to stay in, whatever its
    weight. `probe`: asks only whether something answers, and knows no values of a prompt's variables.
    `override`: members of the body that stand, whatever a prompt fixes."""
    request = Request()
    request.method = b"POST"
    request.path = path
    request.route = routes.find(path)[0]
    request.id = b"probe-%016x" % int(router.random() * 2**64)
    request.content_type, request.body = content_type, body
    request.head = b"content-type: %b\r\nuser-agent: pointsman-router\r\n" % content_type
    sink = Sink()
    exchange = Exchange(router, sink, request)
    exchange.internal = True
    exchange.probe = probe
    exchange.override = override
    exchange.only = only
    exchange.begin()
    try:
        await sink.done
    finally:
        exchange.cancel()
    return exchange, sink
