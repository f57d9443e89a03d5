"""The World: everything one decision may look at, as one value.

`engine.gather` fills it from the API server and the routers; decisions read nothing else. A reference
that leads nowhere is a value (`Missing`), not an exception; the clock is a field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pointsman.api import names
from pointsman.api.common import ObjectMeta
from pointsman.api.model import LLMModel
from pointsman.api.prompt import PromptVersion
from pointsman.api.prompt_suite import PromptSuite
from pointsman.api.router import LLMRouter
from pointsman.api.service import LLMService
from pointsman.core.capacity import Room
from pointsman.core.observed import ProbeResult, RouterSignals
from pointsman.core.settings import Settings

Manifest = Mapping[str, Any]
"""A Kubernetes object as the API's JSON has it. Never changed in place."""

ObjectKey = tuple[str, str]
"""(kind, name) of an object in the namespace of what is being decided."""


def key_of(manifest: Manifest) -> ObjectKey:
    """The key by which desired and observed objects are matched."""
    return manifest["kind"], manifest["metadata"]["name"]


@dataclass(frozen=True, slots=True)
class Missing:
    """A reference that leads nowhere."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class ServiceWorld:
    """What a decision about one LLMService looks at."""

    now: datetime
    settings: Settings
    service: LLMService
    model: LLMModel | Missing | None = None
    """What `spec.modelRef` leads to; None when the model stands inline."""
    suite: PromptSuite | Missing | None = None
    """What `spec.rollout.suiteRef` leads to; None where candidates pass no suite."""
    prompt: PromptVersion | Missing | None = None
    """What `spec.promptRef` leads to; None without one."""
    challenger: PromptVersion | Missing | None = None
    """What `spec.experiment.promptRef` leads to; None without an experiment."""
    router: LLMRouter | Missing | None = None
    """The router this service hangs on; None while the on-demand one hasn't been made yet."""
    peers: Sequence[LLMService] = ()
    """All LLMServices of the namespace, this one included: model names are claimed among them."""
    owned: Sequence[Manifest] = ()
    """Children: labelled as this service's and controlled by its uid."""
    strangers: Sequence[Manifest] = ()
    """Objects that bear a child's name without being ours. They are never touched."""
    pods: Sequence[Manifest] = ()
    """The service's pods; listed only while something isn't as it should be."""
    pod_events: Sequence[Manifest] = ()
    """Warning events about those pods, and about Jobs that make none; listed where they alone can tell."""
    rooms: Sequence[Room] = ()
    """What the nodes have room for; looked at while pods find no place, where people have switched it on."""
    signals: Sequence[RouterSignals] = ()
    """What each live pod of the router told in this pass."""
    probe: ProbeResult | None = None
    """The router's answer to this pass's probe; None when none was asked."""

    def owned_of(self, kind: str) -> list[Manifest]:
        """The owned children of one kind, by name."""
        return sorted((c for c in self.owned if c["kind"] == kind), key=lambda c: str(c["metadata"]["name"]))

    def frozen(self, role: str = "") -> list[Manifest]:
        """The ControllerRevisions that hold an engine's inputs, or with a role something else."""
        return [
            child
            for child in self.owned_of(names.CONTROLLERREVISION.kind)
            if (child["metadata"].get("labels") or {}).get(names.LABEL_ROLE, "") == role
        ]


@dataclass(frozen=True, slots=True)
class RouterWorld:
    """What a decision about one router looks at. The LLMRouter itself may not exist yet (on demand)."""

    now: datetime
    settings: Settings
    namespace: str
    name: str
    router: LLMRouter | None = None
    services: Sequence[LLMService] = ()
    """All LLMServices of the namespace."""
    prompts: Sequence[Manifest] = ()
    """ControllerRevisions with the copies of prompts that those services have; listed where one uses any."""
    unreadable: Sequence[ObjectMeta] = ()
    """Those that break a rule of today's API and aren't on their way out: they keep the routes they have."""
    owned: Sequence[Manifest] = ()
    strangers: Sequence[Manifest] = ()
    pods: Sequence[Manifest] = ()
    """The router's pods; listed only while not all of them take requests."""
    pod_events: Sequence[Manifest] = ()
    """Warning events about those pods, where they alone can tell."""
    signals: Sequence[RouterSignals] = ()
    """What each pod of the router that takes requests told in this pass."""
    unready: Sequence[RouterSignals] = ()
    """What those told that run and take none: they may know why."""

    def owned_of(self, kind: str) -> list[Manifest]:
        """The owned children of one kind, by name."""
        return sorted((c for c in self.owned if c["kind"] == kind), key=lambda c: str(c["metadata"]["name"]))


@dataclass(frozen=True, slots=True)
class ModelWorld:
    """What a decision about one LLMModel looks at."""

    now: datetime
    model: LLMModel
    services: Sequence[LLMService] = field(default_factory=tuple)
    """All LLMServices of the namespace."""


@dataclass(frozen=True, slots=True)
class PromptWorld:
    """What a decision about one PromptVersion looks at."""

    now: datetime
    prompt: PromptVersion
    services: Sequence[LLMService] = ()
    """All LLMServices of the namespace."""


@dataclass(frozen=True, slots=True)
class SuiteWorld:
    """What a decision about one PromptSuite looks at."""

    now: datetime
    suite: PromptSuite
    prompts: Sequence[PromptVersion] = ()
    """All PromptVersions of the namespace."""
