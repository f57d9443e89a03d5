"""The one table of condition types and reasons: the contract of status.

`docs/conditions.md` is generated from it. A condition that isn't here is never written, and a reason's
text says what an SRE reads at night: what it means and what helps. Nothing here computes a condition.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class ConditionType(StrEnum):
    """Types of conditions that our kinds carry."""

    READY = "Ready"
    AVAILABLE = "Available"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    REFERENCES_RESOLVED = "ReferencesResolved"
    MODEL_FITS = "ModelFits"
    CAPACITY_AVAILABLE = "CapacityAvailable"
    ENGINE_HEALTHY = "EngineHealthy"
    ROUTER_PROGRAMMED = "RouterProgrammed"
    ROLLOUT_HEALTHY = "RolloutHealthy"


class Reason(StrEnum):
    """Reasons of conditions. Values are stable: alerts and scripts match on them."""

    # How things stand as a whole.
    NOT_YET_REPORTED = "NotYetReported"
    ACCEPTED = "Accepted"
    ANSWERING = "Answering"
    SERVING = "Serving"
    IDLE = "Idle"
    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    DELETING = "Deleting"
    NO_READY_REPLICAS = "NoReadyReplicas"
    INVALID_SPEC = "InvalidSpec"

    # What the spec refers to.
    RESOLVED = "Resolved"
    REFERENCE_NOT_FOUND = "ReferenceNotFound"
    RESOLVING_MODEL = "ResolvingModel"
    WEIGHTS_NOT_FOUND = "WeightsNotFound"
    WEIGHTS_DOWNLOAD_FAILED = "WeightsDownloadFailed"
    SECRET_NOT_FOUND = "SecretNotFound"
    SECRET_INVALID = "SecretInvalid"
    IMAGE_UNKNOWN = "ImageUnknown"

    # Room on the accelerators.
    FITS = "Fits"
    FIT_UNKNOWN = "FitUnknown"
    FIT_OVERRIDDEN = "FitOverridden"
    MODEL_DOES_NOT_FIT = "ModelDoesNotFit"

    # Room in the cluster.
    SCHEDULED = "Scheduled"
    INSUFFICIENT_GPU = "InsufficientGPU"
    UNTOLERATED_TAINT = "UntoleratedTaint"
    NO_MATCHING_NODE = "NoMatchingNode"
    UNSCHEDULABLE = "Unschedulable"
    QUOTA_EXCEEDED = "QuotaExceeded"
    ADMISSION_REFUSED = "AdmissionRefused"
    WAITING_FOR_CAPACITY = "WaitingForCapacity"

    # The engine's pods.
    HEALTHY = "Healthy"
    ENGINE_STARTING = "EngineStarting"
    SLOW_START = "SlowStart"
    STARTUP_BUDGET_EXCEEDED = "StartupBudgetExceeded"
    VOLUME_UNAVAILABLE = "VolumeUnavailable"
    CONTAINER_CANNOT_RUN = "ContainerCannotRun"
    EVICTED = "Evicted"
    ENGINE_UNRESPONSIVE = "EngineUnresponsive"
    WRONG_ANSWERS = "WrongAnswers"
    ENGINE_CRASH_LOOPING = "EngineCrashLooping"
    ENGINE_FAILED = "EngineFailed"
    OUT_OF_MEMORY = "OutOfMemory"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    ARGUMENTS_INVALID = "ArgumentsInvalid"
    TOKENIZER_INVALID = "TokenizerInvalid"
    DEVICE_UNAVAILABLE = "DeviceUnavailable"

    # The way in.
    PROGRAMMED = "Programmed"
    AWAITING_ROUTER = "AwaitingRouter"
    ROUTER_NOT_READY = "RouterNotReady"
    ROUTER_READY = "RouterReady"
    ON_DEMAND = "OnDemand"
    PROBE_FAILED = "ProbeFailed"
    MODEL_NAME_CONFLICT = "ModelNameConflict"
    CONFIG_TOO_LARGE = "ConfigTooLarge"
    CERTIFICATE_UNAVAILABLE = "CertificateUnavailable"

    # A change on its way.
    COMPLETE = "Complete"
    ROLLOUT_IN_PROGRESS = "RolloutInProgress"
    RECREATE_GAP = "RecreateGap"
    CANDIDATE_FAILING = "CandidateFailing"

    # What stands in the way.
    OBJECT_NOT_OWNED = "ObjectNotOwned"
    APPLY_REFUSED = "ApplyRefused"


CONDITIONS: Final[dict[ConditionType, str]] = {
    ConditionType.READY: (
        "Converged: a request through the public route was answered by this generation. "
        "The one condition to wait for."
    ),
    ConditionType.AVAILABLE: "Users are served now, possibly by an older revision.",
    ConditionType.RECONCILING: "Present, and True, only while work remains (kstatus).",
    ConditionType.STALLED: (
        "Present, and True, only while nothing can go on until this object is edited (kstatus). "
        "Tools that wait give up on it."
    ),
    ConditionType.REFERENCES_RESOLVED: "The model and everything else the spec refers to was found.",
    ConditionType.MODEL_FITS: (
        "By calculation the model, its cache and its overhead fit the accelerators; the message has the "
        "arithmetic."
    ),
    ConditionType.CAPACITY_AVAILABLE: "The cluster has room for the pods that are wanted.",
    ConditionType.ENGINE_HEALTHY: "The engines of the newest revision run and answer.",
    ConditionType.ROUTER_PROGRAMMED: "Every running router has acknowledged this service's configuration.",
    ConditionType.ROLLOUT_HEALTHY: "No change is on its way, or the one that is makes progress.",
}
"""What each type means when it is True."""

REASONS: Final[dict[Reason, str]] = {
    Reason.NOT_YET_REPORTED: "Nothing is known yet. The first observation replaces it.",
    Reason.ACCEPTED: "The object is valid; there is nothing to wait for.",
    Reason.ANSWERING: "A request through the router was answered by this generation.",
    Reason.SERVING: "At least one engine behind the router takes requests.",
    Reason.IDLE: "Zero replicas are asked for, and none run. Raise spec.replicas to serve.",
    Reason.PROGRESSING: "Work is under way; the other conditions say which.",
    Reason.PAUSED: "spec.paused is true: status is kept up to date and nothing is changed.",
    Reason.DELETING: "The object is being deleted; requests in flight drain first.",
    Reason.NO_READY_REPLICAS: "No engine takes requests. EngineHealthy and CapacityAvailable say why.",
    Reason.INVALID_SPEC: (
        "The stored object breaks a rule of the current API, which is possible when it was written under an "
        "older one. The message names the field; edit it."
    ),
    Reason.RESOLVED: "Everything that is referred to was found.",
    Reason.REFERENCE_NOT_FOUND: "A named object isn't in this namespace. Create it or correct the name.",
    Reason.RESOLVING_MODEL: "The model's repository is being asked for commit, sizes and configuration.",
    Reason.WEIGHTS_NOT_FOUND: (
        "The model's source has no such repository, revision, claim or path, or holds no weights. "
        "Check source.uri and source.revision."
    ),
    Reason.WEIGHTS_DOWNLOAD_FAILED: (
        "The hub could not be reached or broke off. Retried; the message has the last error. Check proxy, "
        "mirror and network policy."
    ),
    Reason.SECRET_NOT_FOUND: (
        "A Secret that a pod mounts doesn't exist. Create it; the pod goes on by itself."
    ),
    Reason.SECRET_INVALID: (
        "The Secret lacks the key `token`, or the hub refuses the token, or the model's licence wasn't "
        "accepted for it."
    ),
    Reason.IMAGE_UNKNOWN: (
        "No engine image is known for this accelerator or version. Set spec.engine.image."
    ),
    Reason.FITS: "Weights, cache and overhead fit by calculation. The message has the arithmetic.",
    Reason.FIT_UNKNOWN: (
        "Nothing can be calculated: hardware.deviceMemory or the model's facts aren't known. Nothing is "
        "refused."
    ),
    Reason.FIT_OVERRIDDEN: (
        "The model doesn't fit by calculation, and the spec says to start it all the same."
    ),
    Reason.MODEL_DOES_NOT_FIT: (
        "By calculation the model can't start on the accelerators asked for; no engine is started. The "
        "message "
        "has the arithmetic and the largest context that would fit."
    ),
    Reason.SCHEDULED: "Every wanted pod has a node.",
    Reason.INSUFFICIENT_GPU: (
        "No node has enough free accelerators. The message is the scheduler's own account. Free some, ask "
        "for fewer, or use rollout.strategy Recreate."
    ),
    Reason.UNTOLERATED_TAINT: "Nodes that would do bear a taint that the pods don't tolerate.",
    Reason.NO_MATCHING_NODE: "No node bears the labels that hardware.nodeSelector asks for.",
    Reason.UNSCHEDULABLE: (
        "No node takes the pod: memory, CPU, selectors or taints. The message is the scheduler's own account."
    ),
    Reason.QUOTA_EXCEEDED: "The namespace's ResourceQuota refuses the pods. Raise it or ask for less.",
    Reason.ADMISSION_REFUSED: "An admission policy refuses the pods. The message has its words.",
    Reason.WAITING_FOR_CAPACITY: (
        "The new revision waits for room while the old one serves: it needs accelerators beside those in "
        "use; rollout.strategy Recreate does without, with a gap."
    ),
    Reason.HEALTHY: "The engines run and answer.",
    Reason.ENGINE_STARTING: "Engines are downloading or loading weights; status.engine has the figures.",
    Reason.SLOW_START: "Engines take longer to start than before, and are still within their startup budget.",
    Reason.STARTUP_BUDGET_EXCEEDED: "Engines weren't ready within their startup budget and are restarted.",
    Reason.VOLUME_UNAVAILABLE: "A volume can't be attached or mounted. The message has the kubelet's words.",
    Reason.CONTAINER_CANNOT_RUN: (
        "The container can't be made or started. The message has the runtime's words."
    ),
    Reason.EVICTED: (
        "A node threw the pod out for want of memory or disk. The message has the kubelet's words."
    ),
    Reason.ENGINE_UNRESPONSIVE: "An engine that was ready stopped answering and is restarted.",
    Reason.WRONG_ANSWERS: (
        "The engine runs, but its answer to one of model.proof's prompts is wrong; the revision gets no "
        "traffic."
    ),
    Reason.ENGINE_CRASH_LOOPING: "The engine ends again and again. The message has its last words.",
    Reason.ENGINE_FAILED: "The engine ended with an error. The message has its root cause.",
    Reason.OUT_OF_MEMORY: (
        "The engine ran out of host or device memory. Raise resources.limits.memory, lower "
        "engine.maxModelLen or engine.gpuMemoryUtilization, or use more accelerators."
    ),
    Reason.IMAGE_PULL_FAILED: (
        "A node can't pull the engine's image. Check its name, the registry and pod.imagePullSecrets."
    ),
    Reason.ARGUMENTS_INVALID: "The engine refuses an argument; the message says which. Correct spec.engine.",
    Reason.TOKENIZER_INVALID: "The model's tokenizer is missing or can't be loaded.",
    Reason.DEVICE_UNAVAILABLE: (
        "The container doesn't see the accelerator it was given: device plugin, driver or runtimeClassName."
    ),
    Reason.PROGRAMMED: "Every running router runs this service's configuration.",
    Reason.AWAITING_ROUTER: "Routers haven't all acknowledged the configuration yet.",
    Reason.ROUTER_NOT_READY: "No pod of the LLMRouter takes requests. Look at the LLMRouter.",
    Reason.ROUTER_READY: "The router's pods run and take requests.",
    Reason.ON_DEMAND: (
        "This router was made because services named none: ClusterIP, open to its namespace, no identity. "
        "Declare an LLMRouter of this name to own it."
    ),
    Reason.PROBE_FAILED: (
        "A request through the router wasn't answered by this generation. The message says how it failed."
    ),
    Reason.MODEL_NAME_CONFLICT: (
        "An older LLMService of the same router already claims one of the model names. Choose another in "
        "spec.modelNames."
    ),
    Reason.CONFIG_TOO_LARGE: "The router's configuration exceeds 900 KiB. Spread services over more routers.",
    Reason.CERTIFICATE_UNAVAILABLE: (
        "The Secret of spec.tls is missing, or holds no certificate (tls.crt) with its key (tls.key) that "
        "can be served. The message names it and has the router's own words. Create or correct it: routers "
        "take it up as soon as their nodes have it, within a minute or two, and nothing restarts."
    ),
    Reason.COMPLETE: "The declared revision has all the traffic.",
    Reason.ROLLOUT_IN_PROGRESS: "A new revision is on its way; status.rollout.step says how far.",
    Reason.RECREATE_GAP: (
        "With rollout.strategy Recreate the old revision has stopped, and the new one isn't ready: "
        "nobody is served."
    ),
    Reason.CANDIDATE_FAILING: (
        "The new revision doesn't come up; the old one keeps serving. EngineHealthy says why."
    ),
    Reason.APPLY_REFUSED: (
        "The API server refuses an object that is needed: an admission policy, a quota or RBAC does. The "
        "message names the object and has the server's words. Tried again, later each time."
    ),
    Reason.OBJECT_NOT_OWNED: (
        "An object of the name we need exists and isn't ours. It is left alone; rename or delete it."
    ),
}
"""What each reason means, and what helps."""
