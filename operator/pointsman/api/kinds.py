"""Our kinds, one row each: what `crdgen` makes a CRD of, and what the operator reads objects by."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from pointsman.api.conditions import ConditionType
from pointsman.api.model import LLMModel
from pointsman.api.names import LLMMODEL, LLMROUTER, LLMSERVICE, PROMPTSUITE, PROMPTVERSION, Resource
from pointsman.api.prompt import PromptVersion
from pointsman.api.prompt_suite import PromptSuite
from pointsman.api.router import LLMRouter
from pointsman.api.service import LLMService

KindModel = type[LLMModel] | type[LLMRouter] | type[LLMService] | type[PromptSuite] | type[PromptVersion]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`."""

    name: str
    path: str
    """JSONPath below the object."""
    description: str
    type: str = "string"
    priority: int = 0
    """0: always shown; 1: with `-o wide`."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Where /scale reads and writes."""

    spec_replicas: str
    status_replicas: str
    selector: str


@dataclass(frozen=True, slots=True)
class KindRow:
    """One kind of the API."""

    resource: Resource
    model: KindModel
    short_names: tuple[str, ...]
    columns: tuple[Column, ...]
    conditions: tuple[ConditionType, ...]
    """Conditions that an object has from its first visit on; Reconciling and Stalled come and go."""
    scale: Scale | None = None


def _of_condition(type_: ConditionType, field: str) -> str:
    return f'.status.conditions[?(@.type=="{type_}")].{field}'


READY: Final = Column(
    "Ready", _of_condition(ConditionType.READY, "status"), "Whether the newest generation answers."
)
REASON: Final = Column("Reason", _of_condition(ConditionType.READY, "reason"), "Why, in one word.")
MESSAGE: Final = Column(
    "Message", _of_condition(ConditionType.READY, "message"), "Why, in a sentence.", priority=1
)
AVAILABLE: Final = Column(
    "Available", _of_condition(ConditionType.AVAILABLE, "status"), "Whether users are served now."
)
URL: Final = Column("URL", ".status.addresses[0].url", "Where to point a client.", priority=1)
FAMILY: Final = Column("Family", ".spec.family", "What the prompts are for.")
AGE: Final = Column("Age", ".metadata.creationTimestamp", "Time since creation.", type="date")

KINDS: Final[tuple[KindRow, ...]] = (
    KindRow(
        resource=LLMMODEL,
        model=LLMModel,
        short_names=("llmm",),
        columns=(
            Column("Source", ".spec.source.uri", "Where the weights come from."),
            READY,
            REASON,
            Column("Services", ".status.services", "How many LLMServices use it.", type="integer"),
            AGE,
            MESSAGE,
        ),
        conditions=(ConditionType.READY,),
    ),
    KindRow(
        resource=LLMROUTER,
        model=LLMRouter,
        short_names=("llmrouter",),
        columns=(
            READY,
            REASON,
            Column("Replicas", ".status.readyReplicas", "Router pods that take requests.", type="integer"),
            Column("Services", ".status.services", "LLMServices behind it.", type="integer"),
            Column("URL", ".status.addresses[0].url", "Where to point a client."),
            AGE,
            MESSAGE,
        ),
        conditions=(ConditionType.READY, ConditionType.AVAILABLE),
        scale=Scale(".spec.replicas", ".status.replicas", ".status.selector"),
    ),
    KindRow(
        resource=LLMSERVICE,
        model=LLMService,
        short_names=("llmsvc",),
        columns=(
            Column("Stable", ".status.rollout.stable", "The variant that serves."),
            Column("Candidate", ".status.rollout.candidate", "The variant that is to take its place."),
            Column("Step", ".status.rollout.step", "How far a change is."),
            Column(
                "Weight",
                ".status.rollout.candidateWeight",
                "The candidate's percent of requests.",
                type="integer",
            ),
            READY,
            REASON,
            AGE,
            MESSAGE,
            Column("Model", ".status.model", "The model that is served.", priority=1),
            replace(AVAILABLE, priority=1),
            Column(
                "Replicas",
                ".status.readyReplicas",
                "Engine pods that take requests.",
                type="integer",
                priority=1,
            ),
            URL,
        ),
        conditions=(
            ConditionType.READY,
            ConditionType.AVAILABLE,
            ConditionType.REFERENCES_RESOLVED,
            ConditionType.MODEL_FITS,
            ConditionType.CAPACITY_AVAILABLE,
            ConditionType.ENGINE_HEALTHY,
            ConditionType.ROUTER_PROGRAMMED,
            ConditionType.ROLLOUT_HEALTHY,
        ),
        scale=Scale(".spec.replicas", ".status.replicas", ".status.selector"),
    ),
    KindRow(
        resource=PROMPTSUITE,
        model=PromptSuite,
        short_names=("promptsuite",),
        columns=(
            FAMILY,
            Column("Cases", ".status.cases", "How many cases it has.", type="integer"),
            READY,
            REASON,
            Column("Prompts", ".status.prompts", "PromptVersions of its family.", type="integer"),
            AGE,
            MESSAGE,
        ),
        conditions=(ConditionType.READY,),
    ),
    KindRow(
        resource=PROMPTVERSION,
        model=PromptVersion,
        short_names=("promptver",),
        columns=(
            FAMILY,
            READY,
            REASON,
            Column("Services", ".status.services", "How many LLMServices use it.", type="integer"),
            AGE,
            Column("Digest", ".status.digest", "Digest of what it says.", priority=1),
            MESSAGE,
        ),
        conditions=(ConditionType.READY,),
    ),
)
"""Every kind of the API."""
