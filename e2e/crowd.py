"""Users of the real OpenAI client as it comes, with its default retries: what they see, and what they don't.

A counter in the client's transport tells how often it had to try again, which its users aren't told.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

import httpx2
import openai

REQUEST_TIMEOUT_S = 60.0
PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Seen:
    """How one request looked to its user."""

    began: float
    """time.monotonic() when it was sent."""
    seconds: float
    error: str = ""


@dataclass(slots=True)
class Crowd:
    """`users` of one client who ask `model` at `address` one question after another, while the block runs."""

    address: str
    model: str
    users: int = 24
    outcomes: list[Seen] = field(default_factory=list)
    begun: int = 0
    """Questions that users have asked."""
    sent: int = 0
    """HTTP requests, those that the client repeated included."""
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Crowd:
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),), daemon=True)
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
            self._thread.join(REQUEST_TIMEOUT_S * 3)

    @property
    def failures(self) -> list[Seen]:
        return [outcome for outcome in self.outcomes if outcome.error]

    @property
    def retries(self) -> int:
        """How often the client tried again on its own."""
        return max(0, self.sent - self.begun)

    def __str__(self) -> str:
        times = sorted(outcome.seconds for outcome in self.outcomes) or [0.0]
        return (
            f"{len(self.outcomes)} requests, {self.retries} retries by the client; "
            f"median {times[len(times) // 2] * 1000:.0f} ms, slowest {times[-1] * 1000:.0f} ms; "
            f"{len(self.failures)} failed"
        )

    async def _run(self) -> None:
        async def count(_: httpx2.Request) -> None:
            self.sent += 1

        http = openai.DefaultAsyncHttpxClient(event_hooks={"request": [count]})
        url = f"http://{self.address}/v1"
        async with openai.AsyncOpenAI(
            base_url=url, api_key="none", timeout=REQUEST_TIMEOUT_S, http_client=http
        ) as api:
            await asyncio.gather(*(self._user(api) for _ in range(self.users)))

    async def _user(self, api: openai.AsyncOpenAI) -> None:
        while not self._ended.is_set():
            began = time.monotonic()
            self.begun += 1
            error = await self._one(api)
            self.outcomes.append(Seen(began, time.monotonic() - began, error))
            await asyncio.sleep(PAUSE_S)

    async def _one(self, api: openai.AsyncOpenAI) -> str:
        """Asks once; returns what was wrong with the answer, or nothing."""
        try:
            answer = await api.chat.completions.create(
                model=self.model, messages=[{"role": "user", "content": "Sing."}], max_tokens=8
            )
        except Exception as failure:
            return f"{type(failure).__name__}: {failure}"
        whole = answer.choices[0].finish_reason == "length"
        return "" if whole else f"half an answer: {answer}"
