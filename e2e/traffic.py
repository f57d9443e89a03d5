"""Requests as applications send them, by the real OpenAI client: single ones, and a steady trickle.

The trickle never retries: a request that isn't answered in full is a failure to tell of. It mixes short
answers, streamed and whole, with long streams, which are what a change or a deletion could cut.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType

import openai

REQUEST_TIMEOUT_S = 180.0
SHORT_TOKENS = 8
PAUSE_S = 0.5


def client(address: str) -> openai.OpenAI:
    """The OpenAI client, pointed at a router. The key is what a router without access rules ignores."""
    return openai.OpenAI(
        base_url=f"http://{address}/v1", api_key="none", max_retries=0, timeout=REQUEST_TIMEOUT_S
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """A streamed answer, put together."""

    text: str
    finish: str
    """Why it ended: `stop`, `length`, or what cut it."""
    completion_tokens: int
    """What the stream's own usage says; 0 where it said nothing."""
    chunks: int


def stream(
    api: openai.OpenAI, model: str, question: str, *, max_tokens: int, whole: bool = False
) -> Iterator[str | Answer]:
    """The pieces of the answer as they come, and the whole Answer as the last item.

    `whole`: the engine must go on to `max_tokens`, whatever the model would like.
    """
    parts: list[str] = []
    finish, tokens, chunks = "", 0, 0
    with api.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        max_tokens=max_tokens,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"ignore_eos": True} if whole else None,
    ) as answer:
        for chunk in answer:
            chunks += 1
            if chunk.usage:
                tokens = chunk.usage.completion_tokens
            for choice in chunk.choices:
                finish = choice.finish_reason or finish
                if choice.delta.content:
                    parts.append(choice.delta.content)
                    yield choice.delta.content
    yield Answer("".join(parts), finish, tokens, chunks)


def ask(api: openai.OpenAI, model: str, question: str, *, max_tokens: int, whole: bool = False) -> Answer:
    """A streamed question and its whole answer."""
    *_, answer = stream(api, model, question, max_tokens=max_tokens, whole=whole)
    assert isinstance(answer, Answer)
    return answer


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one request of a trickle went."""

    kind: str
    began: float
    """time.monotonic() when it was sent."""
    seconds: float
    error: str = ""


@dataclass(slots=True)
class Trickle:
    """Requests to `model` at `address`, one after another in each of three threads, while the block runs."""

    address: str
    model: str
    long_tokens: int = 600
    outcomes: list[Outcome] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Trickle:
        for kinds in (("streamed", "whole"), ("whole", "streamed"), ("long",)):
            thread = threading.Thread(target=self._send, args=(kinds,), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Sends no more, and waits for what is on its way."""
        self._ended.set()
        for thread in self._threads:
            thread.join(REQUEST_TIMEOUT_S)

    @property
    def failures(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.error]

    def between(self, began: float, ended: float) -> list[Outcome]:
        """Requests that were answered in full and on their way at some time between two moments."""
        return [o for o in self.outcomes if not o.error and o.began < ended and o.began + o.seconds > began]

    def __str__(self) -> str:
        counts = Counter(outcome.kind for outcome in self.outcomes)
        longest = max((outcome.seconds for outcome in self.outcomes), default=0.0)
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        return (
            f"{len(self.outcomes)} requests ({kinds}), longest {longest:.1f} s, {len(self.failures)} failed"
        )

    def _send(self, kinds: tuple[str, ...]) -> None:
        with client(self.address) as api:
            for kind in itertools.cycle(kinds):
                began = time.monotonic()
                error = self._one(api, kind)
                self.outcomes.append(Outcome(kind, began, time.monotonic() - began, error))
                if self._ended.wait(PAUSE_S):
                    return

    def _one(self, api: openai.OpenAI, kind: str) -> str:
        """Sends one request; returns what was wrong with the answer, or nothing."""
        try:
            if kind == "whole":
                reply = api.chat.completions.create(
                    model=self.model,
                    messages=[{"role": "user", "content": "How are you?"}],
                    max_tokens=SHORT_TOKENS,
                )
                done = reply.usage is not None and reply.choices[0].finish_reason in ("stop", "length")
                return "" if done else f"half an answer: {reply}"
            tokens = self.long_tokens if kind == "long" else SHORT_TOKENS
            answer = ask(api, self.model, "Tell me more.", max_tokens=tokens, whole=True)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        whole = answer.finish == "length" and answer.completion_tokens == tokens
        return "" if whole else f"asked for {tokens} tokens, got {answer.completion_tokens} ({answer.finish})"
