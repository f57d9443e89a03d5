"""The one table of permissions the operator needs, and why.

The chart's ClusterRole or Roles are generated from it. What a router's own Role grants must be in it too:
nobody may grant what they don't hold, and the operator holds no `escalate` or `bind`. Never in it: secrets,
pods/exec, pods/log, wildcards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pointsman.api.names import (
    CONFIGMAP,
    CONTROLLERREVISION,
    CORE_EVENT,
    DEPLOYMENT,
    ENDPOINTSLICE,
    EVENT,
    JOB,
    LLMMODEL,
    LLMROUTER,
    LLMSERVICE,
    NETWORKPOLICY,
    NODE,
    PDB,
    POD,
    PROMPTSUITE,
    PROMPTVERSION,
    ROLE,
    ROLEBINDING,
    SERVICE,
    SERVICEACCOUNT,
    Resource,
)


@dataclass(frozen=True, slots=True)
class Permission:
    """Some verbs on one resource of an API group."""

    group: str
    resource: str
    """Plural, with a subresource behind a slash."""
    verbs: tuple[str, ...]
    why: str


SEEN: Final = ("list", "watch")
READ: Final = ("get", *SEEN)
OWN: Final = (*READ, "create", "patch", "delete")
"""For children: read them, apply them (create and patch), and delete them."""


def _on(resource: Resource, verbs: tuple[str, ...], why: str, subresource: str = "") -> Permission:
    plural = f"{resource.plural}/{subresource}" if subresource else resource.plural
    return Permission(resource.group, plural, verbs, why)


def _said(resource: Resource) -> Permission:
    return _on(resource, ("patch",), "says what is so, and why", "status")


def _owns(resource: Resource) -> Permission:
    why = "children block their owner's deletion, which some clusters check"
    return _on(resource, ("update",), why, "finalizers")


RBAC: Final[tuple[Permission, ...]] = (
    _on(LLMMODEL, READ, "what is declared"),
    _on(
        LLMROUTER,
        OWN,
        "what is declared; makes `default` when a service names no router, and removes it again",
    ),
    _on(
        LLMSERVICE,
        (*SEEN, "patch"),
        "what is declared; patch is for metadata.finalizers alone, never for spec",
    ),
    _on(PROMPTSUITE, READ, "what is declared"),
    _on(PROMPTVERSION, READ, "what is declared"),
    _said(LLMMODEL),
    _said(LLMROUTER),
    _owns(LLMROUTER),
    _said(LLMSERVICE),
    _owns(LLMSERVICE),
    _said(PROMPTSUITE),
    _said(PROMPTVERSION),
    _on(CONFIGMAP, OWN, "the routers' configuration, which they get, list and watch; what trials ask"),
    _on(CONTROLLERREVISION, OWN, "what a revision was born with, frozen"),
    _on(DEPLOYMENT, OWN, "engines and routers"),
    _on(
        JOB,
        OWN,
        "looks a remote model up before its revision is born; tries a candidate before it gets traffic",
    ),
    _on(NETWORKPOLICY, OWN, "who may talk to engines and routers"),
    _on(PDB, OWN, "keeps a drained node from taking all of a service at once"),
    _on(ROLE, OWN, "what a router may read"),
    _on(ROLEBINDING, OWN, "gives a router's ServiceAccount its Role"),
    _on(SERVICE, OWN, "the routers' public Service and the headless Services of routers and engines"),
    _on(SERVICEACCOUNT, OWN, "the routers' identity"),
    _on(
        ENDPOINTSLICE,
        ("list", "watch"),
        "where routers' admin ports are; routers list and watch their engines",
    ),
    _on(POD, ("list",), "why an engine or a Job of ours fails; asked only while one does"),
    _on(
        CORE_EVENT, ("list",), "why a pod fails to mount or a ReplicaSet to create; asked only while one does"
    ),
    _on(EVENT, ("create",), "tells of transitions"),
)
"""Every permission of the operator."""

DISCOVERY: Final[tuple[Permission, ...]] = (
    _on(NODE, ("list",), "how much nodes bear and whom they let on; asked only while pods find no place"),
    _on(POD, ("list",), "how much of that is taken; asked only then"),
)
"""What capacity discovery needs beside that, in the whole cluster; granted only where it is switched on."""
