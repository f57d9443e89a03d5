"""What a candidate is tried by before it gets traffic, and what came of it: values, and nothing of Jobs.

`document` writes what `pointsman-trial` reads (serving-image/trial), `read` takes what it tells. Both are a
contract between the two, which tests hold from both ends. A trial's name is a hash of its document: whoever
changes what is asked gets another trial, and an answer is never taken for one to another question.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pointsman.api import names

FORMAT = 1
DOCUMENT_BYTES = 900 * 1024
"""What goes into a ConfigMap with room to spare."""
DEADLINE_SECONDS = 1200
"""For all that one trial asks."""
MESSAGE_CHARS = 600
"""How much of a finding a condition holds."""


@dataclass(frozen=True, slots=True)
class Case:
    """A question and what must be so of its answers."""

    name: str
    request: Mapping[str, Any]
    """The body of a chat completion, as a client would send it."""
    assertions: Sequence[Mapping[str, Any]]
    """As a PromptSuite spells them, but that `similarity.embedding` is a name among `Suite.embeddings`."""
    times: int = 1
    may_fail: int = 0
    max_tokens: int = 256


@dataclass(frozen=True, slots=True)
class Embedding:
    """An OpenAI-compatible embedding service."""

    url: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """A PromptSuite, or what a trial needs of one."""

    name: str
    cases: Sequence[Case]
    may_fail: int = 0
    seed: int = 0
    digest: str = ""
    """Of what was declared."""
    embeddings: Mapping[str, Embedding] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Requests that candidate and stable one must answer alike."""

    requests: Sequence[Mapping[str, Any]]
    min_agreement_percent: int = 100
    digest: str = ""
    """Of what was declared."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of one candidate."""

    service: str
    router: str
    candidate: str
    """The variant's name; what stands before its first dot is its engine revision."""
    model: str
    """What requests call the model."""
    stable: str = ""
    suite: Suite | None = None
    equivalence: Equivalence | None = None

    @property
    def revision(self) -> str:
        return self.candidate.partition(".")[0]

    @property
    def name(self) -> str:
        """Name of its Job and of the ConfigMap with its document."""
        return names.trial_name(self.revision, hashlib.sha256(self._identity().encode()).hexdigest())

    def _identity(self) -> str:
        """What tells it from other trials. Questions by the digests of what was declared: those of a recorded
        World, which holds no texts, are the same."""
        found = {
            "format": FORMAT,
            "target": self._target(),
            "suite": self.suite and (self.suite.digest or _suite(self.suite)),
            "equivalence": self.equivalence and (self.equivalence.digest or _equivalence(self.equivalence)),
        }
        return json.dumps(found, sort_keys=True, separators=(",", ":"))

    @property
    def fits(self) -> bool:
        """Whether a ConfigMap holds its document."""
        return len(self.document().encode()) <= DOCUMENT_BYTES

    def document(self) -> str:
        """What its Job reads. The same trial gives the same text."""
        found: dict[str, Any] = {
            "format": FORMAT,
            "patience": {"deadlineSeconds": DEADLINE_SECONDS},
            "target": self._target(),
        }
        if self.suite:
            found["suite"] = _suite(self.suite)
        if self.equivalence:
            found["equivalence"] = _equivalence(self.equivalence)
        return json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def _target(self) -> dict[str, Any]:
        url = ask_url(self.router, self.service)
        found = {"url": url, "candidate": self.candidate, "model": self.model}
        # Only an equivalence asks it; a suite passes by the same document whoever is stable.
        return found | ({"stable": self.stable} if self.equivalence else {})


def ask_url(router: str, service: str) -> str:
    """Where a router asks one variant alone, by `?variant=`: nobody's traffic."""
    return f"http://{names.router_admin_name(router)}:{names.PORT_ROUTER_ADMIN}/ask/{service}"


def _suite(suite: Suite) -> dict[str, Any]:
    cases = [
        {
            "name": case.name,
            "request": dict(case.request),
            "assertions": [dict(assertion) for assertion in case.assertions],
            "times": case.times,
            "mayFail": case.may_fail,
            "seed": suite.seed,
            "maxTokens": _limit(case),
        }
        for case in suite.cases
    ]
    services = {
        name: {"url": service.url} | ({"model": service.model} if service.model else {})
        for name, service in suite.embeddings.items()
    }
    return {"cases": cases, "mayFail": suite.may_fail} | ({"embeddings": services} if services else {})


def _equivalence(alike: Equivalence) -> dict[str, Any]:
    return {"requests": list(alike.requests), "minAgreementPercent": alike.min_agreement_percent}


def _limit(case: Case) -> int:
    """An answer has to be let grow beyond what is allowed of it, or it could never be too long."""
    allowed = [int(a["maxTokens"]) for a in case.assertions if "maxTokens" in a]
    return min(max([case.max_tokens, *(limit + 1 for limit in allowed)]), 32768)


@dataclass(frozen=True, slots=True)
class Unjudged:
    """A trial that came to no verdict."""

    reason: str
    message: str


UNREADABLE = Unjudged("ResultUnreadable", "the trial left no result that can be read")


@dataclass(frozen=True, slots=True)
class Failing:
    """A case that failed."""

    name: str
    failed: int
    of: int
    expected: str
    got: str

    @property
    def message(self) -> str:
        often = f" ({self.failed} of {self.of} times)" if self.of > 1 else ""
        return f"case {self.name!r}{often}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a trial found."""

    passed: bool
    cases: int = 0
    failed: int = 0
    failing: tuple[Failing, ...] = ()
    """Those that there was room for."""
    prompts: int = 0
    """How many requests both variants were asked."""
    agreed: int = 0
    needed_percent: int = 0
    divergence: str = ""
    """Where their answers first part, in words."""

    @property
    def agreement_percent(self) -> int:
        """Rounded down: what isn't all is never 100."""
        return 100 * self.agreed // self.prompts if self.prompts else 100

    @property
    def alike(self) -> bool:
        """Whether answers agree as often as they have to."""
        return 100 * self.agreed >= self.needed_percent * self.prompts

    @property
    def message(self) -> str:
        """Why it failed: whatever did, the suite first, with its failing cases by name."""
        parts = [self._suite_message()] if self.failing or self.failed else []
        if not self.alike:
            agreed = f"{self.agreed} of {self.prompts} answers agree with the stable one's"
            parts.append(f"{agreed}, {self.needed_percent} % must; {self.divergence}")
        return _shorten("; ".join(parts), MESSAGE_CHARS)

    def _suite_message(self) -> str:
        head, *others = self.failing or (None,)
        more = f"; so {_verb(others)} {', '.join(repr(one.name) for one in others if one)}" if others else ""
        unnamed = self.failed - len(self.failing)
        more += f" and {unnamed} more" if unnamed > 0 and self.failing else ""
        return f"{self.failed} of {self.cases} cases fail: {head.message if head else ''}{more}"


def _verb(others: Sequence[object]) -> str:
    return "does" if len(others) == 1 else "do"


def read(document: Mapping[str, Any] | None) -> Verdict | Unjudged:
    """What a termination message says. Total: whatever else it is, it is no verdict."""
    try:
        if document is not None and "passed" in document:
            return _verdict(document)
        if document:
            return Unjudged(
                str(document["reason"]), _shorten(str(document.get("message", "")), MESSAGE_CHARS)
            )
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    return UNREADABLE


def _verdict(document: Mapping[str, Any]) -> Verdict:
    suite, alike = document.get("suite") or {}, document.get("equivalence") or {}
    return Verdict(
        passed=document["passed"] is True,
        cases=int(suite.get("cases", 0)),
        failed=int(suite.get("failed", 0)),
        failing=tuple(
            Failing(
                str(one["name"]), int(one["failed"]), int(one["of"]), str(one["expected"]), str(one["got"])
            )
            for one in suite.get("failing", ())
        ),
        prompts=int(alike.get("prompts", 0)),
        agreed=int(alike.get("agreed", 0)),
        needed_percent=int(alike.get("neededPercent", 0)),
        divergence=_divergence(alike["first"]) if alike.get("first") else "",
    )


def _divergence(first: Mapping[str, Any]) -> str:
    tokens = f" ({int(first['afterTokens'])} tokens)" if "afterTokens" in first else ""
    where = f"prompt {int(first['prompt'])} parts after {int(first['afterCharacters'])} characters{tokens}"
    return f"{where}: stable {first['stable']}, candidate {first['candidate']}"


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
