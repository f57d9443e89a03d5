"""Requests at a steady rate, whatever becomes of those before: what a crowd does, and a trickle doesn't.

Sent by aiohttp, which never repeats a POST: a request that isn't answered in full is a failure to tell of.
Short answers, whole and streamed, and among them long streams, which are what a change could cut.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import aiohttp
import uvloop

REQUEST_TIMEOUT_S = 60.0
DRAIN_S = REQUEST_TIMEOUT_S + 5
REVISION_HEADER = "x-pointsman-revision"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request."""

    name: str
    streamed: bool
    tokens: int
    token_seconds: float
    """What the scripted engine is told to take for each."""
    asks: str = "Sing song {number}."
    """The question. Each begins a conversation of its own: those that begin alike stay with one variant."""


WHOLE = Kind("whole", False, 4, 0.01)
STREAMED = Kind("streamed", True, 8, 0.01)
LONG = Kind("long", True, 40, 0.1)
SHORT = (WHOLE, STREAMED)
MIXED = (LONG, *SHORT * 50)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request went."""

    kind: str
    began: float
    """time.monotonic() when it was sent."""
    seconds: float
    engine: str
    """The pod that answered, where one did."""
    error: str = ""
    revision: str = ""
    """The engine revision that answered, as the router names it."""


@dataclass(slots=True)
class Load:
    """`rate` requests a second to `model` at `address`, while the block runs."""

    address: str
    model: str
    rate: float = 200.0
    mix: Sequence[Kind] = MIXED
    outcomes: list[Outcome] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _began: float = 0.0
    _seconds: float = 0.0

    def __enter__(self) -> Load:
        self._thread = threading.Thread(target=uvloop.run, args=(self._run(),), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Sends no more, and waits for what is on its way."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(DRAIN_S)

    @property
    def failures(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.error]

    @property
    def sent_a_second(self) -> float:
        """The rate that was kept."""
        seconds = self._seconds or (time.monotonic() - self._began)
        return len(self.outcomes) / seconds if self._began else 0.0

    def __str__(self) -> str:
        counts = Counter(outcome.kind for outcome in self.outcomes)
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        short = sorted(outcome.seconds for outcome in self.outcomes if outcome.kind != LONG.name) or [0.0]
        engines = {outcome.engine for outcome in self.outcomes} - {""}
        return (
            f"{len(self.outcomes)} requests ({kinds}) at {self.sent_a_second:.0f} a second, "
            f"answered by {len(engines)} engines; short ones: median {short[len(short) // 2] * 1000:.0f} ms, "
            f"99 % {short[len(short) * 99 // 100] * 1000:.0f} ms, slowest {short[-1] * 1000:.0f} ms; "
            f"{len(self.failures)} failed"
        )

    async def _run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S)
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            self._began = began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                for number, kind in enumerate(itertools.cycle(self.mix), start=1):
                    group.create_task(self._one(session, kind, number))
                    # By the clock, so that a late moment is made up for and the rate is what was promised.
                    await asyncio.sleep(max(0.0, began + number / self.rate - time.monotonic()))
                    if self._ended.is_set():
                        break
                self._seconds = time.monotonic() - began

    async def _one(self, session: aiohttp.ClientSession, kind: Kind, number: int) -> None:
        began = time.monotonic()
        engine, error, revision = "", "", ""
        try:
            revision, (engine, error) = await self._ask(session, kind, number)
        except Exception as failure:
            error = f"{type(failure).__name__}: {failure}"
        self.outcomes.append(Outcome(kind.name, began, time.monotonic() - began, engine, error, revision))

    async def _ask(
        self, session: aiohttp.ClientSession, kind: Kind, number: int
    ) -> tuple[str, tuple[str, str]]:
        """The revision that answered; the engine, and what was wrong with the answer, or nothing."""
        document = {
            "model": self.model,
            "messages": [{"role": "user", "content": kind.asks.format(number=number)}],
            "max_tokens": kind.tokens,
            "ignore_eos": True,
            "token_seconds": kind.token_seconds,
            "stream": kind.streamed,
            **({"stream_options": {"include_usage": True}} if kind.streamed else {}),
        }
        async with session.post(f"http://{self.address}/v1/chat/completions", json=document) as answer:
            body = await answer.read()
        revision = answer.headers.get(REVISION_HEADER, "")
        if answer.status != 200:
            return revision, ("", f"{answer.status}: {body[:300]!r}")
        return revision, judged(body, kind)


def judged(body: bytes, kind: Kind) -> tuple[str, str]:
    """The pod that wrote a body, and what is wrong with it, or nothing."""
    documents: list[dict[str, Any]] = []
    if kind.streamed:
        events = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.startswith(b"data: ")]
        if not events or events[-1] != b"[DONE]":
            return "", f"a stream that ends with {events[-1:]!r}"
        documents = [json.loads(event) for event in events[:-1]]
    else:
        documents = [json.loads(body)]
    engine = str(documents[0].get("system_fingerprint", ""))
    finish = [c["finish_reason"] for d in documents for c in d.get("choices", ()) if c.get("finish_reason")]
    tokens = sum((d.get("usage") or {}).get("completion_tokens", 0) for d in documents)
    if (finish, tokens) == (["length"], kind.tokens):
        return engine, ""
    return engine, f"asked for {kind.tokens} tokens, got {tokens} ({finish}): {documents[-1]!r:.300}"
