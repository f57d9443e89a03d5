"""The table of causes: a row for every reason there is."""

from __future__ import annotations

from typing import Final

from pointsman.api.conditions import ConditionType as C
from pointsman.api.conditions import Reason as R
from tests.simulation import causes as act
from tests.simulation.causes import FACTS, GPU, PRIVATE, Cause
from tests.simulation.causes_experiment import CHANGES
from tests.simulation.stories import CHAT, edited
from tests.simulation.trouble import Trouble

SECRET = 'MountVolume.SetUp failed for volume "hub" : secret "hub-token" not found'
NFS = 'MountVolume.SetUp failed for volume "weights" : mount failed: exit status 32'
QUOTA = 'pods "chat-" is forbidden: exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4'
WEBHOOK = 'admission webhook "policy.test" denied the request: no team label'
EVICTED = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory. "}
LOST = {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T01:00:00Z"}
STOPPED = '{"stopped": "Loading", "started": false}'
PROBED = {
    "containers": [{"name": "engine", "startupProbe": {"periodSeconds": 5, "failureThreshold": 120}}],
}
MEMORY = {**GPU, "deviceMemory": "80Gi"}
SMALL = {**GPU, "deviceMemory": "8Gi"}
LLAMA = {"model": {"source": {"uri": "file:///models/llama"}, "facts": FACTS}}

SUMMARY: Final = (
    Cause(R.NOT_YET_REPORTED, C.CAPACITY_AVAILABLE, "Unknown", act.hub(None)),
    Cause(R.ACCEPTED, C.READY, "True", act.declared_model, kind="LLMModel", name="small"),
    Cause(R.ANSWERING, C.READY, "True", act.ready()),
    Cause(R.SERVING, C.AVAILABLE, "True", act.ready()),
    Cause(R.IDLE, C.READY, "True", act.applying(edited(replicas=0)), act.applying(CHAT)),
    Cause(R.PROGRESSING, C.READY, "False", act.answered_before, act.answered_now),
    Cause(R.PAUSED, C.READY, "False", act.applying(edited(paused=True)), act.applying(CHAT)),
    Cause(R.DELETING, C.READY, "False", act.deleting),
    Cause(R.NO_READY_REPLICAS, C.AVAILABLE, "False", act.befalls(Trouble()), act.heals),
    Cause(
        R.INVALID_SPEC,
        C.READY,
        "False",
        act.unreadable,
        act.applying(CHAT),
        says="spec.model.source.uri",
    ),
)

REFERENCES: Final = (
    Cause(R.RESOLVED, C.REFERENCES_RESOLVED, "True", act.ready()),
    Cause(
        R.REFERENCE_NOT_FOUND,
        C.REFERENCES_RESOLVED,
        "False",
        act.applying({"modelRef": {"name": "small"}}),
        act.declared_model,
        says="spec.modelRef: there is no LLMModel 'small'",
    ),
    Cause(
        R.PROMPT_DELETED,
        C.REFERENCES_RESOLVED,
        "False",
        act.prompt_deleted,
        act.prompt_restored,
        says="PromptVersion 'support-v1' is gone; the copy that was made of it goes on answering",
    ),
    Cause(R.PROMPT_INVALID, C.REFERENCES_RESOLVED, "False", act.prompt_flawed, act.applying(CHAT)),
    Cause(R.RESOLVING_MODEL, C.REFERENCES_RESOLVED, "Unknown", act.hub(None), act.hub_answers),
    Cause(
        R.WEIGHTS_NOT_FOUND,
        C.REFERENCES_RESOLVED,
        "False",
        act.hub({"reason": "WeightsNotFound", "message": "no repository org/name"}),
        act.hub_answers,
        says="no repository org/name",
    ),
    Cause(
        R.WEIGHTS_DOWNLOAD_FAILED,
        C.REFERENCES_RESOLVED,
        "False",
        act.hub({"reason": "WeightsDownloadFailed", "message": "the hub does not answer"}),
        act.hub_answers,
        says="the hub does not answer",
    ),
    Cause(
        R.SECRET_NOT_FOUND,
        C.REFERENCES_RESOLVED,
        "False",
        act.befalls(act.waits("ContainerCreating", events=(("FailedMount", SECRET),)), PRIVATE),
        act.heals,
        says="Secret 'hub-token' does not exist",
    ),
    Cause(
        R.SECRET_INVALID,
        C.REFERENCES_RESOLVED,
        "False",
        act.hub({"reason": "SecretInvalid", "message": "the hub refuses the token"}),
        act.hub_answers,
        says="refuses the token",
    ),
    Cause(
        R.IMAGE_UNKNOWN,
        C.ENGINE_HEALTHY,
        "False",
        act.applying(edited(hardware={"accelerator": {"resource": "acme.example/npu", "count": 1}})),
        act.applying(CHAT),
        says="acme.example/npu",
    ),
)

FITTING: Final = (
    Cause(R.FIT_UNKNOWN, C.MODEL_FITS, "Unknown", act.ready()),
    Cause(R.FITS, C.MODEL_FITS, "True", act.ready({**LLAMA, "hardware": MEMORY}), says="GiB"),
    Cause(
        R.MODEL_DOES_NOT_FIT,
        C.MODEL_FITS,
        "False",
        act.applying({**LLAMA, "hardware": SMALL}),
        act.applying({**LLAMA, "hardware": MEMORY}),
        says="GiB",
    ),
    Cause(
        R.FIT_OVERRIDDEN,
        C.MODEL_FITS,
        "False",
        act.ready({**LLAMA, "hardware": {**SMALL, "fit": "Advisory"}}),
        says="GiB",
    ),
)

PLACING: Final = (
    Cause(R.SCHEDULED, C.CAPACITY_AVAILABLE, "True", act.ready()),
    Cause(
        R.INSUFFICIENT_GPU,
        C.CAPACITY_AVAILABLE,
        "False",
        act.short,
        act.room_comes,
        says="1 Insufficient nvidia.com/gpu",
    ),
    Cause(
        R.UNTOLERATED_TAINT,
        C.CAPACITY_AVAILABLE,
        "False",
        act.befalls(act.unplaced("0/2 nodes are available: 2 node(s) had untolerated taint(s).")),
        act.heals,
        says="2 node(s) had untolerated taint(s)",
    ),
    Cause(
        R.NO_MATCHING_NODE,
        C.CAPACITY_AVAILABLE,
        "False",
        act.befalls(
            act.unplaced("0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."),
            edited(hardware={"nodeSelector": {"gpu": "a100"}}),
        ),
        act.heals,
        says="hardware.nodeSelector asks for gpu=a100",
    ),
    Cause(
        R.UNSCHEDULABLE,
        C.CAPACITY_AVAILABLE,
        "False",
        act.befalls(act.unplaced("0/2 nodes are available: 2 Insufficient memory.")),
        act.heals,
        says="2 Insufficient memory",
    ),
    Cause(
        R.QUOTA_EXCEEDED,
        C.CAPACITY_AVAILABLE,
        "False",
        act.befalls(act.refused(QUOTA)),
        act.heals,
        says="requested: pods=1, used: pods=4, limited: pods=4",
    ),
    Cause(
        R.ADMISSION_REFUSED,
        C.CAPACITY_AVAILABLE,
        "False",
        act.befalls(act.refused(WEBHOOK)),
        act.heals,
        says="no team label",
    ),
    Cause(
        R.WAITING_FOR_CAPACITY,
        C.ROLLOUT_HEALTHY,
        "False",
        act.short_beside_old,
        act.room_comes,
        says="Recreate",
    ),
)

ENGINES: Final = (
    Cause(R.HEALTHY, C.ENGINE_HEALTHY, "True", act.ready()),
    Cause(R.ENGINE_STARTING, C.ENGINE_HEALTHY, "Unknown", act.befalls(Trouble()), act.heals),
    Cause(
        R.SLOW_START,
        C.ENGINE_HEALTHY,
        "Unknown",
        act.started_slower,
        act.heals,
        says="more than twice the 10 s that earlier starts make likely",
    ),
    Cause(
        R.STARTUP_BUDGET_EXCEEDED,
        C.ENGINE_HEALTHY,
        "False",
        act.befalls(Trouble(containers=act.ends(0, STOPPED).containers, spec=PROBED)),
        act.heals,
        says="within 600 s",
    ),
    Cause(
        R.VOLUME_UNAVAILABLE,
        C.ENGINE_HEALTHY,
        "False",
        act.befalls(act.waits("ContainerCreating", events=(("FailedMount", NFS),))),
        act.heals,
        says='volume "weights" : mount failed',
    ),
    Cause(
        R.CONTAINER_CANNOT_RUN,
        C.ENGINE_HEALTHY,
        "False",
        act.befalls(act.waits("CreateContainerConfigError", "image will run as root")),
        act.heals,
        says="image will run as root",
    ),
    Cause(
        R.EVICTED,
        C.ENGINE_HEALTHY,
        "False",
        act.befalls(Trouble(pod=EVICTED)),
        act.heals,
        says="The node was low on resource: memory",
    ),
    Cause(
        R.ENGINE_UNRESPONSIVE,
        C.ENGINE_HEALTHY,
        "False",
        act.befalls(
            Trouble(containers=({"started": True, "state": {"running": act.BEGUN}},), conditions=(LOST,))
        ),
        act.heals,
        says="readiness probe",
    ),
    Cause(
        R.WRONG_ANSWERS,
        C.ENGINE_HEALTHY,
        "False",
        act.candidate_befalls(act.says("WrongAnswers", "proof 'capital': expected “Paris”, got “Lond…”")),
        act.applying(CHAT),
        says="proof 'capital'",
    ),
    Cause(
        R.ENGINE_CRASH_LOOPING,
        C.ENGINE_HEALTHY,
        "False",
        act.befalls(act.ends(2, "Segmentation fault", restarts=4)),
        act.heals,
        says="Segmentation fault",
    ),
    Cause(
        R.ENGINE_FAILED,
        C.ENGINE_HEALTHY,
        "False",
        act.befalls(act.says("EngineFailed", "the engine failed: KeyError")),
        act.heals,
        says="KeyError",
    ),
    Cause(
        R.OUT_OF_MEMORY,
        C.ENGINE_HEALTHY,
        "False",
        act.befalls(act.ends(137, reason="OOMKilled")),
        act.heals,
        says="hardware.resources.limits.memory",
    ),
    Cause(
        R.IMAGE_PULL_FAILED,
        C.ENGINE_HEALTHY,
        "False",
        act.befalls(act.waits("ErrImagePull", "engine:1: not found")),
        act.heals,
        says="engine:1: not found",
    ),
    Cause(
        R.ARGUMENTS_INVALID,
        C.ENGINE_HEALTHY,
        "False",
        act.candidate_befalls(act.says("ArgumentsInvalid", "max-num-seqs: must be a number")),
        act.applying(CHAT),
        says="max-num-seqs",
    ),
    Cause(
        R.TOKENIZER_INVALID,
        C.ENGINE_HEALTHY,
        "False",
        act.befalls(act.says("TokenizerInvalid", "the tokenizer's files are missing")),
        act.heals,
        says="tokenizer",
    ),
    Cause(
        R.DEVICE_UNAVAILABLE,
        C.ENGINE_HEALTHY,
        "False",
        act.befalls(act.says("DeviceUnavailable", "No CUDA GPUs are available")),
        act.heals,
        says="CUDA",
    ),
)

ROUTING: Final = (
    Cause(R.PROGRAMMED, C.ROUTER_PROGRAMMED, "True", act.ready()),
    Cause(R.AWAITING_ROUTER, C.ROUTER_PROGRAMMED, "False", act.routers_deaf, act.routers_hear),
    Cause(
        R.ROUTER_NOT_READY,
        C.ROUTER_PROGRAMMED,
        "False",
        act.router_down,
        act.router_up,
        says="LLMRouter 'front'",
    ),
    Cause(R.ROUTER_READY, C.READY, "True", act.declared_router, kind="LLMRouter", name="front"),
    Cause(R.ON_DEMAND, C.READY, "True", act.ready(), kind="LLMRouter", name="default"),
    Cause(R.PROBE_FAILED, C.READY, "False", act.probe_fails, act.probe_answers, says="no answer"),
    Cause(
        R.MODEL_NAME_CONFLICT,
        C.ROUTER_PROGRAMMED,
        "False",
        act.name_taken,
        act.elder_goes,
        says="'taken' is claimed by the older LLMService 'elder'",
    ),
    Cause(
        R.CONFIG_TOO_LARGE,
        C.READY,
        "False",
        act.big_configuration,
        act.small_configuration,
        kind="LLMRouter",
        name="front",
        says="900 KiB",
    ),
    Cause(
        R.CERTIFICATE_UNAVAILABLE,
        C.READY,
        "False",
        act.certificate_missing,
        act.router_up,
        kind="LLMRouter",
        name="front",
        says="front",
    ),
)

ROLLOUT: Final = (
    Cause(R.COMPLETE, C.ROLLOUT_HEALTHY, "True", act.ready()),
    Cause(R.ROLLOUT_IN_PROGRESS, C.ROLLOUT_HEALTHY, "True", act.candidate_befalls(Trouble()), act.heals),
    Cause(R.RECREATE_GAP, C.AVAILABLE, "False", act.recreating, act.heals),
    Cause(
        R.CANDIDATE_FAILING,
        C.ROLLOUT_HEALTHY,
        "False",
        act.candidate_befalls(act.ends(2, "Segmentation fault")),
        act.heals,
    ),
)

OBSTACLES: Final = (
    Cause(
        R.OBJECT_NOT_OWNED,
        C.READY,
        "False",
        act.stranger,
        act.stranger_leaves,
        says="Service 'chat-engine'",
    ),
    Cause(
        R.APPLY_REFUSED,
        C.READY,
        "False",
        act.refused_by_policy,
        act.policy_goes,
        says="no team label",
    ),
)

CAUSES: Final = (
    *SUMMARY,
    *REFERENCES,
    *FITTING,
    *PLACING,
    *ENGINES,
    *ROUTING,
    *ROLLOUT,
    *CHANGES,
    *OBSTACLES,
)
"""Every reason's cause."""
