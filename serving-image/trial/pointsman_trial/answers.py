"""A question to one variant, and its answer: OpenAI's chat completions, not how they are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from pointsman_trial.asking import LATER, Asker, Reply
from pointsman_trial.bounded import quoted
from pointsman_trial.document import Target

_LATER = LATER | {404}
"""A router that doesn't know a variant yet may in a moment."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a variant made of a question."""

    text: str
    tokens: int | None = None
    """As the engine counted them; None where it didn't say."""
    note: str = ""
    """What a person should know about it: that it was cut off, that it's reasoning alone."""
    refused_by: str = ""
    """How the engine itself says that it refuses, if it does."""
    pieces: tuple[str, ...] = ()
    """The text by tokens, where it was asked for and told."""
    fault: str = ""
    """Why there is no text; the rest is empty then."""
    status: int = 200
    """By HTTP."""

    @property
    def rejected(self) -> bool:
        """Whether the question itself is said to be wrong."""
        return 400 <= self.status < 500

    def shown(self) -> str:
        """In one line, for a result."""
        return self.fault or quoted(self.text) + self.note


class Panel:
    """Those who are asked: the variants behind one URL."""

    def __init__(self, asker: Asker, target: Target) -> None:
        self._asker, self._target = asker, target

    def candidate(self, body: Mapping[str, Any], override: Sequence[str]) -> Answer:
        return self._ask(self._target.candidate, "the candidate", body, override)

    def stable(self, body: Mapping[str, Any], override: Sequence[str]) -> Answer:
        return self._ask(self._target.stable, "the stable one", body, override)

    def _ask(self, variant: str, who: str, body: Mapping[str, Any], override: Sequence[str]) -> Answer:
        """`override`: members of the body that stand, whatever the variant's prompt fixes."""
        url = f"{self._target.url}?variant={quote(variant, safe='')}&override={','.join(override)}"
        named = {"model": self._target.model} if self._target.model else {}
        whole = {**body, **named, "stream": False, "n": 1}
        return read_answer(self._asker.post(url, whole, what=f"a question to {who}", later=_LATER))


def question(
    request: Mapping[str, Any], *, seed: int, greedy: bool, max_tokens: int, by_token: bool = False
) -> dict[str, Any]:
    """The body of one question. A request's own limit stands where it has one."""
    limit = {} if {"max_tokens", "max_completion_tokens"} & set(request) else {"max_tokens": max_tokens}
    body = {**request, **limit, "seed": seed}
    return body | ({"temperature": 0} if greedy else {}) | ({"logprobs": True} if by_token else {})


def read_answer(reply: Reply) -> Answer:
    """The answer in what came back."""
    if reply.status != 200:
        return Answer("", fault=f"{reply.status}: {quoted(reply.message())}", status=reply.status)
    try:
        document = reply.json()
        choice = document["choices"][0]
        said = choice["message"]
        text = said.get("content") or ""
        if not isinstance(text, str):
            raise TypeError
    except (KeyError, IndexError, TypeError, AttributeError):
        shown = quoted(reply.body[:1000].decode("utf-8", "replace"))
        return Answer("", fault=f"an answer without text: {shown}")
    ended = choice.get("finish_reason")
    return Answer(
        text,
        tokens=_tokens(document),
        note=_note(said, text, ended),
        refused_by="a refusal in its message" if said.get("refusal") else _filter(ended),
        pieces=_pieces(choice, text),
    )


def _tokens(document: Mapping[str, Any]) -> int | None:
    usage = document.get("usage")
    count = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return count if isinstance(count, int) else None


def _note(said: Mapping[str, Any], text: str, ended: object) -> str:
    if text:
        return ", cut off at its limit of tokens" if ended == "length" else ""
    if said.get("tool_calls"):
        return " beside a call of a tool"
    reasoned = said.get("reasoning_content") or said.get("reasoning")
    return " beside its reasoning" if reasoned else ""


def _filter(ended: object) -> str:
    return "its content filter" if ended == "content_filter" else ""


def _pieces(choice: Mapping[str, Any], text: str) -> tuple[str, ...]:
    """Tokens, only where they make up the text: what doesn't is no measure of where it differs."""
    try:
        pieces = tuple(str(entry["token"]) for entry in choice["logprobs"]["content"])
    except (KeyError, TypeError):
        return ()
    return pieces if "".join(pieces).startswith(text) else ()
