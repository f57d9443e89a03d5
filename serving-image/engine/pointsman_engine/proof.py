"""Asks a new engine what it must know, and compares its answers with the right ones.

An engine that runs isn't an engine that's right: a wrong dtype or a damaged file gives fluent nonsense while
every light is green. Knows questions and answers, and nothing of phases or processes.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

from pointsman_engine.health import Engine
from pointsman_engine.outcome import Reason, StartFailure, shorten

MAX_TOKENS = 64
"""How long an answer may get where the question doesn't say."""
TRIES = 3
SHOWN_CHARS = 240
MATCH_SECONDS = 2.0
"""How long one expression may take; Python's can be made to take for ever."""
_PLAIN_MARKS = str.maketrans("“”", '""')
_CHAT, _COMPLETION = "/v1/chat/completions", "/v1/completions"


@dataclass(frozen=True, slots=True)
class Question:
    """One question and what a right answer is."""

    name: str
    text: str
    chat: bool
    """Whether it's said in a chat; else it's a text to go on with."""
    kind: str
    """exact, contains or regex."""
    expected: str
    max_tokens: int = MAX_TOKENS

    @property
    def wanted(self) -> str:
        """The right answer in words."""
        shown = quoted(self.expected)
        return {"exact": shown, "contains": f"something that contains {shown}"}.get(
            self.kind, f"something that matches {shown}"
        )

    def request(self, model: str) -> tuple[str, dict[str, object]]:
        """Path and body: greedy, so that the same engine answers the same each time."""
        body: dict[str, object] = {
            "model": model,
            "max_tokens": self.max_tokens,
            "temperature": 0,
            "seed": 0,
            "stream": False,
        }
        if self.chat:
            return _CHAT, {**body, "messages": [{"role": "user", "content": self.text}]}
        return _COMPLETION, {**body, "prompt": self.text}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the engine made of a question."""

    text: str
    note: str = ""
    """What a person should know about it: that it was cut off, that it's reasoning alone."""


def read_questions(text: str) -> tuple[Question, ...]:
    """Questions out of the JSON that the operator writes. Raises ValueError with a plain message."""
    try:
        return tuple([_question(entry) for entry in json.loads(text or "[]")])
    except (TypeError, KeyError, AttributeError, StopIteration, json.JSONDecodeError) as error:
        raise ValueError(f"POINTSMAN_PROOF can't be read: {type(error).__name__}: {error}") from error


def _question(entry: Mapping[str, Any]) -> Question:
    kind, expected = next(iter(entry["answer"].items()))
    chat = "message" in entry
    return Question(
        name=str(entry["name"]),
        text=str(entry["message"] if chat else entry["prompt"]),
        chat=chat,
        kind=str(kind),
        expected=str(expected),
        max_tokens=int(entry.get("maxTokens") or MAX_TOKENS),
    )


def quoted(text: str) -> str:
    """A piece of a prompt or an answer in one line. By these marks it is known again and left out where a
    message leaves the cluster, so they stand nowhere else in it."""
    return f"“{shorten(text, SHOWN_CHARS).translate(_PLAIN_MARKS)}”"


async def prove(engine: Engine, questions: Sequence[Question], pause_s: float = 1.0) -> None:
    """Asks all of them. Raises StartFailure naming the first whose answer is wrong, and how many are."""
    failed: list[str] = []
    for question in questions:
        answer = await _ask(engine, question, pause_s)
        if not is_right(question, answer.text):
            got = quoted(answer.text) + answer.note
            failed.append(f"proof {question.name!r}: expected {question.wanted}, got {got}")
    if failed:
        more = f" ({len(failed)} of {len(questions)} proofs failed)" if len(questions) > 1 else ""
        raise StartFailure(Reason.WRONG_ANSWERS, failed[0] + more)


async def _ask(engine: Engine, question: Question, pause_s: float) -> Answer:
    path, body = question.request(engine.model)
    code, content = 0, b""
    for attempt in range(TRIES):
        if attempt:
            await asyncio.sleep(pause_s)
        code, content = await engine.post(path, body)
        if 0 < code < 500:
            break
    if code == 200:
        return _read_answer(content, question)
    if 400 <= code < 500:
        raise StartFailure(Reason.WRONG_ANSWERS, _unaskable(question, path, code, content))
    said = f"by {code}" if code else "by nothing"
    raise StartFailure(Reason.ENGINE_FAILED, f"the engine answers proof {question.name!r} {said}")


def _unaskable(question: Question, path: str, code: int, content: bytes) -> str:
    """Most often a model that completes no text, or a chat with a model that has no chat template."""
    said = f": {quoted(error)}" if (error := _error(content)) else ""
    hint = "; ask a model without a chat template by prompt instead of message" if question.chat else ""
    return (
        f"proof {question.name!r} can't be asked: this model doesn't answer {path} "
        f"({code}{said}){hint}; a model that completes no text can have no proof"
    )


def _error(content: bytes) -> str:
    try:
        document = json.loads(content)
        found = document.get("error", document)
        return str(found.get("message", "") if isinstance(found, dict) else found)
    except (ValueError, AttributeError):
        return ""


def _read_answer(content: bytes, question: Question) -> Answer:
    try:
        choice = json.loads(content)["choices"][0]
        said = choice["message"] if question.chat else choice
        text = said.get("content" if question.chat else "text") or ""
        reasoned = bool(said.get("reasoning_content") or said.get("reasoning"))
        cut = choice.get("finish_reason") == "length"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        message = f"the engine's answer to proof {question.name!r} has no text: {_shown(content)}"
        raise StartFailure(Reason.WRONG_ANSWERS, message) from None
    note = f", cut off after {question.max_tokens} tokens (maxTokens)" if cut else ""
    return Answer(str(text), (" beside its reasoning" if reasoned and not text else "") + note)


def _shown(content: bytes) -> str:
    return quoted(content[:1000].decode("utf-8", "replace"))


def is_right(question: Question, text: str) -> bool:
    """Whether `text` answers the question. Raises StartFailure where its expression can't decide."""
    match question.kind:
        case "exact":
            return text.strip() == question.expected.strip()
        case "contains":
            return question.expected in text
        case _:
            return _matches(question, text)


def _matches(question: Question, text: str) -> bool:
    def late(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, MATCH_SECONDS)
    try:
        return re.search(question.expected, text, re.ASCII) is not None
    except TimeoutError:
        said = f"takes more than {MATCH_SECONDS:.0f} s on the answer {quoted(text)}"
    except (re.error, RecursionError) as error:
        said = f"can't be used: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    raise StartFailure(Reason.WRONG_ANSWERS, f"proof {question.name!r}: its regex {said}")
