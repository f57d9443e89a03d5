"""A router's choice of engines without any connection: stages and pick, and what they remember."""

import time
from collections.abc import Sequence
from typing import Any

import orjson

from pointsman_router.answering.pick import pick
from pointsman_router.answering.stages import Prepared, prepare
from pointsman_router.clients.request import Request
from pointsman_router.engines.endpoints import Endpoint, Slice
from pointsman_router.engines.engine import Engine
from pointsman_router.records.metrics import Stats
from pointsman_router.routes import find
from pointsman_router.state import State
from tests.router.stack import configuration, service

CHAT = "/v1/chat/completions"
BLOCK = 256


class Chooser:
    """One router with a service `chat` on engines that are only names."""

    def __init__(
        self, *engines: str, adapters: Sequence[str] = (), routing: dict[str, Any] | None = None
    ) -> None:
        self.state = State(Stats())
        self.now = time.monotonic() + 3600
        """Long after every engine has warmed up."""
        self._draw = 0.5
        self._document = service("chat") | {"adapters": list(adapters), "routing": routing or {}}
        self._document["variants"] = [{"name": "v", "upstream": {"service": "chat"}}]
        assert self.state.apply_config(configuration(self._document)), self.state.error
        self.has(*engines)

    def has(self, *engines: str) -> None:
        """These are the ready engines now."""
        endpoints = tuple(Endpoint(f"10.0.0.{name}", name, True) for name in engines)
        self.state.replace_slices({"all": Slice("chat", endpoints)})

    @property
    def engines(self) -> dict[str, Engine]:
        return {engine.name: engine for engine in self.state.table.services["chat"].variants[0].engines}

    @property
    def remembered(self) -> int:
        """Entries in the router's memory."""
        return len(self.state.table.services["chat"].variants[0].placement.memory)

    def prepared(self, document: dict[str, Any], path: str = CHAT, *fields: str) -> Prepared:
        request = Request()
        request.route, _ = find(path.encode())
        request.lines = [field.encode() for field in fields]
        request.body = orjson.dumps({"model": "chat"} | document)
        return prepare(request, self.state.table)

    def choose(
        self, document: dict[str, Any], *fields: str, path: str = CHAT, tried: Sequence[str] = ()
    ) -> str:
        """The name of the engine that a request goes to; empty where none may be taken."""
        prepared = self.prepared(document, path, *fields)
        assert prepared.service is not None
        failed = [self.engines[name] for name in tried]
        found = pick(prepared.service, failed, self.now, self.random, "", prepared.wish, prepared.draw)
        return found[1].name if found is not None and found[1] is not None else ""

    def random(self) -> float:
        """Numbers spread evenly over [0, 1), in an order without pattern."""
        self._draw = (self._draw + 0.6180339887498949) % 1
        return self._draw


def chat(*messages: str, system: str = "") -> dict[str, Any]:
    """A conversation whose first and last message are the user's."""
    turns = [
        {"role": "assistant" if at % 2 else "user", "content": content} for at, content in enumerate(messages)
    ]
    return {"messages": [{"role": "system", "content": system}, *turns] if system else turns}


def text(name: str, blocks: float) -> str:
    """A text that no other name's begins like, so many blocks long."""
    line = f"{name} goes on. "
    return (line * (int(blocks * BLOCK) // len(line) + 1))[: int(blocks * BLOCK)]
