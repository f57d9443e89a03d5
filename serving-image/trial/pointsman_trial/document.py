"""What a trial is asked to do: the document that is mounted into its pod, as dataclasses.

The contract with whoever writes it. A request is the body of an OpenAI chat completion; what stands in it
beside the fields that a trial sets (model, seed, temperature, stream) is passed on as it is, so a prompt's
variables need no word here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from pointsman_trial import schemas
from pointsman_trial.strict import Between, DocumentError, read

FORMAT = 1
NAME = re.compile(r"[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?")
REQUEST_BYTES = 64 * 1024
"""What the router takes as one question."""


def _between(low: int, high: int, **more: Any) -> Any:
    return field(metadata=Between(low, high).bounds(), **more)


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to ask: one URL, and the variants behind it by name."""

    url: str
    """Where a chat completion is posted to; the variant's name is added as `?variant=`."""
    candidate: str = _between(1, 128)
    stable: str = _between(0, 128, default="")
    """Only where answers of both are compared."""
    model: str = _between(0, 253, default="")
    """What the request calls the model."""


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the user's own that is asked: an embedding service, a gate."""

    url: str
    model: str = _between(0, 253, default="")
    """What an embedding service calls its model."""
    token_file: str = _between(0, 253, default="")
    """A file with the bearer token that it wants; mounted, and never told."""
    dimensions: int = _between(0, 65536, default=0)
    """How long a vector it shall make; 0: it decides."""


@dataclass(frozen=True, slots=True)
class Similarity:
    """That an answer means about what a golden one says, by a named embedding service."""

    to: str = _between(1, 8192)
    embedding: str = _between(1, 63)
    """Which of the suite's services."""
    min_permille: int = _between(0, 1000, default=850)
    """Least cosine between the two, in thousandths."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """One thing that must be so of an answer: exactly one of these."""

    exact: str | None = _between(1, 8192, default=None)
    regex: str | None = _between(1, 256, default=None)
    contains: str | None = _between(1, 1024, default=None)
    not_contains: str | None = _between(1, 1024, default=None)
    json_schema: str | None = _between(2, 8192, default=None)
    """The schema, written as JSON."""
    max_tokens: int | None = _between(1, 1_000_000, default=None)
    refusal: bool | None = None
    similarity: Similarity | None = None

    @property
    def kind(self) -> str:
        """Name of the member that is given."""
        return next(name for name in KINDS if getattr(self, name) is not None)

    @property
    def label(self) -> str:
        """That name as the document writes it."""
        head, *rest = self.kind.split("_")
        return head + "".join(part.capitalize() for part in rest)


KINDS = ("exact", "regex", "contains", "not_contains", "json_schema", "max_tokens", "refusal", "similarity")


@dataclass(frozen=True, slots=True)
class Case:
    """A question and what must be so of its answers."""

    name: str
    request: Mapping[str, Any]
    assertions: tuple[Assertion, ...] = _between(1, 16)
    times: int = _between(1, 20, default=1)
    """How often it's asked; each time with a seed of its own."""
    may_fail: int = _between(0, 19, default=0)
    """How many of these may be answered wrongly."""
    seed: int = _between(0, 2**31 - 1, default=0)
    """Of the first time; the next have the following ones."""
    greedy: bool = True
    """Whether the likeliest token is taken each time (temperature 0)."""
    max_tokens: int = _between(1, 32768, default=512)
    """How long an answer may get before it is cut off."""


@dataclass(frozen=True, slots=True)
class Suite:
    """Cases, and how many of them may fail."""

    cases: tuple[Case, ...] = _between(1, 256)
    may_fail: int = _between(0, 255, default=0)
    embeddings: Mapping[str, Any] = field(default_factory=dict)
    """Embedding services by name."""

    def embedding(self, name: str) -> Service:
        """The named service, checked when the document was read."""
        found: Service = read(Service, self.embeddings[name], f"suite.embeddings.{name}")
        return found


@dataclass(frozen=True, slots=True)
class Equivalence:
    """Requests that both variants must answer alike."""

    requests: tuple[Mapping[str, Any], ...] = _between(1, 256)
    min_agreement_percent: int = _between(1, 100, default=100)
    max_tokens: int = _between(1, 4096, default=128)


class Accept(StrEnum):
    """How a gate says yes."""

    VERDICT = "Verdict"
    """By a 2xx with {"pass": true} in it."""
    STATUS = "Status"
    """By any 2xx, as webhooks of Flagger do."""


@dataclass(frozen=True, slots=True)
class Gate:
    """A service that decides by itself; it gets `step` and says whether to go on."""

    name: str
    service: Service
    step: Mapping[str, Any]
    accept: Accept = Accept.VERDICT


@dataclass(frozen=True, slots=True)
class Patience:
    """How long is waited for what, and how often it's tried."""

    deadline_seconds: int = _between(1, 86400, default=1800)
    """For all of it."""
    request_seconds: int = _between(1, 3600, default=120)
    tries: int = _between(1, 100, default=8)
    """Of a request that got no answer, or one that says to come back later."""
    at_once: int = _between(1, 64, default=4)
    """Questions in flight."""


@dataclass(frozen=True, slots=True)
class Document:
    """All that a trial does."""

    format: int
    target: Target | None = None
    suite: Suite | None = None
    equivalence: Equivalence | None = None
    gate: Gate | None = None
    patience: Patience = field(default_factory=Patience)


def parse(text: str | bytes) -> Document:
    """Reads and checks a document. Raises DocumentError naming the field."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise DocumentError(f"document: not JSON: {error}") from error
    if isinstance(value, dict) and value.get("format") != FORMAT:
        raise DocumentError(f"format: {value.get('format')!r} is not known; this reads format {FORMAT}")
    document: Document = read(Document, value)
    for check in _CHECKS:
        check(document)
    return document


def _check_something(document: Document) -> None:
    if not (document.suite or document.equivalence or document.gate):
        raise DocumentError("document: give suite, equivalence or gate")
    if (document.suite or document.equivalence) and document.target is None:
        raise DocumentError("target: missing; a suite and an equivalence need it")


def _check_target(document: Document) -> None:
    if document.target is None:
        return
    _check_url(document.target.url, "target.url")
    if document.equivalence and not document.target.stable:
        raise DocumentError("target.stable: missing; an equivalence compares with it")


def _check_suite(document: Document) -> None:
    if document.suite is None:
        return
    seen: set[str] = set()
    for name in document.suite.embeddings:
        _check_url(document.suite.embedding(name).url, f"suite.embeddings.{name}.url")
    for c, case in enumerate(document.suite.cases):
        where = f"suite.cases[{c}]"
        if NAME.fullmatch(case.name) is None:
            raise DocumentError(f"{where}.name: {case.name[:80]!r} must be letters, digits, '-', '_' and '.'")
        if case.name in seen:
            raise DocumentError(f"{where}.name: {case.name!r} is there twice")
        seen.add(case.name)
        if case.may_fail >= case.times:
            raise DocumentError(f"{where}.mayFail: {case.may_fail} of {case.times} would let all fail")
        _check_request(case.request, f"{where}.request")
        for a, assertion in enumerate(case.assertions):
            _check_assertion(assertion, document.suite, f"{where}.assertions[{a}]")
    if document.suite.may_fail >= len(document.suite.cases):
        raise DocumentError(f"suite.mayFail: {document.suite.may_fail} would let all cases fail")


def _check_assertion(assertion: Assertion, suite: Suite, where: str) -> None:
    given = [name for name in KINDS if getattr(assertion, name) is not None]
    if len(given) != 1:
        raise DocumentError(f"{where}: give exactly one assertion, not {len(given)}")
    if assertion.regex is not None:
        try:
            re.compile(assertion.regex)
        except re.error as error:
            raise DocumentError(f"{where}.regex: can't be read: {error}") from None
    if assertion.json_schema is not None and (fault := schemas.fault(assertion.json_schema)):
        raise DocumentError(f"{where}.jsonSchema: {fault}")
    if assertion.similarity and assertion.similarity.embedding not in suite.embeddings:
        named = assertion.similarity.embedding[:80]
        raise DocumentError(f"{where}.similarity.embedding: no service {named!r} among suite.embeddings")


def _check_equivalence(document: Document) -> None:
    for index, request in enumerate(document.equivalence.requests if document.equivalence else ()):
        _check_request(request, f"equivalence.requests[{index}]")


def _check_gate(document: Document) -> None:
    if document.gate is not None:
        _check_url(document.gate.service.url, "gate.service.url")


def _check_url(url: str, where: str) -> None:
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or len(url) > 2048:
        raise DocumentError(f"{where}: must be a URL of http or https, of at most 2048 characters")
    if parts.username or parts.password:
        raise DocumentError(f"{where}: must hold no credentials; a token comes from a file")


def _check_request(request: Mapping[str, Any], where: str) -> None:
    if len(json.dumps(request).encode()) > REQUEST_BYTES:
        raise DocumentError(f"{where}: larger than the {REQUEST_BYTES} bytes that a router takes")


_CHECKS: tuple[Callable[[Document], None], ...] = (
    _check_something,
    _check_target,
    _check_suite,
    _check_equivalence,
    _check_gate,
)
