"""Asks a workload's requests of an address, a few at a time, and times their first tokens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean, median
from typing import Final

import aiohttp

from bench.placement.engines import MODEL
from bench.placement.workloads import Message, Workload

CONCURRENCY: Final = 4
_TOKENS: Final = 8


@dataclass(slots=True)
class Asked:
    """What clients saw of one workload."""

    first_token_s: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def mean_ms(self) -> float:
        return 1000 * mean(self.first_token_s)

    @property
    def median_ms(self) -> float:
        return 1000 * median(self.first_token_s)


def ask(port: int, workload: Workload) -> Asked:
    """The whole workload; raises nothing for what goes wrong with a request."""
    return asyncio.run(_all(port, workload))


async def _all(port: int, workload: Workload) -> Asked:
    asked, turns = Asked(), asyncio.Semaphore(CONCURRENCY)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

        async def one_after_the_other(thread: Sequence[Sequence[Message]]) -> None:
            for messages in thread:
                async with turns:
                    await _one(session, messages, asked)

        async with asyncio.TaskGroup() as group:
            for thread in workload.threads:
                group.create_task(one_after_the_other(thread))
    return asked


async def _one(session: aiohttp.ClientSession, messages: Sequence[Message], asked: Asked) -> None:
    document = {
        "model": MODEL,
        "messages": list(messages),
        "max_tokens": _TOKENS,
        "ignore_eos": True,
        "temperature": 0,
        "stream": True,
    }
    started, first = time.perf_counter(), 0.0
    try:
        async with session.post("/v1/chat/completions", json=document) as response:
            if response.status != 200:
                asked.problems.append(f"{response.status} {(await response.text())[:200]}")
                return
            done = False
            async for line in response.content:
                if line.startswith(b"data: ") and not first:
                    first = time.perf_counter() - started
                done = done or line.startswith(b"data: [DONE]")
    except (aiohttp.ClientError, TimeoutError) as error:
        asked.problems.append(f"{type(error).__name__}: {error}")
        return
    if done:
        asked.first_token_s.append(first)
    else:
        asked.problems.append("a stream ended early")
