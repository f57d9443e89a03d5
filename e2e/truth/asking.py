"""Asks a service through its router without a pause, and keeps every answer with its moment.

The scripted engine answers with the word that its revision was given, so each answer says which generation
gave it, whatever status says.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import aiohttp

PAUSE_S = 0.2
TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """How one request went; times by time.monotonic()."""

    asked: float
    answered: float
    word: str = ""
    """The answering revision's own."""
    error: str = ""


@dataclass(slots=True)
class Asker:
    """Asks `model` at `address`, while the block runs, one request after another."""

    address: str
    model: str
    answers: list[Answer] = field(default_factory=list)
    _session: aiohttp.ClientSession | None = None
    _task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Asker:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._session.close()

    async def ask(self) -> Answer:
        """One request, now; it's kept like the others."""
        asked = time.monotonic()
        word, error = "", ""
        try:
            word, error = await self._ask()
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, LookupError) as failure:
            error = f"{type(failure).__name__}: {failure}"
        answer = Answer(asked, time.monotonic(), word, error)
        self.answers.append(answer)
        return answer

    def first(self, word: str) -> Answer | None:
        """The first answer that a revision gave."""
        return next((answer for answer in self.answers if answer.word == word), None)

    def since(self, moment: float) -> list[Answer]:
        """What was asked after a moment."""
        return [answer for answer in self.answers if answer.asked > moment]

    async def _run(self) -> None:
        while True:
            await self.ask()
            await asyncio.sleep(PAUSE_S)

    async def _ask(self) -> tuple[str, str]:
        assert self._session is not None
        document = {
            "model": self.model,
            "messages": [{"role": "user", "content": "Who are you?"}],
            "max_tokens": 1,
            "token_seconds": 0.001,
        }
        async with self._session.post(f"http://{self.address}/v1/chat/completions", json=document) as answer:
            if answer.status != 200:
                return "", f"{answer.status}: {(await answer.read())[:200]!r}"
            said = await answer.json()
        return str(said["choices"][0]["message"]["content"]).strip(), ""
