"""A revision: what a service's engine is at one point in time, named by what the user declared.

The name is a hash of the declared fields (the table in `api.revision_fields`), never of rendered YAML: so
upgrading the operator names, and restarts, nothing. What was resolved and rendered for it is frozen at
birth in one owned ControllerRevision, and every later pass takes the template from there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pointsman.api import names
from pointsman.api.model import ModelSpec
from pointsman.api.revision_fields import declared
from pointsman.api.service import ServiceSpec
from pointsman.core.world import Manifest

HISTORY = 5
"""How many revisions are remembered beside those in use: a revert to one gives back the very same pods."""


@dataclass(frozen=True, slots=True)
class Revision:
    """What one ControllerRevision holds."""

    name: str
    number: int
    """Counts up with each birth, as `kubectl rollout history` numbers do."""
    image: str
    model: str
    """URI of the model as declared."""
    commit: str
    """What a remote source resolved to; empty for others."""
    arguments: tuple[str, ...]
    """The engine's arguments."""
    template: Manifest
    """The pod template, as it was rendered at birth."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What its source told of the model's size; empty where it wasn't asked."""


def name_of(service: str, spec: ServiceSpec, model: ModelSpec) -> str:
    """The name of the revision that this spec and this (resolved) model ask for."""
    canonical = json.dumps(declared(spec, model), sort_keys=True, separators=(",", ":"))
    return names.revision_name(service, hashlib.sha256(canonical.encode()).hexdigest()[:8])


def manifest(revision: Revision, inputs: Mapping[str, Any], operator_version: str) -> dict[str, Any]:
    """The ControllerRevision that freezes a newborn revision (without owner and labels)."""
    data = {
        "declared": inputs,
        "image": revision.image,
        "model": revision.model,
        "commit": revision.commit,
        "arguments": list(revision.arguments),
        "template": revision.template,
        "renderedBy": operator_version,
        **({"facts": dict(revision.facts)} if revision.facts else {}),
    }
    return {
        "apiVersion": names.CONTROLLERREVISION.api_version,
        "kind": names.CONTROLLERREVISION.kind,
        "metadata": {"name": revision.name},
        "revision": revision.number,
        "data": data,
    }


def thaw(child: Manifest) -> Revision:
    """The revision that a ControllerRevision holds."""
    data = child.get("data") or {}
    return Revision(
        name=child["metadata"]["name"],
        number=int(child.get("revision") or 0),
        image=data.get("image", ""),
        model=data.get("model", ""),
        commit=data.get("commit", ""),
        arguments=tuple(data.get("arguments") or ()),
        template=data.get("template") or {},
        facts=data.get("facts") or {},
    )


def rebuilt(deployment: Manifest, number: int) -> Revision:
    """The revision of a Deployment whose ControllerRevision was lost: its own template is the last truth."""
    template = deployment["spec"]["template"]
    container = template["spec"]["containers"][0]
    return Revision(
        name=deployment["metadata"]["name"],
        number=number,
        image=container.get("image", ""),
        model=next(
            (e.get("value", "") for e in container.get("env", ()) if e["name"] == "POINTSMAN_SOURCE"), ""
        ),
        commit="",
        arguments=tuple(container.get("args") or ()),
        template=template,
    )


def weight_bytes(told: Mapping[str, Any]) -> int:
    """Size of the weights by what their source told, else of all that is fetched; 0 where it isn't known."""
    sizes = (told.get(name) for name in ("weightBytes", "bytes"))
    return next((size for size in sizes if isinstance(size, int) and size > 0), 0)


def next_number(revisions: Sequence[Revision]) -> int:
    """The number of the next birth."""
    return max((r.number for r in revisions), default=0) + 1


def expired(revisions: Sequence[Revision], in_use: frozenset[str]) -> frozenset[str]:
    """Names of remembered revisions that are beyond the history: the oldest that nothing needs."""
    idle = sorted((r for r in revisions if r.name not in in_use), key=lambda r: r.number, reverse=True)
    return frozenset(r.name for r in idle[HISTORY:])
