"""What a trial found, and the JSON of at most 4096 bytes that becomes the container's termination message.

A contract with who reads it. It names cases, and shows what was expected and what came, shortened: never a
whole prompt, and no secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MESSAGE_BYTES = 4096
"""What the kubelet keeps of a termination message."""


@dataclass(frozen=True, slots=True)
class FailedCase:
    """A case that was answered wrongly more often than it may be."""

    name: str
    failed: int
    of: int
    expected: str
    """Of its first wrong answer."""
    got: str

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "failed": self.failed,
            "of": self.of,
            "expected": self.expected,
            "got": self.got,
        }


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """How the cases went."""

    cases: int
    may_fail: int
    failing: tuple[FailedCase, ...]

    @property
    def passed(self) -> bool:
        return len(self.failing) <= self.may_fail

    def document(self) -> dict[str, Any]:
        found = {"cases": self.cases, "failed": len(self.failing), "mayFail": self.may_fail}
        return found | {"failing": [case.document() for case in self.failing]}


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two answers to one request part for the first time."""

    prompt: int
    """Which request, counted from 1."""
    after_characters: int
    """How many characters both have in common."""
    after_tokens: int | None
    """How many tokens; None where the engines didn't tell them."""
    stable: str
    candidate: str

    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = {"prompt": self.prompt, "afterCharacters": self.after_characters}
        found |= {} if self.after_tokens is None else {"afterTokens": self.after_tokens}
        return found | {"stable": self.stable, "candidate": self.candidate}


@dataclass(frozen=True, slots=True)
class EquivalenceResult:
    """How many requests both answered alike."""

    prompts: int
    agreed: int
    needed_percent: int
    first: Divergence | None

    @property
    def passed(self) -> bool:
        return 100 * self.agreed >= self.needed_percent * self.prompts

    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "prompts": self.prompts,
            "agreed": self.agreed,
            "neededPercent": self.needed_percent,
        }
        return found | ({"first": self.first.document()} if self.first else {})


@dataclass(frozen=True, slots=True)
class GateResult:
    """What a gate said."""

    name: str
    passed: bool
    message: str

    def document(self) -> dict[str, Any]:
        return {"name": self.name, "passed": self.passed, "message": self.message}


@dataclass(frozen=True, slots=True)
class Result:
    """All of it; what wasn't asked for is None."""

    suite: SuiteResult | None = None
    equivalence: EquivalenceResult | None = None
    gate: GateResult | None = None

    def document(self) -> dict[str, Any]:
        """As the termination message holds it: of failing cases, as many as there is room for."""
        parts = {"suite": self.suite, "equivalence": self.equivalence, "gate": self.gate}
        given = {name: part for name, part in parts.items() if part is not None}
        found: dict[str, Any] = {"passed": all(part.passed for part in given.values())}
        return fitting(found | {name: part.document() for name, part in given.items()})


def fitting(document: dict[str, Any]) -> dict[str, Any]:
    """`document` with as many of its failing cases as a termination message holds."""
    while len(encoded(document)) > MESSAGE_BYTES and document.get("suite", {}).get("failing"):
        suite = document["suite"]
        document = {**document, "suite": {**suite, "failing": suite["failing"][:-1]}}
    return document


def encoded(document: Mapping[str, Any]) -> bytes:
    """As it is written. A half of a surrogate pair, which JSON may carry, is shown as `?`."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def write(path: Path, document: Mapping[str, Any]) -> None:
    """Writes where the kubelet looks for it. Never raises: an exit status is to follow."""
    try:
        path.write_bytes(encoded(document))
    except OSError as error:
        print(f"pointsman-trial: {path} can't be written: {error}", flush=True)
