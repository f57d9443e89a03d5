"""Every name we put into a cluster: groups, labels, annotations, field managers, ports, children.

One module, so that two parts can never spell the same thing differently. It knows nothing of what the
named objects contain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

GROUP: Final = "serving.pointsman.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
CATEGORY: Final = "pointsman"
"""`kubectl get pointsman` lists all our kinds."""
NAME_LIMIT: Final = 40
"""Longest metadata.name of our kinds: children append a hash, and a label value holds 63 characters."""

PREFIX: Final = "pointsman.dev"
"""Domain of our labels, annotations and finalizers; nobody else may write below it."""
FINALIZER: Final = f"{PREFIX}/cleanup"
"""Held on an LLMService until its traffic has drained and its router has forgotten it."""

LABEL_SERVICE: Final = f"{PREFIX}/service"
LABEL_REVISION: Final = f"{PREFIX}/revision"
LABEL_ROLE: Final = f"{PREFIX}/role"
LABEL_ROUTER: Final = f"{PREFIX}/router"
LABEL_TRACK: Final = f"{PREFIX}/track"
LABEL_ON_DEMAND: Final = f"{PREFIX}/on-demand"
"""On an LLMRouter made because services asked for `default`; only such a router is ever deleted by us."""
ANNOTATION_APPLIED: Final = f"{PREFIX}/applied"
"""On a child: a digest of what was last applied to it. By this an operator that has just started knows."""
ANNOTATION_FIT: Final = f"{PREFIX}/fit"
"""On a ControllerRevision: what was calculated of its model when it was to start, and what was overridden."""
ANNOTATION_VARIANTS: Final = f"{PREFIX}/variants"
"""On an engine's Deployment: which variants it runs for, where that isn't in its name."""
ANNOTATION_REJECTIONS: Final = f"{PREFIX}/rejections"
"""On a ControllerRevision: which of its variants were rejected, and why."""
LABEL_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
LABEL_NAME: Final = "app.kubernetes.io/name"
LABEL_COMPONENT: Final = "app.kubernetes.io/component"

MANAGED_BY: Final = "pointsman"
ROLE_ENGINE: Final = "engine"
ROLE_ROUTER: Final = "router"
ROLE_RESOLVE: Final = "resolve"
ROLE_TRIAL: Final = "trial"
"""Of what asks about a candidate: its trial, and the checks of its steps."""
ROLE_PROMPT: Final = "prompt"
"""Of a ControllerRevision that holds a prompt instead of an engine."""
TRACK_STABLE: Final = "stable"
TRACK_CANDIDATE: Final = "candidate"

MANAGER: Final = "pointsman"
"""Field manager (and user agent) of everything applied to children."""
MANAGER_STATUS: Final = "pointsman-status"
"""Field manager of status and finalizers of our own kinds."""

DEFAULT_ROUTER: Final = "default"
"""The LLMRouter of a service that names none."""

ENGINE_CONTAINER: Final = "engine"
ROUTER_CONTAINER: Final = "router"
RESOLVE_CONTAINER: Final = "resolve"
TRIAL_CONTAINER: Final = "trial"
CHECK_CONTAINER: Final = "check"

PORT_ENGINE: Final = 8000
PORT_ENGINE_STATUS: Final = 8001
PORT_ROUTER: Final = 8080
PORT_ROUTER_ADMIN: Final = 8081
PORT_ROUTER_PUBLIC: Final = 80
"""Port of the router's Service, in front of PORT_ROUTER of its pods."""
PORT_ROUTER_PUBLIC_TLS: Final = 443
"""The same where the router speaks TLS."""

TLS_FOLDER: Final = "/etc/pointsman/tls"
"""Where router pods find the files of their certificate's Secret, when there is one."""


class Key(NamedTuple):
    """One object of ours that a pass is about."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind as the API server addresses it."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """What stands in a manifest's `apiVersion`."""
        return f"{self.group}/{self.version}" if self.group else self.version


LLMSERVICE: Final = Resource(GROUP, VERSION, "LLMService", "llmservices")
LLMMODEL: Final = Resource(GROUP, VERSION, "LLMModel", "llmmodels")
LLMROUTER: Final = Resource(GROUP, VERSION, "LLMRouter", "llmrouters")
PROMPTVERSION: Final = Resource(GROUP, VERSION, "PromptVersion", "promptversions")
PROMPTSUITE: Final = Resource(GROUP, VERSION, "PromptSuite", "promptsuites")

CONFIGMAP: Final = Resource("", "v1", "ConfigMap", "configmaps")
CONTROLLERREVISION: Final = Resource("apps", "v1", "ControllerRevision", "controllerrevisions")
DEPLOYMENT: Final = Resource("apps", "v1", "Deployment", "deployments")
ENDPOINTSLICE: Final = Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
EVENT: Final = Resource("events.k8s.io", "v1", "Event", "events")
CORE_EVENT: Final = Resource("", "v1", "Event", "events")
"""The same events by the core group, which alone can be listed by the object they are about."""
JOB: Final = Resource("batch", "v1", "Job", "jobs")
LEASE: Final = Resource("coordination.k8s.io", "v1", "Lease", "leases")
NETWORKPOLICY: Final = Resource("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
NODE: Final = Resource("", "v1", "Node", "nodes", namespaced=False)
PDB: Final = Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
POD: Final = Resource("", "v1", "Pod", "pods")
ROLE: Final = Resource("rbac.authorization.k8s.io", "v1", "Role", "roles")
ROLEBINDING: Final = Resource("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
SERVICE: Final = Resource("", "v1", "Service", "services")
SERVICEACCOUNT: Final = Resource("", "v1", "ServiceAccount", "serviceaccounts")

RESOURCES: Final[dict[str, Resource]] = {
    resource.kind: resource
    for resource in (
        CONFIGMAP,
        CONTROLLERREVISION,
        DEPLOYMENT,
        ENDPOINTSLICE,
        EVENT,
        JOB,
        LEASE,
        LLMMODEL,
        LLMROUTER,
        LLMSERVICE,
        NETWORKPOLICY,
        PDB,
        POD,
        PROMPTSUITE,
        PROMPTVERSION,
        ROLE,
        ROLEBINDING,
        SERVICE,
        SERVICEACCOUNT,
    )
}
"""Every kind we touch, by kind. `Event` is the one of events.k8s.io."""


def revision_name(service: str, hash8: str) -> str:
    """Name of a revision's ControllerRevision and Deployment. `hash8` is eight hex digits."""
    return f"{service}-{hash8}"


def resolve_name(revision: str) -> str:
    """Name of the Job that looks a remote model up before its revision is born."""
    return f"{revision}-resolve"


def trial_name(revision: str, digest: str) -> str:
    """Name of the Job that tries a candidate, and of the ConfigMap with what it asks. Seven digits of the
    digest make 63 characters behind the longest name of a revision, the most that a Job's name may have."""
    return f"{revision}-trial-{digest[:7]}"


def check_name(revision: str, digest: str) -> str:
    """Name of the Job that a check of a rollout is, and of the ConfigMap with what it's told."""
    return f"{revision}-check-{digest[:7]}"


def trial_policy_name(service: str) -> str:
    """Name of the NetworkPolicy of a service's trials and checks."""
    return f"{service}-trial"


def prompt_name(service: str, digest8: str) -> str:
    """Name of the ControllerRevision with a service's copy of a prompt. `digest8` is eight hex digits."""
    return f"{service}-prompt-{digest8}"


def engine_name(service: str) -> str:
    """Name of a service's headless Service, and of its PodDisruptionBudget and NetworkPolicy."""
    return f"{service}-engine"


def router_name(router: str) -> str:
    """Name of every child of an LLMRouter but the admin Service."""
    return f"{router}-router"


def router_admin_name(router: str) -> str:
    """Name of the headless Service whose EndpointSlices tell where each router's admin port is."""
    return f"{router}-router-admin"


def router_tls_name(router: str) -> str:
    """Name of the Secret with a router's certificate, where its spec names none."""
    return f"{router_name(router)}-tls"
