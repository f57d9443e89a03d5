"""What is asked, and how much of it an engine with all the memory in the world would already have.

Texts are made of a seed's random words, so no two seeds share anything. Answers in a conversation are
scripted, so that every router is asked the same. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Final

from e2e.cluster.instance import PROJECT_ROOT

Message = dict[str, str]

PREFIXES: Final = 8
REQUESTS_EACH: Final = 6
_PREFIX_WORDS: Final = 1000
_QUESTION_WORDS: Final = 20
CONVERSATIONS: Final = 8
TURNS: Final = 6
_SYSTEM_WORDS: Final = 150
_TURN_WORDS: Final = 90
_ANSWER_WORDS: Final = 60


@dataclass(frozen=True, slots=True)
class Workload:
    """Requests in threads: within one each waits for the answer to the one before it."""

    name: str
    threads: tuple[tuple[tuple[Message, ...], ...], ...]

    @property
    def prompts(self) -> list[tuple[Message, ...]]:
        return [prompt for thread in self.threads for prompt in thread]


def prefixes(seed: int) -> Workload:
    """Long documents, each asked about several times, in random order."""
    random = Random(f"prefixes {seed}")
    documents = [_text(random, _PREFIX_WORDS) for _ in range(PREFIXES)]
    prompts = [
        (_message("system", document), _message("user", _text(random, _QUESTION_WORDS)))
        for document in documents
        for _ in range(REQUESTS_EACH)
    ]
    random.shuffle(prompts)
    return Workload("prefixes", tuple((prompt,) for prompt in prompts))


def conversations(seed: int) -> Workload:
    """Conversations under one system prompt, each turn with all before it."""
    random = Random(f"conversations {seed}")
    system = _message("system", _text(random, _SYSTEM_WORDS))
    return Workload("conversations", tuple(_conversation(random, system) for _ in range(CONVERSATIONS)))


def _conversation(random: Random, system: Message) -> tuple[tuple[Message, ...], ...]:
    turns: list[tuple[Message, ...]] = []
    history: tuple[Message, ...] = (system,)
    for _ in range(TURNS):
        history = (*history, _message("user", _text(random, _TURN_WORDS)))
        turns.append(history)
        history = (*history, _message("assistant", _text(random, _ANSWER_WORDS)))
    return tuple(turns)


def ideal(prompts: Iterable[Sequence[int]], block: int) -> float:
    """The share of tokens that needn't be computed where everything was kept, in one place, forever.

    `prompts`: token ids, in an order in which they may be asked. `block`: tokens that are kept together.
    """
    kept: set[tuple[int, ...]] = set()
    hits = total = 0
    for tokens in prompts:
        total += len(tokens)
        known = True
        for end in range(block, len(tokens) + 1, block):
            beginning = tuple(tokens[:end])
            # An engine computes at least a prompt's last token.
            known = known and beginning in kept and end < len(tokens)
            hits += block if known else 0
            kept.add(beginning)
    return hits / total if total else 0.0


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def _text(random: Random, words: int) -> str:
    return " ".join(random.choices(_vocabulary(), k=words))


@cache
def _vocabulary() -> list[str]:
    return sorted(set(re.findall("[a-z]{3,12}", (PROJECT_ROOT / "LICENSE").read_text())))
