"""The one table of condition types and reasons: the contract of status.

A condition that isn't here is never written. What a reason means to who reads it is in `runbook`. Nothing
here computes a condition.
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
    EXPERIMENT_CONCLUDED = "ExperimentConcluded"


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
    PROMPT_DELETED = "PromptDeleted"
    PROMPT_INVALID = "PromptInvalid"
    SUITE_FAMILY_MISMATCH = "SuiteFamilyMismatch"
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
    STABLE_FAILING = "StableFailing"
    TRIAL_RUNNING = "TrialRunning"
    ANALYSING = "Analysing"
    AWAITING_SAMPLES = "AwaitingSamples"
    CHECKS_RUNNING = "ChecksRunning"
    CHECK_UNANSWERED = "CheckUnanswered"
    AWAITING_APPROVAL = "AwaitingApproval"
    CANARY_REJECTED = "CanaryRejected"
    ROLLOUT_ABORTED = "RolloutAborted"

    # An experiment between prompts.
    EXPERIMENT_WAITING = "ExperimentWaiting"
    EXPERIMENT_RUNNING = "ExperimentRunning"
    CHALLENGER_BETTER = "ChallengerBetter"
    CONTROL_BETTER = "ControlBetter"
    NO_DIFFERENCE = "NoDifference"
    UNDECIDED = "Undecided"

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
    ConditionType.EXPERIMENT_CONCLUDED: (
        "Present only while spec.experiment is declared: it has ended with a recommendation. Neither Ready "
        "nor any other condition depends on it."
    ),
}
"""What each type means when it is True."""

BEYOND: Final = (
    "Requests are no part of Ready or Available once a generation's first answer has proven it: from then on "
    "both go by Kubernetes' readiness of pods and by the engines that routers see ready. Engines that answer "
    "every request with an error while their health check passes leave both True. A router sets single ones "
    "aside, and never all. That is seen in its metrics: pointsman_router_requests_total by code, "
    "pointsman_router_engine_failures_total with reason status, and pointsman_router_ejected_endpoints. "
    "Alert on them beside the conditions. Only while a change is judged do errors count here: gates of a "
    "Canary or BlueGreen rollout take a candidate back."
)
"""What no condition tells."""
