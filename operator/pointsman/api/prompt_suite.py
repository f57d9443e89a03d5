"""PromptSuite: what the prompts of a family must answer before one of them gets traffic.

Nothing here knows who asks, or what a model's answer looks like.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field

from pointsman.api.common import (
    NAME_RULE,
    Base,
    Bool,
    Conditions,
    Count,
    Generation,
    Int,
    LocalRef,
    ObjectMeta,
)
from pointsman.api.names import API_VERSION
from pointsman.api.prompt import Family, Role, VariableName
from pointsman.api.proof import COMPILES, EXPRESSION, EXPRESSION_MESSAGE
from pointsman.api.schema import ListAtomic, ListMap, Matches, Rule

ANSWERS_LIMIT: Final = 256
"""How long an answer may get where neither the case nor the prompt says, in tokens."""

CaseName = Family
"""Names of cases are spelled as families are."""


class CaseVariable(Base):
    """A variable's value in a case."""

    name: VariableName
    """The variable's name."""
    value: Annotated[str, Field(max_length=8192)]
    """Its value, written as it stands in the prompt: 3, 0.5 or true, quoted, for other types than strings."""


class CaseMessage(Base):
    """A message that a client sends."""

    role: Role
    """Who says the message."""
    content: Annotated[str, Field(min_length=1, max_length=8192)]
    """What is said, as it stands: nothing in it is replaced."""


class Embedding(Base):
    """Who turns a text into a vector."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(has(self.serviceRef) ? 1 : 0) + (has(self.url) ? 1 : 0) == 1",
            holds=lambda it: (it.service_ref is None) != (it.url is None),
            message="give exactly one of serviceRef (an LLMService) and url",
        ),
        Rule(
            cel="has(self.url) == has(self.model)",
            holds=lambda it: (it.url is None) == (it.model is None),
            message="model must be given with url, and only with it",
            field="model",
        ),
    )

    service_ref: LocalRef | None = None
    """LLMService of this namespace that serves an embedding model."""
    url: (
        Annotated[
            str,
            Field(min_length=1, max_length=512),
            Matches(
                r"https?://[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?(:[0-9]{1,5})?(/[-A-Za-z0-9_.~/]*)?",
                "must be the http or https address of an OpenAI-compatible API, such as http://embed.team-a.svc/v1",
            ),
        ]
        | None
    ) = None
    """Base URL of an OpenAI-compatible API, /v1 included, that embeds without a key."""
    model: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    """What the API at url calls the model."""


class Similarity(Base):
    """How close an answer must come to a golden one."""

    to: Annotated[str, Field(min_length=1, max_length=8192)]
    """The golden answer."""
    min_permille: Annotated[Int, Field(ge=1, le=1000)]
    """The smallest cosine similarity of both texts' vectors, in thousandths."""
    embedding: Embedding
    """Who turns both into vectors."""


_KINDS: Final = (
    "exact",
    "regex",
    "contains",
    "not_contains",
    "json_schema",
    "max_tokens",
    "refusal",
    "similarity",
)


class Assertion(Base):
    """One thing that must be so of an answer."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=(
                "(has(self.exact) ? 1 : 0) + (has(self.regex) ? 1 : 0) + (has(self.contains) ? 1 : 0) + "
                "(has(self.notContains) ? 1 : 0) + (has(self.jsonSchema) ? 1 : 0) + "
                "(has(self.maxTokens) ? 1 : 0) + (has(self.refusal) ? 1 : 0) + "
                "(has(self.similarity) ? 1 : 0) == 1"
            ),
            holds=lambda it: sum(getattr(it, kind) is not None for kind in _KINDS) == 1,
            message=(
                "give exactly one of exact, regex, contains, notContains, jsonSchema, maxTokens, refusal and "
                "similarity"
            ),
        ),
        COMPILES,
    )

    exact: Annotated[str, Field(min_length=1, max_length=8192)] | None = None
    """The whole answer; white space around it doesn't count."""
    regex: (
        Annotated[str, Field(min_length=1, max_length=256), Matches(EXPRESSION, EXPRESSION_MESSAGE)] | None
    ) = None
    """Regular expression that a piece of the answer matches; classes are ASCII's. Begin with (?i) to take
    upper and lower case alike."""
    contains: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """A piece of the answer, upper and lower case told apart."""
    not_contains: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """What no piece of the answer may be, upper and lower case told apart."""
    json_schema: Annotated[str, Field(min_length=2, max_length=8192)] | None = None
    """JSON schema, written as JSON, that the answer must be a document of."""
    max_tokens: Annotated[Int, Field(ge=1, le=1_000_000)] | None = None
    """How long the answer may be, in tokens."""
    refusal: Bool | None = None
    """True: the model must decline. False: it must not."""
    similarity: Similarity | None = None
    """A golden answer that it must come close to."""


class SuiteCase(Base):
    """One request and what must be so of its answer."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.mayFail) || self.mayFail < (has(self.times) ? self.times : 1)",
            holds=lambda case: case.may_fail is None or case.may_fail < (case.times or 1),
            message="mayFail must be smaller than times, which is 1 unless it is given",
            field="may_fail",
        ),
    )

    name: CaseName
    """Name that conditions call it by."""
    variables: (
        Annotated[tuple[CaseVariable, ...], Field(min_length=1, max_length=32), ListMap("name")] | None
    ) = None
    """Values of the prompt's variables. Those that it doesn't name are left out, as a client would."""
    messages: Annotated[tuple[CaseMessage, ...], Field(min_length=1, max_length=16), ListAtomic()] | None = (
        None
    )
    """What the client says after the prompt's own messages."""
    assertions: Annotated[tuple[Assertion, ...], Field(min_length=1, max_length=8), ListAtomic()]
    """What must all be so of the answer."""
    times: Annotated[Int, Field(ge=1, le=16)] | None = None
    """How often it is asked, each time with a seed of its own. Unset: once. An answer is the same each time,
    unless the prompt fixes a temperature."""
    may_fail: Annotated[Int, Field(ge=0, le=15)] | None = None
    """How many of those times may fail before the case does. Unset: none."""
    max_tokens: Annotated[Int, Field(ge=1, le=8192)] | None = None
    """How long the answer may get, in tokens, where the prompt doesn't fix it. Unset: 256."""


class SuiteSpec(Base):
    """What is asked, and how many cases may fail."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.mayFail) || self.mayFail < self.cases.size()",
            holds=lambda spec: spec.may_fail is None or spec.may_fail < len(spec.cases),
            message="mayFail must be smaller than the number of cases",
            field="may_fail",
        ),
    )

    family: Family | None = None
    """Whose prompts it tests: PromptVersions of the same family. A service that names it in rollout.suiteRef
    and has a prompt of another family, or of none, says so in ReferencesResolved, and tries no candidate. One
    without a prompt has none of another family, so its candidates are tried. Unset: any."""
    cases: Annotated[tuple[SuiteCase, ...], Field(min_length=1, max_length=64), ListMap("name")]
    """What is asked. The likeliest token is taken each time (temperature 0), unless the prompt fixes its
    temperature."""
    may_fail: Annotated[Int, Field(ge=0, le=63)] | None = None
    """How many cases may fail. Unset: none."""
    seed: Annotated[Int, Field(ge=0, le=2**31 - 1)] | None = None
    """Seed of each case's first time; each further one has the next. One that the prompt fixes doesn't count.
    Unset: 0."""


class SuiteStatus(Base):
    """What is known about a suite."""

    observed_generation: Generation = 0
    """The metadata.generation that this status is for; when the object's own is larger, it is out of date."""
    conditions: Conditions = ()
    """What is so, and why; see docs/conditions.md."""
    digest: Annotated[str, Field(max_length=71)] | None = None
    """Digest of what is asked and of what must be so."""
    cases: Count | None = None
    """How many cases it has."""
    prompts: Count | None = None
    """How many PromptVersions of this namespace are of its family."""


class PromptSuite(Base):
    """Tests that the prompts of a family have to pass. It may be changed at any time; a candidate that is on
    its way then is tested by what it says at that moment."""

    rules: ClassVar[tuple[Rule, ...]] = (NAME_RULE,)

    api_version: str = API_VERSION
    kind: str = "PromptSuite"
    metadata: ObjectMeta
    spec: SuiteSpec
    """What is asked, and what must be so."""
    status: SuiteStatus = SuiteStatus()
    """What is known about it."""
