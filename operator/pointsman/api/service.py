"""LLMService: one model, served under one or more names.

The spec alone; what the operator reports is in `service_status`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field

from pointsman.api.common import (
    LABEL_KEY,
    LABEL_KEY_MESSAGE,
    LABEL_NAME_RULE,
    NAME_RULE,
    TIMESTAMP,
    Base,
    Bool,
    Int,
    LabelValue,
    LocalRef,
    ObjectMeta,
)
from pointsman.api.engine import Engine
from pointsman.api.experiment import Experiment
from pointsman.api.hardware import Hardware, Parallelism
from pointsman.api.model import ModelSpec
from pointsman.api.names import API_VERSION
from pointsman.api.reserved import METADATA_PATTERN
from pointsman.api.rollout import Rollout, Strategy
from pointsman.api.routing import Routing
from pointsman.api.schema import ListMap, ListSet, Matches, Rule, keys_avoid, keys_match
from pointsman.api.service_status import ServiceStatus

RESERVED_METADATA_MESSAGE: Final = (
    "pod.{field} must not use keys of pointsman.dev, kubernetes.io, k8s.io or of a GitOps tool"
)

ModelName = Annotated[
    str,
    Field(min_length=1, max_length=128),
    Matches(
        r"[A-Za-z0-9]([-A-Za-z0-9._:/@+]*[A-Za-z0-9])?",
        "must be a model name: letters, digits and -._:/@+ between them",
    ),
]


class PodOverlay(Base):
    """What is added to the engine's pods."""

    rules: ClassVar[tuple[Rule, ...]] = (
        keys_match("labels", LABEL_KEY, f"each key of pod.labels {LABEL_KEY_MESSAGE}"),
        keys_avoid("labels", METADATA_PATTERN, RESERVED_METADATA_MESSAGE.format(field="labels")),
        keys_match("annotations", LABEL_KEY, f"each key of pod.annotations {LABEL_KEY_MESSAGE}"),
        keys_avoid(
            "annotations",
            METADATA_PATTERN,
            RESERVED_METADATA_MESSAGE.format(field="annotations"),
        ),
    )

    labels: Annotated[dict[str, LabelValue], Field(max_length=16)] | None = None
    """Further labels of the pods."""
    annotations: Annotated[dict[str, Annotated[str, Field(max_length=4096)]], Field(max_length=16)] | None = (
        None
    )
    """Further annotations of the pods."""
    image_pull_secrets: Annotated[tuple[LocalRef, ...], Field(max_length=8), ListMap("name")] | None = None
    """Secrets with which nodes pull the engine's image."""


def _accelerators(spec: ServiceSpec) -> int:
    hardware = spec.hardware
    return hardware.accelerator.count if hardware and hardware.accelerator else 1


class ServiceSpec(Base):
    """What is to be served, on what, and how it changes."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.model) != has(self.modelRef)",
            holds=lambda spec: (spec.model is None) != (spec.model_ref is None),
            message="give exactly one of spec.model (inline) and spec.modelRef (an LLMModel)",
        ),
        Rule(
            cel=(
                "!has(self.parallelism) || "
                "(has(self.parallelism.tensor) ? self.parallelism.tensor : 1) * "
                "(has(self.parallelism.pipeline) ? self.parallelism.pipeline : 1) * "
                "(has(self.parallelism.data) ? self.parallelism.data : 1) == "
                "(has(self.hardware) && has(self.hardware.accelerator) ? self.hardware.accelerator.count : 1)"
            ),
            holds=lambda spec: (
                spec.parallelism is None or spec.parallelism.accelerators == _accelerators(spec)
            ),
            message=(
                "parallelism.tensor * pipeline * data must equal hardware.accelerator.count (1 without an "
                "accelerator); leave parallelism out to have tensor follow the count"
            ),
            field="parallelism",
        ),
        Rule(
            cel=(
                "!has(self.experiment) || !has(self.promptRef) || "
                "self.experiment.promptRef.name != self.promptRef.name"
            ),
            holds=lambda spec: spec.experiment is None or spec.prompt_ref != spec.experiment.prompt_ref,
            message="experiment.promptRef must name another PromptVersion than promptRef; to take it, remove "
            "spec.experiment with the same change",
            field="experiment",
        ),
    )

    model_ref: LocalRef | None = None
    """LLMModel to serve. Give this or model."""
    model: ModelSpec | None = None
    """Model to serve, written inline; the same as an LLMModel's spec. Give this or modelRef."""
    prompt_ref: LocalRef | None = None
    """PromptVersion that every chat begins with. Another one is rolled out as any change is, and restarts
    nothing. Unset: none."""
    model_names: Annotated[tuple[ModelName, ...], Field(min_length=1, max_length=16), ListSet()] | None = None
    """What clients send as `model`. Unset: the object's own name. A name that an older LLMService of the same
    router has claimed stays there. Changing names restarts nothing."""
    replicas: Annotated[Int, Field(ge=0, le=1000)] | None = None
    """How many engine pods. Unset: 1. Zero stops them all and keeps everything else. `kubectl scale` and
    HorizontalPodAutoscalers write here."""
    hardware: Hardware | None = None
    """What each engine pod runs on."""
    parallelism: Parallelism | None = None
    """How the model is spread over a pod's accelerators. Unset: tensor parallel over all of them."""
    engine: Engine | None = None
    """The program that runs the model, and how it is told to."""
    router_ref: LocalRef | None = None
    """LLMRouter that stands in front. Unset: the namespace's router `default`, made when it is missing."""
    routing: Routing | None = None
    """How requests reach the engines. Changing it restarts nothing."""
    rollout: Rollout | None = None
    """How a change is rolled out. Unset: Surge."""
    experiment: Experiment | None = None
    """Another prompt that answers a part of the conversations and is compared with promptRef's. It ends in a
    recommendation in status.experiment, and switches nothing. Restarts nothing."""
    drain_seconds: Annotated[Int, Field(ge=0, le=86_400)] | None = None
    """How many seconds a pod that goes away may take to finish its requests; what is left then is cut and
    counted. Unset: 300."""
    restarted_at: (
        Annotated[
            str,
            Field(max_length=40),
            Matches(TIMESTAMP, "must be a time such as 2026-11-22T17:30:00Z"),
        ]
        | None
    ) = None
    """Time of a wanted restart (RFC 3339). Another time makes a new revision with nothing else changed."""
    paused: Bool | None = None
    """While true nothing is changed in the cluster for this service; its status is still kept up to date.
    Unset: no."""
    pod: PodOverlay | None = None
    """What is added to the engine's pods."""

    @property
    def strategy(self) -> Strategy:
        """The rollout's strategy, whether or not one was given."""
        return self.rollout.strategy if self.rollout else Strategy.SURGE

    @property
    def prompt_refs(self) -> tuple[LocalRef, ...]:
        """The PromptVersions that the spec names."""
        challenger = self.experiment.prompt_ref if self.experiment else None
        return tuple(ref for ref in (self.prompt_ref, challenger) if ref is not None)

    @property
    def suite_ref(self) -> LocalRef | None:
        """The PromptSuite that candidates must pass."""
        return self.rollout.suite_ref if self.rollout else None


class LLMService(Base):
    """A model served to OpenAI-compatible clients."""

    rules: ClassVar[tuple[Rule, ...]] = (NAME_RULE, LABEL_NAME_RULE)

    api_version: str = API_VERSION
    kind: str = "LLMService"
    metadata: ObjectMeta
    spec: ServiceSpec
    """What is wanted."""
    status: ServiceStatus = ServiceStatus()
    """What is so, and why."""
