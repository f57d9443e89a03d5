"""What one engine pod runs on: accelerator, host resources, placement.

A small typed part of what a PodSpec can say; an accelerator is named by its extended resource, so that any
device plugin will do.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pointsman.api import quantity
from pointsman.api.common import (
    LABEL_KEY,
    LABEL_KEY_MESSAGE,
    Base,
    Bool,
    Int,
    LabelValue,
    ObjectName,
    Quantity,
)
from pointsman.api.schema import ListAtomic, Matches, Rule, keys_match

HOST_RESOURCES = "cpu|memory|ephemeral-storage"
HOST_RESOURCES_MESSAGE = (
    "{field} takes cpu, memory and ephemeral-storage; accelerators are asked for in hardware.accelerator"
)

Amounts = Annotated[dict[str, Quantity], Field(max_length=3)]


def _requests_fit(resources: Resources) -> bool:
    requests, limits = resources.requests or {}, resources.limits or {}
    return all(
        quantity.amount(requests[name]) <= quantity.amount(limits[name])
        for name in requests.keys() & limits.keys()
    )


class Resources(Base):
    """Host resources of a pod's container."""

    rules: ClassVar[tuple[Rule, ...]] = (
        keys_match("requests", HOST_RESOURCES, HOST_RESOURCES_MESSAGE.format(field="requests")),
        keys_match("limits", HOST_RESOURCES, HOST_RESOURCES_MESSAGE.format(field="limits")),
        Rule(
            cel=(
                "!has(self.requests) || !has(self.limits) || self.requests.all(name, "
                "!(name in self.limits) || quantity(string(self.requests[name]))"
                ".compareTo(quantity(string(self.limits[name]))) <= 0)"
            ),
            holds=_requests_fit,
            message="requests must not exceed limits: raise the limit or lower the request",
            field="requests",
        ),
    )

    requests: Amounts | None = None
    """What the scheduler reserves, by resource: cpu, memory, ephemeral-storage."""
    limits: Amounts | None = None
    """What the container may use at most, by resource: cpu, memory, ephemeral-storage."""


class Accelerator(Base):
    """Accelerators of one pod."""

    resource: Annotated[
        str,
        Field(min_length=3, max_length=317),
        Matches(
            r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?",
            "must be an extended resource with its domain, such as nvidia.com/gpu or nvidia.com/mig-3g.40gb",
        ),
    ]
    """Extended resource as the device plugin advertises it, such as nvidia.com/gpu. A MIG slice has a
    resource name of its own. For a resource Pointsman has no image for, set engine.image."""
    count: Annotated[Int, Field(ge=1, le=64)]
    """How many each pod gets."""


class Toleration(Base):
    """Lets pods onto nodes with a matching taint."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(has(self.key) && self.key != '') || (has(self.operator) && self.operator == 'Exists')",
            holds=lambda it: bool(it.key) or it.operator == "Exists",
            message="key must be given, unless operator is Exists (which then tolerates every taint)",
        ),
        Rule(
            cel="!has(self.value) || self.value == '' || !has(self.operator) || self.operator != 'Exists'",
            holds=lambda it: not it.value or it.operator != "Exists",
            message="value must be left out when operator is Exists",
            field="value",
        ),
        Rule(
            cel="!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            holds=lambda it: it.toleration_seconds is None or it.effect == "NoExecute",
            message="tolerationSeconds needs effect NoExecute",
            field="toleration_seconds",
        ),
    )

    key: Annotated[str, Field(max_length=317), Matches(f"({LABEL_KEY})?", LABEL_KEY_MESSAGE)] | None = None
    """The taint's key; left out with operator Exists: every taint."""
    operator: Literal["Exists", "Equal"] | None = None
    """Whether the taint must only exist or also have this value. Unset: Equal."""
    value: LabelValue | None = None
    """The taint's value, with operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect. Unset: every effect."""
    toleration_seconds: Annotated[Int, Field(ge=0, le=2**31 - 1)] | None = None
    """How many seconds a pod stays on a node that gets the taint, with effect NoExecute. Unset: for good."""


class Fit(StrEnum):
    """What follows when a model doesn't fit its accelerators by calculation."""

    REQUIRED = "Required"
    ADVISORY = "Advisory"


class Hardware(Base):
    """What each engine pod of a service runs on."""

    rules: ClassVar[tuple[Rule, ...]] = (
        keys_match("node_selector", LABEL_KEY, f"each key of nodeSelector {LABEL_KEY_MESSAGE}"),
        Rule(
            cel="!has(self.deviceMemory) || has(self.accelerator)",
            holds=lambda hardware: hardware.device_memory is None or hardware.accelerator is not None,
            message="deviceMemory is the memory of an accelerator: give hardware.accelerator, or remove it",
            field="device_memory",
        ),
        Rule(
            cel="!has(self.fit) || has(self.deviceMemory)",
            holds=lambda hardware: hardware.fit is None or hardware.device_memory is not None,
            message="fit says what follows from a calculation with hardware.deviceMemory: give that too",
            field="fit",
        ),
    )

    accelerator: Accelerator | None = None
    """Accelerators of each pod. Unset: the model runs on the CPU."""
    device_memory: Quantity | None = None
    """Memory of one accelerator, such as 80Gi (a MIG slice: of the slice). With it and the model's facts,
    what the model needs is calculated before any engine starts; the condition ModelFits has the arithmetic.
    Unset: nothing is calculated. Changing it restarts nothing."""
    fit: Fit | None = None
    """What follows when the model doesn't fit by that calculation. Required: no engine of the new revision is
    started. Advisory: it is started all the same, which the condition, an event and the revision's
    ControllerRevision record. Unset: Required. Changing it restarts nothing."""
    resources: Resources | None = None
    """CPU, memory and ephemeral storage of each pod's engine. Unset: what the operator resolves when a
    revision is born."""
    node_selector: Annotated[dict[str, LabelValue], Field(max_length=16)] | None = None
    """Labels that a node must have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16), ListAtomic()] | None = None
    """Taints that pods put up with."""
    runtime_class_name: ObjectName | None = None
    """RuntimeClass of the pods, such as nvidia. Unset: the cluster's default."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods. Unset: the cluster's default."""


class Parallelism(Base):
    """How one model is spread over the accelerators of a pod."""

    tensor: Annotated[Int, Field(ge=1, le=64)] | None = None
    """Accelerators that share each layer. Unset: 1, but hardware.accelerator.count where
    parallelism is left out altogether."""
    pipeline: Annotated[Int, Field(ge=1, le=64)] | None = None
    """Stages that the layers are divided into, one after the other. Unset: 1."""
    data: Annotated[Int, Field(ge=1, le=64)] | None = None
    """Copies of the model inside one pod. Unset: 1."""
    expert: Bool | None = None
    """Whether a mixture-of-experts model spreads its experts instead of slicing each. Unset: no."""

    @property
    def accelerators(self) -> int:
        """How many accelerators the product needs."""
        return (self.tensor or 1) * (self.pipeline or 1) * (self.data or 1)
