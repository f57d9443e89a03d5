"""What each reason means, what Pointsman does about it, and what a person can do: the runbook, as data.

`docs/conditions.md` is generated from it. Who reads it was woken by an alert: each text stands alone. Nothing
here computes a condition.
"""

from __future__ import annotations

from typing import Final

from pointsman.api.conditions import Reason
from pointsman.api.runbook_entry import NOTHING, Entry
from pointsman.api.runbook_experiment import EXPERIMENT
from pointsman.api.runbook_rollout import ROLLOUT

_MESSAGE = "The message has the words of whoever found it."
_GOES_ON = "Looks again every 5 to 15 seconds and goes on by itself; an older revision keeps serving."
_RESTARTS = (
    "The kubelet restarts the container, later each time; the revision gets no traffic until it is ready, "
    "and an older one keeps serving."
)

SUMMARY: Final[dict[Reason, Entry]] = {
    Reason.NOT_YET_REPORTED: Entry(
        "Nothing is known of this yet.",
        "Replaces it with the first observation.",
        f"{NOTHING} If it stays for minutes, the operator doesn't run or lacks a permission: see its log.",
    ),
    Reason.ACCEPTED: Entry("The object is valid.", "Waits for services that refer to it.", NOTHING),
    Reason.ANSWERING: Entry(
        "A request through the router was answered by this generation.",
        "Keeps it so; pods that restart beside one that serves don't change it.",
        NOTHING,
    ),
    Reason.SERVING: Entry("At least one engine behind the router takes requests.", "Keeps it so.", NOTHING),
    Reason.IDLE: Entry(
        "Zero replicas are asked for, and none run.",
        "Keeps the service's names and configuration.",
        "Raise spec.replicas to serve.",
    ),
    Reason.PROGRESSING: Entry(
        "Work is under way; the other conditions say which.", "Carries on with it.", NOTHING
    ),
    Reason.PAUSED: Entry(
        "spec.paused is true.",
        "Changes nothing, and keeps status up to date.",
        "Set spec.paused to false when changes may happen again.",
    ),
    Reason.DELETING: Entry(
        "The object is being deleted.",
        "Takes it out of the routers first; then the engines finish the requests they have.",
        "Wait for spec.drainSeconds. A router that doesn't answer is waited for at most a minute.",
    ),
    Reason.NO_READY_REPLICAS: Entry(
        "No engine takes requests: users are refused.",
        "Has requests wait or be refused with Retry-After, and looks again every few seconds.",
        "Read EngineHealthy and CapacityAvailable: they say why.",
    ),
    Reason.INVALID_SPEC: Entry(
        "The stored object breaks a rule of the current API, which is possible when it was written under an "
        "older one. The message names the field.",
        "Touches nothing: what served goes on serving.",
        "Edit the field.",
    ),
}

REFERENCES: Final[dict[Reason, Entry]] = {
    Reason.RESOLVED: Entry("Everything that is referred to was found.", "Goes on.", NOTHING),
    Reason.REFERENCE_NOT_FOUND: Entry(
        "An object that the spec or a pod names doesn't exist: an LLMModel, LLMRouter, ConfigMap, "
        "PersistentVolumeClaim, PriorityClass or RuntimeClass. The message names it and the field.",
        _GOES_ON,
        "Create it, or correct the name. Whatever has a namespace must be in the service's own.",
    ),
    Reason.PROMPT_DELETED: Entry(
        "The PromptVersion that spec.promptRef names is gone, and requests are answered by the copy that was "
        "made of it when it came into use.",
        "Goes on with the copy. No other service can begin to use the prompt.",
        "Create the PromptVersion again, with the same content, or name another.",
    ),
    Reason.PROMPT_INVALID: Entry(
        "The PromptVersion that spec.promptRef names can't be used; the message says why.",
        "Goes on with the prompt that served before.",
        "Name another PromptVersion; this one can't be changed.",
    ),
    Reason.SUITE_FAMILY_MISMATCH: Entry(
        "The PromptSuite that spec.rollout.suiteRef names tests prompts of another family than the one that "
        "spec.promptRef names. The message names both.",
        "Goes on with what served before. The candidate isn't tried, and gets no traffic.",
        "Name a suite of the prompt's family, or a prompt of the suite's; or change the suite's spec.family.",
    ),
    Reason.RESOLVING_MODEL: Entry(
        "The model's repository is being asked for its commit, sizes and configuration.",
        "Runs a short Job for it, before the revision is born.",
        f"{NOTHING} If it stays, look at the Job whose name ends in -resolve.",
    ),
    Reason.WEIGHTS_NOT_FOUND: Entry(
        "The model's source has no such repository, revision, claim or path, or holds no whole weights.",
        "Asks again every minute, or starts the engine again, later each time.",
        "Check model.source.uri and model.source.revision; the message has the source's words.",
    ),
    Reason.WEIGHTS_DOWNLOAD_FAILED: Entry(
        "The hub could not be reached, or broke off.",
        "Tries again; what was fetched whole is kept while the pod lives.",
        "Check proxy, mirror and the network's egress rules; the message has the last error.",
    ),
    Reason.SECRET_NOT_FOUND: Entry(
        "A Secret that a pod mounts, or pulls its image with, doesn't exist. The message names it.",
        "Waits; the pod goes on by itself as soon as the Secret is there and the kubelet tries again.",
        "Create the Secret in the service's namespace, or correct the reference.",
    ),
    Reason.SECRET_INVALID: Entry(
        "The Secret lacks the key `token`, or the hub refuses the token, or the model's licence wasn't "
        "accepted for it.",
        "Tries again, later each time. It never reads the Secret itself.",
        "Put a valid token under the key `token`; accept the model's licence on the hub.",
    ),
    Reason.IMAGE_UNKNOWN: Entry(
        "No engine image is known for this accelerator or version.",
        "Starts nothing for this generation; an older revision keeps serving.",
        "Set spec.engine.image, or have the chart's images.engines name one.",
    ),
}

FITTING: Final[dict[Reason, Entry]] = {
    Reason.FITS: Entry(
        "By calculation weights, cache and overhead fit the accelerators. The message has the arithmetic.",
        "Starts the engines.",
        NOTHING,
    ),
    Reason.FIT_UNKNOWN: Entry(
        "Nothing can be calculated: hardware.deviceMemory or the model's facts aren't known.",
        "Refuses nothing, and starts the engines.",
        "Declare hardware.deviceMemory, and model.facts where the source tells none.",
    ),
    Reason.FIT_OVERRIDDEN: Entry(
        "By calculation the model doesn't fit, and hardware.fit says to start it all the same.",
        "Starts the engines, and records estimate and override with the revision.",
        "If they run out of memory, the message has the largest context that would fit.",
    ),
    Reason.MODEL_DOES_NOT_FIT: Entry(
        "By calculation the model can't start on the accelerators asked for.",
        "Starts no engine for this generation; an older revision keeps serving.",
        "Lower engine.maxModelLen to what the message names, take more or larger accelerators or a quantized "
        "model, or set hardware.fit to Advisory if the estimate is wrong.",
    ),
}

PLACING: Final[dict[Reason, Entry]] = {
    Reason.SCHEDULED: Entry("Every wanted pod has a node.", "Goes on.", NOTHING),
    Reason.INSUFFICIENT_GPU: Entry(
        "No node that the pods may go to has enough free accelerators. The message is the scheduler's own "
        "account, and with capacity discovery what is asked for and what is free.",
        _GOES_ON,
        "Free or add accelerators, ask for fewer, or use rollout.strategy Recreate, which does without spare "
        "ones at the price of a gap.",
    ),
    Reason.UNTOLERATED_TAINT: Entry(
        "Nodes that would do bear a taint that the pods don't tolerate.",
        _GOES_ON,
        "Add the taint to hardware.tolerations, or take it off the nodes.",
    ),
    Reason.NO_MATCHING_NODE: Entry(
        "No node bears the labels that hardware.nodeSelector asks for.",
        _GOES_ON,
        "Correct hardware.nodeSelector, or label the nodes.",
    ),
    Reason.UNSCHEDULABLE: Entry(
        "No node takes the pods: memory, CPU, a cordon or a scheduling gate. The message is the scheduler's "
        "own account.",
        _GOES_ON,
        "Ask for less in hardware.resources, or make room.",
    ),
    Reason.QUOTA_EXCEEDED: Entry(
        "The namespace's ResourceQuota refuses the pods. The message has quota, request, use and limit.",
        "Waits; Kubernetes tries again, later each time.",
        "Raise the quota or ask for less. Where a quota demands limits, set hardware.resources.",
    ),
    Reason.ADMISSION_REFUSED: Entry(
        "An admission policy, webhook or LimitRange refuses the pods. The message has its words.",
        "Waits; Kubernetes tries again, later each time.",
        "Change what it objects to, or have the policy admit the pods; they keep the restricted standard.",
    ),
    Reason.WAITING_FOR_CAPACITY: Entry(
        "The new revision waits for room beside the old one, which serves.",
        "Waits. Nothing of the old revision is touched.",
        "Make room, or set rollout.strategy to Recreate, which stops the old revision first.",
    ),
}

ENGINES: Final[dict[Reason, Entry]] = {
    Reason.HEALTHY: Entry("The engines run and answer.", "Goes on.", NOTHING),
    Reason.ENGINE_STARTING: Entry(
        "Engines are fetching or loading weights; status.loading has the figures.",
        "Gives them traffic when they have made a first token, and proof's answers are right.",
        f"{NOTHING} status.startup tells how long it took before.",
    ),
    Reason.SLOW_START: Entry(
        "Engines start for more than twice as long as earlier ones make likely, and are within their budget.",
        "Goes on waiting; past the budget the kubelet restarts them.",
        "status.loading tells the stage and its rate: a slow hub, a cold node or a busy disk are usual.",
    ),
    Reason.STARTUP_BUDGET_EXCEEDED: Entry(
        "An engine wasn't ready within its startup budget.",
        _RESTARTS,
        "The message has the budget and, where it's known, the phase. Find what is slow: weights, disk, or "
        "an engine that hangs. The budget follows from the last start that was measured (status.startup), at "
        "most the chart's engine.startupSeconds; a new revision (spec.restartedAt) after one that never came "
        "up gets all of that.",
    ),
    Reason.VOLUME_UNAVAILABLE: Entry(
        "A volume can't be bound, attached or mounted. The message has Kubernetes' own words.",
        "Waits; the pod goes on by itself when the volume can be had.",
        "kubectl describe the PersistentVolumeClaim: it may be unbound, without a class that exists, or in "
        "use on another node.",
    ),
    Reason.CONTAINER_CANNOT_RUN: Entry(
        "The container, or the sandbox around it, can't be made or started. " + _MESSAGE,
        "The kubelet tries again, later each time; an older revision keeps serving.",
        "Correct what the message names: command or user of the image, runtimeClassName, the node's runtime.",
    ),
    Reason.EVICTED: Entry(
        "A node threw a pod out, or refused it: for want of memory, disk or devices, or since it shut down.",
        "Kubernetes makes another pod in its place.",
        "Request as much memory and ephemeral-storage as engines use in hardware.resources, or relieve the "
        "node.",
    ),
    Reason.ENGINE_UNRESPONSIVE: Entry(
        "An engine that was ready stopped answering, or its node stopped reporting.",
        "Takes its traffic away at once; the kubelet restarts it when it has been silent for a minute.",
        "Read the engine's log from before the restart (kubectl logs --previous). For a node: kubectl get "
        "nodes.",
    ),
    Reason.WRONG_ANSWERS: Entry(
        "The engine runs, but its answer to one of model.proof's prompts is wrong. The message has the "
        "prompt's name, what was expected and what came.",
        "Gives the revision no traffic; an older one keeps serving.",
        "Suspect number format, quantization, chat template or weights before the prompt: wrong answers with "
        "every light green are real. Correct the spec, or the proof.",
    ),
    Reason.ENGINE_CRASH_LOOPING: Entry(
        "The engine ends again and again, and leaves no reason of its own. The message has its last words.",
        _RESTARTS,
        "kubectl logs --previous of the pod has more.",
    ),
    Reason.ENGINE_FAILED: Entry(
        "The engine ended with an error. The message has its root cause.",
        _RESTARTS,
        "Mend what the message names; kubectl logs --previous of the pod has the whole log.",
    ),
    Reason.OUT_OF_MEMORY: Entry(
        "The engine ran out of host or device memory; the message says which.",
        _RESTARTS,
        "Host: raise hardware.resources.limits.memory. Device: lower engine.maxModelLen or "
        "engine.gpuMemoryUtilization, or use more accelerators.",
    ),
    Reason.IMAGE_PULL_FAILED: Entry(
        "A node can't pull the image. The message has the registry's words.",
        "The kubelet tries again, at least every five minutes; an older revision keeps serving.",
        "Check the image's name, the registry, and pod.imagePullSecrets.",
    ),
    Reason.ARGUMENTS_INVALID: Entry(
        "The engine refuses an argument; the message says which.",
        _RESTARTS,
        "Correct spec.engine.",
    ),
    Reason.TOKENIZER_INVALID: Entry(
        "The model's tokenizer is missing or can't be loaded.",
        _RESTARTS,
        "Add the tokenizer's files to the model's source, or name another revision of it.",
    ),
    Reason.DEVICE_UNAVAILABLE: Entry(
        "The container doesn't see the accelerator it was given, or the node has no healthy one to give.",
        _RESTARTS,
        "Check device plugin and driver on the node, and hardware.runtimeClassName.",
    ),
}

ROUTING: Final[dict[Reason, Entry]] = {
    Reason.PROGRAMMED: Entry("Every running router runs this service's configuration.", "Goes on.", NOTHING),
    Reason.AWAITING_ROUTER: Entry(
        "Routers haven't all acknowledged the configuration, or refuse it; the message says which.",
        "Waits before it takes the next step, so nothing is cut off.",
        "It takes seconds. If it stays, look at the LLMRouter and its pods' logs.",
    ),
    Reason.ROUTER_NOT_READY: Entry(
        "No pod of the LLMRouter takes requests.",
        "Keeps the service's engines; looks again every second or two.",
        "Look at the LLMRouter: its Ready condition says why.",
    ),
    Reason.ROUTER_READY: Entry("The router's pods run and take requests.", "Keeps it so.", NOTHING),
    Reason.ON_DEMAND: Entry(
        "This router was made because services named none: ClusterIP, open to its namespace, no identity.",
        "Removes it with the last service that needs it.",
        "Declare an LLMRouter of this name to own it.",
    ),
    Reason.PROBE_FAILED: Entry(
        "A request through the router wasn't answered by this generation. The message says how it failed.",
        "Asks again every few seconds.",
        "Read the message: an engine's error is in the engine's log, a closed way in is in the router's "
        "Service.",
    ),
    Reason.MODEL_NAME_CONFLICT: Entry(
        "An older LLMService of the same router already claims one of the model names.",
        "Leaves the name to the older one.",
        "Choose another in spec.modelNames, or another router.",
    ),
    Reason.CONFIG_TOO_LARGE: Entry(
        "The router's configuration exceeds 900 KiB.",
        "Keeps the last configuration that fitted.",
        "Spread the services over more routers.",
    ),
    Reason.CERTIFICATE_UNAVAILABLE: Entry(
        "The Secret of spec.tls is missing, or holds no certificate (tls.crt) with its key (tls.key) that "
        "can be served. The message names it and has the router's own words.",
        "Waits; routers take it up as soon as their nodes have it, within a minute or two, and nothing "
        "restarts.",
        "Create or correct the Secret.",
    ),
}

OBSTACLES: Final[dict[Reason, Entry]] = {
    Reason.OBJECT_NOT_OWNED: Entry(
        "An object of the name we need exists and isn't ours.",
        "Leaves it alone.",
        "Rename or delete it, or rename the service.",
    ),
    Reason.APPLY_REFUSED: Entry(
        "The API server refuses an object that is needed: an admission policy, a quota or RBAC does. The "
        "message names the object and has the server's words.",
        "Tries again, later each time.",
        "Change what refuses it.",
    ),
}

RUNBOOK: Final[dict[Reason, Entry]] = (
    SUMMARY | REFERENCES | FITTING | PLACING | ENGINES | ROUTING | ROLLOUT | EXPERIMENT | OBSTACLES
)
"""Every reason's paragraph."""

CHAPTERS: Final[dict[str, dict[Reason, Entry]]] = {
    "How things stand": SUMMARY,
    "What the spec refers to": REFERENCES,
    "Room on the accelerators": FITTING,
    "Room in the cluster": PLACING,
    "The engine's pods": ENGINES,
    "The way in": ROUTING,
    "A change on its way": ROLLOUT,
    "An experiment between prompts": EXPERIMENT,
    "What stands in the way": OBSTACLES,
}
"""The same by what it is about."""
