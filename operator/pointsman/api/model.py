"""LLMModel, and the same model written inline in an LLMService: where weights come from.

One type for both, so that moving a model out of a service into an object of its own changes nothing that
runs. Nothing here knows how weights are fetched.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pointsman.api.common import (
    NAME_RULE,
    Base,
    Bool,
    Conditions,
    Count,
    Generation,
    LocalRef,
    ObjectMeta,
    Quantity,
)
from pointsman.api.model_facts import ModelFacts
from pointsman.api.names import API_VERSION
from pointsman.api.proof import Proof
from pointsman.api.schema import ListMap, Matches, Rule

SOURCE_URI = (
    r"(hf://[A-Za-z0-9][-A-Za-z0-9_.]*/[A-Za-z0-9][-A-Za-z0-9_.]*"
    r"|pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/[-A-Za-z0-9_.+=@]+)*"
    r"|file://(/[-A-Za-z0-9_.+=@]+)+)"
)

ParserName = Annotated[
    str,
    Field(min_length=1, max_length=64),
    Matches(
        r"[a-z0-9]([-a-z0-9_]*[a-z0-9])?", "must be one of the engine's parsers, such as hermes or qwen3"
    ),
]


class ModelSource(Base):
    """Where a model's weights come from."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!self.uri.contains('/../') && !self.uri.endsWith('/..')",
            holds=lambda source: "/../" not in source.uri and not source.uri.endswith("/.."),
            message="uri must not step upwards: give the path without '..'",
            field="uri",
        ),
        Rule(
            cel="!has(self.revision) || self.uri.startsWith('hf://')",
            holds=lambda source: source.revision is None or source.scheme == "hf",
            message="revision is for hf:// sources only; a pvc:// or file:// source has none",
            field="revision",
        ),
        Rule(
            cel="!has(self.secretRef) || self.uri.startsWith('hf://')",
            holds=lambda source: source.secret_ref is None or source.scheme == "hf",
            message="secretRef is for hf:// sources only; a pvc:// or file:// source needs no token",
            field="secret_ref",
        ),
    )

    uri: Annotated[
        str,
        Field(min_length=1, max_length=512),
        Matches(
            SOURCE_URI,
            "must be hf://organisation/name, pvc://claim/path or file:///path/in/the/engine/image",
        ),
    ]
    """Where the weights are. hf://organisation/name: a repository of the Hugging Face Hub or of the mirror
    the operator was given. pvc://claim/path: a PersistentVolumeClaim of this namespace, mounted read-only.
    file:///path: a directory inside the engine's image."""
    revision: (
        Annotated[
            str,
            Field(min_length=1, max_length=128),
            Matches(r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?", "must be a branch, a tag or a commit"),
        ]
        | None
    ) = None
    """Branch, tag or commit of an hf:// repository; unset: its default branch. It is resolved to a commit
    once, when a revision of the service is born, and stays what it was then."""
    secret_ref: LocalRef | None = None
    """Secret whose key `token` holds a Hub access token, for private or gated repositories. Pods mount it;
    the operator never reads it."""

    @property
    def scheme(self) -> Literal["hf", "pvc", "file"]:
        """Which kind of source the URI names."""
        if self.uri.startswith("hf:"):
            return "hf"
        return "pvc" if self.uri.startswith("pvc:") else "file"


class ModelStorage(Base):
    """The volume that a downloaded model lies on."""

    size: Quantity | None = None
    """Size of each engine pod's weights volume, such as 40Gi. Unset: enough for
    the files that the repository reports. It counts as the pod's ephemeral storage."""


class ModelDefaults(Base):
    """Settings that belong to a model rather than to one service of it."""

    tool_call_parser: ParserName | None = None
    """The engine's parser for tool calls (vLLM: --tool-call-parser); setting it switches automatic tool
    choice on."""
    reasoning_parser: ParserName | None = None
    """The engine's parser that separates reasoning from the answer (vLLM: --reasoning-parser)."""
    trust_remote_code: Bool | None = None
    """Whether Python code in the model's repository may run in the engine. Unset: no."""


class ModelSpec(Base):
    """A model: where its weights are and what it needs to be served well."""

    source: ModelSource
    """Where the weights come from."""
    storage: ModelStorage | None = None
    """The volume that downloaded weights lie on."""
    defaults: ModelDefaults | None = None
    """Settings that belong to this model, whichever service uses it."""
    proof: Annotated[tuple[Proof, ...], Field(min_length=1, max_length=8), ListMap("name")] | None = None
    """Questions with known answers. Every engine is asked them before it takes requests, whenever it starts,
    with temperature 0; one that answers wrongly gets none, and what served before goes on serving."""
    facts: ModelFacts | None = None
    """The model's published facts, from which what it needs of an accelerator is calculated. Unset: what the
    source says: an hf:// repository is asked, and of a pvc:// volume the headers are read. They go before
    what was found. Changing them restarts nothing."""


class ModelStatus(Base):
    """What is known about a model."""

    observed_generation: Generation = 0
    """The metadata.generation that this status is for; when the object's own is larger, it is out of date."""
    conditions: Conditions = ()
    """What is so, and why; see docs/conditions.md."""
    services: Count | None = None
    """How many LLMServices of this namespace use the model."""


class LLMModel(Base):
    """A model that several LLMServices of a namespace share by name."""

    rules: ClassVar[tuple[Rule, ...]] = (NAME_RULE,)

    api_version: str = API_VERSION
    kind: str = "LLMModel"
    metadata: ObjectMeta
    spec: ModelSpec
    """What the model is."""
    status: ModelStatus = ModelStatus()
    """What is known about it."""
